//! Shared memory: everything in this crate that is `unsafe`.
//!
//! Charter. Memory: `MAP_SHARED` mappings of memory files that another process maps too and may write at any time,
//! deliberately against the protocol. Invariants: no reference to plain data is ever made into a mapping; words
//! that synchronise (indices, flags, descriptors) are only touched as atomics, packet bytes are only copied to and from
//! private memory, or between mappings with overlap-proof `ptr::copy`; each access is checked against the length
//! of the mapping or, in a ring, against the size checked when the ring was opened. Bytes copied while a peer writes
//! may be torn: they are data and carry no invariant. Files are sealed against shrinking (or the user trusts the
//! peer), else a shrunken file would raise `SIGBUS`. Tested by bounds tests here, ring tests between two mappings of
//! one file, and hostile-peer tests of the whole crate.
#![expect(
    unsafe_code,
    reason = "shared memory with another process has no safe interface; see the charter"
)]

mod mapping;
mod ring_memory;

pub(crate) use mapping::{Mapping, OutOfBounds};
pub(crate) use ring_memory::RingMemory;
