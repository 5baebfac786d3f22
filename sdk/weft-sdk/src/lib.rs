//! Write packet functions, classifiers and steering once; run them native or as sandboxed WebAssembly.
//!
//! A *packet function* ([`PacketFunction`]) sees batches of frames and gives each a [`Verdict`]. A *classifier*
//! ([`Classifier`]) sees a picture of a chain and answers with rules, *steering* ([`Steering`]) with the pod that
//! serves a hop. All are plain Rust types: unit tests call them directly (see [`test`]), a native CNF runs functions
//! in its own process, and the export macros turn the same source into a component whose imports are the
//! capabilities it needs: [`log`], [`clock`], [`random`], [`metrics`], [`key_value`], [`files`].
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
pub mod clock;
pub mod config;
pub mod descriptor;
#[cfg(not(target_arch = "wasm32"))]
mod double;
mod export;
pub mod fault;
pub mod files;
#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod guest;
pub mod key_value;
pub mod log;
pub mod metrics;
pub mod packet_function;
pub mod random;
pub mod steering;
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
pub use crate::steering::{Candidate, Choice, Health, HopView, Share, Steering};

/// What an author imports.
pub mod prelude {
    pub use crate::{
        Action, Batch, Candidate, Choice, Classifier, Endpoint, Fault, FaultKind, Health, HopView,
        IpPrefix, IpProtocol, MatchSpec, Nanos, Packet, PacketFunction, Port, PortId, PortRange,
        Rule, RuleSet, Share, Steering, Verdict, View, config,
    };
}
