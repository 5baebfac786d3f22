//! Messages between the main thread and the workers.

use std::io;
use std::net::IpAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::SyncSender;

use nix::sys::eventfd::{EfdFlags, EventFd};
use parking_lot::Mutex;
use tokio::sync::mpsc;
use vswitch::trace::{NodeFilter, TraceSpec};
use vswitch::{Event, SwIfIndex};

use crate::device::inlet::{Inlet, RxMode};
use crate::function::{Instance, Report};
use crate::pcap::Capture;

/// Notices waiting for the main thread; a worker drops what does not fit, since all of it is learned again.
pub const NOTICES_MAX: usize = 4096;

/// An order to a worker.
#[derive(Debug)]
pub enum Command {
    /// Receive from this queue.
    Serve(Inlet),
    /// Stop receiving from an interface; `done` is told when no queue of it is touched any more.
    Abandon {
        /// The interface.
        sw_if_index: SwIfIndex,
        /// Told at the end.
        done: SyncSender<()>,
    },
    /// Stop receiving from one queue and hand it over; `to` gets none when it is not served here.
    Yield {
        /// The interface.
        sw_if_index: SwIfIndex,
        /// The queue.
        queue_id: u32,
        /// Gets the queue.
        to: SyncSender<Option<Inlet>>,
    },
    /// Ask these neighbours whether they are still there.
    Probe(Vec<(SwIfIndex, IpAddr)>),
    /// Receive from a queue, or all queues of an interface, in this way.
    Mode {
        /// The interface.
        sw_if_index: SwIfIndex,
        /// The queue; all when absent.
        queue_id: Option<u32>,
        /// How.
        mode: RxMode,
    },
    /// Go on with this graph, the old one is suspect.
    Graph(Box<vswitch::Worker>),
    /// Run this instance of a packet function from the next batch on, or no more.
    Function {
        /// Which function.
        function: u32,
        /// The instance.
        instance: Option<Box<Instance>>,
        /// Told when it is so.
        done: SyncSender<()>,
    },
    /// Tell about an instance of a packet function.
    FunctionReport {
        /// Which function.
        function: u32,
        /// Where to.
        reply: SyncSender<Report>,
    },
    /// Packet tracing.
    Trace(TraceCommand),
    /// Capture packets, or no more; `done` is told when the capture before is not used any longer.
    Capture {
        /// The capture.
        capture: Option<Arc<Capture>>,
        /// Told at the end.
        done: SyncSender<()>,
    },
    /// End the thread.
    Stop,
}

/// An order about packet tracing.
#[derive(Clone, Debug)]
pub enum TraceCommand {
    /// Trace the next packets.
    Start(TraceSpec),
    /// Trace no more packets.
    Stop,
    /// Forget traced packets.
    Clear,
    /// Show traced packets.
    Show {
        /// Which of them.
        filter: Option<NodeFilter>,
        /// Where to.
        reply: SyncSender<Vec<String>>,
    },
}

/// News from a worker.
#[derive(Debug)]
pub enum Notice {
    /// The graph learned something.
    Learned(Event),
    /// A queue is dead and no longer served.
    QueueFailed {
        /// Its interface.
        sw_if_index: SwIfIndex,
        /// Whether the memif peer broke the protocol.
        is_ring: bool,
    },
    /// A batch was lost to a panic.
    Panicked {
        /// Which worker.
        worker: usize,
    },
}

/// Orders for one worker, and the means to wake it.
#[derive(Debug)]
pub struct Mailbox {
    commands: Mutex<Vec<Command>>,
    is_filled: AtomicBool,
    waker: EventFd,
    /// Batches lost to panics.
    pub panics: AtomicU64,
}

impl Mailbox {
    /// Makes an empty mailbox.
    pub fn new() -> io::Result<Self> {
        Ok(Self {
            commands: Mutex::default(),
            is_filled: AtomicBool::new(false),
            waker: EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?,
            panics: AtomicU64::new(0),
        })
    }

    /// Adds an order and wakes the worker.
    pub fn put(&self, command: Command) {
        self.commands.lock().insert(0, command);
        self.is_filled.store(true, Ordering::Release);
        if let Err(error) = self.waker.write(1) {
            tracing::debug!(%error, "worker has wake-ups enough");
        }
    }

    /// Takes the oldest order; costs one atomic load when there is none.
    pub fn take(&self) -> Option<Command> {
        if !self.is_filled.load(Ordering::Acquire) {
            return None;
        }
        let mut commands = self.commands.lock();
        let command = commands.pop();
        if commands.is_empty() {
            self.is_filled.store(false, Ordering::Release);
        }
        command
    }

    /// Takes the wake-up, once the worker is awake.
    pub fn quiet(&self) {
        if let Err(error) = self.waker.read() {
            tracing::trace!(%error, "no wake-up to take");
        }
    }
}

impl AsFd for Mailbox {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.waker.as_fd()
    }
}

/// The way from a worker to the main thread.
#[derive(Clone, Debug)]
pub struct Post {
    notices: mpsc::Sender<Notice>,
    lost: Arc<AtomicU64>,
}

impl Post {
    /// Makes both ends.
    pub fn channel() -> (Self, mpsc::Receiver<Notice>) {
        let (notices, receiver) = mpsc::channel(NOTICES_MAX);
        (
            Self {
                notices,
                lost: Arc::default(),
            },
            receiver,
        )
    }

    /// Sends a notice, or counts it as lost when the main thread is too far behind.
    pub fn send(&self, notice: Notice) {
        if self.notices.try_send(notice).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Notices lost so far.
    pub fn lost(&self) -> u64 {
        self.lost.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_are_taken_in_the_order_they_were_put() {
        let mailbox = Mailbox::new().unwrap();
        assert!(mailbox.take().is_none());
        for max in 1..=3 {
            mailbox.put(Command::Trace(TraceCommand::Start(TraceSpec {
                max,
                ..TraceSpec::default()
            })));
        }
        for expected in 1..=3 {
            let Some(Command::Trace(TraceCommand::Start(TraceSpec { max, .. }))) = mailbox.take()
            else {
                panic!("no order {expected}");
            };
            assert_eq!(max, expected);
        }
        assert!(mailbox.take().is_none());
    }

    #[test]
    fn an_order_wakes_once() {
        let mailbox = Mailbox::new().unwrap();
        mailbox.put(Command::Stop);
        mailbox.put(Command::Stop);
        mailbox.quiet();
        assert!(mailbox.waker.read().is_err(), "still awake");
    }

    #[test]
    fn news_beyond_the_limit_is_counted_and_dropped() {
        let (post, mut notices) = Post::channel();
        for worker in 0..NOTICES_MAX + 3 {
            post.send(Notice::Panicked { worker });
        }
        assert_eq!(post.lost(), 3);
        assert!(matches!(
            notices.try_recv(),
            Ok(Notice::Panicked { worker: 0 })
        ));
    }
}
