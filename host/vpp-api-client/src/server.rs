//! A server of the same protocol: sockets and framing here, meaning in the handlers of a
//! [`Router`].
//!
//! All handlers run one by one on one thread, the *owner*, in the order the requests arrived, as on
//! VPP's main thread; what takes long has a thread of its own ([`Router::on_slow`]). Connections only cut frames; each may hold a bounded number of bytes that
//! its client did not read yet. As in VPP, a request that is unknown or does not decode gets no
//! answer; unlike VPP it is counted and logged, and whoever breaks a limit is disconnected.

mod accept;
mod caller;
mod outbox;
mod owner;
mod peer;
mod router;
mod slow;
mod stats;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;

pub use accept::{ServeError, Server};
pub use caller::{Caller, ClientId, DetailsSink, EventSink};
pub use owner::{Handle, Stopped};
pub use router::Router;
pub use stats::{PublishError, StatsListener, StatsPublisher, stats_segment};

/// What a client may cost.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Connections at a time; further ones are closed at once.
    pub clients_max: usize,
    /// Bytes of one request.
    pub request_bytes_max: usize,
    /// Unread bytes beyond which no further requests of the client are taken.
    pub unread_bytes_high: usize,
    /// Unread bytes beyond which the client is disconnected.
    pub unread_bytes_max: usize,
    /// How long a client with unread bytes may read nothing.
    pub stall_max: Duration,
    /// Requests of all clients waiting for the owner.
    pub requests_waiting_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            clients_max: 128,
            request_bytes_max: 1 << 20,
            unread_bytes_high: 256 << 10,
            unread_bytes_max: 512 << 20,
            stall_max: Duration::from_secs(10),
            requests_waiting_max: 1024,
        }
    }
}

/// Why a client was disconnected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Farewell {
    /// It closed the connection.
    #[error("closed by the client")]
    Closed,
    /// It said so.
    #[error("registration deleted")]
    Deregistered,
    /// It broke the framing.
    #[error(transparent)]
    Frame(#[from] vpp_api::frame::FrameError),
    /// It did not begin with `sockclnt_create`.
    #[error("not registered")]
    Unregistered,
    /// It left too much unread.
    #[error("{unread} bytes left unread exceed the limit of {max}")]
    Backlog {
        /// Bytes waiting.
        unread: usize,
        /// The limit.
        max: usize,
    },
    /// It read nothing for too long.
    #[error("nothing read for {0:?}")]
    Stalled(Duration),
    /// There were enough already.
    #[error("more than {0} clients")]
    TooMany(usize),
    /// The socket failed.
    #[error("socket error {0}")]
    Io(std::io::ErrorKind),
    /// The server stopped.
    #[error("the server stopped")]
    Stopped,
}

impl Farewell {
    /// Says whether nothing went wrong.
    #[must_use]
    pub fn is_orderly(&self) -> bool {
        matches!(self, Self::Closed | Self::Deregistered | Self::Stopped)
    }
}

/// What happened so far.
#[derive(Debug, Default)]
pub struct Counters {
    /// Connections taken.
    pub accepted: AtomicU64,
    /// Connections closed because there were too many.
    pub rejected: AtomicU64,
    /// Connections closed for another broken limit.
    pub evicted: AtomicU64,
    /// Requests carried out.
    pub requests: AtomicU64,
    /// Requests of an id no one handles.
    pub unknown: AtomicU64,
    /// Requests that did not decode.
    pub malformed: AtomicU64,
    /// Answers that did not encode.
    pub unencodable: AtomicU64,
}

impl Counters {
    fn count(counter: &AtomicU64) {
        counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

type SharedCounters = Arc<Counters>;
