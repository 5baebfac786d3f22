//! IPv6: nodes compressed by bit map, which skip the bytes that all their prefixes share.

use std::sync::Arc;

use super::{Local, Locals, NONE};

/// Bytes of an address behind the first.
const SKIP_MAX: usize = 15;

/// A set of 256 bits with rank.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Bits {
    words: [u64; 4],
    /// Bits in the words before each.
    before: [u8; 4],
}

impl Bits {
    /// Position among the bits set, of the bit at `at` if it is set.
    #[inline]
    fn find(&self, at: u8) -> Option<usize> {
        let word = self.words.get(usize::from(at >> 6))?;
        (word >> (at & 63) & 1 == 1).then(|| self.rank(at) - 1)
    }

    /// Bits set at positions below or equal to `at`.
    #[inline]
    fn rank(&self, at: u8) -> usize {
        let which = usize::from(at >> 6);
        let (Some(word), Some(before)) = (self.words.get(which), self.before.get(which)) else {
            return 0;
        };
        let low = word & (u64::MAX >> (63 - (at & 63)));
        usize::from(*before) + low.count_ones() as usize
    }

    fn set(&mut self, at: u8, on: bool) {
        if let Some(word) = self.words.get_mut(usize::from(at >> 6)) {
            *word = (*word & !(1 << (at & 63))) | (u64::from(on) << (at & 63));
        }
        let mut sum = 0u8;
        for (word, before) in self.words.iter().zip(&mut self.before) {
            *before = sum;
            // The last word is not summed up, so that at most 192 bits are.
            sum = sum.wrapping_add(u8::try_from(word.count_ones()).unwrap_or(0));
        }
    }
}

#[derive(Debug, Clone, Default)]
struct Node {
    /// Bytes between that of the parent and this node's.
    skip: [u8; SKIP_MAX],
    skip_len: u8,
    child_bits: Bits,
    run_bits: Bits,
    children: Vec<Arc<Node>>,
    /// Best values, for runs of bytes that have the same; empty when no prefix ends here.
    runs: Vec<u32>,
    locals: Locals,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Table {
    /// Skips nothing.
    root: Arc<Node>,
}

impl Table {
    #[inline]
    pub(super) fn lookup(&self, address: &[u8; 16]) -> Option<u32> {
        let (mut node, mut best, mut rest) = (&*self.root, NONE, &address[..]);
        loop {
            if node.skip_len > 0 {
                match rest.strip_prefix(node.skipped()) {
                    Some(behind) => rest = behind,
                    None => break,
                }
            }
            let Some((byte, behind)) = rest.split_first() else {
                break;
            };
            if !node.runs.is_empty() {
                let here = node.best(*byte);
                best = if here == NONE { best } else { here };
            }
            let Some(child) = node.child(*byte) else {
                break;
            };
            (node, rest) = (child, behind);
        }
        (best != NONE).then_some(best)
    }

    pub(super) fn insert(&mut self, address: &[u8], len: u8, value: u32) {
        Arc::make_mut(&mut self.root).insert(address, len, value);
    }

    pub(super) fn remove(&mut self, address: &[u8], len: u8) -> bool {
        Arc::make_mut(&mut self.root).remove(address, len)
    }

    #[cfg(test)]
    pub(super) fn is_empty(&self) -> bool {
        self.root.is_empty()
    }
}

impl Node {
    fn skipped(&self) -> &[u8] {
        self.skip.get(..usize::from(self.skip_len)).unwrap_or(&[])
    }

    fn set_skipped(&mut self, parts: &[&[u8]]) {
        let mut len = 0;
        for byte in parts.iter().copied().flatten() {
            if let Some(place) = self.skip.get_mut(len) {
                *place = *byte;
                len += 1;
            }
        }
        self.skip_len = u8::try_from(len).unwrap_or(0);
    }

    #[inline]
    fn best(&self, byte: u8) -> u32 {
        let at = self.run_bits.rank(byte).wrapping_sub(1);
        self.runs.get(at).copied().unwrap_or(NONE)
    }

    #[inline]
    fn child(&self, byte: u8) -> Option<&Self> {
        self.children.get(self.child_bits.find(byte)?).map(|c| &**c)
    }

