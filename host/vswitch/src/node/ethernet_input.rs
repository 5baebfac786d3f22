//! Classifies a frame by the mode of its interface and its EtherType.
//! Next: `l2-input` for switched interfaces; `ip4-input`, `ip6-input`, `arp-input` for routed ones.

use packet::{MacAddr, ethernet};

use super::{ip4_input, l2_input};
use crate::frame::{ETHERNET_LEN, Frame};
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::interface::{Interface, L2Config};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    if !interface.admin_up {
        return Next::Drop(DropReason::InterfaceDown);
    }
    if !interface.is_ethernet() {
        frame.meta.l3 = 0;
        return by_version(interface, frame);
    }
    let Some(header) = frame.head().first_chunk::<{ ethernet::HEADER_LEN }>() else {
        return Next::Drop(DropReason::Truncated);
    };
    let [d0, d1, d2, d3, d4, d5, _, _, _, _, _, _, t0, t1] = *header;
    let (dst, kind) = (
        MacAddr([d0, d1, d2, d3, d4, d5]),
        u16::from_be_bytes([t0, t1]),
    );
    frame.meta.l3 = ETHERNET_LEN;
    match interface.l2 {
        L2Config::Xconnect(_) | L2Config::Bridge { bvi: false, .. } => {
            return env.fuse(NodeId::L2Input, frame, |env, frame| {
                l2_input::start(env, interface, frame)
            });
        }
        L2Config::L3 | L2Config::Bridge { bvi: true, .. } => {}
    }
    if dst != interface.mac && !dst.is_multicast() {
        return Next::Drop(DropReason::MacMismatch);
    }
    match kind {
        ethernet::IPV4 if interface.ip4_enabled => {
            env.fuse(NodeId::Ip4Input, frame, |env, frame| {
                ip4_input::start(env, interface, frame)
            })
        }
        ethernet::IPV4 => ip4(interface),
        ethernet::IPV6 => ip6(interface),
        ethernet::ARP => Next::To(NodeId::ArpInput),
        ethernet::VLAN | ethernet::QINQ => Next::Drop(DropReason::UnknownVlan),
        _ => Next::Drop(DropReason::UnknownEthertype),
    }
}

/// Chooses the IP version of a frame without link header.
pub(crate) fn by_version(interface: &Interface, frame: &Frame) -> Next {
    match frame.head().first().map(|b| b >> 4) {
        Some(4) => ip4(interface),
        Some(6) => ip6(interface),
        _ => Next::Drop(DropReason::UnknownEthertype),
    }
}

const fn ip4(interface: &Interface) -> Next {
    if interface.ip4_enabled {
        Next::To(NodeId::Ip4Input)
    } else {
        Next::Drop(DropReason::IpDisabled)
    }
}

const fn ip6(interface: &Interface) -> Next {
    if interface.ip6_enabled {
        Next::To(NodeId::Ip6Input)
    } else {
        Next::Drop(DropReason::IpDisabled)
    }
}
