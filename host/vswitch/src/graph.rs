//! The graph: nodes with queues of frames, run until all queues are empty.
//!
//! A node is one file in `node/` with a function that takes a frame and says what is [`Next`]. Nodes
//! never call each other; the edges are the `Next` values. Each node handles all its frames before the
//! next node runs, so that its code and tables stay in the cache.

use crate::batch::{Batch, FrameId};
use crate::cnat::pass::Pass;
use crate::counters::{IfCounter, WorkerCounters};
use crate::dpo::{Adjacency, LoadBalance};
use crate::event::Event;
use crate::fib::Fib;
use crate::frame::Frame;
use crate::function::{PacketHook, Ruling};
use crate::id::{Family, Nanos, SwIfIndex};
use crate::interface::Interface;
use crate::node;
use crate::npol::{Applied, RecentFlows};
use crate::session::tick;
use crate::tables::Tables;
use crate::trace::Trace;
use crate::track::Hook;
use crate::tunnel::VxlanKey;

pub(crate) mod express;
mod names;
mod recent;
mod throttle;

use express::{Express, Hops, Route, Way};
pub use names::{DropReason, NODES, NodeId};
pub(crate) use recent::Counted;
use recent::{Passed, Recent, Tally};
pub(crate) use throttle::Throttle;

/// Passes over encapsulation, decapsulation or a BVI before a frame is taken for a loop.
const TURNS_MAX: u8 = 8;
/// Learning events kept per run; the rest is learned from later packets.
const EVENTS_MAX: usize = 1024;
/// Packets of one run whose translation is remembered from input to output.
const PASSES_MAX: usize = 16 * crate::frame::BATCH_MAX;

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
    passes: Vec<Pass>,
    hops: Hops,
    pub(crate) rulings: Vec<Ruling>,
    pub(crate) recent_flows4: RecentFlows<2>,
    pub(crate) recent_flows6: RecentFlows<5>,
    /// Last identification given to a packet that is cut; 0 = none yet.
    ident: u32,
    /// Frames dropped in this batch, while somebody captures them.
    pub(crate) dropped: Option<Vec<(FrameId, NodeId, DropReason)>>,
}

impl State {
    pub(crate) fn new() -> Self {
        Self {
            throttle: Throttle::new(),
            events: Vec::with_capacity(EVENTS_MAX),
            trace: Trace::default(),
            passes: Vec::with_capacity(crate::frame::BATCH_MAX),
            hops: Hops::new(),
            rulings: Vec::with_capacity(crate::frame::BATCH_MAX),
            recent_flows4: RecentFlows::new(),
            recent_flows6: RecentFlows::new(),
            ident: 0,
            dropped: None,
        }
    }

    /// Names the next packet that is cut. Workers start at different times, so that their names differ.
    pub(crate) fn next_ident(&mut self, now: Nanos) -> u32 {
        if self.ident == 0 {
            let [.., a, b, c, d] = now.0.wrapping_mul(0x9e37_79b9_7f4a_7c15).to_le_bytes();
            self.ident = u32::from_be_bytes([d, c, b, a]);
        }
        self.ident = self.ident.wrapping_add(1);
        self.ident
    }

    /// Forgets what belongs to the frames of one run.
    pub(crate) fn start_run(&mut self) {
        self.passes.clear();
    }

    /// Keeps a packet's translation for later nodes of this run, under a number that is never 0.
    pub(crate) fn remember(&mut self, pass: Pass) -> Option<u16> {
        if self.passes.len() >= PASSES_MAX {
            return None;
        }
        self.passes.push(pass);
        u16::try_from(self.passes.len()).ok()
    }

    /// What was remembered under a number.
    pub(crate) fn recall(&self, number: u16) -> Option<&Pass> {
        self.passes.get(usize::from(number).checked_sub(1)?)
    }
}

/// What a node may look at beside its frame.
pub(crate) struct Env<'a> {
    pub(crate) tables: &'a Tables,
    pub(crate) now: Nanos,
    /// Of the tables of flows, at `now`.
    pub(crate) tick: u32,
    pub(crate) counters: &'a WorkerCounters,
    pub(crate) state: &'a mut State,
    recent: Recent<'a>,
    /// By [`Counted`].
    tallies: [Tally; 3],
    passed: Passed,
    pub(crate) express: Express<'a>,
}

impl<'a> Env<'a> {
    pub(crate) fn new(
        tables: &'a Tables,
        now: Nanos,
        counters: &'a WorkerCounters,
        state: &'a mut State,
    ) -> Self {
        Self {
            tables,
            now,
            tick: tick(now),
            counters,
            state,
            recent: Recent::default(),
            tallies: Default::default(),
            passed: Passed::default(),
            express: Express::default(),
        }
    }

