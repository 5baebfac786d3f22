//! What can go wrong with a module, before and while it runs.

use std::io;
use std::time::Duration;

use weft_sdk::Fault;

use crate::answer::AnswerError;

/// A module that was not taken. Nothing of it ran.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The bytes are no component this host understands.
    #[error("not a module: {0}\nhint: `weft build` makes modules")]
    NotAModule(String),
    /// The file is too large.
    #[error("module of {bytes} bytes is larger than {max} bytes")]
    TooLarge {
        /// Size of the file.
        bytes: usize,
        /// Most this host takes.
        max: usize,
    },
    /// It asks for a capability the operator did not grant.
    #[error("module imports `{0}`, which was not granted\nhint: grant it or build without it")]
    NotGranted(String),
    /// It asks for something this host does not have.
    #[error(
        "module imports `{0}`, which this host does not offer\nhint: modules see only weft:host interfaces; was it built against another version?"
    )]
    Unknown(String),
    /// It is a module, but not of the world that was asked for.
    #[error("module is not a `{world}`: {reason}")]
    WrongWorld {
        /// The world that was asked for.
        world: &'static str,
        /// What is missing.
        reason: String,
    },
    /// The host's own failure.
    #[error("cannot prepare modules on this machine: {0}")]
    Host(String),
}

/// A call of a module that gave no usable answer. The instance is gone; what is in force stays.
#[derive(Debug, thiserror::Error)]
pub enum ModuleFault {
    /// It crashed: what and where.
    #[error("module trapped: {0}")]
    Trap(String),
    /// It did not come back in time.
    #[error("module did not answer within {0:?}")]
    Deadline(Duration),
    /// It wanted more memory than it may have.
    #[error("module needs more than {0} bytes of memory")]
    OutOfMemory(usize),
    /// It saved more state than a successor is handed. It lives on.
    #[error("module saved {bytes} bytes of state, more than {max} bytes")]
    StateTooLarge {
        /// Size of the state.
        bytes: usize,
        /// Most the host hands over.
        max: usize,
    },
    /// It answered, but no host can follow the answer.
    #[error("module gave a bad answer")]
    BadAnswer(#[from] AnswerError),
    /// It chose, but nobody can follow the choice.
    #[error("module made a bad choice")]
    BadChoice(#[from] ChoiceError),
    /// It refused, with a reason.
    #[error("module refused: {0}")]
    Fault(Fault),
    /// An earlier call killed this instance.
    #[error("module instance is dead: make a new one")]
    Dead,
    /// It failed again and again: nothing is tried for a while.
    #[error("module failed again and again: it is not tried for a while")]
    Resting,
    /// The host's own failure.
    #[error("cannot run module: {0}")]
    Host(String),
}

impl ModuleFault {
    /// A short name for metrics and conditions.
    #[must_use]
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Trap(_) => "trap",
            Self::Deadline(_) => "deadline",
            Self::OutOfMemory(_) => "out-of-memory",
            Self::StateTooLarge { .. } => "state-too-large",
            Self::BadAnswer(_) | Self::BadChoice(_) => "bad-answer",
            Self::Fault(_) => "fault",
            Self::Dead => "dead",
            Self::Resting => "resting",
            Self::Host(_) => "host",
        }
    }
}

/// Why a choice cannot be followed. It is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChoiceError {
    /// It names somebody else.
    #[error("`{0}` is no candidate")]
    UnknownInstance(String),
    /// A list of nobody.
    #[error("no candidate at all")]
    Empty,
    /// It names a candidate two times.
    #[error("candidate `{0}` appears twice")]
    Twice(String),
    /// It names a candidate and gives it no chance.
    #[error("candidate `{0}` has no weight")]
    NoWeight(String),
    /// A kind of choice of a later contract.
    #[error("choice `{0}` is not known here")]
    Unknown(String),
}

/// A memory region that cannot be a packet window.
#[derive(Debug, thiserror::Error)]
pub enum WindowError {
    /// The peer could shrink it under the module's feet.
    #[error("window is not sealed against shrinking")]
    NotSealed,
    /// Its size is not a whole number of slots, or nothing, or more than a module can address.
    #[error("window of {bytes} bytes in slots of {slot_bytes} bytes is not usable")]
    Size {
        /// Bytes asked for.
        bytes: usize,
        /// Bytes of a slot.
        slot_bytes: u32,
    },
    /// An offset beyond the region.
    #[error("{length} bytes at {offset} are outside of the arena")]
    Outside {
        /// Start of the access.
        offset: u32,
        /// Its length.
        length: usize,
    },
    /// The kernel refused.
    #[error("cannot map window")]
    Io(#[from] io::Error),
}
