//! Sends an IPv6 packet to a neighbour: hop limit, MTU, link header.

use packet::icmpv6;
use packet::ipv6;

use super::{icmp_request, interface_output, npol, path_mtu, rewrite};
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::id::Family;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(adjacency) = env.adjacency(frame.meta.object) else {
        return Next::Drop(DropReason::NoAdjacency);
    };
    let Some(out) = env.interface(adjacency.sw_if_index) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let Some(with) = adjacency.rewrite else {
        (frame.meta.tx, frame.meta.next_hop) = (adjacency.sw_if_index, adjacency.next_hop);
        return Next::To(NodeId::Ip6DiscoverNeighbor);
    };
    let Some(header) = frame.l3_start::<{ ipv6::HEADER_LEN }>() else {
        return Next::Drop(DropReason::BadVersion);
    };
    let hop_limit = header[7];
    if !frame.meta.local && hop_limit <= 1 {
        return icmp_request::v6(frame, icmpv6::TIME_EXCEEDED, 0, 0);
    }
    let mtu = path_mtu::limit(env, frame, (out, adjacency), out.mtu6, Family::V6);
    if (frame.l3_wire_len() > mtu as usize || frame.meta.fragment_size != 0)
        && let Some(next) = oversize(frame, mtu)
    {
        return next;
    }
    if !frame.meta.local
        && let Some(header) = frame.l3_start_mut::<{ ipv6::HEADER_LEN }>()
    {
        ipv6::decrement_hop_limit(header);
    }
    let next = rewrite::apply(frame, out, adjacency, with, Family::V6);
    if env.tables.counts_adjacencies {
        env.counters
            .add_adjacency(frame.meta.object, 1, frame.len() as u64);
    }
    let next = npol::leave(env, out, frame, (next, Family::V6));
    if next != Next::To(NodeId::InterfaceOutput) {
        return next;
    }
    env.fuse(NodeId::InterfaceOutput, frame, |env, frame| {
        interface_output::check(env, out, frame)
    })
}

/// What becomes of a packet that is too long. Only its source may cut it (RFC 8200, section 5); a packet that was put
/// together here is cut again as its source had cut it.
fn oversize(frame: &mut Frame, mtu: u32) -> Option<Next> {
    let came_as = frame.meta.fragment_size;
    let mtu = u16::try_from(mtu).unwrap_or(u16::MAX);
    let limit = if came_as == 0 { mtu } else { mtu.min(came_as) };
    if frame.l3_wire_len() <= usize::from(limit) {
        return None;
    }
    if !frame.meta.local && (came_as == 0 || came_as > mtu) {
        return Some(icmp_request::v6(frame, icmpv6::PACKET_TOO_BIG, 0, mtu));
    }
    frame.meta.fragment_size = limit;
    Some(Next::To(NodeId::Ip6Frag))
}