    /// [`Tables::interface`], fast when the last one asked for was the same.
    #[inline]
    pub(crate) fn interface(&mut self, index: SwIfIndex) -> Option<&'a Interface> {
        let tables = self.tables;
        self.recent
            .interface
            .get(index.0, |_| tables.interface(index))
    }

    /// [`Tables::load_balance`], fast when the last one asked for was the same.
    #[inline]
    pub(crate) fn load_balance(&mut self, index: u32) -> Option<&'a LoadBalance> {
        let tables = self.tables;
        self.recent
            .load_balance
            .get(index, |index| tables.load_balance(index))
    }

    /// An adjacency, fast when the last one asked for was the same.
    #[inline]
    pub(crate) fn adjacency(&mut self, index: u32) -> Option<&'a Adjacency> {
        let tables = self.tables;
        self.recent
            .adjacency
            .get(index, |index| tables.adjacencies.get(index))
    }

    /// Where the express lane leads from an interface.
    #[inline]
    pub(crate) fn way(&mut self, rx: SwIfIndex) -> &Way<'a> {
        let counting = (&mut self.passed, self.counters);
        self.express.entry(rx, self.tables, counting)
    }

    /// Where the express lane goes on from a load balance.
    #[inline]
    pub(crate) fn hop(&mut self, choices: u32, family: Family) -> Option<&Route> {
        let counting = (self.counters, &mut self.tallies);
        let hops = &mut self.state.hops;
        self.express
            .hop(choices, family, self.tables, hops, counting)
    }

    /// The tunnel of Ethernet frames that a key selects, fast when the last one asked for was the same.
    #[inline]
    pub(crate) fn tunnel(&mut self, key: &VxlanKey) -> Option<SwIfIndex> {
        if let Some((last, on)) = &self.recent.tunnel
            && last == key
        {
            return Some(*on);
        }
        let on = *self.tables.vxlan_of.get(key)?;
        self.tables.interface(on).filter(|i| i.is_ethernet())?;
        self.recent.tunnel = Some((*key, on));
        Some(on)
    }

    /// Counts a packet that the express lane gives to policies; they count what leaves.
    #[cold]
    pub(crate) fn hold(&mut self, bytes: usize) {
        let counts_adjacencies = self.tables.counts_adjacencies;
        self.express.hold(counts_adjacencies, bytes, self.counters);
    }

    /// A FIB, fast when the last one asked for was the same.
    #[inline]
    pub(crate) fn fib(&mut self, index: u32) -> Option<&'a Fib> {
        let tables = self.tables;
        self.recent.fib.get(index, |index| tables.fibs.get(index))
    }

    /// The policies of an interface, fast when the last one asked for at this `hook` was the same.
    #[inline]
    pub(crate) fn npol_applied(&mut self, on: SwIfIndex, hook: Hook) -> Option<&'a Applied> {
        let tables = self.tables;
        let [rx, tx] = &mut self.recent.npol;
        let last = match hook {
            Hook::Rx => rx,
            Hook::Tx => tx,
        };
        last.get(on.0, |on| tables.npol.applied.get(on).map(|a| &**a))
    }

    /// Counts a packet of `bytes` on an interface; the counters learn of it at the end of a run.
    #[inline]
    pub(crate) fn count(&mut self, on: SwIfIndex, what: Counted, bytes: usize) {
        let [tx, ip4, ip6] = &mut self.tallies;
        let tally = match what {
            Counted::Tx => tx,
            Counted::Ip4 => ip4,
            Counted::Ip6 => ip6,
        };
        if tally.of != on {
            settle(self.counters, tally, what);
            tally.of = on;
        }
        tally.packets += 1;
        tally.bytes += bytes as u64;
    }

    /// Does the `work` of `node` here and now, which saves a frame the way through a queue. A traced frame takes that way,
    /// so that the trace shows all nodes, and so does one that `work` drops, so that the node itself counts it: until then
    /// `work` must change nothing that matters.
    #[inline]
    pub(crate) fn fuse(
        &mut self,
        node: NodeId,
        frame: &mut Frame,
        work: impl FnOnce(&mut Self, &mut Frame) -> Next,
    ) -> Next {
        self.fuse_if(node, frame, |env, frame| match work(env, frame) {
            Next::Drop(_) => None,
            next @ (Next::To(_) | Next::Transmit(_)) => Some(next),
        })
    }

    /// [`Env::fuse`] for work that can be done here for some frames only; `None` for the others.
    #[inline]
    pub(crate) fn fuse_if(
        &mut self,
        node: NodeId,
        frame: &mut Frame,
        work: impl FnOnce(&mut Self, &mut Frame) -> Option<Next>,
    ) -> Next {
        if frame.meta.trace != 0 {
            return Next::To(node);
        }
        match work(self, frame) {
            None => Next::To(node),
            Some(next) => {
                self.passed.count(node);
                next
            }
        }
    }

    /// Adds what was tallied to the counters, at the end of a run.
    fn finish(&mut self) {
        let counts_adjacencies = self.tables.counts_adjacencies;
        self.express.finish(
            counts_adjacencies,
            &mut self.passed,
            self.counters,
            &mut self.tallies,
        );
        for (tally, what) in self.tallies.iter_mut().zip(Counted::ALL) {
            settle(self.counters, tally, what);
        }
        let counters = self.counters;
        self.passed
            .drain(|node, frames| counters.add_call(node, frames));
    }

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

