//! The worker thread: polls all links in turn, sleeps when they are idle, takes commands between two
//! batches.

use std::collections::BTreeMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, TryRecvError, TrySendError};
use std::time::{Duration, Instant};

use memif_rs::{BurstError, Client, DisconnectReason, Event};
use rustix::event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll};
use tokio::sync::oneshot;
use weft_sdk::Nanos;

use crate::counters::Counters;
use crate::plane::Plane;

/// Rounds without a frame before the worker sleeps.
const IDLE_ROUNDS: u32 = 500;
/// Rounds with frames between two looks at the control channels.
const CONTROL_ROUNDS: u32 = 256;
/// Longest sleep: bounds the harm of a doorbell that never comes.
const SLEEP_MAX: Duration = Duration::from_millis(500);
/// Commands waiting for the worker.
const COMMANDS_MAX: usize = 16;

/// What the control side asks between two batches.
pub(crate) enum Command<N> {
    Stats(oneshot::Sender<Stats>),
    /// Answers how long no batch could run.
    Swap(N, oneshot::Sender<Duration>),
    Stop,
}

/// A picture of the worker.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    pub(crate) ports: Vec<PortStats>,
    pub(crate) drops: BTreeMap<String, u64>,
    pub(crate) function: BTreeMap<String, u64>,
    pub(crate) faults: u64,
    pub(crate) last_fault: String,
}

/// A link of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct PortStats {
    pub(crate) name: String,
    pub(crate) up: bool,
    pub(crate) rx: u64,
    pub(crate) tx: u64,
    pub(crate) last_disconnect: String,
}

/// The other side of a worker.
pub(crate) struct Handle<N> {
    commands: SyncSender<Command<N>>,
    doorbell: Arc<OwnedFd>,
}

impl<N> Clone for Handle<N> {
    fn clone(&self) -> Self {
        Self {
            commands: self.commands.clone(),
            doorbell: Arc::clone(&self.doorbell),
        }
    }
}

/// A command that the worker did not take.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CommandError {
    #[error("worker is busy with {COMMANDS_MAX} commands; hint: try again")]
    Busy,
    #[error("worker has stopped")]
    Stopped,
}

impl<N> Handle<N> {
    pub(crate) fn send(&self, command: Command<N>) -> Result<(), CommandError> {
        self.commands.try_send(command).map_err(|e| match e {
            TrySendError::Full(_) => CommandError::Busy,
            TrySendError::Disconnected(_) => CommandError::Stopped,
        })?;
        // A full counter has rung already.
        let _rung = rustix::io::write(&*self.doorbell, &1_u64.to_ne_bytes());
        Ok(())
    }
}

/// One link's control channel.
pub(crate) struct Control {
    pub(crate) name: String,
    pub(crate) client: Client,
}

/// The loop and all that it owns.
pub(crate) struct Worker<P: Plane> {
    plane: P,
    links: Vec<Control>,
    ports: Vec<PortStats>,
    counters: Counters,
    commands: Receiver<Command<P::Next>>,
    doorbell: Arc<OwnedFd>,
    started: Instant,
}

impl<P: Plane> Worker<P> {
    /// A worker that is not running yet, and the handle to it.
    ///
    /// # Errors
    /// What the kernel says when it has no eventfd left.
    pub(crate) fn new(
        plane: P,
        links: Vec<Control>,
        started: Instant,
    ) -> std::io::Result<(Self, Handle<P::Next>)> {
        let doorbell = Arc::new(eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?);
        let (sender, commands) = std::sync::mpsc::sync_channel(COMMANDS_MAX);
        let ports: Vec<PortStats> = links
            .iter()
            .map(|l| PortStats {
                name: l.name.clone(),
                ..PortStats::default()
            })
            .collect();
        let counters = Counters::new(ports.len());
        let handle = Handle {
            commands: sender,
            doorbell: Arc::clone(&doorbell),
        };
        Ok((
            Self {
                plane,
                links,
                ports,
                counters,
                commands,
                doorbell,
                started,
            },
            handle,
        ))
    }

    /// Runs until told to stop, or until all handles are gone.
    ///
    /// # Errors
    /// What the kernel says when a control channel cannot be worked any more.
    pub(crate) fn run(mut self) -> std::io::Result<()> {
        let mut idle = 0;
        let mut rounds = 0;
        loop {
            if self.take_commands() {
                return Ok(());
            }
            if rounds % CONTROL_ROUNDS == 0 {
                self.drive()?;
            }
            rounds = rounds.wrapping_add(1);
            let now = self.now();
            self.plane.tick(now);
            if self.poll(now) > 0 {
                idle = 0;
                continue;
            }
            idle += 1;
            if idle >= IDLE_ROUNDS {
                self.sleep()?;
                idle = 0;
                rounds = 0;
            }
        }
    }

