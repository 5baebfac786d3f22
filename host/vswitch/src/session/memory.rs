//! The memory of a table: headers of buckets in one slice, slots in another, both zero pages until used.

use std::sync::atomic::{Ordering, fence};

use zerocopy::FromZeros;

use super::bucket::{Header, LINE, Locked, SLOTS, Slot, tags_match};
use super::{Found, Stamp, TRIES, Word};

/// Words of a header: sequence, two words of tags, one to spare, so that headers do not straddle cache lines.
const HEADER_WORDS: usize = 4;

#[derive(Debug)]
pub(super) struct Memory<const K: usize, const V: usize> {
    buckets: usize,
    headers: Aligned,
    slots: Aligned,
}

/// Words from the start of a cache line on.
#[derive(Debug)]
struct Aligned {
    words: Box<[Word]>,
    start: usize,
}

impl Aligned {
    /// The words come from zero pages of the system, which cost nothing until they are written. `None` when
    /// the system refuses.
    fn new(words: usize) -> Option<Self> {
        let words = <[Word]>::new_box_zeroed_with_elems(words + LINE).ok()?;
        let start = words.as_ptr().align_offset(LINE * size_of::<Word>());
        Some(Self {
            start: start.min(LINE),
            words,
        })
    }

    #[inline]
    fn part(&self, at: usize, len: usize) -> &[Word] {
        let start = self.start + at * len;
        self.words.get(start..start + len).unwrap_or(&[])
    }

    fn bytes(&self) -> usize {
        size_of_val(&*self.words)
    }
}

impl<const K: usize, const V: usize> Memory<K, V> {
    /// Words of a slot: whole cache lines.
    const STRIDE: usize = (K + V + 1).next_multiple_of(LINE);

    pub(super) fn new(buckets: usize) -> Option<Self> {
        Some(Self {
            buckets,
            headers: Aligned::new(buckets * HEADER_WORDS)?,
            slots: Aligned::new(buckets * SLOTS * Self::STRIDE)?,
        })
    }

    pub(super) const fn buckets(&self) -> usize {
        self.buckets
    }

    pub(super) fn bytes(&self) -> usize {
        self.headers.bytes() + self.slots.bytes()
    }

    /// Spreads a hash of 32 bits over the buckets, of which there are fewer than 2^32.
    #[inline]
    pub(super) fn bucket_of(&self, hash: u64) -> usize {
        usize::try_from((hash * self.buckets as u64) >> 32).unwrap_or(0)
    }

    #[inline]
    fn header(&self, at: usize) -> Option<Header<'_>> {
        match self.headers.part(at, HEADER_WORDS) {
            [sequence, low, high, _] => Some(Header {
                sequence,
                tags: [low, high],
            }),
            _ => None,
        }
    }

    #[inline]
    fn slot(&self, index: usize) -> Option<Slot<'_>> {
        let words = self.slots.part(index, Self::STRIDE);
        let (key, rest) = words.split_at_checked(K)?;
        let (value, rest) = rest.split_at_checked(V)?;
        Some(Slot {
            key,
            value,
            stamp: rest.first()?,
        })
    }

    pub(super) fn slot_in(&self, bucket: usize, lane: usize) -> Option<Slot<'_>> {
        self.slot(bucket * SLOTS + lane)
    }

    pub(super) fn stamp(&self, slot: usize) -> Option<&Word> {
        Some(self.slot(slot)?.stamp)
    }

    /// Reads an entry without locking.
    #[inline]
    pub(super) fn find(&self, at: usize, tag: u8, key: &[u64; K]) -> Option<Found<V>> {
        let header = self.header(at)?;
        for _ in 0..TRIES {
            let before = header.sequence.load(Ordering::Acquire);
            if before & 1 == 0 {
                let found = self.find_now(at, header.load_tags(), tag, key);
                fence(Ordering::Acquire);
                if header.sequence.load(Ordering::Relaxed) == before {
                    return found;
                }
            }
            std::hint::spin_loop();
        }
        None
    }

    /// What [`Memory::find`] finds if nobody writes meanwhile.
    #[inline]
    fn find_now(&self, at: usize, tags: [u64; 2], tag: u8, key: &[u64; K]) -> Option<Found<V>> {
        for lane in tags_match(tags, tag) {
            let index = at * SLOTS + lane;
            let slot = self.slot(index)?;
            if slot.has(key) {
                return Some(Found {
                    value: slot.value(),
                    stamp: slot.load_stamp(),
                    slot: index,
                });
            }
        }
        None
    }

    /// Reads something of a bucket's header, for the cache.
    #[inline]
    pub(super) fn load_header(&self, at: usize) -> u64 {
        self.header(at)
            .map_or(0, |header| header.sequence.load(Ordering::Relaxed))
    }

    /// Reads something of the first slot that a key with this tag may be in, for the cache.
    #[inline]
    pub(super) fn load_slot(&self, at: usize, tag: u8) -> u64 {
        let tags = self.header(at).map_or([0; 2], |header| header.load_tags());
        let lane = tags_match(tags, tag).next().unwrap_or(0);
        self.slot_in(at, lane)
            .map_or(0, |slot| slot.stamp.load(Ordering::Relaxed))
    }

    /// Tells whether an entry of a bucket is such; a moment later that may be different.
    pub(super) fn any(&self, at: usize, such: impl Fn(Stamp) -> bool) -> bool {
        let Some(header) = self.header(at) else {
            return false;
        };
        let mut lanes = super::bucket::occupied(header.load_tags());
        lanes.any(|lane| self.slot_in(at, lane).is_some_and(|s| such(s.load_stamp())))
    }

    /// Tells whether a bucket has an entry with this tag.
    pub(super) fn may_have(&self, at: usize, tag: u8) -> bool {
        self.header(at)
            .is_some_and(|h| tags_match(h.load_tags(), tag).next().is_some())
    }

    /// Visits the entries of a bucket as they were at one moment.
    pub(super) fn copy(&self, at: usize, mut visit: impl FnMut(&[u64; K], &[u64; V], Stamp)) {
        let Some(header) = self.header(at) else {
            return;
        };
        let mut entries = [([0; K], [0; V], Stamp(0)); SLOTS];
        let count = header.consistent(|| {
            let mut count = 0;
            for lane in super::bucket::occupied(header.load_tags()) {
                if let (Some(slot), Some(to)) = (self.slot_in(at, lane), entries.get_mut(count)) {
                    *to = (slot.key(), slot.value(), slot.load_stamp());
                    count += 1;
                }
            }
            count
        });
        for (key, value, stamp) in entries.iter().take(count.unwrap_or(0)) {
            visit(key, value, *stamp);
        }
    }

    /// Takes a bucket for writing; `None` when somebody else keeps it.
    pub(super) fn lock(&self, at: usize) -> Option<Locked<'_, K, V>> {
        for _ in 0..TRIES {
            if let Some(locked) = self.try_lock(at) {
                return Some(locked);
            }
            std::hint::spin_loop();
        }
        None
    }

    pub(super) fn try_lock(&self, at: usize) -> Option<Locked<'_, K, V>> {
        let header = self.header(at)?;
        let sequence = header.sequence.load(Ordering::Relaxed);
        if sequence & 1 == 1 {
            return None;
        }
        let taken = header.sequence.compare_exchange(
            sequence,
            sequence + 1,
            Ordering::Acquire,
            Ordering::Relaxed,
        );
        taken.ok()?;
        // Readers that see any of the writes to come also see the odd sequence.
        fence(Ordering::Release);
        Some(Locked {
            memory: self,
            at,
            header,
            sequence: sequence + 1,
        })
    }
}
