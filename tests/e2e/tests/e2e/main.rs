//! End-to-end tests, one module per feature: real programs in network namespaces, real packets.
//!
//! `cargo xtask test` builds the programs first; run alone, these tests use what was built last.
#![expect(clippy::unwrap_used, reason = "the helpers below serve tests only")]

mod bad_input;
mod chain;
mod failure;
mod first_packet;
mod lab;
mod leftovers;
mod rootless;
mod runtime_containerd;
mod steering;
