//! Zero copy, client side: whole buffers of an arena go to and come from the server.

use std::{
    os::fd::{AsFd, BorrowedFd},
    sync::Arc,
};

use super::{Port, chain_can_grow, flags};
use crate::{
    SEGMENTS_MAX,
    arena::{ArenaError, ArenaRegion, BufferArena, BufferDesc, Owner},
    desc::Descriptor,
    error::RingError,
    ring::advance,
};

/// Why a burst failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BurstError {
    /// The peer broke the rules of the ring: disconnect it.
    #[error("{0}")]
    Ring(#[from] RingError),
    /// The caller gave what it may not give; nothing of the burst was queued.
    #[error("{0}")]
    Arena(#[from] ArenaError),
}

/// The slots that a ring holds, by entry, known without trusting the ring.
#[derive(Debug)]
struct Held {
    port: Port,
    arena: Arc<ArenaRegion>,
    /// Region number of the arena on this link.
    region: u16,
    /// Name of this queue in the arena, once it has met it.
    owner: Option<Owner>,
    slots: Box<[u32]>,
    /// First entry that the server may still have.
    first: u16,
    /// Entry after the last one given.
    end: u16,
}

impl Held {
    fn new(port: Port, arena: Arc<ArenaRegion>, region: u16) -> Self {
        let slots = vec![0; usize::from(port.entries())].into();
        Self {
            port,
            arena,
            region,
            owner: None,
            slots,
            first: 0,
            end: 0,
        }
    }

    fn join(&mut self, arena: &mut BufferArena) -> Result<Owner, ArenaError> {
        if !arena.is(&self.arena) {
            return Err(ArenaError::OtherArena);
        }
        Ok(*self.owner.get_or_insert_with(|| arena.register()))
    }

    fn room(&self) -> u16 {
        self.port.entries() - self.end.wrapping_sub(self.first)
    }

    /// Entries that the server is done with.
    #[inline]
    fn done(&mut self) -> Result<u16, RingError> {
        self.port.check()?;
        let held = self.end.wrapping_sub(self.first);
        let done = advance(self.port.ring.tail(), self.first, held);
        self.port.fail(done)
    }

    #[inline]
    fn slot(&self, index: u16) -> u32 {
        let place = usize::from(self.port.ring.size().slot(index));
        self.slots.get(place).copied().unwrap_or(u32::MAX)
    }

    /// Writes the next entry; not published yet.
    #[inline]
    fn put(&mut self, buffer: &BufferDesc) {
        let place = usize::from(self.port.ring.size().slot(self.end));
        if let Some(slot) = self.slots.get_mut(place) {
            *slot = buffer.slot;
        }
        let descriptor = Descriptor {
            flags: flags(buffer.more),
            region: self.region,
            length: buffer.len,
            offset: self.arena.slot_start(buffer.slot) + buffer.offset,
            metadata: 0,
        };
        self.port.ring.set_descriptor(self.end, descriptor);
        self.end = self.end.wrapping_add(1);
    }

    fn publish(&self) {
        self.port.ring.set_head(self.end);
    }

    fn recover(&self, arena: &mut BufferArena) -> Result<usize, ArenaError> {
        if !arena.is(&self.arena) {
            return Err(ArenaError::OtherArena);
        }
        Ok(self.owner.map_or(0, |owner| arena.give_back_all(owner)))
    }
}

/// A receive queue whose buffers become the caller's.
///
/// It offers nothing before the first [`take_burst`](Self::take_burst), which fills the ring from the arena.
#[derive(Debug)]
pub struct ZeroCopyRx {
    held: Held,
    frames_dropped: u64,
}

impl ZeroCopyRx {
    pub(crate) fn new(port: Port, arena: Arc<ArenaRegion>, region: u16) -> Self {
        Self {
            held: Held::new(port, arena, region),
            frames_dropped: 0,
        }
    }

    /// Takes filled buffers and offers free ones in their place; returns how many entries of `out` are the caller's now.
    ///
    /// Frames are not split between bursts. One that would not fit even an empty `out` is dropped and counted; with
    /// [`SEGMENTS_MAX`] entries that does not happen.
    ///
    /// # Errors
    /// [`BurstError::Ring`] when the peer broke the rules, now and on every later call; [`ArenaError::OtherArena`].
    pub fn take_burst(
        &mut self,
        arena: &mut BufferArena,
        out: &mut [BufferDesc],
    ) -> Result<usize, BurstError> {
        let owner = self.held.join(arena)?;
        let done = self.held.done()?;
        let taken = self.take(arena, owner, out, done);
        let taken = self.held.port.fail(taken)?;
        self.refill(arena, owner);
        Ok(taken)
    }

    fn take(
        &mut self,
        arena: &mut BufferArena,
        owner: Owner,
        out: &mut [BufferDesc],
        done: u16,
    ) -> Result<usize, RingError> {
        let (mut taken, mut entry) = (0, 0);
        while entry < done && taken < out.len() {
            let Some(parts) = self.frame(done - entry, out, taken)? else {
                break;
            };
            let whole = out.get(taken..taken + parts).is_some();
            if !whole && taken > 0 {
                break;
            }
            for _ in 0..parts {
                let slot = self.held.slot(self.held.first);
                self.held.first = self.held.first.wrapping_add(1);
                let moved = if whole {
                    arena.hand_over(slot, owner, Owner::CALLER)
                } else {
                    arena.give_back(slot, owner)
                };
                debug_assert!(moved.is_ok(), "slot {slot} is not the queue's");
            }
            if whole {
                taken += parts;
            } else {
                self.frames_dropped += 1;
            }
            #[expect(clippy::cast_possible_truncation, reason = "bounded by SEGMENTS_MAX")]
            let parts = parts as u16;
            entry += parts;
        }
        Ok(taken)
    }

    /// Copies the frame at the front to `out[at..]` as far as it fits; returns its parts, nothing if it has no end yet.
    fn frame(
        &self,
        waiting: u16,
        out: &mut [BufferDesc],
        at: usize,
    ) -> Result<Option<usize>, RingError> {
        let config = self.held.arena.config();
        let room = config.slot_size - config.headroom;
        let mut parts = 0;
        for ahead in 0..waiting {
            let index = self.held.first.wrapping_add(ahead);
            let descriptor = self.held.port.ring.descriptor(index);
            let (len, more) = (descriptor.length, descriptor.has_next());
            if len > room {
                return Err(RingError::TooLong(len));
            }
            if let Some(to) = out.get_mut(at + parts) {
                let slot = self.held.slot(index);
                *to = BufferDesc {
                    slot,
                    offset: config.headroom,
                    len,
                    more,
                };
            }
            parts += 1;
            if !more {
                return Ok(Some(parts));
            }
            if parts >= SEGMENTS_MAX {
                return Err(RingError::ChainTooLong);
            }
        }
        chain_can_grow(parts, waiting, self.held.port.entries())?;
        Ok(None)
    }

    /// Offers free slots of the arena until the ring is full.
    fn refill(&mut self, arena: &mut BufferArena, owner: Owner) {
        let config = self.held.arena.config();
        let (offset, len) = (config.headroom, config.slot_size - config.headroom);
        let room = self.held.room();
        for _ in 0..room {
            let Some(slot) = arena.take(owner) else { break };
            self.held.put(&BufferDesc {
                slot,
                offset,
                len,
                more: false,
            });
        }
        if room > 0 {
            self.held.publish();
        }
    }

    /// Frames dropped because they had more parts than the caller's slice.
    #[must_use]
    pub const fn frames_dropped(&self) -> u64 {
        self.frames_dropped
    }

    /// Gives every slot of the queue back to the arena, after the link is gone.
    ///
    /// # Errors
    /// [`ArenaError::OtherArena`].
    pub fn recover(self, arena: &mut BufferArena) -> Result<usize, ArenaError> {
        self.held.recover(arena)
    }

    /// Asks for wake-ups through the queue's eventfd. `true`: packets are waiting already, do not sleep.
    ///
    /// # Errors
    /// The peer's breach of the ring rules.
    pub fn arm(&mut self) -> Result<bool, RingError> {
        self.held.port.ring.set_interrupts(true);
        Ok(self.held.done()? > 0)
    }

    /// Goes back to polling, as every queue starts.
    pub fn disarm(&mut self) {
        self.held.port.ring.set_interrupts(false);
    }

    /// Takes the wake-ups so far off the eventfd.
    pub fn acknowledge(&self) {
        self.held.port.bell.drain();
    }

    /// Entries of the ring.
    #[must_use]
    pub fn ring_size(&self) -> usize {
        usize::from(self.held.port.entries())
    }

    /// Whether the control channel still holds the link up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.held.port.is_up()
    }
}

