//! Worker threads: each owns receive queues and runs every batch from them to completion.
//!
//! A worker polls while there is traffic and sleeps in `epoll_wait` when there is none. It reads the published view
//! once per turn; nothing is locked, allocated or logged per packet. A panic while handling a batch costs that batch:
//! it is counted, the main thread sends a fresh graph, and the worker goes on.

mod forward;
pub mod mailbox;
mod place;
pub mod view;

use std::io;
use std::net::IpAddr;
use std::os::fd::AsFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use arc_swap::{ArcSwap, Cache};
use nix::sys::epoll::{Epoll, EpollCreateFlags, EpollEvent, EpollFlags, EpollTimeout};
use vswitch::reassembly::Reassembler;
use vswitch::{Batch, SwIfIndex};

use crate::clock::Clock;
use crate::device::inlet::{Inlet, InletError, RxMode, Source};
use crate::device::pool::TailPool;
use crate::device::port::Scratch;
use crate::function::Functions;
use crate::pcap::Capture;
use forward::Forward;
use mailbox::{Command, Mailbox, Notice, Post, TraceCommand};
use place::Place;
use view::View;

/// Turns without traffic before a worker sleeps: some tens of microseconds.
const IDLE_TURNS_MAX: u32 = 64;
/// Turns with traffic in rings between two looks at what the kernel has, when it has queues of this worker; a look is a
/// system call.
const BUSY_TURNS_MAX: u32 = 4;
/// The same when it has none: only the mailbox is there, which is looked into every turn anyway.
const BUSY_TURNS_MAX_RINGS_ONLY: u32 = 256;
/// Events taken from the kernel per turn.
const EVENTS_MAX: usize = 64;
/// Epoll key of the mailbox.
const MAILBOX: u64 = u64::MAX;
/// Longest sleep, so that a lost wake-up costs a moment and not a service.
const SLEEP_MAX: Duration = Duration::from_secs(1);

/// A worker, on its own thread.
pub struct Worker {
    index: usize,
    graph: vswitch::Worker,
    view: Cache<Arc<ArcSwap<View>>, Arc<View>>,
    mailbox: Arc<Mailbox>,
    post: Post,
    clock: Clock,
    epoll: Epoll,
    /// By epoll key.
    inlets: Vec<Option<Inlet>>,
    batch: Batch,
    pool: TailPool,
    scratch: Scratch,
    reassembler: Reassembler,
    capture: Option<Arc<Capture>>,
    functions: Functions,
    place: Place,
    idle_turns: u32,
    busy_turns: u32,
    stopped: bool,
}

impl Worker {
    /// Prepares a worker that gets its work from `mailbox`.
    pub fn new(
        index: usize,
        graph: vswitch::Worker,
        view: &Arc<ArcSwap<View>>,
        mailbox: Arc<Mailbox>,
        post: Post,
        clock: Clock,
    ) -> io::Result<Self> {
        let epoll = Epoll::new(EpollCreateFlags::EPOLL_CLOEXEC)?;
        epoll.add(
            mailbox.as_fd(),
            EpollEvent::new(EpollFlags::EPOLLIN, MAILBOX),
        )?;
        Ok(Self {
            index,
            graph,
            view: Cache::new(Arc::clone(view)),
            mailbox,
            post,
            clock,
            epoll,
            inlets: Vec::new(),
            batch: Batch::new(),
            pool: TailPool::default(),
            scratch: Scratch::default(),
            reassembler: Reassembler::default(),
            capture: None,
            functions: Functions::default(),
            place: Place::new(),
            idle_turns: 0,
            busy_turns: 0,
            stopped: false,
        })
    }

    /// Works until told to stop.
    pub fn run(mut self) {
        while !self.stopped {
            if catch_unwind(AssertUnwindSafe(|| self.turn())).is_err() {
                self.recover();
            }
        }
    }

    /// Drops the batch that could not be handled and asks for a fresh graph.
    fn recover(&mut self) {
        self.mailbox.panics.fetch_add(1, Ordering::Relaxed);
        self.batch.clear();
        for inlet in self.inlets.iter_mut().flatten() {
            inlet.release();
        }
        tracing::error!(
            worker = self.index,
            "worker panicked; its batch is dropped and it goes on"
        );
        self.post.send(Notice::Panicked { worker: self.index });
    }

    fn turn(&mut self) {
        while let Some(command) = self.mailbox.take() {
            self.obey(command);
        }
        if !self.functions.is_empty() {
            self.functions.tick(self.clock.now());
        }
        let mut frames = 0;
        for key in 0..self.inlets.len() {
            if self
                .inlets
                .get(key)
                .is_some_and(|inlet| inlet.as_ref().is_some_and(Inlet::is_polled))
            {
                frames += self.serve(key);
            }
        }
        frames += self.serve_ready(frames > 0);
        if frames > 0 && !self.place.is_fixed() {
            self.place.note(frames, || self.clock.now());
        }
        self.idle_turns = if frames > 0 {
            0
        } else {
            self.idle_turns.saturating_add(1)
        };
    }

