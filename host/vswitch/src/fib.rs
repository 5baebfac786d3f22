//! Longest prefix match: a persistent multibit trie, one address byte per level, nodes compressed by bit map.
//!
//! Each node keeps the prefixes that end in it and, derived from them, a run-compressed table of the best
//! one for each of the 256 byte values ("leaf pushing" inside the node only). A lookup reads at most one
//! node per byte; a change copies the nodes on one path and rebuilds one table.

use std::net::IpAddr;
use std::sync::Arc;

use crate::prefix::Prefix;

/// A set of 256 bits with rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Bits([u64; 4]);

impl Bits {
    fn has(self, at: u8) -> bool {
        self.0
            .get(usize::from(at >> 6))
            .is_some_and(|w| w >> (at & 63) & 1 == 1)
    }

    fn set(&mut self, at: u8, on: bool) {
        if let Some(word) = self.0.get_mut(usize::from(at >> 6)) {
            *word = (*word & !(1 << (at & 63))) | (u64::from(on) << (at & 63));
        }
    }

    /// Bits set at positions below or equal to `at`.
    fn rank(self, at: u8) -> usize {
        let [a, b, c, d] = self.0;
        let low = u64::MAX >> (63 - (at & 63));
        let count = match at >> 6 {
            0 => (a & low).count_ones(),
            1 => a.count_ones() + (b & low).count_ones(),
            2 => a.count_ones() + b.count_ones() + (c & low).count_ones(),
            _ => a.count_ones() + b.count_ones() + c.count_ones() + (d & low).count_ones(),
        };
        count as usize
    }
}

/// A prefix that ends in a node: its first `len` (0 to 8) bits of `byte`.
#[derive(Debug, Clone, Copy)]
struct Local {
    len: u8,
    byte: u8,
    value: u32,
}

#[derive(Debug, Clone, Default)]
struct Node {
    child_bits: Bits,
    children: Vec<Arc<Node>>,
    run_bits: Bits,
    runs: Vec<Option<u32>>,
    /// Sorted by length, so that a rebuild lets longer ones overwrite shorter ones.
    locals: Vec<Local>,
}

impl Node {
    fn best(&self, byte: u8) -> Option<u32> {
        *self.runs.get(self.run_bits.rank(byte).checked_sub(1)?)?
    }

    fn child(&self, byte: u8) -> Option<&Arc<Self>> {
        if !self.child_bits.has(byte) {
            return None;
        }
        self.children.get(self.child_bits.rank(byte) - 1)
    }

    fn child_or_new(&mut self, byte: u8) -> Option<&mut Arc<Self>> {
        let at = self.child_bits.rank(byte);
        if self.child_bits.has(byte) {
            return self.children.get_mut(at - 1);
        }
        self.child_bits.set(byte, true);
        self.children.insert(at, Arc::default());
        self.children.get_mut(at)
    }

    fn rebuild(&mut self) {
        let mut best = [None; 256];
        for local in &self.locals {
            let first = usize::from(local.byte);
            if let Some(range) = best.get_mut(first..first + (256 >> local.len)) {
                range.fill(Some(local.value));
            }
        }
        self.run_bits = Bits::default();
        self.runs.clear();
        for (byte, value) in (0u8..=255).zip(best) {
            if byte == 0 || self.runs.last() != Some(&value) {
                self.run_bits.set(byte, true);
                self.runs.push(value);
            }
        }
        self.runs.shrink_to_fit();
    }

    fn position(&self, len: u8, byte: u8) -> Result<usize, usize> {
        self.locals
            .binary_search_by_key(&(len, byte), |l| (l.len, l.byte))
    }

    fn is_empty(&self) -> bool {
        self.locals.is_empty() && self.children.is_empty()
    }
}

/// A longest-prefix-match table from prefixes of one family to numbers.
#[derive(Debug, Clone, Default)]
pub struct Fib {
    root: Arc<Node>,
}

impl Fib {
    /// Value of the longest prefix that contains the address given as bytes.
    pub fn lookup(&self, address: &[u8]) -> Option<u32> {
        let mut node = &self.root;
        let mut best = None;
        for byte in address {
            best = node.best(*byte).or(best);
            match node.child(*byte) {
                Some(child) => node = child,
                None => return best,
            }
        }
        best
    }

    /// Adds a prefix or replaces its value. Host bits must be clear.
    pub fn insert(&mut self, prefix: Prefix, value: u32) {
        with_bytes(prefix.addr, |bytes| {
            insert(&mut self.root, bytes, prefix.len, value);
        });
    }

    /// Removes a prefix; `false` when it was not there.
    pub fn remove(&mut self, prefix: Prefix) -> bool {
        with_bytes(prefix.addr, |bytes| {
            remove(&mut self.root, bytes, prefix.len)
        })
    }
}

fn with_bytes<T>(address: IpAddr, run: impl FnOnce(&[u8]) -> T) -> T {
    match address {
        IpAddr::V4(v4) => run(&v4.octets()),
        IpAddr::V6(v6) => run(&v6.octets()),
    }
}

/// A prefix ends in the node in which its last bit lies; lengths 1 to 8 end in the root, 0 too.
fn insert(node: &mut Arc<Node>, bytes: &[u8], len: u8, value: u32) {
    let Some((byte, rest)) = bytes.split_first() else {
        return;
    };
    let node = Arc::make_mut(node);
    if len > 8 {
        if let Some(child) = node.child_or_new(*byte) {
            insert(child, rest, len - 8, value);
        }
        return;
    }
    let local = Local {
        len,
        byte: *byte,
        value,
    };
    match node.position(len, *byte) {
        Ok(at) => {
            if let Some(old) = node.locals.get_mut(at) {
                *old = local;
            }
        }
        Err(at) => node.locals.insert(at, local),
    }
    node.rebuild();
}

fn remove(node: &mut Arc<Node>, bytes: &[u8], len: u8) -> bool {
    let Some((byte, rest)) = bytes.split_first() else {
        return false;
    };
    if len <= 8 {
        let Ok(at) = node.position(len, *byte) else {
            return false;
        };
        let node = Arc::make_mut(node);
        node.locals.remove(at);
        node.rebuild();
        return true;
    }
    if node.child(*byte).is_none() {
        return false;
    }
    let node = Arc::make_mut(node);
    let at = node.child_bits.rank(*byte) - 1;
    let Some(child) = node.children.get_mut(at) else {
        return false;
    };
    let removed = remove(child, rest, len - 8);
    if child.is_empty() {
        node.children.remove(at);
        node.child_bits.set(*byte, false);
    }
    removed
}

#[cfg(test)]
mod tests;
