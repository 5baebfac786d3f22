//! Longest prefix match: persistent multibit tries, one address byte per level.
//!
//! IPv4 has a direct table for every byte ([`wide`]): four loads at most, of which two miss the cache in a table of a
//! million routes. IPv6 is sparse and long: its nodes are compressed and skip the bytes that they do not distinguish
//! ([`slim`]). Each node keeps the prefixes that end in it and, derived from them, the best one for each byte value ("leaf
//! pushing" inside the node only), so that a change touches the nodes on one path and rebuilds one of them.

use std::net::IpAddr;

use crate::prefix::Prefix;

mod slim;
mod wide;

/// No prefix.
const NONE: u32 = VALUE_MAX + 1;
/// Highest number that a prefix can have.
const VALUE_MAX: u32 = (u32::MAX >> 1) - 1;

/// A prefix that ends in a node: its first `len` (0 to 8) bits of `byte`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Local {
    len: u8,
    byte: u8,
    value: u32,
}

impl Local {
    /// Byte values that the prefix covers.
    fn range(self) -> std::ops::Range<usize> {
        let first = usize::from(self.byte);
        first..first + (256 >> self.len)
    }
}

/// Prefixes of a node by length, so that longer ones overwrite shorter ones when they are laid out in order.
#[derive(Debug, Clone, Default)]
struct Locals(Vec<Local>);

impl Locals {
    fn position(&self, len: u8, byte: u8) -> Result<usize, usize> {
        self.0
            .binary_search_by_key(&(len, byte), |l| (l.len, l.byte))
    }

    fn set(&mut self, local: Local) {
        match self.position(local.len, local.byte) {
            Ok(at) => {
                if let Some(old) = self.0.get_mut(at) {
                    *old = local;
                }
            }
            Err(at) => self.0.insert(at, local),
        }
    }

    fn remove(&mut self, len: u8, byte: u8) -> bool {
        let found = self.position(len, byte);
        if let Ok(at) = found {
            self.0.remove(at);
            self.0.shrink_to(2 * self.0.len());
        }
        found.is_ok()
    }

    /// The best value for each byte.
    fn lay_out(&self) -> [u32; 256] {
        let mut best = [NONE; 256];
        for local in &self.0 {
            if let Some(range) = best.get_mut(local.range()) {
                range.fill(local.value);
            }
        }
        best
    }
}

/// A longest-prefix-match table from prefixes of one family to numbers.
#[derive(Debug, Clone, Default)]
pub struct Fib {
    v4: wide::Table,
    v6: slim::Table,
}

impl Fib {
    /// Value of the longest IPv4 prefix that contains the address.
    #[inline]
    pub fn lookup4(&self, address: [u8; 4]) -> Option<u32> {
        self.v4.lookup(address)
    }

    /// Value of the longest IPv6 prefix that contains the address.
    #[inline]
    pub fn lookup6(&self, address: &[u8; 16]) -> Option<u32> {
        self.v6.lookup(address)
    }

    /// Value of the longest prefix that contains the address.
    pub fn lookup(&self, address: IpAddr) -> Option<u32> {
        match address {
            IpAddr::V4(v4) => self.lookup4(v4.octets()),
            IpAddr::V6(v6) => self.lookup6(&v6.octets()),
        }
    }

    /// Adds a prefix or replaces its value, which is below 2^31 - 1. Host bits must be clear.
    pub fn insert(&mut self, prefix: Prefix, value: u32) {
        debug_assert!(value <= VALUE_MAX);
        match prefix.addr {
            IpAddr::V4(v4) => self.v4.insert(v4.octets(), prefix.len, value),
            IpAddr::V6(v6) => self.v6.insert(&v6.octets(), prefix.len, value),
        }
    }

    /// Removes a prefix; `false` when it was not there.
    pub fn remove(&mut self, prefix: Prefix) -> bool {
        match prefix.addr {
            IpAddr::V4(v4) => self.v4.remove(v4.octets(), prefix.len),
            IpAddr::V6(v6) => self.v6.remove(&v6.octets(), prefix.len),
        }
    }

    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }
}

#[cfg(test)]
mod tests;
