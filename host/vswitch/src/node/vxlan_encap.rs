//! Puts VXLAN, UDP and IP headers in front of a frame. Pending offload work is kept and marked, so that the
//! device finishes it inside and outside of the tunnel.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use packet::ethernet::Ethernet;
use packet::flow::hash_frame;
use packet::{FlowKey, ipv4, ipv6, proto, udp, vxlan};

use super::ip4_lookup;
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
    // Who finishes the work that is left asks where the inner packet is; an IPv6 tunnel always leaves some.
    let is_asked = tunnel.dst.is_ipv6() || frame.offload.gso.is_some();
    let inner_l3 = if tunnel.is_l3 || !is_asked {
        0
    } else {
        Ethernet::new_checked(frame.head())
            .and_then(|e| e.payload_behind_tags())
            .map_or(0, |(_, at, _)| at)
    };
    let next = match (tunnel.src, tunnel.dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => outer4(frame, tunnel, (src, dst), (inner_l3, hash)),
        (IpAddr::V6(src), IpAddr::V6(dst)) => outer6(frame, tunnel, (src, dst), (inner_l3, hash)),
        _ => Next::Drop(DropReason::BadVersion),
    };
    route(frame, tunnel);
    if next != Next::To(NodeId::Ip4Lookup) {
        return next;
    }
    env.fuse_if(NodeId::Ip4Lookup, frame, ip4_lookup::start)
}

fn route(frame: &mut Frame, tunnel: &Vxlan) {
    frame.meta.fib = tunnel.fib;
    frame.meta.l3 = 0;
    frame.meta.local = true;
    frame.meta.fragment_size = 0;
}

/// Writes the headers of the tunnel: UDP and VXLAN.
#[inline]
fn encapsulation(tunnel: &Vxlan, hash: u32, len: u16) -> [u8; INNER] {
    let [s0, s1] = ephemeral_port(hash).to_be_bytes();
    let [d0, d1] = tunnel.dst_port.to_be_bytes();
    let [l0, l1] = len.to_be_bytes();
    let [a, b, c, d, e, f, g, h] = vxlan::header(tunnel.vni);
    [s0, s1, d0, d1, l0, l1, 0, 0, a, b, c, d, e, f, g, h]
}

fn outer4(
    frame: &mut Frame,
    tunnel: &Vxlan,
    (src, dst): (Ipv4Addr, Ipv4Addr),
    (inner_l3, hash): (usize, u32),
) -> Next {
    let datagram_len = clamp_len(frame.len() + INNER);
    let total_len = clamp_len(frame.len() + INNER + ipv4::HEADER_LEN);
    let pending = frame.offload.gso.is_some();
    let header = frame.push(ipv4::HEADER_LEN + INNER);
    let Some((ip, rest)) = header.and_then(|header| header.split_first_chunk_mut()) else {
        return Next::Drop(DropReason::NoHeadroom);
    };
    *ip = ipv4::Header {
        tos: 0,
        total_len,
        ident: 0,
        fragment_word: 0,
        ttl: TTL,
        protocol: proto::UDP,
        src,
        dst,
    }
    .to_bytes();
    rest.copy_from_slice(&encapsulation(tunnel, hash, datagram_len));
    if pending {
        frame.offload.tunnel = Tunnel::V4 {
            l3: 0,
            inner_l3: offset(ipv4::HEADER_LEN + INNER + inner_l3),
        };
    }
    Next::To(NodeId::Ip4Lookup)
}

fn outer6(
    frame: &mut Frame,
    tunnel: &Vxlan,
    (src, dst): (Ipv6Addr, Ipv6Addr),
    (inner_l3, hash): (usize, u32),
) -> Next {
    let datagram_len = clamp_len(frame.len() + INNER);
    let Some(header) = frame.push(INNER) else {
        return Next::Drop(DropReason::NoHeadroom);
    };
    header.copy_from_slice(&encapsulation(tunnel, hash, datagram_len));
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
