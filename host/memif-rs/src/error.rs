//! Why a link ended: closed enums, so that every end has a name and can key a counter.

use std::io;

use crate::{config::Mode, proto::MessageKind};

/// Why a link, or an attempt at one, ended.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DisconnectReason {
    /// This side asked for it.
    #[error("disconnected on request")]
    Requested,
    /// The interface was removed from this side.
    #[error("interface removed")]
    Removed,
    /// The peer closed the control channel without a word, for instance because its process died.
    #[error("peer closed the control channel")]
    PeerClosed,
    /// The peer said why it leaves.
    #[error("peer disconnected with code {code}: `{text}`")]
    PeerDisconnected {
        /// Its code; most peers send 0.
        code: u32,
        /// Its reason, made printable.
        text: String,
    },
    /// The handshake took too long.
    #[error("handshake timed out")]
    HandshakeTimeout,
    /// The socket failed.
    #[error("control channel failed: {0}")]
    Transport(io::ErrorKind),
    /// The peer broke the protocol or asked for what it may not have.
    #[error("{0}")]
    Protocol(#[from] ProtocolError),
    /// Memory that the peer brought, or that we made, is unusable.
    #[error("{0}")]
    Region(#[from] RegionError),
    /// The peer broke the rules of a ring.
    #[error("{0}")]
    Ring(#[from] RingError),
}

impl DisconnectReason {
    /// The code of our DISCONNECT message: 0 for an orderly end, else one number per class.
    #[must_use]
    pub const fn code(&self) -> u32 {
        match self {
            Self::Requested | Self::Removed | Self::PeerClosed | Self::PeerDisconnected { .. } => 0,
            Self::HandshakeTimeout => 1,
            Self::Transport(_) => 2,
            Self::Protocol(_) => 3,
            Self::Region(_) => 4,
            Self::Ring(_) => 5,
        }
    }
}

impl From<io::Error> for DisconnectReason {
    fn from(error: io::Error) -> Self {
        Self::Transport(error.kind())
    }
}

/// A control message that cannot be accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ProtocolError {
    /// Messages are exactly 128 bytes.
    #[error("invalid message size {0}")]
    MessageSize(usize),
    /// No such message type.
    #[error("unknown message type {0}")]
    UnknownMessage(u16),
    /// A message that has no place at this point.
    #[error("unexpected message {0:?}")]
    UnexpectedMessage(MessageKind),
    /// A message came without the file descriptor it needs.
    #[error("missing file descriptor in {0:?}")]
    MissingFd(MessageKind),
    /// A message came with a file descriptor it must not have.
    #[error("unexpected file descriptor in {0:?}")]
    UnexpectedFd(MessageKind),
    /// More than one file descriptor in one message.
    #[error("too many file descriptors in one message")]
    TooManyFds,
    /// The peer does not speak version 2.0.
    #[error("incompatible memif version {min:#06x}..{max:#06x}")]
    Version {
        /// Lowest version of the peer.
        min: u16,
        /// Highest version of the peer.
        max: u16,
    },
    /// The listener has no interface of this id.
    #[error("unmatched interface id {0}")]
    UnknownInterface(u32),
    /// The interface has a peer already.
    #[error("already connected")]
    AlreadyConnected,
    /// The two sides differ in mode.
    #[error("mode mismatch, expected {0:?}")]
    ModeMismatch(Mode),
    /// The interface wants a secret and got none.
    #[error("secret required")]
    SecretRequired,
    /// The secret is wrong.
    #[error("incorrect secret")]
    SecretIncorrect,
    /// Regions must be numbered in order from 0.
    #[error("unexpected region index {0}")]
    RegionIndex(u16),
    /// More regions than allowed.
    #[error("too many regions")]
    TooManyRegions,
    /// A region is empty or larger than allowed.
    #[error("invalid region size {0}")]
    RegionSize(u64),
    /// Rings must be numbered in order from 0, per direction.
    #[error("unexpected ring index {0}")]
    RingIndex(u16),
    /// More rings than allowed.
    #[error("too many rings")]
    TooManyRings,
    /// The ring is larger than allowed.
    #[error("invalid log2 ring size {0}")]
    RingSize(u8),
    /// A ring names a region that does not exist.
    #[error("ring in unknown region {0}")]
    RingRegion(u16),
    /// Private ring headers are not supported.
    #[error("private headers not supported")]
    PrivateHeader,
    /// The peer connected without any ring.
    #[error("no rings")]
    NoRings,
    /// A ring's wake-up descriptor is not an eventfd.
    #[error("ring interrupt is not an eventfd")]
    NotEventFd,
}

/// Memory that cannot be shared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    /// The file is not memory: not a regular file.
    #[error("region {0} is not a memory file")]
    NotMemory(u16),
    /// The file is shorter than the peer says.
    #[error("region {0} is shorter than declared")]
    TooShort(u16),
    /// The file can be truncated under us; hint: seal it with `F_SEAL_SHRINK` or trust the peer.
    #[error("region {0} is not sealed against shrinking")]
    NotSealed(u16),
    /// The kernel refused to create or map it.
    #[error("failed to map region {0}: {1}")]
    Map(u16, io::ErrorKind),
    /// A ring does not fit its region, or is not aligned to 8 bytes.
    #[error("ring outside of region {0}")]
    RingOutside(u16),
    /// A ring does not start with the memif cookie.
    #[error("wrong cookie in a ring of region {0}")]
    Cookie(u16),
    /// The arenas of a client do not fit its queues, or a size overflows.
    #[error(
        "buffers do not fit the rings; hint: bring one arena per queue, each at least as large as one ring"
    )]
    Layout,
}

/// A peer's breach of the ring rules; the queue refuses all work afterwards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RingError {
    /// An index moved by more than what the ring holds.
    #[error("ring index jumped by {0}")]
    IndexJump(u16),
    /// A descriptor names a region that does not exist.
    #[error("descriptor in unknown region {0}")]
    UnknownRegion(u16),
    /// A descriptor reaches out of its region.
    #[error("descriptor outside of region {0}")]
    OutsideRegion(u16),
    /// A buffer came back longer than it is.
    #[error("descriptor of {0} bytes exceeds its buffer")]
    TooLong(u32),
    /// A frame has more than [`SEGMENTS_MAX`](crate::SEGMENTS_MAX) descriptors, or never ends.
    #[error("descriptor chain too long")]
    ChainTooLong,
}
