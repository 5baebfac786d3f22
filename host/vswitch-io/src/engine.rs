//! The main thread's state: the writer of the dataplane, the devices, and the workers they are served by.
//!
//! Everything here runs on one thread, request by request. [`Engine::commit`] makes the changes of a request visible
//! to the workers before its reply leaves.

pub mod af_packet;
pub mod af_xdp;
mod function;
pub mod memif;
pub mod tap;

use std::collections::BTreeMap;
use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::sync_channel;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use tokio::sync::mpsc::Receiver;
use vpp_api::ApiError;
use vswitch::dataplane::flows::FlowLimits;
use vswitch::interface::{DeviceSpec, LinkMode};
use vswitch::trace::{NodeFilter, PacketFilter};
use vswitch::{Dataplane, MacAddr, Nanos, SwIfIndex};

use crate::clock::Clock;
use crate::device::inlet::{Inlet, RxMode};
use crate::device::port::Port;
use crate::function::FunctionSpec;
use crate::pcap::{Capture, CaptureError, CaptureSpec, Running};
use crate::worker::Worker;
use crate::worker::mailbox::{Command, Mailbox, Notice, Post, TraceCommand};
use crate::worker::view::{Ports, View};
use af_packet::AfPacketDevice;
use af_xdp::AfXdpDevice;
use memif::{MemifDevice, MemifSockets};
use tap::TapDevice;

/// Longest wait for a worker to answer: it is busy with at most one batch.
const WORKER_ANSWER_MAX: Duration = Duration::from_secs(2);

/// Device MTU of interfaces without one of their own, as in VPP.
const LINK_MTU: u16 = 9000;
/// Longest time between two looks at what is due.
const TICK: Duration = Duration::from_secs(1);

/// How to run the dataplane.
#[derive(Clone, Debug)]
pub struct EngineConfig {
    /// Worker threads, at least 1.
    pub workers: usize,
    /// Where relative memif socket names start.
    pub run_dir: PathBuf,
}

/// The dataplane with its devices and workers.
#[derive(Debug)]
pub struct Engine {
    /// The writer side of the tables.
    pub dataplane: Dataplane,
    /// The process's clock.
    pub clock: Clock,
    /// Tap devices.
    pub taps: BTreeMap<SwIfIndex, TapDevice>,
    /// Packet sockets.
    pub packets: BTreeMap<SwIfIndex, AfPacketDevice>,
    /// Express data path sockets.
    pub xdps: BTreeMap<SwIfIndex, AfXdpDevice>,
    /// Memif interfaces.
    pub memifs: BTreeMap<SwIfIndex, MemifDevice>,
    /// Memif control sockets.
    pub sockets: MemifSockets,
    /// Packet functions.
    pub functions: BTreeMap<u32, FunctionSpec>,
    view: Arc<ArcSwap<View>>,
    ports: Arc<Ports>,
    ports_changed: bool,
    workers: Vec<WorkerHandle>,
    placements: BTreeMap<(SwIfIndex, u32), usize>,
    rx_modes: BTreeMap<(SwIfIndex, u32), RxMode>,
    /// Of queues to come.
    pub default_rx_mode: RxMode,
    post: Post,
    /// Which traced packets are shown.
    pub trace_filter: Option<NodeFilter>,
    /// Which packets are traced by commands that say "filter".
    pub packet_filter: Option<PacketFilter>,
    /// Which packets are captured by commands that say "filter".
    pub pcap_filter: Option<PacketFilter>,
    capture: Option<Running>,
}

#[derive(Debug)]
struct WorkerHandle {
    mailbox: Arc<Mailbox>,
    thread: Option<JoinHandle<()>>,
}

