//! memif 2.0 in Rust: packets through shared memory between a *server* (master, listens) and *clients*
//! (slaves, connect and own the memory), compatible with VPP, libmemif and DPDK.
//!
//! The control channel is a pure state machine ([`handshake`], over [`proto`]) in a thin socket shell ([`Listener`],
//! [`Client`]) that is driven by the caller: one file descriptor to poll, no runtime, no clock. The data path
//! ([`RxQueue`], [`TxQueue`]; [`ZeroCopyRx`], [`ZeroCopyTx`] over a [`BufferArena`]) allocates nothing per packet.
//!
//! The peer is hostile: each descriptor is copied once and then checked, ring indices are masked, regions are
//! bounded, and whatever breaks the protocol ends the link with a [`DisconnectReason`]. No Rust reference into
//! shared memory is ever made. All `unsafe` code is in the private `sys` module.
//!
//! ```no_run
//! use memif_rs::{Address, Event, Limits, Listener, ServerConfig};
//! let mut listener = Listener::bind(&Address::parse("/run/memif.sock")?, Limits::default())?;
//! listener.add(0, ServerConfig::default())?;
//! listener.drive(std::time::Instant::now())?;
//! while let Some(event) = listener.poll_event() {
//!     if let Event::Connected { id, link } = event {
//!         println!("interface {id}: {} queues", link.into_copy().map_or(0, |(rx, _)| rx.len()));
//!     }
//! }
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

mod address;
mod arena;
mod client;
mod config;
pub mod desc;
mod error;
pub mod handshake;
mod limits;
mod link;
mod listener;
pub mod proto;
mod queue;
mod region;
mod ring;
#[cfg(test)]
mod ring_model;
mod ring_order;
mod socket;
mod sys;
mod text;

mod atomic {
    pub(crate) use std::sync::atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering, fence};
}

pub use address::{Address, AddressError};
pub use arena::{ArenaConfig, ArenaError, ArenaRegion, BufferArena, BufferDesc};
pub use client::{Client, ClientError};
pub use config::{ClientConfig, Memory, Mode, Secret, SecretError, ServerConfig};
pub use error::{DisconnectReason, ProtocolError, RegionError, RingError};
pub use limits::{LOG2_RING_SIZE_MAX, Limits, SEGMENTS_MAX, SealPolicy};
pub use link::{Event, Link, Peer, Queues};
pub use listener::{AddError, BindError, Listener};
pub use queue::{BurstError, RxPacket, RxQueue, TxFrame, TxQueue, ZeroCopyRx, ZeroCopyTx};
pub use text::Text;
