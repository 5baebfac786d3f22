//! A bounded table of flows that all workers read and write at once, without locks that could block them.
//!
//! Use, for a table of flows with two words of state each:
//! 1. `let flows = Arc::new(FlowTable::<KEY_WORDS, 2>::new(1_000_000, seed))` costs nothing; the writer calls
//!    [`FlowTable::reserve`] when the feature is first configured. The system backs its pages as they are used:
//!    82 bytes per session when full (`K + V + 1` words rounded up to 8, for `limit * 16 / 13` slots, and tags).
//! 2. [`Tuple::canonical`] gives one key for both directions and says which one the packet has; [`Tuple::words`]
//!    gives a key per direction. [`Tuple::scope`] is a FIB, an interface, or whatever the feature tells apart.
//! 3. Per packet: [`FlowTable::get`], then [`FlowTable::touch`] with what it found (it writes once per tick).
//!    New flows and changes of state: [`FlowTable::change`], or its short forms `insert` and `remove`.
//! 4. [`Refused`] names why there is no room; the caller decides and counts.
//! 5. The main thread calls [`FlowTable::age`] with a budget of slots, often enough to pass the table in seconds.
//!
//! A bucket has 16 slots, one byte of hash for each, and a sequence number that is odd while it is written
//! (a seqlock). A key lives in the emptier of two buckets and never moves; a change holds the first bucket of
//! its key, so changes of one key happen one after the other. A reader that meets a writer tries again, at
//! most [`TRIES`] times, and then misses; a writer that meets another gives up with [`Refused::Busy`].

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use crate::id::Nanos;

mod bucket;
mod key;
mod memory;

pub use key::{Direction, FlowWords, KEY_WORDS, Scope, Tuple, number};

use bucket::{Locked, SLOTS};
use memory::Memory;

/// How often a reader or a writer tries a bucket that somebody writes.
const TRIES: usize = 256;
/// Entries per bucket when the table is at its limit: the rest keeps buckets from filling up before it.
const SLOTS_AT_LIMIT: usize = 13;
/// Entries in a key's first bucket from which on its second one is looked at.
const SPILL: u32 = 8;
/// Entries that are fetched together: more than a processor fetches at once, and few enough to stay in its first cache.
const WARM_AT_ONCE: usize = 64;
/// Length of a tick as a power of two of nanoseconds: 134 ms.
const TICK_SHIFT: u32 = 27;

/// How long an entry lives untouched, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Timeout(u32);

impl Timeout {
    /// Rounded up to ticks; at most 18 years.
    pub const fn secs(secs: u32) -> Self {
        let ticks = ((secs as u64 * 1_000_000_000) >> TICK_SHIFT) + 1;
        let [_, _, _, _, a, b, c, d] = ticks.to_be_bytes();
        Self(u32::from_be_bytes([a, b, c, d]))
    }
}

/// When an entry was last used and how long that is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(u64);

impl Stamp {
    fn new(now: Nanos, timeout: Timeout) -> Self {
        Self(u64::from(tick(now)) << 32 | u64::from(timeout.0))
    }

    const fn timeout(self) -> Timeout {
        let [_, _, _, _, a, b, c, d] = self.0.to_be_bytes();
        Timeout(u32::from_be_bytes([a, b, c, d]))
    }

    fn is_over(self, now: Nanos) -> bool {
        let [a, b, c, d, ..] = self.0.to_be_bytes();
        let (seen, Timeout(timeout)) = (u32::from_be_bytes([a, b, c, d]), self.timeout());
        // A worker's clock may be a little behind the one that stamped.
        let idle = tick(now).wrapping_sub(seen);
        idle > timeout && idle < u32::MAX / 2
    }
}

/// Number of the tick that `now` is in: entries are stamped once in each.
#[inline]
pub(crate) fn tick(now: Nanos) -> u32 {
    let [_, _, _, _, a, b, c, d] = (now.0 >> TICK_SHIFT).to_be_bytes();
    u32::from_be_bytes([a, b, c, d])
}

/// An entry that was found, as it was at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Found<const V: usize> {
    pub value: [u64; V],
    stamp: Stamp,
    slot: usize,
}

impl<const V: usize> Found<V> {
    /// How long the entry lives untouched.
    pub const fn timeout(&self) -> Timeout {
        self.stamp.timeout()
    }

    /// Whether it was untouched for longer than that.
    pub(crate) fn is_over(&self, now: Nanos) -> bool {
        self.stamp.is_over(now)
    }
}

/// What [`FlowTable::change`] does to an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<const V: usize> {
    Keep,
    /// Adds it or replaces its value; it counts as used now.
    Set([u64; V], Timeout),
    Remove,
}

