//! Encapsulates an Ethernet frame along a segment list (H.Encaps.L2). Next: `ip6-lookup`.

use packet::flow::hash_frame;
use packet::proto;

use super::sr_outer::{self, Inner};
use super::sr_policy::Target;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(list) = env.tables.sr.list(Target::of(frame).index) else {
        return Next::Drop(DropReason::SrGone);
    };
    let inner = Inner {
        protocol: proto::ETHERNET,
        traffic_class: 0,
        flow_label: hash_frame(frame.head()) & 0xf_ffff,
    };
    if let Err(reason) = sr_outer::push(frame, &list.rewrite, false) {
        return Next::Drop(reason);
    }
    sr_outer::describe(frame, &inner);
    frame.meta.fib = list.fib;
    frame.meta.local = false;
    env.turn(frame, NodeId::Ip6Lookup)
}
