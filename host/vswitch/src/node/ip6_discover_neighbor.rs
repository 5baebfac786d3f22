//! Turns a packet whose neighbour is unknown into the solicitation for it. The packet itself is lost, as in VPP.

use std::net::IpAddr;

use packet::MacAddr;
use packet::ipv6::solicited_node;
use packet::ndisc::Ndisc;

use super::ip6_icmp_input::solicit_or_advertise;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let (on, target) = (frame.meta.tx, frame.meta.next_hop);
    let Some(interface) = env.tables.interface(on) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let IpAddr::V6(target_ip) = target else {
        return Next::Drop(DropReason::BadVersion);
    };
    if !interface.is_ethernet() {
        return Next::Drop(DropReason::PointToPointUnresolved);
    }
    let src = match interface.source_for(target) {
        Some(IpAddr::V6(own)) if !target_ip.is_unicast_link_local() => own,
        _ => interface.link_local,
    };
    let [a, b] = [
        (target_ip.to_bits() >> 64) & u128::from(u64::MAX),
        target_ip.to_bits() & u128::from(u64::MAX),
    ];
    let key = u64::try_from(a ^ b).unwrap_or(0).rotate_left(32) ^ u64::from(on.0);
    if !env.state.throttle.resolve.allow(key, env.now) {
        return Next::Drop(DropReason::ResolveThrottled);
    }
    env.counters
        .add_drop(NodeId::Ip6DiscoverNeighbor, DropReason::NdSent, 1);
    let group = solicited_node(target_ip);
    let message = Ndisc::Solicit {
        target: target_ip,
        source_mac: Some(interface.mac),
    };
    solicit_or_advertise(
        frame,
        interface,
        &message,
        (MacAddr::from_ipv6_multicast(group), group),
        src,
    );
    frame.meta.tx = on;
    Next::To(NodeId::InterfaceOutput)
}
