//! A bucket: 16 slots, their tags (one byte of hash, 0 = free) and a sequence number that is odd while it is
//! written.

use std::sync::atomic::{Ordering, fence};

use super::memory::Memory;
use super::{Stamp, TRIES, Word};

/// Slots of a bucket.
pub(super) const SLOTS: usize = 16;
/// Words of a cache line.
pub(super) const LINE: usize = 8;

const LOW_BITS: u64 = 0x7f7f_7f7f_7f7f_7f7f;
const ONES: u64 = 0x0101_0101_0101_0101;

pub(super) struct Header<'a> {
    pub(super) sequence: &'a Word,
    pub(super) tags: [&'a Word; 2],
}

impl Header<'_> {
    pub(super) fn load_tags(&self) -> [u64; 2] {
        self.tags.map(|t| t.load(Ordering::Relaxed))
    }

    /// Runs `read` until nobody wrote meanwhile; `None` when somebody always does.
    pub(super) fn consistent<T>(&self, mut read: impl FnMut() -> T) -> Option<T> {
        for _ in 0..TRIES {
            let before = self.sequence.load(Ordering::Acquire);
            if before & 1 == 0 {
                let value = read();
                fence(Ordering::Acquire);
                if self.sequence.load(Ordering::Relaxed) == before {
                    return Some(value);
                }
            }
            std::hint::spin_loop();
        }
        None
    }
}

pub(super) struct Slot<'a> {
    pub(super) key: &'a [Word],
    pub(super) value: &'a [Word],
    pub(super) stamp: &'a Word,
}

impl Slot<'_> {
    #[inline]
    pub(super) fn has<const K: usize>(&self, key: &[u64; K]) -> bool {
        let mut pairs = self.key.iter().zip(key);
        pairs.all(|(word, want)| word.load(Ordering::Relaxed) == *want)
    }

    pub(super) fn key<const K: usize>(&self) -> [u64; K] {
        load(self.key)
    }

    pub(super) fn value<const V: usize>(&self) -> [u64; V] {
        load(self.value)
    }

    pub(super) fn load_stamp(&self) -> Stamp {
        Stamp(self.stamp.load(Ordering::Relaxed))
    }
}

fn load<const N: usize>(words: &[Word]) -> [u64; N] {
    let mut out = [0; N];
    for (to, word) in out.iter_mut().zip(words) {
        *to = word.load(Ordering::Relaxed);
    }
    out
}

/// Lanes whose tag is `tag`.
#[inline]
pub(super) fn tags_match(tags: [u64; 2], tag: u8) -> Lanes {
    Lanes(tags.map(|word| zeros(word ^ (ONES * u64::from(tag)))))
}

/// Lanes that hold an entry.
pub(super) fn occupied(tags: [u64; 2]) -> Lanes {
    Lanes(tags.map(|word| !zeros(word) & !LOW_BITS))
}

/// The high bit of every byte that is zero.
const fn zeros(word: u64) -> u64 {
    !(((word & LOW_BITS) + LOW_BITS) | word | LOW_BITS)
}

/// A set of lanes: the high bit of their bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Lanes([u64; 2]);

impl Iterator for Lanes {
    type Item = usize;

    #[inline]
    fn next(&mut self) -> Option<usize> {
        for (word, base) in self.0.iter_mut().zip([0, SLOTS / 2]) {
            if *word != 0 {
                let lane = word.trailing_zeros() as usize / 8;
                *word &= *word - 1;
                return Some(base + lane);
            }
        }
        None
    }
}

/// A bucket that this thread writes.
pub(super) struct Locked<'a, const K: usize, const V: usize> {
    pub(super) memory: &'a Memory<K, V>,
    pub(super) at: usize,
    pub(super) header: Header<'a>,
    pub(super) sequence: u64,
}

impl<const K: usize, const V: usize> Drop for Locked<'_, K, V> {
    fn drop(&mut self) {
        self.header
            .sequence
            .store(self.sequence + 1, Ordering::Release);
    }
}

impl<const K: usize, const V: usize> Locked<'_, K, V> {
    pub(super) fn lane_of(&self, tag: u8, key: &[u64; K]) -> Option<usize> {
        tags_match(self.header.load_tags(), tag).find(|lane| {
            self.memory
                .slot_in(self.at, *lane)
                .is_some_and(|s| s.has(key))
        })
    }

    pub(super) fn lanes(&self) -> Lanes {
        occupied(self.header.load_tags())
    }

    pub(super) fn free_lane(&self) -> Option<usize> {
        tags_match(self.header.load_tags(), 0).next()
    }

    /// Entries in the bucket.
    pub(super) fn load(&self) -> u32 {
        self.lanes().0.iter().map(|w| w.count_ones()).sum()
    }

    pub(super) fn read(&self, lane: usize) -> Option<([u64; V], Stamp)> {
        let slot = self.memory.slot_in(self.at, lane)?;
        Some((slot.value(), slot.load_stamp()))
    }

    pub(super) fn entry(&self, lane: usize) -> Option<([u64; K], [u64; V], Stamp)> {
        let slot = self.memory.slot_in(self.at, lane)?;
        Some((slot.key(), slot.value(), slot.load_stamp()))
    }

    pub(super) fn write(&self, lane: usize, key: &[u64; K], value: &[u64; V], stamp: Stamp) {
        let Some(slot) = self.memory.slot_in(self.at, lane) else {
            return;
        };
        let to = slot.key.iter().chain(slot.value);
        for (to, word) in to.zip(key.iter().chain(value)) {
            to.store(*word, Ordering::Relaxed);
        }
        slot.stamp.store(stamp.0, Ordering::Relaxed);
    }

    /// Marks a lane as used by a key with this tag, or as free (0).
    pub(super) fn set_tag(&self, lane: usize, tag: u8) {
        let Some(word) = self.header.tags.get(lane / 8) else {
            return;
        };
        let shift = lane % 8 * 8;
        let others = word.load(Ordering::Relaxed) & !(0xff << shift);
        word.store(others | u64::from(tag) << shift, Ordering::Relaxed);
    }
}
