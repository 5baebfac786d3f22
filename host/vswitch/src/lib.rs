//! The packet engine, pure: tables, a graph of nodes, and the writer that changes the tables.
//!
//! * [`Dataplane`] is the only writer. Its methods have the names, effects and error codes of VPP's API
//!   actions; [`Dataplane::publish`] gives an immutable [`Tables`] snapshot for the price of a few `Arc`s.
//! * [`Worker::run`] takes a [`Batch`] of received frames through the graph to completion and leaves
//!   transmit lists in the batch. It never allocates per packet, locks, logs, blocks or reads a clock.
//! * Devices, threads, time and the API socket are elsewhere (crate `vswitch-io`).
#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod acl;
pub mod batch;
pub mod bridge;
pub mod classify;
pub mod cnat;
pub mod counters;
pub mod dataplane;
pub mod dpo;
pub mod error;
pub mod event;
mod feature;
pub mod fib;
pub mod flow_hash;
mod fragment;
pub mod frame;
pub mod function;
pub mod graph;
pub mod id;
pub mod interface;
pub mod macip;
pub mod neighbor;
pub mod npol;
pub mod offload;
pub mod persist;
pub mod prefix;
pub mod reassembly;
pub mod route;
pub mod session;
pub mod sr;
pub mod tables;
pub mod trace;
mod track;
pub mod tunnel;
pub mod vlan;
pub mod worker;

mod node;

#[cfg(test)]
mod lab;

pub use batch::{Batch, BatchFull, FrameId};
pub use dataplane::Dataplane;
pub use error::ApiError;
pub use event::{Event, Notice};
pub use frame::{BATCH_MAX, Frame, HEAD_MAX, HEADROOM, Tail};
pub use id::{Family, Nanos, SwIfIndex};
pub use offload::{Caps, Gso, Offload, Tunnel};
pub use packet::MacAddr;
pub use prefix::Prefix;
pub use tables::Tables;
pub use worker::Worker;