/// Why an entry could not be added or changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    #[error(
        "the flow table has no memory: nothing is configured that needs it, or the system has none"
    )]
    NoMemory,
    #[error("the flow table is full")]
    Full,
    #[error("no free slot for this flow although the table is not full")]
    Crowded,
    #[error("another thread is writing the same bucket")]
    Busy,
}

/// A table with keys of `K` and values of `V` words. See the module for its use.
#[derive(Debug)]
pub struct FlowTable<const K: usize, const V: usize> {
    limit: usize,
    seed: u64,
    len: AtomicUsize,
    /// Bucket that [`FlowTable::age`] looks at next.
    cursor: AtomicUsize,
    memory: OnceLock<Memory<K, V>>,
}

impl<const K: usize, const V: usize> FlowTable<K, V> {
    /// A table for `limit` entries, without memory yet. A `seed` that peers cannot know keeps them from
    /// filling one bucket on purpose.
    pub const fn new(limit: usize, seed: u64) -> Self {
        Self {
            limit,
            seed,
            len: AtomicUsize::new(0),
            cursor: AtomicUsize::new(0),
            memory: OnceLock::new(),
        }
    }

    /// Gets the memory, once. Not for the packet path. Without it every insert is [`Refused::NoMemory`].
    pub fn reserve(&self) {
        if self.memory.get().is_none()
            && let Some(memory) = Memory::new(self.limit.div_ceil(SLOTS_AT_LIMIT).max(2))
        {
            let _ = self.memory.set(memory);
        }
    }

    /// Most entries.
    pub const fn limit(&self) -> usize {
        self.limit
    }

    /// Entries now, those included that are over and not yet aged.
    pub fn len(&self) -> usize {
        self.len.load(Ordering::Relaxed)
    }

    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of address space; what is resident grows with the number of sessions.
    pub fn bytes(&self) -> usize {
        self.memory.get().map_or(0, Memory::bytes)
    }

    /// Finds a live entry.
    #[inline]
    pub fn get(&self, key: &[u64; K], now: Nanos) -> Option<Found<V>> {
        self.find(key).filter(|found| !found.is_over(now))
    }

    /// Finds an entry, over or not.
    #[inline]
    pub(crate) fn find(&self, key: &[u64; K]) -> Option<Found<V>> {
        let memory = self.memory.get()?;
        let probe = self.probe(memory, key);
        memory
            .find(probe.first, probe.tag, key)
            .or_else(|| memory.find(probe.second, probe.tag, key))
    }

    /// Brings what [`FlowTable::find`] will read of many entries into the cache, all at the same time; found one after
    /// the other, each would be waited for.
    pub(crate) fn warm(&self, keys: &[[u64; K]]) {
        let Some(memory) = self.memory.get() else {
            return;
        };
        for keys in keys.chunks(WARM_AT_ONCE) {
            let mut places = [(0, 0); WARM_AT_ONCE];
            for (place, key) in places.iter_mut().zip(keys) {
                let probe = self.probe(memory, key);
                *place = (probe.first, probe.tag);
            }
            let places = places.get(..keys.len()).unwrap_or(&places);
            let headers = places.iter().map(|(at, _)| memory.load_header(*at));
            std::hint::black_box(headers.fold(0, |sum, word| sum ^ word));
            let slots = places.iter().map(|(at, tag)| memory.load_slot(*at, *tag));
            std::hint::black_box(slots.fold(0, |sum, word| sum ^ word));
        }
    }

    /// Starts the timeout of an entry again, and tells whether that was the first time in this tick.
    #[inline]
    pub fn touch(&self, found: &Found<V>, now: Nanos) -> bool {
        let fresh = u64::from(tick(now)) << 32 | (found.stamp.0 & u64::from(u32::MAX));
        if fresh == found.stamp.0 {
            return false;
        }
        if let Some(stamp) = self.memory.get().and_then(|m| m.stamp(found.slot)) {
            // Lost when somebody stamped it meanwhile, or when another flow has the slot now: both are well.
            let _ =
                stamp.compare_exchange(found.stamp.0, fresh, Ordering::Relaxed, Ordering::Relaxed);
        }
        true
    }

    /// Lets an entry live as if it had been touched when `leader` was.
    pub(crate) fn follow(&self, found: &Found<V>, leader: &Found<V>) {
        let stamp = leader.stamp.0 & !u64::from(u32::MAX) | found.stamp.0 & u64::from(u32::MAX);
        if let Some(word) = self.memory.get().and_then(|m| m.stamp(found.slot)) {
            let _ =
                word.compare_exchange(found.stamp.0, stamp, Ordering::Relaxed, Ordering::Relaxed);
        }
    }

