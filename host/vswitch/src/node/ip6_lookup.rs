//! IPv6 forwarding decision.

use std::net::Ipv6Addr;

use packet::ipv6;

use super::{express, resolve};
use crate::dpo::Dpo;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let header = frame.l3_start::<{ ipv6::HEADER_LEN }>();
    let Some(dst) = header.and_then(|header| header.last_chunk::<16>()).copied() else {
        return Next::Drop(DropReason::BadVersion);
    };
    if let [0xfe, 0x80..=0xbf, ..] = dst {
        // Only packets of this switch come here with a link-local destination; it is on the link they concern.
        return resolve::attached(env, frame, frame.rx, Ipv6Addr::from(dst).into());
    }
    let found = env.fib(frame.meta.fib).and_then(|fib| fib.lookup6(&dst));
    let Some(index) = found else {
        return Next::Drop(DropReason::NoRoute);
    };
    if let Some(next) = express::send6(env, frame, index) {
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
        return Next::To(NodeId::Ip6Rewrite);
    }
    resolve::through(env, frame, choices, Ipv6Addr::from(dst).into())
}
