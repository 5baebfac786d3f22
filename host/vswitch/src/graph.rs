//! The graph: nodes with queues of frames, run until all queues are empty.
//!
//! A node is one file in `node/` with a function that takes a frame and says what is [`Next`]. Nodes
//! never call each other; the edges are the `Next` values. Each node handles all its frames before the
//! next node runs, so that its code and tables stay in the cache.

use crate::batch::{Batch, FrameId};
use crate::counters::{IfCounter, WorkerCounters};
use crate::event::Event;
use crate::frame::Frame;
use crate::id::{Nanos, SwIfIndex};
use crate::node;
use crate::tables::Tables;
use crate::trace::Trace;

mod names;
mod throttle;

pub use names::{DropReason, NODES, NodeId};
pub(crate) use throttle::Throttle;

/// Passes over encapsulation, decapsulation or a BVI before a frame is taken for a loop.
const TURNS_MAX: u8 = 8;
/// Learning events kept per run; the rest is learned from later packets.
const EVENTS_MAX: usize = 1024;

/// Where a frame goes after a node.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    To(NodeId),
    Drop(DropReason),
    /// Handed to a device.
    Transmit(SwIfIndex),
}

/// What a worker keeps between batches.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) throttle: Throttle,
    pub(crate) events: Vec<Event>,
    pub(crate) trace: Trace,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            throttle: Throttle::new(),
            events: Vec::with_capacity(EVENTS_MAX),
            trace: Trace::default(),
        }
    }
}

/// What a node may look at beside its frame.
pub(crate) struct Env<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) now: Nanos,
    pub(crate) counters: &'a WorkerCounters,
    pub(crate) state: &'a mut State,
}

impl Env<'_> {
    /// Reports something learned, unless the same was reported a moment ago.
    pub(crate) fn learn(&mut self, key: u64, event: Event) {
        if self.state.events.len() < EVENTS_MAX && self.state.throttle.learn.allow(key, self.now) {
            self.state.events.push(event);
        }
    }

    /// Counts one more pass of `frame` through the graph.
    pub(crate) fn turn(&self, frame: &mut Frame, to: NodeId) -> Next {
        frame.meta.turns += 1;
        if frame.meta.turns > TURNS_MAX {
            Next::Drop(DropReason::Loop)
        } else {
            Next::To(to)
        }
    }
}

/// One batch on its way through the graph.
pub(crate) struct Graph<'a> {
    pub(crate) env: Env<'a>,
    pub(crate) batch: &'a mut Batch,
    pub(crate) queues: &'a mut Queues,
}

/// Frames waiting at each node.
#[derive(Debug)]
pub(crate) struct Queues {
    waiting: [Vec<FrameId>; NODES],
    pending: u64,
    current: Vec<FrameId>,
}

const _: () = assert!(NODES <= 64, "the set of pending nodes is a u64");

impl Queues {
    pub(crate) fn new() -> Self {
        let capacity = crate::frame::BATCH_MAX;
        Self {
            waiting: std::array::from_fn(|_| Vec::with_capacity(capacity)),
            pending: 0,
            current: Vec::with_capacity(capacity),
        }
    }

    pub(crate) fn push(&mut self, node: NodeId, id: FrameId) {
        if let Some(queue) = self.waiting.get_mut(node as usize) {
            queue.push(id);
            self.pending |= 1 << node as usize;
        }
    }
}

impl Graph<'_> {
    /// Runs nodes in graph order until nothing waits.
    pub(crate) fn run(&mut self) {
        while self.queues.pending != 0 {
            let at = self.queues.pending.trailing_zeros() as usize;
            self.queues.pending &= !(1 << at);
            let Some(node) = NodeId::ALL.get(at).copied() else {
                continue;
            };
            let mut ids = std::mem::take(&mut self.queues.current);
            if let Some(queue) = self.queues.waiting.get_mut(at) {
                std::mem::swap(&mut ids, queue);
            }
            self.env.counters.add_call(node, ids.len() as u64);
            self.process(node, &ids);
            ids.clear();
            self.queues.current = ids;
        }
    }

    fn process(&mut self, node: NodeId, ids: &[FrameId]) {
        match node {
            NodeId::EthernetInput => self.each(node, ids, node::ethernet_input::process),
            NodeId::L2Input => self.each(node, ids, node::l2_input::process),
            NodeId::L2Learn => self.each(node, ids, node::l2_learn::process),
            NodeId::L2Fwd => self.each(node, ids, node::l2_fwd::process),
            NodeId::L2Flood => node::l2_flood::process(self, ids),
            NodeId::ArpInput => self.each(node, ids, node::arp_input::process),
            NodeId::Ip4Input => self.each(node, ids, node::ip4_input::process),
            NodeId::Ip6Input => self.each(node, ids, node::ip6_input::process),
            NodeId::AclInput => self.each(node, ids, node::acl_input::process),
            NodeId::AbfInput => self.each(node, ids, node::abf_input::process),
            NodeId::Ip4Lookup => self.each(node, ids, node::ip4_lookup::process),
            NodeId::Ip6Lookup => self.each(node, ids, node::ip6_lookup::process),
            NodeId::Ip4Local => self.each(node, ids, node::ip4_local::process),
            NodeId::Ip6Local => self.each(node, ids, node::ip6_local::process),
            NodeId::Ip4IcmpInput => self.each(node, ids, node::ip4_icmp_input::process),
            NodeId::Ip6IcmpInput => self.each(node, ids, node::ip6_icmp_input::process),
            NodeId::VxlanInput => self.each(node, ids, node::vxlan_input::process),
            NodeId::Ip4Rewrite => self.each(node, ids, node::ip4_rewrite::process),
            NodeId::Ip6Rewrite => self.each(node, ids, node::ip6_rewrite::process),
            NodeId::Ip4IcmpError => self.each(node, ids, node::ip4_icmp_error::process),
            NodeId::Ip6IcmpError => self.each(node, ids, node::ip6_icmp_error::process),
            NodeId::Ip4Arp => self.each(node, ids, node::ip4_arp::process),
            NodeId::Ip6DiscoverNeighbor => {
                self.each(node, ids, node::ip6_discover_neighbor::process);
            }
            NodeId::InterfaceOutput => self.each(node, ids, node::interface_output::process),
            NodeId::AclOutput => self.each(node, ids, node::acl_output::process),
            NodeId::InterfaceTx => self.each(node, ids, node::interface_tx::process),
            NodeId::VxlanEncap => self.each(node, ids, node::vxlan_encap::process),
        }
    }

    fn each(
        &mut self,
        node: NodeId,
        ids: &[FrameId],
        process: fn(&mut Env<'_>, &mut Frame) -> Next,
    ) {
        for id in ids {
            let Some(frame) = self.batch.frame_mut(*id) else {
                continue;
            };
            let next = process(&mut self.env, frame);
            self.follow(node, *id, next);
        }
    }

    /// Puts a frame where its node decided, with all counting and tracing.
    pub(crate) fn follow(&mut self, node: NodeId, id: FrameId, next: Next) {
        let Some(frame) = self.batch.frame_mut(id) else {
            return;
        };
        if frame.meta.trace != 0 {
            self.env.state.trace.record(node, next, frame, self.env.now);
        }
        match next {
            Next::To(to) => self.queues.push(to, id),
            Next::Drop(reason) => {
                self.env.counters.add_drop(node, reason, 1);
                self.env.counters.add(frame.rx, IfCounter::Drops, 1);
            }
            Next::Transmit(on) => {
                self.batch.transmit(on, id);
            }
        }
    }
}
