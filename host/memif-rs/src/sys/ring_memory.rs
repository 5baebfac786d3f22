//! The words of a ring in shared memory: header and descriptors, as atomics.

use std::{mem::offset_of, ptr::NonNull, sync::Arc};

use super::{Mapping, OutOfBounds};
use crate::{
    atomic::{AtomicU16, AtomicU32, AtomicU64, Ordering},
    desc::{DESC_SIZE, Descriptor},
    proto::RING_COOKIE,
    ring::RingSize,
    ring_order::{self, FLAG_MASK_INTERRUPT},
};

/// Bytes before the first descriptor.
const RING_HEADER_SIZE: usize = 128;

/// Three cache lines of the protocol: cookie, flags and head; tail; then the descriptors.
#[repr(C)]
struct Header {
    cookie: AtomicU32,
    flags: AtomicU16,
    head: AtomicU16,
    _pad_head: [AtomicU64; 7],
    tail: AtomicU16,
    _pad_tail: [AtomicU16; 3],
    _pad: [AtomicU64; 7],
}

const _: () = assert!(size_of::<Header>() == RING_HEADER_SIZE);
const _: () = assert!(offset_of!(Header, flags) == 4);
const _: () = assert!(offset_of!(Header, head) == 6);
const _: () = assert!(offset_of!(Header, tail) == 64);
const _: () = assert!(align_of::<Header>() == 8 && DESC_SIZE == size_of::<[AtomicU64; 2]>());

/// A ring that is inside its mapping and aligned for its atomics.
#[derive(Debug)]
pub(crate) struct RingMemory {
    base: NonNull<u8>,
    size: RingSize,
    /// Keeps `base` mapped.
    _mapping: Arc<Mapping>,
}

// SAFETY: `base` points into a mapping that is shared by `Arc` and accessed by atomics only.
unsafe impl Send for RingMemory {}

impl RingMemory {
    /// Bytes of a ring of this size.
    pub(crate) const fn bytes(size: RingSize) -> usize {
        RING_HEADER_SIZE + DESC_SIZE * size.entries() as usize
    }

    /// Finds the ring at `offset`, which must be inside and aligned to 8.
    pub(crate) fn new(
        mapping: &Arc<Mapping>,
        offset: usize,
        size: RingSize,
    ) -> Result<Self, OutOfBounds> {
        let base = NonNull::new(mapping.at(offset, Self::bytes(size))?).ok_or(OutOfBounds)?;
        if !base.cast::<Header>().is_aligned() {
            return Err(OutOfBounds);
        }
        Ok(Self {
            base,
            size,
            _mapping: Arc::clone(mapping),
        })
    }

    pub(crate) const fn size(&self) -> RingSize {
        self.size
    }

    /// Makes the ring empty and valid; polled until the receiver asks for interrupts.
    pub(crate) fn initialise(&self) {
        let header = self.header();
        header.flags.store(FLAG_MASK_INTERRUPT, Ordering::Relaxed);
        header.head.store(0, Ordering::Relaxed);
        header.tail.store(0, Ordering::Relaxed);
        header.cookie.store(RING_COOKIE, Ordering::Release);
    }

    pub(crate) fn has_cookie(&self) -> bool {
        self.header().cookie.load(Ordering::Acquire) == RING_COOKIE
    }

    /// The producer's (to-server) or buffer giver's (to-client) index, written by the client.
    #[inline]
    pub(crate) fn head(&self) -> u16 {
        ring_order::observe(&self.header().head)
    }

    #[inline]
    pub(crate) fn set_head(&self, index: u16) {
        ring_order::publish(&self.header().head, index);
    }

    /// The index written by the server.
    #[inline]
    pub(crate) fn tail(&self) -> u16 {
        ring_order::observe(&self.header().tail)
    }

    #[inline]
    pub(crate) fn set_tail(&self, index: u16) {
        ring_order::publish(&self.header().tail, index);
    }