    fn rebuild(&mut self) {
        self.run_bits = Bits::default();
        self.runs.clear();
        if !self.locals.0.is_empty() {
            for (byte, value) in (0u8..=255).zip(self.locals.lay_out()) {
                if byte == 0 || self.runs.last() != Some(&value) {
                    self.run_bits.set(byte, true);
                    self.runs.push(value);
                }
            }
        }
        self.runs.shrink_to_fit();
    }

    fn is_empty(&self) -> bool {
        self.locals.0.is_empty() && self.children.is_empty()
    }

    /// `bytes` start behind the parent's byte, and `len` counts from there; only the root is given a length of 0.
    fn insert(&mut self, bytes: &[u8], len: u8, value: u32) {
        let common = self
            .skipped()
            .iter()
            .zip(bytes)
            .take_while(|(a, b)| a == b)
            .count();
        let end = ends_in(len);
        if common.min(end) < usize::from(self.skip_len) {
            self.split(common.min(end));
        }
        let skip = self.skip_len;
        let Some((byte, rest)) = bytes.get(usize::from(skip)..).and_then(<[u8]>::split_first)
        else {
            return;
        };
        let len = len - 8 * skip;
        if len <= 8 {
            self.locals.set(Local {
                len,
                byte: *byte,
                value,
            });
            return self.rebuild();
        }
        match self.child_bits.find(*byte) {
            Some(at) => {
                if let Some(child) = self.children.get_mut(at) {
                    Arc::make_mut(child).insert(rest, len - 8, value);
                }
            }
            None => {
                let mut child = Self::default();
                child.set_skipped(&[rest.get(..ends_in(len - 8)).unwrap_or(&[])]);
                child.insert(rest, len - 8, value);
                self.child_bits.set(*byte, true);
                let at = self.child_bits.rank(*byte) - 1;
                self.children.insert(at, Arc::new(child));
            }
        }
    }

    /// Skips only `keep` bytes from now on: what was here moves to a child.
    fn split(&mut self, keep: usize) {
        let mut lower = std::mem::take(self);
        let skipped = lower.skip;
        let skipped = skipped.get(..usize::from(lower.skip_len)).unwrap_or(&[]);
        let (kept, behind) = skipped.split_at_checked(keep).unwrap_or((skipped, &[]));
        let Some((byte, below)) = behind.split_first() else {
            *self = lower;
            return;
        };
        lower.set_skipped(&[below]);
        self.set_skipped(&[kept]);
        self.child_bits.set(*byte, true);
        self.children.push(Arc::new(lower));
    }

    fn remove(&mut self, bytes: &[u8], len: u8) -> bool {
        let skip = self.skip_len;
        if ends_in(len) < usize::from(skip) {
            return false;
        }
        let Some((byte, rest)) = bytes
            .strip_prefix(self.skipped())
            .and_then(<[u8]>::split_first)
        else {
            return false;
        };
        let len = len - 8 * skip;
        if len <= 8 {
            let removed = self.locals.remove(len, *byte);
            if removed {
                self.rebuild();
            }
            return removed;
        }
        let Some(at) = self.child_bits.find(*byte) else {
            return false;
        };
        let Some(child) = self.children.get_mut(at) else {
            return false;
        };
        let removed = Arc::make_mut(child).remove(rest, len - 8);
        if child.is_empty() {
            self.children.remove(at);
            self.child_bits.set(*byte, false);
        } else if removed {
            Arc::make_mut(child).merge();
        }
        removed
    }

    /// Skips more bytes when they distinguish nothing any more.
    fn merge(&mut self) {
        let [only] = self.children.as_slice() else {
            return;
        };
        if !self.locals.0.is_empty() {
            return;
        }
        let mut lower = Self::clone(only);
        let byte = (0..=255).find(|byte| self.child_bits.find(*byte).is_some());
        let below = lower.skip;
        let below = below.get(..usize::from(lower.skip_len)).unwrap_or(&[]);
        lower.set_skipped(&[self.skipped(), &[byte.unwrap_or(0)], below]);
        *self = lower;
    }
}

/// In which byte a prefix of this length ends.
const fn ends_in(len: u8) -> usize {
    len.saturating_sub(1) as usize / 8
}
