//! Answers ARP requests and neighbour solicitations inside a bridge domain from its table, so that they need not be
//! flooded; what is not in the table is.

use std::net::IpAddr;

use packet::arp::{Arp, Operation};
use packet::ethernet::{self, Ethernet};
use packet::ipv6::{self, Ipv6};
use packet::ndisc::Ndisc;
use packet::{MacAddr, icmpv6, proto};

use super::bridge_output;
use super::ip6_icmp_input::nd_frame;
use crate::bridge::Bridge;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(bridge) = env.tables.bridge(frame.meta.object) else {
        return Next::Drop(DropReason::NoInterface);
    };
    // What comes from another node was a question for that node's table.
    if frame.meta.shg != 0 || frame.meta.local {
        return flood(bridge, frame);
    }
    let Ok((kind, l3, tags)) =
        Ethernet::new_checked(frame.head()).and_then(|e| e.payload_behind_tags())
    else {
        return Next::Drop(DropReason::Truncated);
    };
    let answered = match kind {
        ethernet::ARP => arp(env, frame, l3),
        // A solicitation that is tagged here is left to its target: its answer would have to be built with tags.
        ethernet::IPV6 if tags.count == 0 => solicitation(env, frame, l3),
        _ => Ok(false),
    };
    match answered {
        Ok(false) => flood(bridge, frame),
        Ok(true) => answer(env, bridge, frame),
        Err(reason) => Next::Drop(reason),
    }
}

/// Unanswered requests go to the UU-forward port, if that is asked for, else everywhere.
fn flood(bridge: &Bridge, frame: &mut Frame) -> Next {
    match bridge.uu_fwd {
        Some(port) if bridge.spec.arp_ufwd && port != frame.rx => {
            (frame.meta.tx, frame.meta.switched) = (port, true);
            Next::To(NodeId::InterfaceOutput)
        }
        _ if bridge.spec.flood => Next::To(NodeId::L2Flood),
        _ => Next::Drop(DropReason::L2NoForward),
    }
}

/// Sends the frame back to where the request came from.
fn answer(env: &Env<'_>, bridge: &Bridge, frame: &mut Frame) -> Next {
    let rx = frame.rx;
    match bridge.members.iter().find(|m| m.sw_if_index == rx) {
        Some(member) => bridge_output::send(env, frame, member),
        None => Next::Drop(DropReason::NoInterface),
    }
}

fn known(env: &Env<'_>, frame: &Frame, ip: IpAddr) -> Option<MacAddr> {
    env.tables
        .bridge_neighbors
        .get(&(frame.meta.object, ip))
        .copied()
}

fn arp(env: &Env<'_>, frame: &mut Frame, l3: usize) -> Result<bool, DropReason> {
    let head = frame.head();
    let Ok(request) = Arp::parse(head.get(l3..).unwrap_or(&[])) else {
        return Ok(false);
    };
    let sender = Ethernet::new_checked(head).map_or(MacAddr::ZERO, |e| e.src());
    if matches!(request.operation, Operation::Other(_)) {
        return Ok(false);
    }
    if sender != request.sender_mac || sender.is_multicast() || request.sender_ip.is_multicast() {
        return Err(DropReason::ArpBad);
    }
    let is_question =
        request.operation == Operation::Request && request.sender_ip != request.target_ip;
    let Some(mac) = known(env, frame, request.target_ip.into()).filter(|_| is_question) else {
        return Ok(false);
    };
    let reply = Arp {
        operation: Operation::Reply,
        sender_mac: mac,
        sender_ip: request.target_ip,
        target_mac: request.sender_mac,
        target_ip: request.sender_ip,
    };
    reply.emit(frame.head_mut().get_mut(l3..).unwrap_or(&mut []));
    ethernet::set_addresses(frame.head_mut(), sender, mac);
    Ok(true)
}

fn solicitation(env: &Env<'_>, frame: &mut Frame, l3: usize) -> Result<bool, DropReason> {
    let packet = frame.head().get(l3..).unwrap_or(&[]);
    let Ok(ip) = Ipv6::new_checked(packet) else {
        return Ok(false);
    };
    let (src, is_icmp) = (ip.src(), ip.next_header() == proto::ICMPV6);
    let message = packet.get(ipv6::HEADER_LEN..).unwrap_or(&[]);
    if !is_icmp || src.is_unspecified() || message.first() != Some(&icmpv6::NEIGHBOR_SOLICIT) {
        return Ok(false);
    }
    let (Ok(Ndisc::Solicit { target, .. }), 255) = (Ndisc::parse(message), ip.hop_limit()) else {
        return Err(DropReason::NdBad);
    };
    let Some(mac) = known(env, frame, target.into()) else {
        return Ok(false);
    };
    let asker = Ethernet::new_checked(frame.head()).map_or(MacAddr::BROADCAST, |e| e.src());
    let (rx, meta) = (frame.rx, frame.meta);
    let advert = Ndisc::Advert {
        target,
        target_mac: Some(mac),
        router: false,
        solicited: true,
        override_cache: true,
    };
    nd_frame(frame, mac, &advert, (asker, src), target);
    (frame.rx, frame.meta.object, frame.meta.shg) = (rx, meta.object, meta.shg);
    Ok(true)
}
