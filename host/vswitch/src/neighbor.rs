//! Neighbours: which link address an IP address has.

use std::net::IpAddr;

use packet::MacAddr;

use crate::id::{Nanos, SwIfIndex};

/// Properties of a neighbour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NeighborFlags {
    /// Configured: never replaced by what is learned.
    pub is_static: bool,
    /// Make no host route for it.
    pub no_fib_entry: bool,
}

/// A neighbour in a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighborInfo {
    pub sw_if_index: SwIfIndex,
    pub ip: IpAddr,
    pub mac: MacAddr,
    pub flags: NeighborFlags,
    pub updated: Nanos,
}