impl AsFd for ZeroCopyRx {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.held.port.bell.as_fd()
    }
}

/// A send queue that is given the caller's buffers.
#[derive(Debug)]
pub struct ZeroCopyTx {
    held: Held,
}

impl ZeroCopyTx {
    pub(crate) fn new(port: Port, arena: Arc<ArenaRegion>, region: u16) -> Self {
        Self {
            held: Held::new(port, arena, region),
        }
    }

    /// Sends whole frames from the front of `buffers` while the ring takes them; returns how many entries were taken.
    /// The rest stays the caller's. Slots that the server is done with go back to the arena when the ring has too little
    /// room or the arena few free slots; [`reclaim`](Self::reclaim) takes them back at any time.
    ///
    /// # Errors
    /// [`BurstError::Arena`]: an entry is not the caller's or not inside its slot; nothing was sent.
    /// [`BurstError::Ring`]: the peer broke the rules.
    pub fn give_burst(
        &mut self,
        arena: &mut BufferArena,
        buffers: &[BufferDesc],
    ) -> Result<usize, BurstError> {
        let owner = self.held.join(arena)?;
        // Each look at the server's index costs a cache line that it has just written, so a look is for many frames.
        let entries = usize::from(self.held.port.entries());
        if usize::from(self.held.room()) < buffers.len() || arena.free_slots() < entries {
            self.reclaim(arena)?;
        }
        self.held.port.check()?;
        let room = usize::from(self.held.room());
        let fitting = whole_frames(buffers, room)?;
        let buffers = buffers.get(..fitting).unwrap_or_default();
        claim(arena, owner, buffers)?;
        for buffer in buffers {
            self.held.put(buffer);
        }
        if fitting > 0 {
            self.held.publish();
            self.held.port.notify();
        }
        Ok(fitting)
    }

