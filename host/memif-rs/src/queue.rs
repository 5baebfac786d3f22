//! The data path: queues over rings. Copying queues ([`RxQueue`], [`TxQueue`]) and zero-copy ones ([`ZeroCopyRx`],
//! [`ZeroCopyTx`]) share the [`Port`]: ring, regions and doorbell.

mod doorbell;
mod rx;
mod tx;
mod zero_copy;

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

pub(crate) use doorbell::Doorbell;
pub use rx::{RxPacket, RxQueue};
pub use tx::{TxFrame, TxQueue};
pub use zero_copy::{BurstError, ZeroCopyRx, ZeroCopyTx};

use crate::{
    desc::{Descriptor, FLAG_NEXT},
    error::RingError,
    region::Regions,
    ring::RingSize,
    sys::RingMemory,
};

/// What every queue is made of.
#[derive(Debug)]
pub(crate) struct Port {
    ring: RingMemory,
    regions: Regions,
    bell: Doorbell,
    up: Arc<AtomicBool>,
    failed: Option<RingError>,
}

impl Port {
    pub(crate) fn new(
        ring: RingMemory,
        regions: Regions,
        bell: Doorbell,
        up: Arc<AtomicBool>,
    ) -> Self {
        Self {
            ring,
            regions,
            bell,
            up,
            failed: None,
        }
    }

    fn entries(&self) -> u16 {
        self.ring.size().entries()
    }

    fn is_up(&self) -> bool {
        self.up.load(Ordering::Acquire)
    }

    /// A queue that has seen a breach does nothing more.
    #[inline]
    fn check(&self) -> Result<(), RingError> {
        self.failed.map_or(Ok(()), Err)
    }

    /// Remembers a breach.
    fn fail<T>(&mut self, result: Result<T, RingError>) -> Result<T, RingError> {
        if let Err(error) = &result {
            self.failed = Some(*error);
        }
        result
    }

    /// Wakes the peer if it wants to be woken.
    #[inline]
    fn notify(&self) {
        if self.ring.wants_interrupt() {
            self.bell.ring();
        }
    }
}

/// The buffers of a copying client's ring: one per entry, known without looking at the ring.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BufferRow {
    start: u32,
    size: u32,
}

impl BufferRow {
    /// The rows of all rings, one after the other from `start` in region 0.
    pub(crate) fn all(start: u32, size: u32, ring: RingSize) -> impl Iterator<Item = Self> {
        let row_bytes = size.saturating_mul(u32::from(ring.entries()));
        (0_u32..).map(move |row| Self {
            start: start + row * row_bytes,
            size,
        })
    }

    /// The empty buffer of the entry at a free-running index.
    #[inline]
    fn buffer(self, ring: RingSize, index: u16) -> Descriptor {
        let offset = self.start + u32::from(ring.slot(index)) * self.size;
        Descriptor {
            flags: 0,
            region: 0,
            length: self.size,
            offset,
            metadata: 0,
        }
    }
}

/// Tells whether a chain that has no end yet can still get one.
///
/// Well-behaved producers publish whole frames, but nothing demands it: the rest may follow, unless the frame has too
/// many parts already or the ring is full.
fn chain_can_grow(parts: usize, available: u16, limit: u16) -> Result<(), RingError> {
    if parts >= crate::SEGMENTS_MAX || available >= limit {
        Err(RingError::ChainTooLong)
    } else {
        Ok(())
    }
}

/// The flags of a part of a frame.
const fn flags(more: bool) -> u16 {
    if more { FLAG_NEXT } else { 0 }
}

#[cfg(test)]
mod tests;
