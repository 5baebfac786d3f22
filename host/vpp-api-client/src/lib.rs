//! Speaks VPP's binary API over its UNIX socket: [`Client`] for programs that drive VPP, and with
//! the feature `server` a framework for programs that are driven like VPP.
//!
//! Each connection has one owner task; handles talk to it over bounded channels, every request has
//! a deadline, and what the peer sends is never trusted.

#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod client;
mod connection;
mod error;
mod events;
mod handshake;
#[cfg(feature = "server")]
pub mod server;
pub mod stats;

pub use client::{Client, Need, Options, need};
pub use error::{ConnectError, Disconnect, EventError, Incompatible, RequestError};
pub use events::Events;
