//! Takes frames out of VXLAN tunnels over IPv4: `ip4-input`, `ip4-lookup`, `ip4-local` and `vxlan-input` in one go.
//! Next: `ethernet-input`.

use std::net::Ipv4Addr;

use packet::ethernet::HEADER_LEN as LINK;
use packet::{ipv4, proto, udp, vxlan};

use crate::counters::IfCounter;
use crate::frame::Frame;
use crate::graph::{Env, Next, NodeId};
use crate::tunnel::VxlanKey;

/// "More fragments" and the offset, in the fragment word.
const FRAGMENT: u16 = 0x3fff;

/// Ethernet, IPv4, UDP and VXLAN.
const VXLAN4: usize = LINK + ipv4::HEADER_LEN + udp::HEADER_LEN + vxlan::HEADER_LEN;

/// Takes a frame out of its tunnel; the packet of `total` bytes is for the switch itself.
pub(super) fn open(
    env: &mut Env<'_>,
    frame: &mut Frame,
    (fib, counter): (u32, Option<u32>),
    total: usize,
) -> Option<Next> {
    let headers = frame.start::<VXLAN4>()?;
    let ip: &[u8; ipv4::HEADER_LEN] = headers[LINK..].first_chunk()?;
    let [
        _,
        _,
        _,
        _,
        _,
        _,
        f0,
        f1,
        _,
        protocol,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
    ] = *ip;
    let (_, rest) = headers.split_at(LINK + ipv4::HEADER_LEN);
    let (datagram, tunnel) = rest.split_first_chunk::<{ udp::HEADER_LEN }>()?;
    let [_, _, p0, p1, l0, l1, ..] = *datagram;
    let len = usize::from(u16::from_be_bytes([l0, l1]));
    let is_fragment = u16::from_be_bytes([f0, f1]) & FRAGMENT != 0;
    let is_whole = len >= VXLAN4 - LINK - ipv4::HEADER_LEN && ipv4::HEADER_LEN + len <= total;
    if protocol != proto::UDP || is_fragment || !is_whole {
        return None;
    }
    let key = VxlanKey {
        local: Ipv4Addr::new(d0, d1, d2, d3).into(),
        remote: Ipv4Addr::new(s0, s1, s2, s3).into(),
        vni: vxlan::parse(tunnel).ok()?,
        fib,
        port: u16::from_be_bytes([p0, p1]),
    };
    let on = env.tunnel(&key)?;
    if let Some(row) = counter {
        env.counters.add_route(row, false, 1, total as u64);
    }
    env.express.frames.routed4.opened += 1;
    frame.truncate(LINK + ipv4::HEADER_LEN + len);
    frame.pull(VXLAN4);
    (frame.rx, frame.meta.l3, frame.meta.fib, frame.meta.whole) = (on, 0, fib, false);
    env.counters.add(on, IfCounter::RxPackets, 1);
    let bytes = frame.len() as u64;
    env.counters.add(on, IfCounter::RxBytes, bytes);
    Some(env.turn(frame, NodeId::EthernetInput))
}
