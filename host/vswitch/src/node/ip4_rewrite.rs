//! Sends an IPv4 packet to a neighbour: time to live, MTU, link header.

use packet::icmp;
use packet::ipv4;

use super::{icmp_request, interface_output, rewrite};
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::id::Family;

/// "Don't fragment" in the first byte of the fragment word.
const DF: u8 = 0x40;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(adjacency) = env.adjacency(frame.meta.object) else {
        return Next::Drop(DropReason::NoAdjacency);
    };
    let Some(out) = env.interface(adjacency.sw_if_index) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let Some(with) = adjacency.rewrite else {
        (frame.meta.tx, frame.meta.next_hop) = (adjacency.sw_if_index, adjacency.next_hop);
        return Next::To(NodeId::Ip4Arp);
    };
    let Some(header) = frame.l3_start::<{ ipv4::HEADER_LEN }>() else {
        return Next::Drop(DropReason::BadVersion);
    };
    let (ttl, dont_fragment) = (header[8], header[6] & DF != 0);
    if !frame.meta.local && ttl <= 1 {
        return icmp_request::v4(frame, icmp::TIME_EXCEEDED, 0, 0);
    }
    if frame.l3_wire_len() > out.mtu4 as usize {
        let mtu = u16::try_from(out.mtu4).unwrap_or(u16::MAX);
        return if dont_fragment && !frame.meta.local {
            icmp_request::v4(frame, icmp::UNREACHABLE, icmp::CODE_FRAG_NEEDED, mtu)
        } else {
            Next::Drop(DropReason::MtuExceeded)
        };
    }
    if !frame.meta.local {
        if let Some(header) = frame.l3_start_mut::<{ ipv4::HEADER_LEN }>() {
            ipv4::decrement_ttl(header);
        }
    }
    let next = rewrite::apply(frame, out, adjacency, with, Family::V4);
    if next != Next::To(NodeId::InterfaceOutput) {
        return next;
    }
    env.fuse(NodeId::InterfaceOutput, frame, |env, frame| {
        interface_output::check(env, out, frame)
    })
}
