//! What the dataplane of a node should be, and how to get there.
//!
//! [`facts`] in, [`Objects`] out, one module per noun: [`node`], [`pod`], [`chain`]. [`diff`] turns
//! desired and observed objects into ordered [`Op`]s; [`ipam`] hands out addresses. Pure values:
//! nothing here knows a socket, a clock or an interface index.

#![forbid(unsafe_code)]
#![cfg_attr(
    not(test),
    deny(clippy::expect_used, clippy::panic, clippy::indexing_slicing)
)]

pub mod chain;
pub mod diff;
pub mod facts;
pub mod ipam;
pub mod node;
pub mod object;
pub mod plan;
pub mod pod;
#[cfg(test)]
mod test_support;
mod text;

pub use diff::{Op, diff, diff_keys};
pub use facts::{Facts, LocalPod, PodInterface, Uplink};
pub use object::{AclRule, AclTag, Device, IfTag, Key, L2, Object, Objects};
pub use plan::{Part, Plan};