    fn now(&self) -> Nanos {
        Nanos(u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX))
    }

    fn poll(&mut self, now: Nanos) -> usize {
        let mut moved = 0;
        for port in 0..self.links.len() {
            match self.plane.poll(port, now, &mut self.counters) {
                Ok(frames) => moved += frames,
                Err(error) => {
                    self.plane.detach(port);
                    if let Some(link) = self.links.get_mut(port) {
                        tracing::error!(interface = %link.name, %error, "link is given up");
                        link.client.disconnect(match error {
                            BurstError::Ring(error) => DisconnectReason::Ring(error),
                            BurstError::Arena(_) => DisconnectReason::Requested,
                        });
                    }
                }
            }
        }
        moved
    }

    /// True when the worker is to stop.
    fn take_commands(&mut self) -> bool {
        loop {
            match self.commands.try_recv() {
                // Whoever asked may have given up.
                Ok(Command::Stats(reply)) => {
                    let _unheard = reply.send(self.stats());
                }
                Ok(Command::Swap(next, reply)) => {
                    let begun = Instant::now();
                    self.plane.swap(next);
                    let _unheard = reply.send(begun.elapsed());
                }
                Ok(Command::Stop) | Err(TryRecvError::Disconnected) => return true,
                Err(TryRecvError::Empty) => return false,
            }
        }
    }

    fn stats(&mut self) -> Stats {
        let (faults, last_fault) = self.plane.faults();
        let mut ports = self.ports.clone();
        for (port, counters) in ports.iter_mut().zip(&self.counters.ports) {
            port.rx = counters.rx;
            port.tx = counters.tx;
        }
        let drops = self.counters.drops.by_name();
        Stats {
            ports,
            drops,
            function: self.plane.function_counters(),
            faults,
            last_fault,
        }
    }

    fn drive(&mut self) -> std::io::Result<()> {
        let now = Instant::now();
        for (port, link) in self.links.iter_mut().enumerate() {
            link.client.drive(now)?;
            while let Some(event) = link.client.poll_event() {
                let Some(state) = self.ports.get_mut(port) else {
                    continue;
                };
                match event {
                    Event::Connected {
                        link: connected, ..
                    } => {
                        tracing::info!(interface = %link.name, peer = %connected.peer.app, "link is up");
                        state.up = true;
                        self.plane.attach(port, connected.queues);
                    }
                    Event::Disconnected { reason, .. } => {
                        tracing::warn!(interface = %link.name, %reason, "link is down");
                        state.up = false;
                        state.last_disconnect = reason.to_string();
                        self.plane.detach(port);
                    }
                    Event::Refused { reason, .. } => {
                        let text = reason.to_string();
                        if state.last_disconnect != text {
                            tracing::warn!(interface = %link.name, %reason, "link is refused");
                            state.last_disconnect = text;
                        }
                    }
                }
            }
        }
        Ok(())
    }

    /// Waits for a doorbell, a control message, a command or a timer.
    fn sleep(&mut self) -> std::io::Result<()> {
        self.drive()?;
        if !self.plane.arm() {
            let timeout = self.timeout();
            let mut fds = vec![PollFd::new(&*self.doorbell, PollFlags::IN)];
            fds.extend(
                self.links
                    .iter()
                    .map(|l| PollFd::from_borrowed_fd(l.client.as_fd(), PollFlags::IN)),
            );
            fds.extend(
                self.plane
                    .doorbells()
                    .into_iter()
                    .map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)),
            );
            match poll(&mut fds, Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        self.plane.disarm();
        let _rung = rustix::io::read(&*self.doorbell, &mut [0_u8; 8]);
        Ok(())
    }

    fn timeout(&self) -> Timespec {
        let now = Instant::now();
        let control = self.links.iter().filter_map(|l| l.client.poll_timeout());
        let control = control.map(|at| at.saturating_duration_since(now)).min();
        let tick = self
            .plane
            .next_tick()
            .map(|at| Duration::from_nanos(at.0.saturating_sub(self.now().0)));
        let wait = [control, tick]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(SLEEP_MAX)
            .min(SLEEP_MAX);
        Timespec {
            tv_sec: wait.as_secs().cast_signed(),
            tv_nsec: i64::from(wait.subsec_nanos()),
        }
    }
}

#[cfg(test)]
mod tests;