impl Engine {
    /// Starts the workers. The second value is the stream of their notices, to be given to [`Engine::notice`].
    pub fn start(config: &EngineConfig) -> io::Result<(Self, Receiver<Notice>)> {
        let clock = Clock::start();
        let mut dataplane = Dataplane::new();
        dataplane.set_flow_limits(FlowLimits {
            seed: RandomState::new().build_hasher().finish(),
            ..FlowLimits::default()
        });
        let (post, notices) = Post::channel();
        let graphs: Vec<_> = (0..config.workers.max(1))
            .map(|_| dataplane.new_worker())
            .collect();
        let ports = Arc::new(Ports::new());
        let view = View {
            tables: dataplane.publish(),
            ports: Arc::clone(&ports),
        };
        let view = Arc::new(ArcSwap::from_pointee(view));
        let mut workers = Vec::new();
        for (index, graph) in graphs.into_iter().enumerate() {
            let mailbox = Arc::new(Mailbox::new()?);
            let worker = Worker::new(
                index,
                graph,
                &view,
                Arc::clone(&mailbox),
                post.clone(),
                clock,
            )?;
            let name = format!("worker-{index}");
            let thread = std::thread::Builder::new()
                .name(name)
                .spawn(move || worker.run())?;
            workers.push(WorkerHandle {
                mailbox,
                thread: Some(thread),
            });
        }
        let engine = Self {
            dataplane,
            clock,
            taps: BTreeMap::new(),
            packets: BTreeMap::new(),
            xdps: BTreeMap::new(),
            memifs: BTreeMap::new(),
            sockets: MemifSockets::new(config.run_dir.clone())?,
            functions: BTreeMap::new(),
            view,
            ports,
            ports_changed: false,
            workers,
            placements: BTreeMap::new(),
            rx_modes: BTreeMap::new(),
            default_rx_mode: RxMode::default(),
            post,
            trace_filter: None,
            packet_filter: None,
            pcap_filter: None,
            capture: None,
        };
        Ok((engine, notices))
    }

    /// Makes all changes so far visible to the workers.
    pub fn commit(&mut self) {
        if !self.ports_changed && !self.dataplane.is_dirty() {
            return;
        }
        self.ports_changed = false;
        let view = View {
            tables: self.dataplane.publish(),
            ports: Arc::clone(&self.ports),
        };
        self.view.store(Arc::new(view));
    }

    /// Takes news from a worker.
    pub fn notice(&mut self, notice: &Notice) {
        match *notice {
            Notice::Learned(event) => self.dataplane.handle_event(event, self.clock.now()),
            Notice::QueueFailed {
                sw_if_index,
                is_ring: true,
            } => self.break_memif(sw_if_index),
            Notice::QueueFailed {
                sw_if_index,
                is_ring: false,
            } => {
                tracing::info!(
                    sw_if_index = sw_if_index.0,
                    "device is gone, link goes down"
                );
                self.set_link(sw_if_index, false);
            }
            Notice::Panicked { worker } => {
                let graph = Box::new(self.dataplane.new_worker());
                self.tell(worker, Command::Graph(graph));
            }
        }
    }

    /// Does what is due: ageing, memif reconnection. Returns how long to wait before the next call.
    pub fn tick(&mut self) -> Duration {
        self.dataplane.handle_timeout(self.clock.now());
        let probes: Vec<_> = std::iter::from_fn(|| self.dataplane.poll_probe()).collect();
        if !probes.is_empty() {
            self.commit();
            self.tell(0, Command::Probe(probes));
        }
        self.dataplane.age_flows(self.clock.now());
        self.drive_memif();
        let due = self
            .memif_timeout()
            .map(|due| due.saturating_duration_since(Instant::now()));
        due.map_or(TICK, |due| due.min(TICK))
    }

    /// Stops the workers. Persistent taps stay for the next life.
    pub fn stop(&mut self) {
        // Complete the file; that there is none is no failure.
        let _ = self.capture_stop();
        for worker in &self.workers {
            worker.mailbox.put(Command::Stop);
        }
        for worker in &mut self.workers {
            if worker
                .thread
                .take()
                .is_some_and(|thread| thread.join().is_err())
            {
                tracing::error!("worker thread panicked outside of a batch");
            }
        }
    }

    /// Reads the clock.
    pub fn now(&self) -> Nanos {
        self.clock.now()
    }

    /// Number of workers.
    pub fn worker_count(&self) -> usize {
        self.workers.len()
    }

    /// Batches lost to panics, and notices lost to a full queue.
    pub fn mishaps(&self) -> (u64, u64) {
        let panics = self
            .workers
            .iter()
            .map(|worker| worker.mailbox.panics.load(Ordering::Relaxed))
            .sum();
        (panics, self.post.lost())
    }

    /// Which worker serves which queue.
    pub fn placements(&self) -> impl Iterator<Item = (SwIfIndex, u32, usize)> {
        self.placements
            .iter()
            .map(|((sw_if_index, queue), worker)| (*sw_if_index, *queue, *worker))
    }

