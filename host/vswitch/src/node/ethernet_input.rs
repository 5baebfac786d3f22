//! Classifies a frame by the mode of its interface and its EtherType.
//! Next: `l2-input` for switched interfaces; `ip4-input`, `ip6-input`, `arp-input` for routed ones.

use packet::MacAddr;
use packet::ethernet::{self, Ethernet};

use super::{express, ip4_input, l2_input};
use crate::counters::IfCounter;
use crate::frame::{ETHERNET_LEN, Frame};
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::interface::{Interface, L2Config};
use crate::vlan::{self, Seen};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    express::pass(env, frame).unwrap_or_else(|| long(env, frame))
}

/// The way of frames that are not for the express lane.
fn long(env: &mut Env<'_>, frame: &mut Frame) -> Next {
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
    if vlan::is_tag(kind) {
        return tagged(env, frame, interface);
    }
    untagged(env, interface, frame, dst, kind)
}

#[inline]
fn untagged(
    env: &mut Env<'_>,
    interface: &Interface,
    frame: &mut Frame,
    dst: MacAddr,
    kind: u16,
) -> Next {
    match interface.l2 {
        L2Config::Xconnect(_)
        | L2Config::Bridge { bvi: false, .. }
        | L2Config::SrPolicy(_)
        | L2Config::SrProxy(_) => {
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
        _ => Next::Drop(DropReason::UnknownEthertype),
    }
}

/// Gives a tagged frame to the sub-interface that matches it. What no sub-interface takes is for the interface itself
/// when that is switched (with its tags), or when the tag has a priority and no VLAN.
#[cold]
fn tagged(env: &mut Env<'_>, frame: &mut Frame, interface: &Interface) -> Next {
    let Some(seen) = Seen::of(frame.head()) else {
        return Next::Drop(DropReason::Truncated);
    };
    let found = interface
        .has_subs
        .then(|| env.tables.sub_interface(frame.rx, &seen))
        .flatten();
    let of = match found {
        Some(sub) => {
            let Some(of) = env.tables.interface(sub) else {
                return Next::Drop(DropReason::NoInterface);
            };
            frame.rx = sub;
            if !frame.meta.whole {
                env.counters.add(sub, IfCounter::RxPackets, 1);
                env.counters
                    .add(sub, IfCounter::RxBytes, frame.len() as u64);
            }
            of
        }
        None => interface,
    };
    if !of.admin_up {
        return Next::Drop(DropReason::InterfaceDown);
    }
    match of.l2 {
        L2Config::Xconnect(_)
        | L2Config::Bridge { bvi: false, .. }
        | L2Config::SrPolicy(_)
        | L2Config::SrProxy(_) => {
            return env.fuse(NodeId::L2Input, frame, |env, frame| {
                l2_input::start(env, of, frame)
            });
        }
        L2Config::L3 if found.is_some() || seen.is_priority_only() => {}
        L2Config::L3 | L2Config::Bridge { bvi: true, .. } => {
            return Next::Drop(DropReason::UnknownVlan);
        }
    }
    // The router never sees tags; a sub-interface puts its own back on the way out.
    if !vlan::pop(frame, seen.count.min(2)) {
        return Next::Drop(DropReason::Truncated);
    }
    let Ok(header) = Ethernet::new_checked(frame.head()) else {
        return Next::Drop(DropReason::Truncated);
    };
    let (dst, kind) = (header.dst(), header.ethertype());
    untagged(env, of, frame, dst, kind)
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