    /// Lets `decide` look at the value of `key` (`None` when absent or over) and say what becomes of it;
    /// gives what it saw. No other thread changes this key in between.
    ///
    /// # Errors
    /// [`Refused`]; then nothing changed and `decide` may not have been asked.
    pub fn change(
        &self,
        key: &[u64; K],
        now: Nanos,
        decide: impl FnOnce(Option<[u64; V]>) -> Change<V>,
    ) -> Result<Option<[u64; V]>, Refused> {
        let memory = self.memory.get().ok_or(Refused::NoMemory)?;
        let probe = self.probe(memory, key);
        let (first, second) = Self::lock(memory, &probe).ok_or(Refused::Busy)?;
        let place = first.lane_of(probe.tag, key).map(|lane| (&first, lane));
        let place = place.or_else(|| {
            let second = second.as_ref()?;
            Some((second, second.lane_of(probe.tag, key)?))
        });
        let Some((bucket, lane)) = place else {
            let Change::Set(value, timeout) = decide(None) else {
                return Ok(None);
            };
            let bucket = match &second {
                Some(second) if second.load() < first.load() => second,
                _ => &first,
            };
            let lane = bucket.free_lane().ok_or(Refused::Crowded)?;
            if self.len.fetch_add(1, Ordering::Relaxed) >= self.limit {
                self.len.fetch_sub(1, Ordering::Relaxed);
                return Err(Refused::Full);
            }
            bucket.write(lane, key, &value, Stamp::new(now, timeout));
            bucket.set_tag(lane, probe.tag);
            return Ok(None);
        };
        let seen = bucket.read(lane).filter(|(_, stamp)| !stamp.is_over(now));
        let seen = seen.map(|(value, _)| value);
        match decide(seen) {
            Change::Keep => {}
            Change::Set(value, timeout) => {
                bucket.write(lane, key, &value, Stamp::new(now, timeout));
            }
            Change::Remove => {
                bucket.set_tag(lane, 0);
                self.len.fetch_sub(1, Ordering::Relaxed);
            }
        }
        Ok(seen)
    }

    /// Adds an entry unless it is there; gives the value that was there.
    ///
    /// # Errors
    /// [`Refused`].
    pub fn insert(
        &self,
        key: &[u64; K],
        value: [u64; V],
        timeout: Timeout,
        now: Nanos,
    ) -> Result<Option<[u64; V]>, Refused> {
        self.change(key, now, |there| match there {
            Some(_) => Change::Keep,
            None => Change::Set(value, timeout),
        })
    }

    /// Removes an entry and gives its value.
    ///
    /// # Errors
    /// [`Refused::Busy`], [`Refused::NoMemory`].
    pub fn remove(&self, key: &[u64; K], now: Nanos) -> Result<Option<[u64; V]>, Refused> {
        self.change(key, now, |_| Change::Remove)
    }

    /// Looks at the next `slots` slots and removes what is over; `expired` hears of each. For one thread.
    /// Gives how many were removed.
    pub fn age(
        &self,
        slots: usize,
        now: Nanos,
        expired: impl FnMut(&[u64; K], &[u64; V]),
    ) -> usize {
        self.age_after(slots, now, |_, _| {}, expired)
    }

    /// The same; before entries that are over are removed, `last` hears of each and may touch it.
    pub(crate) fn age_after(
        &self,
        slots: usize,
        now: Nanos,
        mut last: impl FnMut(&[u64; K], &[u64; V]),
        mut expired: impl FnMut(&[u64; K], &[u64; V]),
    ) -> usize {
        let Some(memory) = self.memory.get() else {
            return 0;
        };
        let buckets = slots.div_ceil(SLOTS).min(memory.buckets());
        let mut at = self.cursor.load(Ordering::Relaxed);
        let mut removed = 0;
        for _ in 0..buckets {
            at = if at < memory.buckets() { at } else { 0 };
            if memory.any(at, |stamp| stamp.is_over(now)) {
                memory.copy(at, |key, value, stamp| {
                    if stamp.is_over(now) {
                        last(key, value);
                    }
                });
                removed += self.sweep(memory, at, |key, value, stamp| {
                    let over = stamp.is_over(now);
                    if over {
                        expired(key, value);
                    }
                    !over
                });
            }
            at += 1;
        }
        self.cursor.store(at, Ordering::Relaxed);
        removed
    }

