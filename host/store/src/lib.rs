//! Cluster state behind the etcd v3 protocol.
//!
//! [`client`] puts what our processes need on top of `etcd-client`, against real etcd or the embedded
//! server: compare-and-swap, leases, and a mirror of a prefix that survives outages. [`server`] is
//! that embedded server: the same protocol on one durable file, for laptops and tests. Keys are plain
//! strings chosen by the caller; this crate must never know what a key means.
//!
//! The server has messages of its own in [`wire`], because those of `etcd-client` own every key and
//! value as a `Vec`: each reply and each watcher would copy what the history shares as `Bytes`.

pub mod client;
mod range;
pub mod server;
pub mod wire;