    /// Gives slots that the server is done with back to the arena; returns how many.
    ///
    /// # Errors
    /// As for [`give_burst`](Self::give_burst).
    pub fn reclaim(&mut self, arena: &mut BufferArena) -> Result<usize, BurstError> {
        let owner = self.held.join(arena)?;
        let done = self.held.done()?;
        for _ in 0..done {
            let slot = self.held.slot(self.held.first);
            let returned = arena.give_back(slot, owner);
            debug_assert!(returned.is_ok(), "slot {slot} is not the queue's");
            self.held.first = self.held.first.wrapping_add(1);
        }
        Ok(usize::from(done))
    }

    /// Gives every slot of the queue back to the arena, after the link is gone.
    ///
    /// # Errors
    /// [`ArenaError::OtherArena`].
    pub fn recover(self, arena: &mut BufferArena) -> Result<usize, ArenaError> {
        self.held.recover(arena)
    }

    /// Entries of the ring.
    #[must_use]
    pub fn ring_size(&self) -> usize {
        usize::from(self.held.port.entries())
    }

    /// Whether the control channel still holds the link up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.held.port.is_up()
    }
}

impl AsFd for ZeroCopyTx {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.held.port.bell.as_fd()
    }
}

/// How many leading entries make whole frames within `room`; every frame must end, with few enough parts.
fn whole_frames(buffers: &[BufferDesc], room: usize) -> Result<usize, ArenaError> {
    let (mut fitting, mut parts) = (0, 0);
    for (place, buffer) in buffers.iter().enumerate() {
        parts += 1;
        if parts > SEGMENTS_MAX {
            return Err(ArenaError::Unfinished);
        }
        if !buffer.more {
            parts = 0;
            if place < room {
                fitting = place + 1;
            }
        }
    }
    if parts == 0 {
        Ok(fitting)
    } else {
        Err(ArenaError::Unfinished)
    }
}

/// Makes the queue the owner of all slots, or of none.
fn claim(arena: &mut BufferArena, owner: Owner, buffers: &[BufferDesc]) -> Result<(), ArenaError> {
    for (claimed, buffer) in buffers.iter().enumerate() {
        let result = arena
            .check_bytes(buffer)
            .and_then(|()| arena.hand_over(buffer.slot, Owner::CALLER, owner));
        if let Err(error) = result {
            for buffer in buffers.iter().take(claimed) {
                let undone = arena.hand_over(buffer.slot, owner, Owner::CALLER);
                debug_assert!(undone.is_ok(), "slot was claimed just now");
            }
            return Err(error);
        }
    }
    Ok(())
}
