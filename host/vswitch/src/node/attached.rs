//! Tells whether an address is reached directly through an interface: the condition for learning a neighbour.

use std::net::IpAddr;

use crate::dpo::Dpo;
use crate::event::Event;
use crate::frame::Frame;
use crate::graph::Env;
use crate::id::SwIfIndex;
use crate::interface::Interface;
use crate::tables::Tables;
use packet::MacAddr;

/// A connected prefix, a host route or an adjacency on the interface makes an address attached. A route is
/// asked, not the interface's prefixes, so that unnumbered interfaces with host routes work.
fn is_attached(tables: &Tables, on: SwIfIndex, fib: u32, ip: IpAddr) -> bool {
    tables.route(fib, ip).is_some_and(|lb| {
        lb.buckets().iter().any(|dpo| match dpo {
            Dpo::Glean(sw_if_index) => *sw_if_index == on,
            Dpo::Adjacency(index) => tables
                .adjacencies
                .get(*index)
                .is_some_and(|a| a.sw_if_index == on && a.next_hop == ip),
            Dpo::Drop
            | Dpo::Unreachable
            | Dpo::Prohibit
            | Dpo::Local
            | Dpo::CnatReturn
            | Dpo::Lookup(_)
            | Dpo::Recursive { .. }
            | Dpo::SrLocalsid(_)
            | Dpo::SrPolicy { .. } => false,
        })
    })
}

/// Reports a neighbour, when it may be one and is not known with this address already.
pub(super) fn learn_neighbor(
    env: &mut Env<'_>,
    frame: &Frame,
    interface: &Interface,
    ip: IpAddr,
    mac: MacAddr,
) {
    let on = frame.rx;
    let (fib, link_local) = match ip {
        IpAddr::V4(v4) if v4.is_unspecified() || v4.is_multicast() || v4.is_broadcast() => return,
        IpAddr::V4(_) => (interface.fib4, false),
        IpAddr::V6(v6) if v6.is_unspecified() || v6.is_multicast() => return,
        IpAddr::V6(v6) => (interface.fib6, v6.is_unicast_link_local()),
    };
    if mac.is_multicast() || mac.is_zero() || interface.has_address(ip) {
        return;
    }
    let is_known = env
        .tables
        .adjacency_of
        .get(&(on, ip))
        .and_then(|index| env.tables.adjacencies.get(*index))
        .is_some_and(
            |a| matches!(a.rewrite, Some(crate::dpo::Rewrite::Ethernet { dst, .. }) if dst == mac),
        );
    // A known neighbour is reported, too: that it was seen keeps it young.
    if !is_known && !link_local && !is_attached(env.tables, on, fib, ip) {
        return;
    }
    let [a, b, c, d, e, f] = mac.0;
    let bits = match ip {
        IpAddr::V4(v4) => u64::from(v4.to_bits()),
        IpAddr::V6(v6) => {
            let [high, low] = [v6.to_bits() >> 64, v6.to_bits() & u128::from(u64::MAX)];
            u64::try_from(high ^ low).unwrap_or(0)
        }
    };
    let key = bits.rotate_left(16)
        ^ u64::from_be_bytes([1, 0, a, b, c, d, e, f])
        ^ (u64::from(on.0) << 48);
    env.learn(
        key,
        Event::NeighborLearned {
            sw_if_index: on,
            ip,
            mac,
        },
    );
}
