//! Packet buffers that the caller owns and all of its links share: received on one link, sent on another, never copied.
//!
//! An arena belongs to one worker (`&mut`, no locks). It knows who has each slot: itself, the caller, or a queue. A slot
//! changes hands only through the arena, so it cannot be given twice, however the numbers in a [`BufferDesc`] came
//! about; a sandboxed packet function may make them up. What the arena cannot do is to keep a peer from writing to a
//! slot that it no longer has: the peers of one arena share it all. Tenants do not share arenas.

use std::{
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::Arc,
};

use crate::{error::RegionError, region, sys::Mapping};

/// Shape of an arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ArenaConfig {
    /// Buffers.
    pub slots: u32,
    /// Bytes per buffer.
    pub slot_size: u32,
    /// Bytes kept free in front of each received packet.
    ///
    /// DPDK's server writes up to its own buffer size whatever is offered, so keep `slot_size - headroom` at least that.
    pub headroom: u32,
}

impl Default for ArenaConfig {
    fn default() -> Self {
        Self {
            slots: 4096,
            slot_size: 2048,
            headroom: 0,
        }
    }
}

/// A buffer, or the part of it that holds a packet. Plain numbers: whoever made them up, the arena checks them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BufferDesc {
    /// Which slot.
    pub slot: u32,
    /// First byte in the slot.
    pub offset: u32,
    /// Bytes.
    pub len: u32,
    /// The frame goes on in the next entry of the burst.
    pub more: bool,
}

/// Misuse of an arena.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ArenaError {
    /// No slots, empty slots, headroom that leaves nothing, or more than 4 GiB.
    #[error("arena shape is not possible")]
    Shape,
    /// The memory could not be made.
    #[error("{0}")]
    Memory(#[from] RegionError),
    /// The caller does not own this slot.
    #[error("slot {0} is not owned by the caller")]
    NotOwned(u32),
    /// The bytes are not inside the slot.
    #[error("bytes outside of slot {0}")]
    OutsideSlot(u32),
    /// The last entry of a burst says that there is more, or a frame has too many parts.
    #[error("frame without end")]
    Unfinished,
    /// The queue belongs to another arena.
    #[error("queue of another arena")]
    OtherArena,
}

/// The memory of an arena: what peers and sandboxes map.
#[derive(Debug)]
pub struct ArenaRegion {
    fd: OwnedFd,
    mapping: Arc<Mapping>,
    config: ArenaConfig,
}

impl ArenaRegion {
    /// Bytes of the file; whole pages.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "an arena is never empty")]
    pub fn len(&self) -> usize {
        self.mapping.len()
    }

    /// Number, size and headroom of the slots.
    #[must_use]
    pub const fn config(&self) -> ArenaConfig {
        self.config
    }

    pub(crate) const fn mapping(&self) -> &Arc<Mapping> {
        &self.mapping
    }

    pub(crate) fn dup(&self) -> io::Result<OwnedFd> {
        self.fd.try_clone()
    }

    /// Start of a slot; slots are numbered below `config.slots`, and the region fits 32 bits.
    pub(crate) const fn slot_start(&self, slot: u32) -> u32 {
        slot * self.config.slot_size
    }
}

/// The sealed memory file.
impl AsFd for ArenaRegion {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// Who has a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Owner(u32);

impl Owner {
    const FREE: Self = Self(0);
    pub(crate) const CALLER: Self = Self(1);
    const FIRST_QUEUE: u32 = 2;
}

/// A worker's packet buffers.
#[derive(Debug)]
pub struct BufferArena {
    region: Arc<ArenaRegion>,
    owners: Box<[Owner]>,
    free: Vec<u32>,
    next_queue: u32,
}

impl BufferArena {
    /// Makes the memory: a file sealed against shrinking, growing and further seals.
    ///
    /// # Errors
    /// [`ArenaError::Shape`] and [`ArenaError::Memory`].
    pub fn new(config: ArenaConfig) -> Result<Self, ArenaError> {
        let bytes = u64::from(config.slots) * u64::from(config.slot_size);
        if bytes == 0 || bytes > u64::from(u32::MAX) || config.headroom >= config.slot_size {
            return Err(ArenaError::Shape);
        }
        let len = usize::try_from(bytes)
            .map_err(|_| ArenaError::Shape)?
            .next_multiple_of(4096);
        let (fd, mapping) = region::create("memif-buffers", len, 1)?;
        let region = Arc::new(ArenaRegion {
            fd,
            mapping: Arc::new(mapping),
            config,
        });
        let owners = vec![Owner::FREE; config.slots as usize].into();
        // Popped from the end: the lowest slots are used first and stay warm.
        let free = (0..config.slots).rev().collect();
        Ok(Self {
            region,
            owners,
            free,
            next_queue: Owner::FIRST_QUEUE,
        })
    }

    /// The memory, for [`Memory::Arenas`](crate::Memory::Arenas) and for sandboxes.
    #[must_use]
    pub fn region(&self) -> Arc<ArenaRegion> {
        Arc::clone(&self.region)
    }

    /// Slots that nobody has.
    #[inline]
    #[must_use]
    pub fn free_slots(&self) -> usize {
        self.free.len()
    }

    /// Takes an empty buffer for the caller.
    #[inline]
    pub fn alloc(&mut self) -> Option<BufferDesc> {
        let slot = self.take(Owner::CALLER)?;
        let ArenaConfig {
            slot_size,
            headroom,
            ..
        } = self.region.config;
        Some(BufferDesc {
            slot,
            offset: headroom,
            len: slot_size - headroom,
            more: false,
        })
    }

