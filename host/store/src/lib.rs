//! Cluster state behind the etcd v3 protocol.
//!
//! [`client`] talks to real etcd or to the embedded server and offers what our processes need:
//! compare-and-swap, leases, and a mirror of a prefix that survives outages. [`server`] is that
//! embedded server: the same protocol on one durable file, for laptops and tests. Keys are plain
//! strings chosen by the caller; this crate must never know what a key means.

pub mod client;
mod range;
pub mod server;
pub mod wire;
