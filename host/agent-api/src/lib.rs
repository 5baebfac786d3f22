//! The contracts of a node's UNIX sockets: [`agent`] (CNI plugin and operator to agent) and [`cnf`]
//! (operator to CNF runner), generated from `proto/`, and how to dial and serve them.
//!
//! This is all that `weft-cni` may know of Weft.

#![forbid(unsafe_code)]

mod socket;

pub use socket::{ConnectError, SOCKET_PATH_LEN_MAX, connect, listen};

/// `weft.agent.v1`: the agent's services.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated code"
)]
pub mod agent {
    tonic::include_proto!("weft.agent.v1");
}

/// `weft.cnf.v1`: the CNF runner's service.
#[expect(
    clippy::allow_attributes,
    clippy::allow_attributes_without_reason,
    clippy::too_many_lines,
    reason = "generated code"
)]
pub mod cnf {
    tonic::include_proto!("weft.cnf.v1");
}
