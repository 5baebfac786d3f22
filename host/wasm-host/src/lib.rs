//! Runs Weft's WebAssembly components under limits and grants.
//!
//! Two sandboxes, two engines ([`EngineSet`]). A control-plane module ([`ClassifierModule`], [`SteeringModule`]) gets a
//! fresh instance per answer and the answer is checked before anyone sees it. A packet function ([`PacketModule`]) gets one
//! long-lived instance per worker, with the packet buffers mapped into its memory ([`Window`]), so that it edits
//! frames where the network's peer sees them. Both stop at a deadline and at a memory ceiling, and neither loads
//! if it imports what was not granted ([`Grants`]).
//!
//! Calls block, for at most the deadline: callers with an event loop give them a thread.
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod answer;
mod backoff;
mod bindings;
mod capability;
mod classifier;
mod control;
mod engine;
mod fault;
mod grants;
mod limits;
mod load;
mod packet_function;
mod service;
mod state;
mod steering;
mod ticker;
mod window;

pub use crate::answer::AnswerError;
pub use crate::capability::{KeyValueScope, Metrics, ReadOnlyDir};
pub use crate::classifier::ClassifierModule;
pub use crate::engine::EngineSet;
pub use crate::fault::{ChoiceError, LoadError, ModuleFault, WindowError};
pub use crate::grants::Grants;
pub use crate::limits::Limits;
pub use crate::packet_function::{BatchReport, PacketInstance, PacketModule, REFUSED, Setup};
pub use crate::service::{PacketService, ServiceSetup};
pub use crate::steering::SteeringModule;
pub use crate::window::{Arena, Window};

#[cfg(test)]
mod tests;
