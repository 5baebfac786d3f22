//! The memif contract: our endpoints against DPDK's memif driver (`dpdk-testpmd`), in both roles.
//!
//! DPDK is an independent implementation of the protocol. Frames are checked byte by byte, counts against testpmd's own.
#![expect(clippy::unwrap_used, reason = "the helpers below serve tests only")]
#![expect(clippy::print_stderr, reason = "a skipped contract must be loud")]

mod frames;
mod lab;
mod links;
mod testpmd;
mod traffic;