    /// Serves the queues the kernel reports, sleeping first when nothing happened for a while.
    fn serve_ready(&mut self, is_busy: bool) -> usize {
        if is_busy && !self.is_kernel_due() {
            return 0;
        }
        let sleeps = !is_busy && self.may_sleep() && !self.arm();
        let timeout = if sleeps {
            EpollTimeout::try_from(self.sleep_max())
        } else {
            Ok(EpollTimeout::ZERO)
        };
        let mut events = [EpollEvent::empty(); EVENTS_MAX];
        let count = self
            .epoll
            .wait(&mut events, timeout.unwrap_or(EpollTimeout::ZERO))
            .unwrap_or(0);
        if sleeps {
            self.disarm();
        }
        let mut frames = 0;
        for event in events.iter().take(count) {
            if event.data() == MAILBOX {
                self.mailbox.quiet();
                continue;
            }
            let key = usize::try_from(event.data()).unwrap_or(usize::MAX);
            frames += self.serve(key);
            // A packet waits no longer for the system calls that quiet the bell it came with.
            let inlet = self.inlets.get(key).and_then(Option::as_ref);
            if let Some(Source::Memif(queue)) = inlet.map(|inlet| &inlet.source) {
                queue.acknowledge();
            }
        }
        frames
    }

    /// How long to sleep at most.
    fn sleep_max(&self) -> Duration {
        let due = self.functions.next_tick().map(|due| {
            let wait = due.0.saturating_sub(self.clock.now().0);
            // A wait is told to the kernel in whole milliseconds.
            Duration::from_nanos(wait) + Duration::from_millis(1)
        });
        due.map_or(SLEEP_MAX, |wait| wait.min(SLEEP_MAX))
    }

    /// Whether nothing happened for long enough, as the modes of the queues have it.
    fn may_sleep(&self) -> bool {
        let mut modes = self.inlets.iter().flatten().map(|inlet| inlet.mode);
        if modes.clone().any(|mode| mode == RxMode::Polling) {
            return false;
        }
        let most = if modes.all(|mode| mode == RxMode::Interrupt) {
            0
        } else {
            IDLE_TURNS_MAX
        };
        self.idle_turns >= most
    }

    /// Whether rings were served often enough to look at what the kernel has.
    fn is_kernel_due(&mut self) -> bool {
        let has_devices = self.inlets.iter().flatten().any(|inlet| !inlet.is_polled());
        let most = if has_devices {
            BUSY_TURNS_MAX
        } else {
            BUSY_TURNS_MAX_RINGS_ONLY
        };
        self.busy_turns += 1;
        let is_due = self.busy_turns >= most;
        if is_due {
            self.busy_turns = 0;
        }
        is_due
    }

    /// Runs one burst of one queue through the graph and out; returns the frames received.
    fn serve(&mut self, key: usize) -> usize {
        let mut frames = 0;
        loop {
            let Some(inlet) = self.inlets.get_mut(key).and_then(Option::as_mut) else {
                return frames;
            };
            let view = self.view.load();
            let burst = match inlet.fill(&mut self.pool, &mut self.batch, &view.tables) {
                Ok(burst) => burst,
                Err(error) => {
                    self.batch.clear();
                    self.give_up(key, &error);
                    return frames;
                }
            };
            if burst.errors > 0 {
                self.graph
                    .counters()
                    .add_rx_error(inlet.sw_if_index, burst.errors);
            }
            let mut forward = Forward {
                index: self.index,
                graph: &mut self.graph,
                batch: &mut self.batch,
                pool: &mut self.pool,
                scratch: &mut self.scratch,
                reassembler: &mut self.reassembler,
                view,
                functions: &mut self.functions,
                now: self.clock.now(),
                post: &self.post,
                capture: self.capture.as_deref(),
            };
            if burst.frames > 0 {
                let ring = match &inlet.source {
                    Source::Memif(queue) => Some(&**queue),
                    Source::Tap(_) | Source::AfPacket(_) | Source::AfXdp(_) => None,
                };
                forward.capture_received(ring);
                forward.run(ring);
            }
            forward.batch.clear();
            inlet.release();
            frames += burst.frames;
            if inlet.has_more() {
                continue;
            }
            if frames > 0 {
                // It uses the pool, which is free now.
                forward.run_whole();
            }
            return frames;
        }
    }

    /// Stops using a queue and says so.
    fn give_up(&mut self, key: usize, error: &InletError) {
        let Some(inlet) = self.inlets.get_mut(key).and_then(Option::take) else {
            return;
        };
        if let Err(error) = self.epoll.delete(&inlet) {
            tracing::debug!(%error, "queue was not watched");
        }
        tracing::debug!(sw_if_index = inlet.sw_if_index.0, %error, "queue given up");
        let is_ring = matches!(error, InletError::Ring(_));
        self.post.send(Notice::QueueFailed {
            sw_if_index: inlet.sw_if_index,
            is_ring,
        });
    }