    /// Removes every entry that `keep` refuses. Takes as long as the table is big.
    pub fn retain(&self, mut keep: impl FnMut(&[u64; K], &[u64; V]) -> bool) -> usize {
        let Some(memory) = self.memory.get() else {
            return 0;
        };
        (0..memory.buckets())
            .filter(|at| memory.any(*at, |_| true))
            .map(|at| self.sweep(memory, at, |key, value, _| keep(key, value)))
            .sum()
    }

    /// Visits every live entry once; entries that come or go meanwhile may be missed.
    pub fn for_each(&self, now: Nanos, mut visit: impl FnMut(&[u64; K], &[u64; V])) {
        self.for_all(now, |key, value, is_over| {
            if !is_over {
                visit(key, value);
            }
        });
    }

    /// Visits every entry once and tells whether it is over.
    pub(crate) fn for_all(&self, now: Nanos, mut visit: impl FnMut(&[u64; K], &[u64; V], bool)) {
        if let Some(memory) = self.memory.get() {
            for at in 0..memory.buckets() {
                memory.copy(at, |key, value, stamp| {
                    visit(key, value, stamp.is_over(now));
                });
            }
        }
    }

    /// Removes what `keep` refuses in one bucket; a bucket that stays busy is left for the next time.
    fn sweep(
        &self,
        memory: &Memory<K, V>,
        at: usize,
        mut keep: impl FnMut(&[u64; K], &[u64; V], Stamp) -> bool,
    ) -> usize {
        let Some(bucket) = memory.lock(at) else {
            return 0;
        };
        let mut removed = 0;
        for lane in bucket.lanes() {
            if let Some((key, value, stamp)) = bucket.entry(lane)
                && !keep(&key, &value, stamp)
            {
                bucket.set_tag(lane, 0);
                removed += 1;
            }
        }
        self.len.fetch_sub(removed, Ordering::Relaxed);
        removed
    }

    /// Takes the first bucket of a key, and the second when the key may be there or belong there.
    fn lock<'a>(
        memory: &'a Memory<K, V>,
        probe: &Probe,
    ) -> Option<(Locked<'a, K, V>, Option<Locked<'a, K, V>>)> {
        for _ in 0..TRIES {
            let first = memory.lock(probe.first)?;
            let spills = first.load() >= SPILL || memory.may_have(probe.second, probe.tag);
            if !spills || probe.first == probe.second {
                return Some((first, None));
            }
            // Holding one bucket while waiting for another could wait forever: one try, then start again.
            if let Some(second) = memory.try_lock(probe.second) {
                return Some((first, Some(second)));
            }
            drop(first);
            std::hint::spin_loop();
        }
        None
    }

    /// Where a key may be. The halves of a hash choose a bucket each, by their high bits; the tag is made of low ones.
    #[inline]
    fn probe(&self, memory: &Memory<K, V>, key: &[u64; K]) -> Probe {
        let hash = self.hash(key);
        let [tag, _, _, _, ..] = hash.to_le_bytes();
        Probe {
            first: memory.bucket_of(hash >> 32),
            second: memory.bucket_of(hash & u64::from(u32::MAX)),
            tag: tag.max(1),
        }
    }

    /// The pairs of words are multiplied independently of each other, so that a processor does them at once.
    #[inline]
    fn hash(&self, key: &[u64; K]) -> u64 {
        let (pairs, rest) = key.as_chunks::<2>();
        let mut secret = self.seed ^ SECRETS[0];
        let mut sum = secret;
        for [a, b] in pairs {
            sum = sum.rotate_left(29) ^ fold(a ^ secret, b ^ SECRETS[1]);
            secret = secret.wrapping_add(SECRETS[2]);
        }
        let last = rest.first().copied().unwrap_or(0);
        let mixed = fold(sum ^ last, SECRETS[3]);
        fold(mixed ^ last, SECRETS[1] ^ self.seed)
    }
}

/// Odd numbers with as many ones as zeros.
const SECRETS: [u64; 4] = [
    0x2545_f491_4f6c_dd1d,
    0xd6e8_feb8_6659_fd93,
    0x9e37_79b9_7f4a_7c15,
    0xa076_1d64_78bd_642f,
];

/// Both halves of a product, mixed: every bit of `a` reaches every bit of the result.
#[expect(
    clippy::cast_possible_truncation,
    reason = "the halves of a product are wanted"
)]
#[inline]
pub(crate) const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    (product >> 64) as u64 ^ product as u64
}

/// Where a key may be.
struct Probe {
    first: usize,
    second: usize,
    tag: u8,
}

/// A word of a table.
type Word = AtomicU64;

#[cfg(test)]
mod tests;
