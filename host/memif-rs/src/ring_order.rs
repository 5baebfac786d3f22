//! The order in which both ends of a ring touch its words: all memory orderings of the data path are here.
//!
//! This file is compiled twice: with the processor's atomics for use, and with loom's for the tests in `ring_model`, which try
//! every interleaving that the memory model allows. It is free of `unsafe` and of mappings. Miri needs a nightly
//! compiler: `cargo +nightly miri test -p memif-rs ring` runs the tests that make no system call.

use super::atomic::{AtomicU16, AtomicU64, Ordering, fence};

/// Set by the receiver while it polls: wake-ups are not wanted.
pub(crate) const FLAG_MASK_INTERRUPT: u16 = 1;

/// Makes everything written before visible to whoever sees the index.
#[inline]
pub(crate) fn publish(index: &AtomicU16, value: u16) {
    index.store(value, Ordering::Release);
}

/// Reads the other end's index; what was written before it was published is visible afterwards.
#[inline]
pub(crate) fn observe(index: &AtomicU16) -> u16 {
    index.load(Ordering::Acquire)
}

/// After publishing: whether the receiver wants a wake-up. The fence pairs with the one in
/// [`set_interrupts`]: either the receiver sees the index or this side sees the flag.
#[inline]
pub(crate) fn wants_interrupt(flags: &AtomicU16) -> bool {
    fence(Ordering::SeqCst);
    flags.load(Ordering::Relaxed) & FLAG_MASK_INTERRUPT == 0
}

/// Before sleeping (`true`; look at the ring again afterwards) or to go polling (`false`).
#[inline]
pub(crate) fn set_interrupts(flags: &AtomicU16, wanted: bool) {
    let word = if wanted { 0 } else { FLAG_MASK_INTERRUPT };
    flags.store(word, Ordering::Relaxed);
    fence(Ordering::SeqCst);
}

/// Copies a descriptor once; ordered by the index seen before.
#[inline]
pub(crate) fn read_words([first, second]: &[AtomicU64; 2]) -> [u64; 2] {
    [
        first.load(Ordering::Relaxed),
        second.load(Ordering::Relaxed),
    ]
}

/// Writes a descriptor; published by the next index store.
#[inline]
pub(crate) fn write_words([first, second]: &[AtomicU64; 2], [one, two]: [u64; 2]) {
    first.store(one, Ordering::Relaxed);
    second.store(two, Ordering::Relaxed);
}
