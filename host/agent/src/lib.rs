//! The agent of a node: it decides with `render` what the dataplane of its node should be, makes it
//! so over the VPP binary API, and serves CNI and the operator.

#![forbid(unsafe_code)]

pub mod config;
mod run;

pub use config::{AgentConfig, ConfigError, UplinkConfig};
pub use run::{AgentError, run};
