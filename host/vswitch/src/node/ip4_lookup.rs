//! IPv4 forwarding decision.

use std::net::Ipv4Addr;

use packet::ipv4;

use super::{express, resolve};
use crate::dpo::Dpo;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some([.., a, b, c, d]) = frame.l3_start::<{ ipv4::HEADER_LEN }>() else {
        return Next::Drop(DropReason::BadVersion);
    };
    let dst = [*a, *b, *c, *d];
    let found = env.fib(frame.meta.fib).and_then(|fib| fib.lookup4(dst));
    let Some(index) = found else {
        return Next::Drop(DropReason::NoRoute);
    };
    if let Some(next) = express::send4(env, frame, index) {
        return next;
    }
    let Some(choices) = env.load_balance(index) else {
        return Next::Drop(DropReason::NoRoute);
    };
    if let Some(row) = choices.counter() {
        env.counters.add_route(row, false, 1, frame.l3_len() as u64);
    }
    if let Some(Dpo::Adjacency(index)) = choices.only() {
        frame.meta.object = index;
        return Next::To(NodeId::Ip4Rewrite);
    }
    resolve::through(env, frame, choices, Ipv4Addr::from(dst).into())
}

/// The node's work for a packet that leaves by one neighbour with nothing in the way; the others wait at the node.
#[inline]
pub(super) fn start(env: &mut Env<'_>, frame: &mut Frame) -> Option<Next> {
    let [.., a, b, c, d] = frame.l3_start::<{ ipv4::HEADER_LEN }>()?;
    let index = env.fib(frame.meta.fib)?.lookup4([*a, *b, *c, *d])?;
    express::send4(env, frame, index)
}