    /// Asks memif peers to ring; true when packets are waiting already.
    fn arm(&mut self) -> bool {
        self.rings().any(|queue| queue.arm().unwrap_or(true))
    }

    fn disarm(&mut self) {
        self.rings().for_each(memif_rs::RxQueue::disarm);
    }

    fn rings(&mut self) -> impl Iterator<Item = &mut memif_rs::RxQueue> {
        self.inlets
            .iter_mut()
            .flatten()
            .filter_map(|inlet| match &mut inlet.source {
                Source::Memif(queue) => Some(&mut **queue),
                Source::Tap(_) | Source::AfPacket(_) | Source::AfXdp(_) => None,
            })
    }

    fn obey(&mut self, command: Command) {
        self.idle_turns = 0;
        match command {
            Command::Serve(inlet) => self.adopt(inlet),
            Command::Yield {
                sw_if_index,
                queue_id,
                to,
            } => {
                let is_it =
                    |inlet: &Inlet| (inlet.sw_if_index, inlet.queue_id) == (sw_if_index, queue_id);
                to.send(self.take_inlet(is_it)).ok();
            }
            Command::Abandon { sw_if_index, done } => {
                while self
                    .take_inlet(|inlet| inlet.sw_if_index == sw_if_index)
                    .is_some()
                {}
                // The main thread may have stopped waiting.
                done.send(()).ok();
            }
            Command::Probe(neighbors) => self.probe(&neighbors),
            Command::Mode {
                sw_if_index,
                queue_id,
                mode,
            } => {
                let inlets = self.inlets.iter_mut().flatten();
                for inlet in inlets.filter(|inlet| {
                    inlet.sw_if_index == sw_if_index
                        && queue_id.is_none_or(|id| id == inlet.queue_id)
                }) {
                    inlet.mode = mode;
                }
            }
            Command::Graph(graph) => {
                self.graph = *graph;
                let capture = self.capture.as_ref();
                self.graph.note_drops(capture.is_some_and(|c| c.spec.drop));
            }
            Command::Trace(TraceCommand::Start(spec)) => self.graph.trace_start(spec),
            Command::Function {
                function,
                instance,
                done,
            } => {
                self.functions.set(function, instance);
                done.send(()).ok();
            }
            Command::FunctionReport { function, reply } => {
                reply
                    .send(self.functions.report(function).unwrap_or_default())
                    .ok();
            }
            Command::Trace(TraceCommand::Stop) => self.graph.trace_stop(),
            Command::Trace(TraceCommand::Clear) => self.graph.trace_clear(),
            Command::Trace(TraceCommand::Show { filter, reply }) => {
                let packets = self.graph.trace().packets_through(filter);
                reply.send(packets.collect()).ok();
            }
            Command::Capture { capture, done } => {
                self.graph
                    .note_drops(capture.as_ref().is_some_and(|c| c.spec.drop));
                self.capture = capture;
                done.send(()).ok();
            }
            Command::Stop => self.stopped = true,
        }
    }

    /// Asks neighbours whether they are still there.
    fn probe(&mut self, neighbors: &[(SwIfIndex, IpAddr)]) {
        let mut forward = Forward {
            index: self.index,
            graph: &mut self.graph,
            batch: &mut self.batch,
            pool: &mut self.pool,
            scratch: &mut self.scratch,
            reassembler: &mut self.reassembler,
            functions: &mut self.functions,
            view: self.view.load(),
            now: self.clock.now(),
            post: &self.post,
            capture: None,
        };
        for neighbor in neighbors {
            forward.ask(*neighbor);
        }
    }

    fn adopt(&mut self, inlet: Inlet) {
        let key = self
            .inlets
            .iter()
            .position(Option::is_none)
            .unwrap_or(self.inlets.len());
        let event = EpollEvent::new(EpollFlags::EPOLLIN, key as u64);
        if let Err(error) = self.epoll.add(&inlet, event) {
            tracing::error!(%error, sw_if_index = inlet.sw_if_index.0, "queue cannot be watched");
            return;
        }
        if key == self.inlets.len() {
            self.inlets.push(None);
        }
        if let Some(place) = self.inlets.get_mut(key) {
            *place = Some(inlet);
        }
    }

    /// Stops serving one queue.
    fn take_inlet(&mut self, is_it: impl Fn(&Inlet) -> bool) -> Option<Inlet> {
        let inlet = self
            .inlets
            .iter_mut()
            .find_map(|place| place.take_if(|inlet| is_it(inlet)))?;
        if let Err(error) = self.epoll.delete(&inlet) {
            tracing::debug!(%error, "queue was not watched");
        }
        Some(inlet)
    }
}
