//! Sends an IPv4 packet to a neighbour: time to live, MTU, link header.

use packet::icmp;
use packet::ipv4::{self, Ipv4};

use super::{icmp_request, rewrite};
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::id::Family;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(adjacency) = env.tables.adjacencies.get(frame.meta.object) else {
        return Next::Drop(DropReason::NoAdjacency);
    };
    let Some(out) = env.tables.interface(adjacency.sw_if_index) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let Some(with) = adjacency.rewrite else {
        (frame.meta.tx, frame.meta.next_hop) = (adjacency.sw_if_index, adjacency.next_hop);
        return Next::To(NodeId::Ip4Arp);
    };
    let Ok(ip) = Ipv4::new_checked(frame.l3()) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let (ttl, dont_fragment) = (ip.ttl(), ip.dont_fragment());
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
        ipv4::decrement_ttl(frame.l3_mut());
    }
    rewrite::apply(frame, out, adjacency, with, Family::V4)
}
