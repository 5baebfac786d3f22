//! Speaks VPP's binary API over its UNIX socket: [`Client`] for programs that drive VPP, and with
//! the feature `server` a framework for programs that are driven like VPP.
//!
//! Each connection has one owner task; handles talk to it over bounded channels, every request has
//! a deadline, and what the peer sends is never trusted.
//!
//! ```no_run
//! use std::path::Path;
//! use vpp_api::interface::{SwInterfaceDump, SwInterfaceEvent, WantInterfaceEvents};
//! use vpp_api_client::{Client, Options, need};
//!
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! let required = vec![need::<SwInterfaceDump>(), need::<WantInterfaceEvents>()];
//! let options = Options { name: "example".into(), required, ..Options::default() };
//! let client = Client::connect(Path::new("/run/vpp/api.sock"), options).await?;
//! for interface in client.dump(&SwInterfaceDump::default()).await? {
//!     println!("{} {}", interface.sw_if_index, interface.interface_name);
//! }
//! let mut events = client.events::<SwInterfaceEvent>();
//! client.request(&WantInterfaceEvents { enable_disable: 1, pid: 0 }).await?;
//! println!("{:?}", events.next().await?);
//! # Ok(())
//! # }
//! ```

#![forbid(unsafe_code)]
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
