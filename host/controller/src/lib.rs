//! The chain controller: facts from the store -> plan -> rendered chains and status in the store.
//!
//! [`plan`] decides, purely: which pod is which hop, where a chain begins and ends, which numbers and
//! addresses it uses. [`classify`] asks the chain's module for rules, [`steer`] another one for the pods of hops that
//! have several; a module that fails changes nothing that is in force.
//! The controller programs no dataplane and talks to nothing but the store.

#![forbid(unsafe_code)]

mod allocate;
pub mod classify;
pub mod facts;
mod grants;
pub mod modules;
pub mod plan;
mod reconcile;
mod run;
mod status;
pub mod steer;
#[cfg(test)]
mod test_support;
mod view;

pub use run::{Config, RunError, run};
