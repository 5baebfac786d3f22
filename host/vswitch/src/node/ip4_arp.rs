//! Turns a packet whose neighbour is unknown into the ARP request for it. The packet itself is lost, as in VPP.

use std::net::IpAddr;

use packet::arp::{self, Arp, Operation};
use packet::{MacAddr, ethernet};

use crate::frame::{ETHERNET_LEN, Frame};
use crate::graph::{DropReason, Env, Next, NodeId};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let (on, target) = (frame.meta.tx, frame.meta.next_hop);
    let Some(interface) = env.tables.interface(on) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let IpAddr::V4(target_ip) = target else {
        return Next::Drop(DropReason::BadVersion);
    };
    if !interface.is_ethernet() {
        return Next::Drop(DropReason::PointToPointUnresolved);
    }
    let Some(IpAddr::V4(sender_ip)) = interface.source_for(target) else {
        return Next::Drop(DropReason::NoSourceAddress);
    };
    if !env.state.throttle.resolve.allow(
        u64::from(target_ip.to_bits()) << 32 | u64::from(on.0),
        env.now,
    ) {
        return Next::Drop(DropReason::ResolveThrottled);
    }
    env.counters
        .add_drop(NodeId::Ip4Arp, DropReason::ArpSent, 1);
    let mut bytes = [0; ethernet::HEADER_LEN + arp::LEN];
    let (link, body) = bytes.split_at_mut(ethernet::HEADER_LEN);
    ethernet::emit(link, MacAddr::BROADCAST, interface.mac, ethernet::ARP);
    Arp {
        operation: Operation::Request,
        sender_mac: interface.mac,
        sender_ip,
        target_mac: MacAddr::ZERO,
        target_ip,
    }
    .emit(body);
    frame.replace(&bytes);
    frame.meta.l3 = ETHERNET_LEN;
    frame.meta.tx = on;
    Next::To(NodeId::InterfaceOutput)
}
