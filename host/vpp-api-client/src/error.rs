//! What can go wrong on a connection, and between which words.

use std::path::PathBuf;
use std::sync::Arc;

use vpp_api::frame::FrameError;
use vpp_api::table::Missing;
use vpp_api::{ApiError, CodecError};

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The socket could not be reached in time.
    #[error("connect to `{}`\nhint: is VPP running, with `socksvr` configured?", path.display())]
    Unreachable {
        /// The socket.
        path: PathBuf,
        /// The last attempt's error.
        source: std::io::Error,
    },
    /// The handshake went wrong.
    #[error("handshake on `{}`: {reason}", path.display())]
    Handshake {
        /// The socket.
        path: PathBuf,
        /// What happened.
        reason: Disconnect,
    },
    /// Required messages are missing.
    #[error("`{}` cannot be used", path.display())]
    Incompatible {
        /// The socket.
        path: PathBuf,
        /// What is missing.
        source: Incompatible,
    },
    /// The client's name does not fit.
    #[error("client name")]
    Name(#[from] vpp_api::TextError),
}

/// The messages the other side lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Incompatible(pub Vec<Missing>);

impl std::fmt::Display for Incompatible {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} messages are missing:", self.0.len())?;
        self.0
            .iter()
            .try_for_each(|missing| write!(f, "\n  {missing}"))?;
        f.write_str("\nhint: another VPP release, or a plugin that is not loaded")
    }
}

impl std::error::Error for Incompatible {}

/// Why a connection ended.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Disconnect {
    /// The other side closed it.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// We closed it.
    #[error("the connection was closed")]
    Closed,
    /// The socket failed.
    #[error("the socket failed")]
    Io(#[source] Arc<std::io::Error>),
    /// The stream cannot be cut into frames any more.
    #[error("the peer broke the framing")]
    Frame(#[from] FrameError),
    /// A message does not decode.
    #[error("the peer sent nonsense")]
    Codec(#[from] CodecError),
    /// The peer refused to register us.
    #[error("registration refused with {0}")]
    Refused(i32),
    /// The peer did not answer in time.
    #[error("no answer in time")]
    Silent,
}

impl From<std::io::Error> for Disconnect {
    fn from(error: std::io::Error) -> Self {
        Self::Io(Arc::new(error))
    }
}

/// Why a request has no result.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The other side said no.
    #[error("`{request}` was refused")]
    Refused {
        /// Name of the request.
        request: &'static str,
        /// Its reason.
        #[source]
        error: ApiError,
    },
    /// No answer in time; it may still be carried out.
    #[error("`{request}` was not answered in time")]
    Deadline {
        /// Name of the request.
        request: &'static str,
    },
    /// The other side does not have the message.
    #[error("`{request}` is not supported")]
    Unsupported {
        /// Name of the request.
        request: &'static str,
        /// Which message lacks.
        #[source]
        missing: Missing,
    },
    /// The message cannot be put on or taken off the wire.
    #[error("`{request}` does not fit the wire")]
    Codec {
        /// Name of the request.
        request: &'static str,
        /// Where.
        #[source]
        error: CodecError,
    },
    /// More details than the limit.
    #[error("`{request}` yields more than {max} bytes")]
    TooBig {
        /// Name of the request.
        request: &'static str,
        /// The limit.
        max: usize,
    },
    /// The connection ended first.
    #[error("`{request}` was not answered")]
    Disconnected {
        /// Name of the request.
        request: &'static str,
        /// Why it ended.
        #[source]
        reason: Disconnect,
    },
}

impl RequestError {
    /// Returns the code of a refusal.
    #[must_use]
    pub fn api_error(&self) -> Option<ApiError> {
        if let Self::Refused { error, .. } = self {
            Some(*error)
        } else {
            None
        }
    }
}

/// Why there is no next event.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EventError {
    /// Too many came while no one listened; read the state anew.
    #[error("{0} events were missed")]
    Missed(u64),
    /// The connection ended.
    #[error("no more events")]
    Closed,
    /// It does not decode.
    #[error("an event does not decode")]
    Codec(#[from] CodecError),
}
