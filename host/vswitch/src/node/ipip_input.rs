//! Takes the outer IP header off a packet that came through an IPIP tunnel.

use std::net::IpAddr;

use packet::ipv4::{self, Ipv4};
use packet::ipv6::{self, Ipv6};

use super::ethernet_input::by_version;
use crate::counters::IfCounter;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::offload::Gso;
use crate::tunnel::IpipKey;

/// "Congestion experienced" and the mask of the ECN field (RFC 3168).
const ECN_CE: u8 = 3;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some((local, remote, len, traffic_class)) = outer(frame.l3()) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let key = IpipKey {
        local,
        remote,
        fib: frame.meta.fib,
    };
    let Some(on) = env.tables.ipip_of.get(&key).copied() else {
        return Next::Drop(DropReason::IpipNoTunnel);
    };
    let Some(interface) = env.tables.interface(on) else {
        return Next::Drop(DropReason::NoInterface);
    };
    if !interface.admin_up {
        return Next::Drop(DropReason::InterfaceDown);
    }
    if frame.offload.gso != Gso::None {
        return Next::Drop(DropReason::OffloadConflict);
    }
    if !frame.strip_l2() || !frame.pull(len) {
        return Next::Drop(DropReason::Truncated);
    }
    if env
        .tables
        .ipips
        .get(on.0)
        .is_some_and(|tunnel| tunnel.flags.decap_copy_ecn)
    {
        copy_congestion(frame.head_mut(), traffic_class);
    }
    frame.rx = on;
    // How the outer packet came says nothing about the inner one.
    (frame.meta.whole, frame.meta.fragment_size) = (false, 0);
    env.counters.add(on, IfCounter::RxPackets, 1);
    env.counters.add(on, IfCounter::RxBytes, frame.len() as u64);
    match by_version(interface, frame) {
        Next::To(node) => env.turn(frame, node),
        other @ (Next::Drop(_) | Next::Transmit(_)) => other,
    }
}

/// Own address, peer's address, length of the outer headers, and the outer traffic class.
fn outer(packet: &[u8]) -> Option<(IpAddr, IpAddr, usize, u8)> {
    if packet.first()? >> 4 == 6 {
        let ip = Ipv6::new_checked(packet).ok()?;
        let at = ip.upper_layer().ok()?.offset;
        return Some((ip.dst().into(), ip.src().into(), at, ip.traffic_class()));
    }
    let ip = Ipv4::new_checked(packet).ok()?;
    Some((ip.dst().into(), ip.src().into(), ip.header_len(), ip.tos()))
}

/// Tells the inner packet's receiver about congestion inside the tunnel, if it understands that.
fn copy_congestion(packet: &mut [u8], outer: u8) {
    if outer & ECN_CE != ECN_CE {
        return;
    }
    let is_v6 = packet.first().is_some_and(|b| b >> 4 == 6);
    if let (false, Ok(ip)) = (is_v6, Ipv4::new_checked(packet)) {
        let (tos, header) = (
            ip.tos(),
            u16::from(packet.first().copied().unwrap_or(0)) << 8,
        );
        if tos & ECN_CE != 0 {
            ipv4::set_word(packet, 0, header | u16::from(tos | ECN_CE));
        }
    } else if let Ok(ip) = Ipv6::new_checked(packet) {
        let class = ip.traffic_class();
        if class & ECN_CE != 0 {
            ipv6::set_traffic_class(packet, class | ECN_CE);
        }
    }
}
