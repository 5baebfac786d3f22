//! One thread's share of the engine.

use std::net::IpAddr;
use std::sync::Arc;

use crate::batch::{Batch, FrameId};
use crate::counters::{IfCounter, WorkerCounters};
use crate::event::Event;
use crate::function::{NoFunctions, PacketHook};
use crate::graph::{DropReason, Env, Graph, NodeId, Queues, State};
use crate::id::{Nanos, SwIfIndex};
use crate::offload::Offload;
use crate::tables::Tables;
use crate::trace::{Trace, TraceSpec};

/// Runs batches through the graph. Made by [`crate::Dataplane::new_worker`].
#[derive(Debug)]
pub struct Worker {
    queues: Queues,
    state: State,
    counters: Arc<WorkerCounters>,
}

impl Worker {
    pub(crate) fn new(counters: Arc<WorkerCounters>) -> Self {
        Self {
            queues: Queues::new(),
            state: State::new(),
            counters,
        }
    }

    /// Takes all received frames of `batch` through the graph to completion and leaves the transmit
    /// lists in it. Call [`Batch::clear`] after transmitting.
    pub fn run(&mut self, tables: &Tables, batch: &mut Batch, now: Nanos) {
        self.run_with(tables, batch, now, &mut NoFunctions);
    }

    /// The same for a worker that has packet functions.
    pub fn run_with(
        &mut self,
        tables: &Tables,
        batch: &mut Batch,
        now: Nanos,
        hook: &mut dyn PacketHook,
    ) {
        self.state.start_run();
        for run in batch.rx_runs() {
            let (packets, bytes) = (run.packets, run.bytes);
            self.counters.add(run.on, IfCounter::RxPackets, packets);
            self.counters.add(run.on, IfCounter::RxBytes, bytes);
        }
        if self.state.trace.is_on() {
            for frame in batch.received_mut() {
                frame.meta.trace = self.state.trace.admit(frame);
            }
        }
        self.queues
            .extend(NodeId::EthernetInput, batch.received_ids());
        let env = Env::new(tables, now, &self.counters, &mut self.state);
        Graph {
            env,
            batch,
            queues: &mut self.queues,
            hook,
        }
        .run();
    }

    /// Asks a neighbour for its address; what is to be transmitted is left in the empty `batch`.
    pub fn ask(
        &mut self,
        tables: &Tables,
        batch: &mut Batch,
        (on, target): (SwIfIndex, IpAddr),
        now: Nanos,
    ) {
        self.state.start_run();
        let Some((id, frame)) = batch.spare() else {
            return;
        };
        frame.reset(on, 0, None, Offload::default());
        (frame.meta.tx, frame.meta.next_hop, frame.meta.local) = (on, target, true);
        let node = match target {
            IpAddr::V4(_) => NodeId::Ip4Arp,
            IpAddr::V6(_) => NodeId::Ip6DiscoverNeighbor,
        };
        self.queues.extend(node, &[id]);
        let env = Env::new(tables, now, &self.counters, &mut self.state);
        Graph {
            env,
            batch,
            queues: &mut self.queues,
            hook: &mut NoFunctions,
        }
        .run();
    }

    /// Takes everything learned since the last call; each goes to [`crate::Dataplane::handle_event`].
    pub fn drain_events(&mut self, take: impl FnMut(Event)) {
        self.state.events.drain(..).for_each(take);
    }

    /// Traces the next packets that the `spec` names, on top of what is held.
    pub fn trace_start(&mut self, spec: TraceSpec) {
        self.state.trace.start(spec);
    }

    /// Stops tracing and keeps what is held.
    pub fn trace_stop(&mut self) {
        self.state.trace.stop();
    }

    /// Forgets what is held.
    pub fn trace_clear(&mut self) {
        self.state.trace.clear();
    }

    /// What was traced.
    pub fn trace(&self) -> &Trace {
        &self.state.trace
    }

    /// Notes dropped frames from now on, or no more; see [`Worker::drain_drops`].
    pub fn note_drops(&mut self, on: bool) {
        self.state.dropped = on.then(|| Vec::with_capacity(crate::frame::BATCH_MAX));
    }

    /// Takes the frames dropped since the last call, with where and why; they are in the batch until it is cleared.
    pub fn drain_drops(&mut self, take: impl FnMut((FrameId, NodeId, DropReason))) {
        if let Some(dropped) = &mut self.state.dropped {
            dropped.drain(..).for_each(take);
        }
    }

    /// The counters of this worker.
    pub fn counters(&self) -> Arc<WorkerCounters> {
        Arc::clone(&self.counters)
    }
}
