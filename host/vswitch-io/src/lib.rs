//! Devices, worker threads and the VPP API server of the embedded dataplane; binary `weft-vswitch`.
//!
//! The packet graph is the pure crate `vswitch`; this crate brings frames to it and takes them away. One thread (the
//! API server's owner) owns the [`engine::Engine`] and is the only writer of tables; each [`worker::Worker`] owns
//! receive queues and reads the published view. Nothing here knows of Kubernetes, pods or chains.

pub mod api;
pub mod cli;
pub mod clock;
pub mod daemon;
pub mod device;
pub mod engine;
pub mod function;
pub mod pcap;
pub mod stats;
pub mod worker;
