//! Write packet functions and classifiers once; run them native or as sandboxed WebAssembly.
//!
//! A *packet function* ([`PacketFunction`]) sees batches of frames and gives each a [`Verdict`]. A *classifier*
//! ([`Classifier`]) sees a picture of a chain and answers with rules. Both are plain Rust types: unit tests call
//! them directly (see [`test`]), a native CNF runs them in its own process, and the export macros turn the
//! same source into a component whose imports are the capabilities it needs.
//!
//! ```
//! use weft_sdk::prelude::*;
//!
//! #[derive(Default)]
//! struct Wire;
//!
//! impl PacketFunction for Wire {
//!     fn configure(&mut self, _config: &str, _ports: &[Port]) -> Result<(), Fault> {
//!         Ok(())
//!     }
//!     fn process(&mut self, batch: &mut Batch<'_>) {
//!         batch.for_each(|packet| packet.forward(packet.port().opposite()));
//!     }
//!     fn counters(&self) -> Vec<(String, u64)> {
//!         Vec::new()
//!     }
//! }
//!
//! weft_sdk::export_packet_function!(Wire);
//! ```
#![deny(missing_docs)]

pub mod batch;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod bindings;
pub mod classifier;
pub mod config;
pub mod descriptor;
mod export;
pub mod fault;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
pub mod log;
pub mod packet_function;
pub mod test;
#[cfg(all(test, not(target_arch = "wasm32")))]
mod wit_drift;

pub use packet;

pub use crate::batch::{Batch, Packet, Verdict};
pub use crate::classifier::{
    Action, Chain, Classifier, Endpoint, Hop, IpPrefix, IpProtocol, MatchSpec, PortRange, Rule,
    RuleSet, View,
};
pub use crate::descriptor::Descriptor;
pub use crate::fault::{About, Fault, FaultKind};
pub use crate::packet_function::{Nanos, PacketFunction, Port, PortId};

/// What an author imports.
pub mod prelude {
    pub use crate::{
        Action, Batch, Classifier, Endpoint, Fault, FaultKind, IpPrefix, IpProtocol, MatchSpec,
        Nanos, Packet, PacketFunction, Port, PortId, PortRange, Rule, RuleSet, Verdict, View,
        config,
    };
}