    /// Moves a queue to a worker.
    pub fn place(
        &mut self,
        sw_if_index: SwIfIndex,
        queue_id: u32,
        worker: u32,
    ) -> Result<(), ApiError> {
        self.dataplane.interface(sw_if_index).map_err(code)?;
        let new = worker as usize;
        if new >= self.workers.len() {
            return Err(ApiError::InvalidWorker);
        }
        let old = *self
            .placements
            .get(&(sw_if_index, queue_id))
            .ok_or(ApiError::InvalidQueue)?;
        let (to, inlet) = sync_channel(1);
        self.tell(
            old,
            Command::Yield {
                sw_if_index,
                queue_id,
                to,
            },
        );
        let inlet = inlet
            .recv_timeout(WORKER_ANSWER_MAX)
            .ok()
            .flatten()
            .ok_or(ApiError::InvalidQueue)?;
        self.tell(new, Command::Serve(inlet));
        self.placements.insert((sw_if_index, queue_id), new);
        Ok(())
    }

    /// Sets how a queue, or all queues of an interface, are looked after.
    pub fn set_rx_mode(
        &mut self,
        sw_if_index: SwIfIndex,
        queue_id: Option<u32>,
        mode: RxMode,
    ) -> Result<(), ApiError> {
        self.dataplane.interface(sw_if_index).map_err(code)?;
        let queues: Vec<_> = self
            .placements
            .iter()
            .filter(|((of, queue), _)| *of == sw_if_index && queue_id.is_none_or(|id| id == *queue))
            .map(|((_, queue), worker)| (*queue, *worker))
            .collect();
        if queues.is_empty() {
            return Err(ApiError::Unimplemented);
        }
        for (queue, worker) in queues {
            self.rx_modes.insert((sw_if_index, queue), mode);
            let queue_id = Some(queue);
            self.tell(
                worker,
                Command::Mode {
                    sw_if_index,
                    queue_id,
                    mode,
                },
            );
        }
        Ok(())
    }

    /// How a queue is looked after.
    pub fn rx_mode(&self, sw_if_index: SwIfIndex, queue_id: u32) -> RxMode {
        let mode = self.rx_modes.get(&(sw_if_index, queue_id)).copied();
        mode.unwrap_or(self.default_rx_mode)
    }

    /// Starts or stops tracing on all workers.
    pub fn trace(&self, command: &TraceCommand) {
        for worker in &self.workers {
            worker.mailbox.put(Command::Trace(command.clone()));
        }
    }

    /// Collects the traced packets of all workers.
    pub fn traced(&self) -> Vec<Vec<String>> {
        let ask = |worker: &WorkerHandle| {
            let (reply, answer) = sync_channel(1);
            worker.mailbox.put(Command::Trace(TraceCommand::Show {
                filter: self.trace_filter,
                reply,
            }));
            answer.recv_timeout(WORKER_ANSWER_MAX).unwrap_or_default()
        };
        self.workers.iter().map(ask).collect()
    }

    /// Starts a capture; with one under way it is refused, as in VPP.
    pub fn capture_start(&mut self, spec: CaptureSpec) -> Result<(), ApiError> {
        if self.capture.is_some() {
            return Err(ApiError::InvalidValue);
        }
        let running = Running::start(spec).map_err(|error| {
            tracing::warn!(%error, "capture cannot be started");
            match error {
                CaptureError::Name(_) => ApiError::IllegalName,
                CaptureError::Create { .. } => ApiError::SyscallError1,
            }
        })?;
        self.spread(Some(&running.capture));
        self.capture = Some(running);
        Ok(())
    }

    /// Ends the capture and completes its file; gives the file and how many packets it has.
    pub fn capture_stop(&mut self) -> Result<(PathBuf, u32), ApiError> {
        let running = self.capture.take().ok_or(ApiError::ValueExist)?;
        if !self.spread(None) {
            // A worker that still holds it keeps the writer waiting; the main thread must not.
            return Err(ApiError::SyscallError2);
        }
        running.finish().map_err(|error| {
            tracing::warn!(%error, "capture could not be written");
            ApiError::SyscallError2
        })
    }

    /// The capture under way.
    pub const fn capture(&self) -> Option<&Running> {
        self.capture.as_ref()
    }

    /// Gives all workers a capture, or takes it from them, and waits until they have it.
    fn spread(&self, capture: Option<&Arc<Capture>>) -> bool {
        let ask = |worker: &WorkerHandle| {
            let (done, answer) = sync_channel(1);
            let capture = capture.map(Arc::clone);
            worker.mailbox.put(Command::Capture { capture, done });
            answer
        };
        let answers: Vec<_> = self.workers.iter().map(ask).collect();
        let mut all = true;
        for answer in answers {
            if answer.recv_timeout(WORKER_ANSWER_MAX).is_err() {
                tracing::error!("a worker does not take or leave a capture");
                all = false;
            }
        }
        all
    }

