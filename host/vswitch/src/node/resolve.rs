//! From a load balance to what to do: follows lookups and recursive next hops to their end.

use std::net::IpAddr;

use packet::FlowKey;

use super::icmp_request;
use super::sr_policy::{self, Way};
use crate::dpo::{Dpo, LoadBalance};
use crate::flow_hash::{flow_hash, routed_by};
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::id::{Family, SwIfIndex};

/// Lookups of one packet before it is taken for a routing loop inside the tables.
const LOOKUPS_MAX: usize = 5;

/// Follows `choices` for a packet to `dst`.
pub(super) fn through(
    env: &Env<'_>,
    frame: &mut Frame,
    choices: &LoadBalance,
    dst: IpAddr,
) -> Next {
    let mut hash = None;
    let mut choices = choices;
    let mut next_hop = dst;
    for _ in 0..LOOKUPS_MAX {
        let dpo = choices.choose(|| {
            *hash.get_or_insert_with(|| {
                let fields = env.tables.flow_hash(frame.meta.fib);
                FlowKey::of_ip(frame.l3()).map_or(0, |key| {
                    routed_by(flow_hash(key, fields), env.tables.router_id)
                })
            })
        });
        let found = match dpo {
            Dpo::Drop => return Next::Drop(DropReason::RouteDrop),
            Dpo::Unreachable => return icmp_request::unreachable(frame, dst),
            Dpo::Prohibit => return icmp_request::prohibited(frame, dst),
            Dpo::Local => return Next::To(by_family(dst, NodeId::Ip4Local, NodeId::Ip6Local)),
            Dpo::CnatReturn => {
                return Next::To(by_family(dst, NodeId::CnatReturn4, NodeId::CnatReturn6));
            }
            Dpo::Glean(on) => return attached(env, frame, on, next_hop),
            Dpo::Adjacency(index) => {
                frame.meta.object = index;
                return Next::To(by_family(dst, NodeId::Ip4Rewrite, NodeId::Ip6Rewrite));
            }
            Dpo::Lookup(fib) => {
                frame.meta.fib = fib;
                (env.tables.route(fib, next_hop), false)
            }
            Dpo::Recursive { fib, next_hop: via } => {
                next_hop = via;
                (env.tables.route(fib, via), true)
            }
            Dpo::SrLocalsid(index) => {
                frame.meta.object = index;
                return match env.tables.sr.localsid(index) {
                    Some(sid) => Next::To(sid.node()),
                    None => Next::Drop(DropReason::SrGone),
                };
            }
            Dpo::SrPolicy { policy, bsid } => {
                let way = if bsid { Way::Bsid } else { Way::Steered };
                return sr_policy::enter(env, frame, policy, way, hash);
            }
        };
        match found {
            (Some(more), is_via) => {
                choices = more;
                if let Some(row) = more.counter() {
                    let bytes = frame.l3_len() as u64;
                    env.counters.add_route(row, is_via, 1, bytes);
                }
            }
            (None, _) => return Next::Drop(DropReason::NoRoute),
        }
    }
    Next::Drop(DropReason::RecursionLimit)
}

/// Sends to a neighbour on a link: known, or to be asked for.
pub(super) fn attached(env: &Env<'_>, frame: &mut Frame, on: SwIfIndex, next_hop: IpAddr) -> Next {
    if let Some(index) = env.tables.adjacency_of.get(&(on, next_hop)) {
        frame.meta.object = *index;
        return Next::To(by_family(next_hop, NodeId::Ip4Rewrite, NodeId::Ip6Rewrite));
    }
    (frame.meta.tx, frame.meta.next_hop) = (on, next_hop);
    Next::To(by_family(
        next_hop,
        NodeId::Ip4Arp,
        NodeId::Ip6DiscoverNeighbor,
    ))
}

const fn by_family(address: IpAddr, v4: NodeId, v6: NodeId) -> NodeId {
    match Family::of(address) {
        Family::V4 => v4,
        Family::V6 => v6,
    }
}
