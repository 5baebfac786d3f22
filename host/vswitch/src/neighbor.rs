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

/// How many neighbours of a family are kept, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NeighborLimits {
    /// 0 = any number.
    pub max_number: u32,
    /// Seconds after which a learned neighbour is asked whether it is still there; 0 = never.
    pub max_age: u32,
    /// The oldest learned one makes room for a new one.
    pub recycle: bool,
}

impl Default for NeighborLimits {
    /// VPP's.
    fn default() -> Self {
        Self {
            max_number: 50_000,
            max_age: 0,
            recycle: false,
        }
    }
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