/// Adds the packets of one interface to the counters.
#[inline(never)]
fn settle(counters: &WorkerCounters, tally: &mut Tally, what: Counted) {
    let Tally { of, packets, bytes } = std::mem::take(tally);
    if packets == 0 {
        return;
    }
    let (of_packets, of_bytes) = what.counters();
    counters.add(of, of_packets, packets);
    if let Some(of_bytes) = of_bytes {
        counters.add(of, of_bytes, bytes);
    }
}

/// One batch on its way through the graph.
pub(crate) struct Graph<'a> {
    pub(crate) env: Env<'a>,
    pub(crate) batch: &'a mut Batch,
    pub(crate) queues: &'a mut Queues,
    pub(crate) hook: &'a mut dyn PacketHook,
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

    pub(crate) fn extend(&mut self, node: NodeId, ids: &[FrameId]) {
        if let Some(queue) = self.waiting.get_mut(node as usize) {
            queue.extend_from_slice(ids);
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
            // The node gets its own list back, so that capacities settle at the first full run.
            if let Some(queue) = self.queues.waiting.get_mut(at)
                && queue.is_empty()
            {
                std::mem::swap(&mut ids, queue);
            }
            self.queues.current = ids;
        }
        self.env.finish();
    }

    fn process(&mut self, node: NodeId, ids: &[FrameId]) {
        match node {
            NodeId::EthernetInput => self.each(node, ids, node::ethernet_input::process),
            NodeId::L2Input => self.each(node, ids, node::l2_input::process),
            NodeId::L2Learn => self.each(node, ids, node::l2_learn::process),
            NodeId::L2Fwd => self.each(node, ids, node::l2_fwd::process),
            NodeId::ArpTerm => self.each(node, ids, node::arp_term::process),
            NodeId::L2Flood => node::l2_flood::process(self, ids),
            NodeId::ArpInput => self.each(node, ids, node::arp_input::process),
            NodeId::Ip4Input => self.each(node, ids, node::ip4_input::process),
            NodeId::Ip6Input => self.each(node, ids, node::ip6_input::process),
            NodeId::Ip4Reassembly => self.each(node, ids, node::ip_reassembly::process4),
            NodeId::Ip6Reassembly => self.each(node, ids, node::ip_reassembly::process6),
            NodeId::UrpfInput => self.each(node, ids, node::urpf::process_input),
            NodeId::UrpfOutput => self.each(node, ids, node::urpf::process_output),
            NodeId::AclInput => self.each(node, ids, node::acl_input::process),
            NodeId::L2InputAcl => self.each(node, ids, node::l2_input_acl::process),
            NodeId::Ip4Inacl | NodeId::Ip6Inacl => self.each(node, ids, node::inacl::process),
            NodeId::CnatInput4 | NodeId::CnatInput6 => {
                node::cnat_input::warm(self.env.tables, self.batch, ids);
                self.each(node, ids, node::cnat_input::process);
            }
            NodeId::CnatReturn4 | NodeId::CnatReturn6 => {
                self.each(node, ids, node::cnat_return::process);
            }
            NodeId::CnatOutput4 | NodeId::CnatOutput6 => {
                self.each(node, ids, node::cnat_output::process);
            }
            NodeId::NpolInput => self.each(node, ids, node::npol_input::process),
            NodeId::FunctionInput => node::function_input::process(self, ids),
            NodeId::FunctionOutput => node::function_output::process(self, ids),
            NodeId::AbfInput => self.each(node, ids, node::abf_input::process),
            NodeId::Ip4Lookup => self.each(node, ids, node::ip4_lookup::process),
            NodeId::Ip6Lookup => self.each(node, ids, node::ip6_lookup::process),
            NodeId::Ip4Local => self.each(node, ids, node::ip4_local::process),
            NodeId::Ip6Local => self.each(node, ids, node::ip6_local::process),
            NodeId::Ip4IcmpInput => self.each(node, ids, node::ip4_icmp_input::process),
            NodeId::Ip6IcmpInput => self.each(node, ids, node::ip6_icmp_input::process),
            NodeId::VxlanInput => self.each(node, ids, node::vxlan_input::process),
            NodeId::SrLocalsid => self.each(node, ids, node::sr_localsid::process),
            NodeId::SrLocalsidUn => self.each(node, ids, node::sr_localsid_un::process),
            NodeId::SrLocalsidD => self.each(node, ids, node::sr_localsid_d::process),
            NodeId::SrProxyLocalsid => self.each(node, ids, node::sr_proxy_localsid::process),
            NodeId::SrProxyRewrite => self.each(node, ids, node::sr_proxy_rewrite::process),
            NodeId::SrReplicate => node::sr_replicate::process(self, ids),
            NodeId::SrEncaps => self.each(node, ids, node::sr_encaps::process),
            NodeId::SrEncapsL2 => self.each(node, ids, node::sr_encaps_l2::process),
            NodeId::SrInsert => self.each(node, ids, node::sr_insert::process),
            NodeId::Ip4Rewrite => self.each(node, ids, node::ip4_rewrite::process),
            NodeId::Ip6Rewrite => self.each(node, ids, node::ip6_rewrite::process),
            NodeId::Ip4Frag => node::ip_frag::process4(self, ids),
            NodeId::Ip6Frag => node::ip_frag::process6(self, ids),
            NodeId::Ip4IcmpError => self.each(node, ids, node::ip4_icmp_error::process),
            NodeId::Ip6IcmpError => self.each(node, ids, node::ip6_icmp_error::process),
            NodeId::Ip4Arp => self.each(node, ids, node::ip4_arp::process),
            NodeId::Ip6DiscoverNeighbor => {
                self.each(node, ids, node::ip6_discover_neighbor::process);
            }
            NodeId::NpolOutput => self.each(node, ids, node::npol_output::process),
            NodeId::InterfaceOutput => self.each(node, ids, node::interface_output::process),
            NodeId::AclOutput => self.each(node, ids, node::acl_output::process),
            NodeId::InterfaceTx => self.each(node, ids, node::interface_tx::process),
            NodeId::IpipInput => self.each(node, ids, node::ipip_input::process),
            NodeId::IpipEncap => self.each(node, ids, node::ipip_encap::process),
            NodeId::VxlanEncap => self.each(node, ids, node::vxlan_encap::process),
        }
    }

    /// Runs one node over its frames. Frames mostly follow each other to the same place, so they are moved, counted and
    /// listed by runs; this function exists once per node, with the node's code in it.
    #[inline(never)]
    fn each<P>(&mut self, node: NodeId, ids: &[FrameId], process: P)
    where
        P: Fn(&mut Env<'_>, &mut Frame) -> Next,
    {
        let (mut start, mut to) = (0, None);
        for (at, id) in ids.iter().enumerate() {
            let Some(frame) = self.batch.frame_mut(*id) else {
                continue;
            };
            let next = process(&mut self.env, frame);
            if frame.meta.trace != 0 {
                self.env.state.trace.record(node, next, frame, self.env.now);
            }
            if to != Some(next) {
                self.follow_all(node, ids.get(start..at).unwrap_or(&[]), to);
                (start, to) = (at, Some(next));
            }
        }
        self.follow_all(node, ids.get(start..).unwrap_or(&[]), to);
    }

    /// Puts frames where their node decided.
    fn follow_all(&mut self, node: NodeId, ids: &[FrameId], next: Option<Next>) {
        match next {
            None => {}
            Some(Next::To(to)) => self.queues.extend(to, ids),
            Some(Next::Transmit(on)) => self.batch.transmit(on, ids),
            Some(Next::Drop(reason)) => {
                let counters = self.env.counters;
                counters.add_drop(node, reason, ids.len() as u64);
                if let Some(dropped) = &mut self.env.state.dropped {
                    dropped.extend(ids.iter().map(|id| (*id, node, reason)));
                }
                for id in ids {
                    counters.add(self.batch.frame(*id).rx, IfCounter::Drops, 1);
                }
            }
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
        self.follow_all(node, &[id], Some(next));
    }
}