    fn tell(&self, worker: usize, command: Command) {
        if let Some(worker) = self.workers.get(worker) {
            worker.mailbox.put(command);
        }
    }

    /// Registers a device.
    fn create_device(
        &mut self,
        name: &str,
        dev_type: &'static str,
        mac: MacAddr,
        link_mtu: u16,
        mode: LinkMode,
        link_up: bool,
    ) -> Result<SwIfIndex, ApiError> {
        let spec = DeviceSpec {
            name: name.to_owned(),
            dev_type,
            mac,
            link_mtu,
            mode,
            link_up,
        };
        self.dataplane.create_device_interface(spec).map_err(code)
    }

    fn set_link(&mut self, sw_if_index: SwIfIndex, up: bool) {
        if let Err(error) = self.dataplane.set_link(sw_if_index, up) {
            tracing::debug!(%error, sw_if_index = sw_if_index.0, "no such interface to set the link of");
        }
    }

    /// Connects a device to the workers: where its frames leave, and who serves its queues.
    fn attach(&mut self, sw_if_index: SwIfIndex, port: Port, inlets: Vec<Inlet>) {
        self.set_port(sw_if_index, Some(Arc::new(port)));
        for mut inlet in inlets {
            inlet.mode = self.rx_mode(sw_if_index, inlet.queue_id);
            let worker = self.least_loaded();
            self.placements
                .insert((sw_if_index, inlet.queue_id), worker);
            self.tell(worker, Command::Serve(inlet));
        }
    }

    /// Disconnects a device from the workers; afterwards no worker touches its queues.
    fn detach(&mut self, sw_if_index: SwIfIndex) {
        self.set_port(sw_if_index, None);
        self.placements.retain(|(of, _), _| *of != sw_if_index);
        self.commit();
        let waits: Vec<_> = self
            .workers
            .iter()
            .map(|worker| {
                let (done, answer) = sync_channel(1);
                worker.mailbox.put(Command::Abandon { sw_if_index, done });
                answer
            })
            .collect();
        for wait in waits {
            if wait.recv_timeout(WORKER_ANSWER_MAX).is_err() {
                tracing::error!(
                    sw_if_index = sw_if_index.0,
                    "worker does not let go of an interface"
                );
            }
        }
    }

    /// Forgets the modes of an interface that goes away.
    fn forget_rx_modes(&mut self, sw_if_index: SwIfIndex) {
        self.rx_modes.retain(|(of, _), _| *of != sw_if_index);
    }

    fn set_port(&mut self, sw_if_index: SwIfIndex, port: Option<Arc<Port>>) {
        let at = sw_if_index.0 as usize;
        let ports = Arc::make_mut(&mut self.ports);
        if ports.len() <= at {
            ports.resize(at + 1, None);
        }
        if let Some(place) = ports.get_mut(at) {
            *place = port;
        }
        self.ports_changed = true;
    }

    fn least_loaded(&self) -> usize {
        let load = |worker: &usize| {
            self.placements
                .values()
                .filter(|placed| *placed == worker)
                .count()
        };
        (0..self.workers.len()).min_by_key(load).unwrap_or_default()
    }
}

/// Translates the dataplane's error into VPP's.
pub fn code(error: vswitch::ApiError) -> ApiError {
    ApiError::from(error.retval())
}

/// Reports a failed system call on a device the way VPP does: a code to the client, the reason to the log.
fn refused(what: &str, name: &str, error: &(dyn std::error::Error + 'static)) -> ApiError {
    tracing::warn!(what, name, error, "device cannot be set up");
    ApiError::SyscallError1
}

/// A locally administered MAC that the same `seed` always gives: neighbours keep their caches over a restart.
fn stable_mac(seed: &[u8]) -> MacAddr {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01b3;
    let hash = seed.iter().fold(OFFSET, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(PRIME)
    });
    let [a, b, c, d, ..] = (hash ^ (hash >> 32)).to_le_bytes();
    MacAddr([0x02, 0xfe, a, b, c, d])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stable_mac_is_local_unicast_and_tells_seeds_apart() {
        let (one, other) = (stable_mac(b"one"), stable_mac(b"other"));
        assert_eq!(one, stable_mac(b"one"));
        assert_ne!(one, other);
        assert_eq!(one.0[..2], [0x02, 0xfe]);
    }
}
