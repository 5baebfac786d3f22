//! Translation of services and sources: packets in, packets out, with every checksum verified.

mod errors;
mod net;
mod service;
mod source;

use std::net::IpAddr;

use packet::ethernet::Ethernet;
use packet::ipv4::Ipv4;
use packet::ipv6::Ipv6;
use packet::{checksum, crc32c, proto, tcp};

use super::*;
use crate::cnat::{Balance, Endpoint, Path, SnatKind, SnatSet, TranslationSpec};
use crate::lab::Sent;
use crate::{Offload, SwIfIndex};

use net::Net;

/// How a test's interfaces and services translate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mode {
    /// Interfaces have the feature.
    Feature,
    /// Only virtual addresses have routes.
    Route,
}

pub(super) const MODES: [Mode; 2] = [Mode::Feature, Mode::Route];

pub(super) fn service(
    protocol: u8,
    vip: &str,
    port: u16,
    paths: &[(&str, u16)],
) -> TranslationSpec {
    TranslationSpec {
        vip: Endpoint::new(addr(vip), port),
        protocol,
        flags: 0,
        exclusive: true,
        balance: Balance::Default,
        flow_hash: 0,
        paths: paths
            .iter()
            .map(|(ip, port)| Path::to(addr(ip), *port))
            .collect(),
    }
}

/// A TCP, UDP, SCTP or ICMP packet with right checksums; `flags` are TCP's, or the type of an echo.
pub(super) fn packet(protocol: u8, src: (&str, u16), dst: (&str, u16), flags: u8) -> Vec<u8> {
    let payload = b"some payload of odd length!";
    let mut upper = match protocol {
        proto::TCP => {
            let mut upper = vec![0; 20];
            tcp::Header {
                src_port: src.1,
                dst_port: dst.1,
                seq: 7,
                ack: 9,
                flags,
                ..tcp::Header::default()
            }
            .emit(&mut upper);
            upper
        }
        proto::UDP => {
            let mut upper = vec![0; 8];
            packet::udp::emit(&mut upper, src.1, dst.1, short(8 + payload.len()), 0);
            upper
        }
        proto::SCTP => [
            &src.1.to_be_bytes()[..],
            &dst.1.to_be_bytes(),
            &[1, 2, 3, 4, 0, 0, 0, 0],
        ]
        .concat(),
        _ => [&[flags, 0, 0, 0][..], &src.1.to_be_bytes(), &[0, 1]].concat(),
    };
    upper.extend(payload);
    let mut bytes = ip(src.0, dst.0, protocol, 64, &upper);
    let at = bytes.len() - upper.len();
    fill(&mut bytes, at, protocol);
    bytes
}

/// Sum of the pseudo header of the upper layer at `at`.
fn pseudo(bytes: &[u8], at: usize, protocol: u8) -> u32 {
    let len = short(bytes.len() - at);
    if bytes[0] >> 4 == 4 {
        let ip = Ipv4::new_checked(bytes).unwrap();
        checksum::pseudo4(ip.src(), ip.dst(), protocol, len)
    } else {
        let ip = Ipv6::new_checked(bytes).unwrap();
        checksum::pseudo6(ip.src(), ip.dst(), protocol, len.into())
    }
}

fn short(len: usize) -> u16 {
    len.try_into().unwrap()
}

fn field(protocol: u8) -> usize {
    match protocol {
        proto::TCP => 16,
        proto::UDP => 6,
        proto::SCTP => 8,
        _ => 2,
    }
}

/// Computes the checksum of the upper layer at `at`.
pub(super) fn fill(bytes: &mut [u8], at: usize, protocol: u8) {
    let check = at + field(protocol);
    if protocol == proto::SCTP {
        bytes[check..check + 4].fill(0);
        let crc = crc32c::of(&bytes[at..]);
        bytes[check..check + 4].copy_from_slice(&crc.to_le_bytes());
        return;
    }
    bytes[check..check + 2].fill(0);
    let with = if protocol == proto::ICMP {
        0
    } else {
        pseudo(bytes, at, protocol)
    };
    let sum = !checksum::fold(checksum::add(with, &bytes[at..]));
    bytes[check..check + 2].copy_from_slice(&sum.to_be_bytes());
}

/// `src:port > dst:port` of an IP packet whose checksums are right; echoes show their identifier.
pub(super) fn flow(bytes: &[u8]) -> String {
    let (protocol, at) = if bytes[0] >> 4 == 4 {
        let ip = Ipv4::new_checked(bytes).unwrap();
        assert!(ip.checksum_ok(), "IP checksum");
        (ip.protocol(), ip.header_len())
    } else {
        let upper = Ipv6::new_checked(bytes).unwrap().upper_layer().unwrap();
        (upper.protocol, upper.offset)
    };
    let mut again = bytes.to_vec();
    fill(&mut again, at, protocol);
    assert_eq!(again, bytes, "checksum of protocol {protocol}");
    named(bytes)
}

/// As [`flow`], without looking at the upper layer's checksum.
pub(super) fn named(bytes: &[u8]) -> String {
    let key = packet::FlowKey::of_ip(bytes).unwrap();
    let at = if bytes[0] >> 4 == 4 {
        Ipv4::new_checked(bytes).unwrap().header_len()
    } else {
        40
    };
    let (src_port, dst_port) = match key.protocol {
        proto::ICMP | proto::ICMPV6 => {
            let ident = u16::from_be_bytes([bytes[at + 4], bytes[at + 5]]);
            (ident, ident)
        }
        _ => (key.src_port, key.dst_port),
    };
    format!("{} > {}", end(key.src, src_port), end(key.dst, dst_port))
}

fn end(ip: IpAddr, port: u16) -> String {
    format!("{ip}#{port}")
}

/// The IP packet in a frame.
pub(super) fn inside(sent: &Sent) -> Vec<u8> {
    Ethernet::new_checked(&sent.1).unwrap().payload().to_vec()
}

/// Offload of a TCP super-frame with Ethernet, IP header and no options.
pub(super) fn super_frame(is_v6: bool, gso: crate::Gso) -> Offload {
    let l4 = if is_v6 { 54 } else { 34 };
    Offload {
        needs_csum: true,
        csum_start: l4,
        csum_offset: 16,
        gso,
        gso_size: if is_v6 { 1428 } else { 1448 },
        hdr_len: l4 + 20,
        ..Offload::default()
    }
}

pub(super) fn out(sent: &[Sent]) -> (SwIfIndex, Vec<u8>) {
    assert_eq!(sent.len(), 1, "one frame leaves");
    (sent[0].0, inside(&sent[0]))
}

/// Source NAT of table 0 for flows of one interface, except to `excluded`.
pub(super) fn hide(lab: &mut Lab, kind: SnatKind, of: &[SwIfIndex], excluded: &[&str]) {
    let (ip4, ip6) = (
        "192.0.2.1".parse().unwrap(),
        "2001:db8:2::1".parse().unwrap(),
    );
    lab.dp
        .cnat_set_snat_addresses((0, 0), ip4, ip6, SwIfIndex::NONE, 0)
        .unwrap();
    lab.dp.cnat_set_snat_policy(kind).unwrap();
    for on in of {
        for set in [SnatSet::IncludeV4, SnatSet::IncludeV6, SnatSet::Pod] {
            lab.dp.cnat_snat_policy_add_del_if(*on, true, set).unwrap();
        }
    }
    for prefix_text in excluded {
        lab.dp
            .cnat_snat_policy_exclude(true, prefix(prefix_text))
            .unwrap();
    }
}
