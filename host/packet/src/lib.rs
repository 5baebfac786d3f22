//! Wire formats as checked views over byte slices, shared by the dataplane and by sandboxed guests.
//!
//! A view is built with `new_checked`, which proves once that the fixed header, and every length the
//! header states, lie inside the buffer; accessors then never fail and never panic, whatever the
//! bytes are. `emit` functions write a header from a plain value into a caller's buffer.
//! Nothing here allocates, reads a clock or does IO.
#![no_std]
#![forbid(unsafe_code)]
#![deny(missing_docs)]
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

#[cfg(test)]
extern crate std;

pub mod arp;
pub mod checksum;
pub mod crc32c;
pub mod ethernet;
pub mod flow;
pub mod icmp;
pub mod icmpv6;
pub mod ipv4;
pub mod ipv6;
pub mod mac;
pub mod ndisc;
pub mod proto;
pub mod sctp;
pub mod srh;
pub mod tcp;
pub mod udp;
pub mod virtio;
pub mod vxlan;

mod error;
mod wire;

pub use error::WireError;
pub use flow::FlowKey;
pub use mac::MacAddr;
