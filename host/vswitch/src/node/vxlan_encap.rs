//! Puts VXLAN, UDP and IP headers in front of a frame. Pending offload work is kept and marked, so that the
//! device finishes it inside and outside of the tunnel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use packet::ethernet::Ethernet;
use packet::flow::hash_frame;
use packet::{FlowKey, ipv4, ipv6, proto, udp, vxlan};

use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::offload::Tunnel;
use crate::tunnel::Vxlan;

const INNER: usize = udp::HEADER_LEN + vxlan::HEADER_LEN;
const TTL: u8 = 254;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(tunnel) = env.tables.vxlans.get(frame.meta.tx.0) else {
        return Next::Drop(DropReason::NoInterface);
    };
    if frame.offload.tunnel != Tunnel::None || frame.offload.fragment != 0 {
        return Next::Drop(DropReason::OffloadConflict);
    }
    let hash = if tunnel.is_l3 {
        FlowKey::of_ip(frame.head()).map_or(0, |k| k.hash())
    } else {
        hash_frame(frame.head())
    };
    let inner_l3 = if tunnel.is_l3 {
        0
    } else {
        Ethernet::new_checked(frame.head())
            .and_then(|e| e.payload_behind_tags())
            .map_or(0, |(_, at, _)| at)
    };
    let datagram_len = clamp_len(frame.len() + INNER);
    let Some(header) = frame.push(INNER) else {
        return Next::Drop(DropReason::NoHeadroom);
    };
    udp::emit(
        header,
        ephemeral_port(hash),
        tunnel.dst_port,
        datagram_len,
        0,
    );
    vxlan::emit(
        header.get_mut(udp::HEADER_LEN..).unwrap_or(&mut []),
        tunnel.vni,
    );
    let next = match (tunnel.src, tunnel.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => outer4(frame, src, dst, inner_l3),
        (IpAddr::V6(src), IpAddr::V6(dst)) => outer6(frame, src, dst, inner_l3, hash),
        _ => Next::Drop(DropReason::BadVersion),
    };
    route(frame, tunnel);
    next
}

fn route(frame: &mut Frame, tunnel: &Vxlan) {
    frame.meta.fib = tunnel.fib;
    frame.meta.l3 = 0;
    frame.meta.local = true;
    frame.meta.fragment_size = 0;
}

fn outer4(frame: &mut Frame, src: Ipv4Addr, dst: Ipv4Addr, inner_l3: usize) -> Next {
    let total_len = clamp_len(frame.len() + ipv4::HEADER_LEN);
    let pending = frame.offload.gso.is_some();
    let Some(header) = frame.push(ipv4::HEADER_LEN) else {
        return Next::Drop(DropReason::NoHeadroom);
    };
    ipv4::Header {
        tos: 0,
        total_len,
        ident: 0,
        fragment_word: 0,
        ttl: TTL,
        protocol: proto::UDP,
        src,
        dst,
    }
    .emit(header);
    if pending {
        frame.offload.tunnel = Tunnel::V4 {
            l3: 0,
            inner_l3: offset(ipv4::HEADER_LEN + INNER + inner_l3),
        };
    }
    Next::To(NodeId::Ip4Lookup)
}

/// The outer UDP checksum is mandatory over IPv6: it is left to the device, which sees the whole frame.
fn outer6(frame: &mut Frame, src: Ipv6Addr, dst: Ipv6Addr, inner_l3: usize, hash: u32) -> Next {
    let payload_len = clamp_len(frame.len());
    let Some(header) = frame.push(ipv6::HEADER_LEN) else {
        return Next::Drop(DropReason::NoHeadroom);
    };
    ipv6::Header {
        traffic_class: 0,
        flow_label: hash & 0xf_ffff,
        payload_len,
        next_header: proto::UDP,
        hop_limit: TTL,
        src,
        dst,
    }
    .emit(header);
    frame.offload.tunnel = Tunnel::V6 {
        l3: 0,
        inner_l3: offset(ipv6::HEADER_LEN + INNER + inner_l3),
    };
    Next::To(NodeId::Ip6Lookup)
}

/// Ports 49152 to 65535, as RFC 7348 recommends.
fn ephemeral_port(hash: u32) -> u16 {
    0xc000 | u16::try_from((hash ^ (hash >> 16)) & 0x3fff).unwrap_or(0)
}

/// A super-frame may be longer than the field; segmentation writes the real lengths.
fn clamp_len(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

fn offset(at: usize) -> u16 {
    u16::try_from(at).unwrap_or(u16::MAX)
}