    /// See [`ring_order::wants_interrupt`].
    #[inline]
    pub(crate) fn wants_interrupt(&self) -> bool {
        ring_order::wants_interrupt(&self.header().flags)
    }

    /// See [`ring_order::set_interrupts`].
    pub(crate) fn set_interrupts(&self, wanted: bool) {
        ring_order::set_interrupts(&self.header().flags, wanted);
    }

    /// Copies the descriptor at a free-running index.
    #[inline(always)]
    pub(crate) fn descriptor(&self, index: u16) -> Descriptor {
        Descriptor::from_words(ring_order::read_words(self.words(index)))
    }

    /// Writes the descriptor at a free-running index; published by the next index store.
    #[inline(always)]
    pub(crate) fn set_descriptor(&self, index: u16, descriptor: Descriptor) {
        ring_order::write_words(self.words(index), descriptor.to_words());
    }

    #[inline]
    fn header(&self) -> &Header {
        // SAFETY: `new` checked that a header is inside the mapping and aligned; all its fields are atomics.
        unsafe { self.base.cast::<Header>().as_ref() }
    }

    #[inline(always)]
    fn words(&self, index: u16) -> &[AtomicU64; 2] {
        let offset = RING_HEADER_SIZE + DESC_SIZE * usize::from(self.size.slot(index));
        // SAFETY: `slot` is below the ring's size, and `new` checked that so many descriptors are inside.
        let descriptor = unsafe { self.base.add(offset) };
        // SAFETY: inside the mapping as above, aligned to 8 like the header, and made of atomics.
        unsafe { descriptor.cast().as_ref() }
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::*;

    fn mapping(len: usize) -> Arc<Mapping> {
        let fd = rustix::fs::memfd_create("test", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        rustix::fs::ftruncate(&fd, len as u64).unwrap();
        Arc::new(Mapping::new(fd.as_fd(), len).unwrap())
    }

    #[test]
    fn ring_that_does_not_fit_or_is_askew_is_refused() {
        let memory = mapping(4096);
        let size = RingSize::new(4).unwrap();
        let bytes = RingMemory::bytes(size);
        assert!(RingMemory::new(&memory, 4096 - bytes, size).is_ok());
        assert!(RingMemory::new(&memory, 4096 - bytes + 8, size).is_err());
        assert!(RingMemory::new(&memory, 4, size).is_err());
        assert!(RingMemory::new(&memory, usize::MAX - 7, size).is_err());
    }

    #[test]
    fn words_are_where_the_protocol_puts_them() {
        let memory = mapping(4096);
        let ring = RingMemory::new(&memory, 64, RingSize::new(2).unwrap()).unwrap();
        ring.initialise();
        ring.set_head(0x1122);
        ring.set_tail(0x3344);
        ring.set_interrupts(true);
        let descriptor = Descriptor {
            flags: 1,
            region: 2,
            length: 3,
            offset: 4,
            metadata: 5,
        };
        ring.set_descriptor(7, descriptor);
        assert_eq!(ring.descriptor(3), descriptor);
        let mut bytes = [0; 192];
        memory.read(64, &mut bytes).unwrap();
        assert_eq!(bytes[0..4], RING_COOKIE.to_ne_bytes());
        assert_eq!(bytes[4..6], [0, 0]);
        assert_eq!(bytes[6..8], 0x1122_u16.to_ne_bytes());
        assert_eq!(bytes[64..66], 0x3344_u16.to_ne_bytes());
        let at = 128 + 3 * 16;
        assert_eq!(bytes[at..at + 2], 1_u16.to_ne_bytes());
        assert_eq!(bytes[at + 2..at + 4], 2_u16.to_ne_bytes());
        assert_eq!(bytes[at + 4..at + 8], 3_u32.to_ne_bytes());
        assert_eq!(bytes[at + 8..at + 12], 4_u32.to_ne_bytes());
    }
}
