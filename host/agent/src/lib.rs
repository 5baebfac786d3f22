//! The agent of a node: it decides with `render` what the dataplane of its node should be, makes it
//! so over the VPP binary API, and serves CNI and the operator.
//!
//! [`run`] starts everything: the event loop (`agent`) owns the state; tasks around it hold the
//! connections (`dataplane`, `cluster`, `server`) and speak to it in events only.

#![forbid(unsafe_code)]

mod agent;
mod carrier;
mod cluster;
pub mod config;
mod counters;
mod dataplane;
mod event;
mod journal;
mod linux;
mod pod_dir;
mod run;
mod server;

pub use config::{AgentConfig, ConfigError, UplinkConfig};
pub use journal::JournalError;
pub use run::{AgentError, run};
