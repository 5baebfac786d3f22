//! Answers ARP requests for own and proxied addresses, and learns neighbours.

use packet::arp::{Arp, Operation};
use packet::ethernet;

use super::attached::learn_neighbor;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::interface::Interface;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.tables.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let Ok(arp) = Arp::parse(frame.l3()) else {
        return Next::Drop(DropReason::ArpBad);
    };
    let for_us = interface.has_address(arp.target_ip.into());
    match arp.operation {
        Operation::Request if for_us || is_proxied(env, interface, &arp) => {
            learn_neighbor(env, frame, interface, arp.sender_ip.into(), arp.sender_mac);
            reply(frame, interface, &arp);
            Next::To(NodeId::InterfaceOutput)
        }
        Operation::Reply if for_us => {
            learn_neighbor(env, frame, interface, arp.sender_ip.into(), arp.sender_mac);
            Next::Drop(DropReason::ArpReplyLearned)
        }
        Operation::Request | Operation::Reply => {
            // A neighbour that is known already may announce that it moved.
            if arp.sender_ip == arp.target_ip
                && env
                    .tables
                    .adjacency_of
                    .get(&(frame.rx, arp.sender_ip.into()))
                    .is_some()
            {
                learn_neighbor(env, frame, interface, arp.sender_ip.into(), arp.sender_mac);
            }
            Next::Drop(DropReason::ArpNotLocal)
        }
        Operation::Other(_) => Next::Drop(DropReason::ArpBad),
    }
}

fn is_proxied(env: &Env<'_>, interface: &Interface, arp: &Arp) -> bool {
    interface.proxy_arp
        && arp.sender_ip != arp.target_ip
        && env.tables.proxy_arp.iter().any(|(fib, low, high)| {
            *fib == interface.fib4 && (low..=high).contains(&&arp.target_ip)
        })
}

fn reply(frame: &mut Frame, interface: &Interface, request: &Arp) {
    let reply = Arp {
        operation: Operation::Reply,
        sender_mac: interface.mac,
        sender_ip: request.target_ip,
        target_mac: request.sender_mac,
        target_ip: request.sender_ip,
    };
    reply.emit(frame.l3_mut());
    ethernet::set_addresses(frame.head_mut(), request.sender_mac, interface.mac);
    frame.meta.tx = frame.rx;
    frame.meta.local = true;
}
