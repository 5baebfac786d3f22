//! Sends an IPv4 packet to a neighbour: time to live, MTU, link header.

use packet::icmp;
use packet::ipv4;

use super::{icmp_request, interface_output, npol, path_mtu, rewrite};
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
    let mtu = path_mtu::limit(env, frame, (out, adjacency), out.mtu4, Family::V4);
    if (frame.l3_wire_len() > mtu as usize || frame.meta.fragment_size != 0)
        && let Some(next) = oversize(frame, mtu, dont_fragment)
    {
        return next;
    }
    if !frame.meta.local
        && let Some(header) = frame.l3_start_mut::<{ ipv4::HEADER_LEN }>()
    {
        ipv4::decrement_ttl(header);
    }
    let next = rewrite::apply(frame, out, adjacency, with, Family::V4);
    if env.tables.counts_adjacencies {
        env.counters
            .add_adjacency(frame.meta.object, 1, frame.len() as u64);
    }
    let next = npol::leave(env, out, frame, (next, Family::V4));
    if next != Next::To(NodeId::InterfaceOutput) {
        return next;
    }
    env.fuse(NodeId::InterfaceOutput, frame, |env, frame| {
        interface_output::check(env, out, frame)
    })
}

/// What becomes of a packet that is too long, or that came in pieces and must leave in pieces that are not longer;
/// nothing, when it fits after all.
fn oversize(frame: &mut Frame, mtu: u32, dont_fragment: bool) -> Option<Next> {
    let came_as = frame.meta.fragment_size;
    let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
    let limit = if came_as == 0 { mtu } else { mtu.min(came_as) };
    if frame.l3_wire_len() <= usize::from(limit) {
        return None;
    }
    if dont_fragment && !frame.meta.local && (came_as == 0 || came_as > mtu) {
        return Some(icmp_request::v4(
            frame,
            icmp::UNREACHABLE,
            icmp::CODE_FRAG_NEEDED,
            mtu,
        ));
    }
    frame.meta.fragment_size = limit;
    Some(Next::To(NodeId::Ip4Frag))
}
