//! Packet functions of the workers: what the API asks for, and each worker's instances, which the graph calls.
//!
//! Whole packets are copied into the window of an instance, and out of it only when the function changed them. An
//! instance belongs to one worker: what a function remembers of a flow is what that worker saw of it.

#[cfg(not(feature = "functions"))]
mod absent;
#[cfg(feature = "functions")]
mod sandbox;

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use vpp_api::ApiError;
use vswitch::Nanos;
use vswitch::function::{HookFault, Job, PacketHook};

use crate::device::port::Tails;

#[cfg(not(feature = "functions"))]
pub use absent::{Instance, Loader};
#[cfg(feature = "functions")]
pub use sandbox::{Instance, Loader};

/// Largest component file, in bytes.
pub const MODULE_BYTES_MAX: u64 = 32 << 20;
/// Memory of an instance, unless asked for otherwise.
pub const MEMORY_MIB: u32 = 64;
/// Most memory of an instance.
pub const MEMORY_MIB_MAX: u32 = 1024;
/// Time of one call, unless asked for otherwise.
pub const DEADLINE: Duration = Duration::from_millis(50);
/// Longest time of one call: no other packet of the worker moves meanwhile.
pub const DEADLINE_MAX: Duration = Duration::from_secs(1);

/// What a function is made of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FunctionSpec {
    /// Unique name.
    pub name: String,
    /// Path of the component.
    pub module: PathBuf,
    /// JSON document.
    pub config: String,
    /// Packets pass while it fails.
    pub fail_open: bool,
    /// Most memory of an instance.
    pub memory_mib: u32,
    /// Longest time of one call.
    pub deadline: Duration,
}

/// Why a function cannot be put in service. What is in service stays.
#[derive(Debug, thiserror::Error)]
pub enum FunctionError {
    /// The file cannot be read.
    #[error("read module `{}`", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        source: io::Error,
    },
    /// The file is too large.
    #[error("module `{}` has {bytes} bytes, more than {MODULE_BYTES_MAX}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
    },
    /// It is no packet function, or wants what is not granted.
    #[error("load module `{}`", path.display())]
    NotLoaded {
        /// The file.
        path: PathBuf,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// It does not start with this configuration.
    #[error("start function `{name}`")]
    NotStarted {
        /// The function.
        name: String,
        /// Why.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// This binary was built without them.
    #[error(
        "this dataplane was built without packet functions\nhint: build with the cargo feature `functions`"
    )]
    Absent,
}

impl FunctionError {
    /// What an API client is told.
    pub const fn code(&self) -> ApiError {
        match self {
            Self::Unreadable { .. } => ApiError::SyscallError1,
            Self::TooLarge { .. } => ApiError::LimitExceeded,
            Self::NotLoaded { .. } => ApiError::InitFailed,
            Self::NotStarted { .. } => ApiError::InvalidArgument,
            Self::Absent => ApiError::Unimplemented,
        }
    }
}

/// What an instance says about itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Report {
    /// Name and version of the module.
    pub about: String,
    /// Calls and starts that failed.
    pub faults: u64,
    /// Why the last one did.
    pub last_fault: String,
    /// What the function itself counts.
    pub counters: Vec<(String, u64)>,
}

/// The instances of one worker, by function.
#[derive(Debug, Default)]
pub struct Functions {
    instances: Vec<Option<Box<Instance>>>,
}

impl Functions {
    /// Puts an instance in service, in the place and with the state of its predecessor; or ends one.
    pub fn set(&mut self, function: u32, next: Option<Box<Instance>>) {
        let at = function as usize;
        if self.instances.len() <= at {
            self.instances.resize_with(at + 1, || None);
        }
        if let Some(place) = self.instances.get_mut(at) {
            match (place, next) {
                (Some(serving), Some(next)) => serving.swap(*next),
                (place, next) => *place = next,
            }
        }
    }

    /// Asks an instance about itself.
    pub fn report(&mut self, function: u32) -> Option<Report> {
        let instance = self.instances.get_mut(function as usize)?.as_mut()?;
        Some(instance.report())
    }

    /// Whether there is nothing to call.
    pub fn is_empty(&self) -> bool {
        self.instances.iter().all(Option::is_none)
    }

    /// Lets instances do their housekeeping when it is due.
    pub fn tick(&mut self, now: Nanos) {
        for instance in self.instances.iter_mut().flatten() {
            instance.tick(now);
        }
    }

    /// When [`Functions::tick`] is due next.
    pub fn next_tick(&self) -> Option<Nanos> {
        let instances = self.instances.iter().flatten();
        instances.filter_map(|instance| instance.next_tick()).min()
    }
}

/// What the graph calls: the instances, and where the bytes of the packets are.
#[derive(Debug)]
pub struct Hook<'a> {
    /// The instances of the worker.
    pub functions: &'a mut Functions,
    /// The bytes behind the heads.
    pub tails: Tails<'a>,
}

impl PacketHook for Hook<'_> {
    fn process(&mut self, function: u32, job: &mut Job<'_>, now: Nanos) -> Result<(), HookFault> {
        let instance = self.functions.instances.get_mut(function as usize);
        match instance.and_then(Option::as_mut) {
            Some(instance) => instance.process(job, &mut self.tails, now),
            None => Err(HookFault::Absent),
        }
    }
}