    /// Gives a slot back.
    ///
    /// # Errors
    /// [`ArenaError::NotOwned`].
    #[inline]
    pub fn free(&mut self, slot: u32) -> Result<(), ArenaError> {
        self.give_back(slot, Owner::CALLER)
    }

    /// Copies bytes of a buffer out, as many as `to` holds.
    ///
    /// # Errors
    /// [`ArenaError::NotOwned`] and [`ArenaError::OutsideSlot`].
    #[inline]
    pub fn read(&self, buffer: &BufferDesc, to: &mut [u8]) -> Result<usize, ArenaError> {
        let at = self.check(buffer)?;
        let len = to.len().min(buffer.len as usize);
        let outside = ArenaError::OutsideSlot(buffer.slot);
        let to = to.get_mut(..len).ok_or(outside)?;
        self.region.mapping.read(at, to).map_err(|_| outside)?;
        Ok(len)
    }

    /// Copies bytes into a buffer, which must hold them all.
    ///
    /// # Errors
    /// [`ArenaError::NotOwned`] and [`ArenaError::OutsideSlot`].
    #[inline]
    pub fn write(&mut self, buffer: &BufferDesc, from: &[u8]) -> Result<(), ArenaError> {
        let at = self.check(buffer)?;
        let outside = ArenaError::OutsideSlot(buffer.slot);
        if from.len() > buffer.len as usize {
            return Err(outside);
        }
        self.region.mapping.write(at, from).map_err(|_| outside)
    }

    /// Where a buffer's bytes are in the memory file.
    #[must_use]
    pub fn window_offset(&self, buffer: &BufferDesc) -> Option<u32> {
        self.check_bytes(buffer).ok()?;
        Some(self.region.slot_start(buffer.slot) + buffer.offset)
    }

    /// The buffer that holds these bytes of the memory file.
    #[must_use]
    pub fn desc_at(&self, window_offset: u32, len: u32) -> Option<BufferDesc> {
        let slot = window_offset / self.region.config.slot_size;
        let offset = window_offset % self.region.config.slot_size;
        let buffer = BufferDesc {
            slot,
            offset,
            len,
            more: false,
        };
        self.check_bytes(&buffer).is_ok().then_some(buffer)
    }

    /// A name for a queue that will own slots.
    pub(crate) fn register(&mut self) -> Owner {
        let owner = Owner(self.next_queue);
        self.next_queue = self.next_queue.checked_add(1).unwrap_or(Owner::FIRST_QUEUE);
        owner
    }

    pub(crate) fn is(&self, region: &Arc<ArenaRegion>) -> bool {
        Arc::ptr_eq(&self.region, region)
    }

    /// Takes a free slot.
    #[inline]
    pub(crate) fn take(&mut self, owner: Owner) -> Option<u32> {
        let slot = self.free.pop()?;
        self.set_owner(slot, owner);
        Some(slot)
    }

    /// Moves a slot from one owner to another.
    #[inline]
    pub(crate) fn hand_over(
        &mut self,
        slot: u32,
        from: Owner,
        to: Owner,
    ) -> Result<(), ArenaError> {
        match self.owners.get_mut(slot as usize) {
            Some(owner) if *owner == from => {
                *owner = to;
                Ok(())
            }
            _ => Err(ArenaError::NotOwned(slot)),
        }
    }

    /// Frees a slot that `owner` has.
    #[inline]
    pub(crate) fn give_back(&mut self, slot: u32, owner: Owner) -> Result<(), ArenaError> {
        self.hand_over(slot, owner, Owner::FREE)?;
        self.free.push(slot);
        Ok(())
    }

    /// Frees whatever a queue has; returns how many slots that were.
    pub(crate) fn give_back_all(&mut self, gone: Owner) -> usize {
        let before = self.free.len();
        for (slot, owner) in (0..).zip(self.owners.iter_mut()) {
            if *owner == gone {
                *owner = Owner::FREE;
                self.free.push(slot);
            }
        }
        self.free.len() - before
    }

    /// Checks that the bytes are inside their slot.
    #[inline]
    pub(crate) fn check_bytes(&self, buffer: &BufferDesc) -> Result<(), ArenaError> {
        let ArenaConfig {
            slots, slot_size, ..
        } = self.region.config;
        let inside = buffer
            .offset
            .checked_add(buffer.len)
            .is_some_and(|end| end <= slot_size);
        if buffer.slot < slots && inside {
            Ok(())
        } else {
            Err(ArenaError::OutsideSlot(buffer.slot))
        }
    }

    /// Checks that the caller owns the slot and the bytes are inside; returns where they start.
    #[inline]
    fn check(&self, buffer: &BufferDesc) -> Result<usize, ArenaError> {
        self.check_bytes(buffer)?;
        if self.owners.get(buffer.slot as usize) != Some(&Owner::CALLER) {
            return Err(ArenaError::NotOwned(buffer.slot));
        }
        Ok((self.region.slot_start(buffer.slot) + buffer.offset) as usize)
    }

    #[inline]
    fn set_owner(&mut self, slot: u32, to: Owner) {
        if let Some(owner) = self.owners.get_mut(slot as usize) {
            *owner = to;
        }
    }
}

#[cfg(test)]
mod tests;
