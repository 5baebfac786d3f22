//! The CNF runner: memif on one side, a packet function on the other.
//!
//! The runner is memif client on all links of its pod (they are listed in `interfaces.json`, which the
//! node's agent writes) and owns the packet memory. One worker thread polls the links, hands batches to
//! the function and acts on its verdicts; it takes commands (statistics, hot swap) between two batches.
//! The function is native ([`run_native`]) or a sandboxed component (`weft-cnf`, feature `wasm`).
//!
//! Only the runner touches rings and descriptors. What a function answers is checked before it is used.

#![forbid(unsafe_code)]

mod admin;
mod args;
mod config;
mod counters;
mod interfaces;
mod native;
mod plane;
mod reload;
mod run;
#[cfg(feature = "wasm")]
mod sandbox;
mod worker;

pub use interfaces::{InterfaceEntry, Interfaces, InterfacesError, MemifEntry};
pub use native::run_native;
#[cfg(feature = "wasm")]
pub use sandbox::run_module;
