//! Sending by copy: fill buffers, chain them as needed, publish them together.

use std::os::fd::{AsFd, BorrowedFd};

use super::{BufferRow, Port, RxPacket, flags};
use crate::{SEGMENTS_MAX, desc::Descriptor, error::RingError, ring::advance};

/// A send queue. Frames are queued one by one and published by [`commit`](Self::commit).
#[derive(Debug)]
pub struct TxQueue {
    port: Port,
    /// Buffers of a client; a server fills what the client offers.
    row: Option<BufferRow>,
    /// Index of the first entry not filled.
    next: u16,
    /// Index up to which the peer knows.
    published: u16,
    /// Entries from `next` on that were free when the ring was last looked at.
    free: u16,
    /// The filled parts of the frame under way.
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy)]
struct Part {
    buffer: Descriptor,
    filled: u32,
}

impl TxQueue {
    pub(crate) fn server(port: Port) -> Self {
        Self::new(port, None)
    }

    pub(crate) fn client(port: Port, row: BufferRow) -> Self {
        Self::new(port, Some(row))
    }

    fn new(port: Port, row: Option<BufferRow>) -> Self {
        let parts = Vec::with_capacity(SEGMENTS_MAX);
        Self {
            port,
            row,
            next: 0,
            published: 0,
            free: 0,
            parts,
        }
    }

    /// How many of `wanted` entries are free; each holds a frame, or a part of one that exceeds the buffer.
    ///
    /// # Errors
    /// The peer's breach of the ring rules, now and on every later call.
    #[inline]
    pub fn reserve(&mut self, wanted: usize) -> Result<usize, RingError> {
        self.port.check()?;
        if usize::from(self.free) < wanted {
            let free = self.look();
            self.free = self.port.fail(free)?;
        }
        Ok(wanted.min(usize::from(self.free)))
    }

    /// Starts a frame.
    #[inline]
    pub fn begin(&mut self) -> TxFrame<'_> {
        self.parts.clear();
        TxFrame {
            queue: self,
            full: false,
        }
    }

    /// Queues a frame made of pieces. `false`: the ring is full and nothing was queued.
    ///
    /// # Errors
    /// As for [`reserve`](Self::reserve).
    #[inline]
    pub fn push(&mut self, pieces: &[&[u8]]) -> Result<bool, RingError> {
        if let [whole] = pieces
            && self.push_whole(whole, None)?
        {
            return Ok(true);
        }
        let mut frame = self.begin();
        for piece in pieces {
            frame.append(piece)?;
        }
        Ok(frame.finish())
    }

    /// Queues a frame made of `head` and `len` bytes from `offset` of a received packet.
    ///
    /// # Errors
    /// As for [`reserve`](Self::reserve).
    #[inline]
    pub fn push_with_tail(
        &mut self,
        head: &[u8],
        tail: Option<(&RxPacket<'_>, usize, usize)>,
    ) -> Result<bool, RingError> {
        if self.push_whole(head, tail)? {
            return Ok(true);
        }
        self.push_parts(head, tail)
    }

    /// Queues a frame of any shape.
    #[cold]
    fn push_parts(
        &mut self,
        head: &[u8],
        tail: Option<(&RxPacket<'_>, usize, usize)>,
    ) -> Result<bool, RingError> {
        let mut frame = self.begin();
        frame.append(head)?;
        if let Some((packet, offset, len)) = tail {
            frame.append_packet(packet, offset, len)?;
        }
        Ok(frame.finish())
    }

    /// Queues a frame that fits into the next buffer and has its tail in one piece. `false`: it is another, or there is no
    /// room, and nothing was queued.
    #[inline]
    fn push_whole(
        &mut self,
        head: &[u8],
        tail: Option<(&RxPacket<'_>, usize, usize)>,
    ) -> Result<bool, RingError> {
        if head.is_empty() || (self.free == 0 && self.reserve(1)? == 0) {
            return Ok(false);
        }
        self.port.check()?;
        let length = head.len() + tail.map_or(0, |(_, _, len)| len);
        let buffer = self.next_buffer();
        if length > buffer.length as usize {
            return Ok(false);
        }
        let copied = self.fill(buffer, head, tail);
        if !self.port.fail(copied)? {
            return Ok(false);
        }
        #[expect(
            clippy::cast_possible_truncation,
            reason = "at most the buffer's length"
        )]
        let length = length as u32;
        let filled = Descriptor {
            flags: flags(false),
            length,
            ..buffer
        };
        self.port.ring.set_descriptor(self.next, filled);
        self.next = self.next.wrapping_add(1);
        self.free -= 1;
        Ok(true)
    }

    /// Copies a frame to where a buffer starts; every byte written is checked to lie in its region. `false`: the tail is in
    /// pieces.
    #[inline]
    fn fill(
        &self,
        buffer: Descriptor,
        head: &[u8],
        tail: Option<(&RxPacket<'_>, usize, usize)>,
    ) -> Result<bool, RingError> {
        let outside = RingError::OutsideRegion(buffer.region);
        let mapping = self.port.regions.mapping(buffer.region);
        let mapping = mapping.ok_or(RingError::UnknownRegion(buffer.region))?;
        let at = buffer.offset as usize;
        if let Some((packet, offset, len)) = tail {
            let Some((from, from_at)) = packet.one_piece(offset, len) else {
                return Ok(false);
            };
            from.copy_to(from_at, mapping, at + head.len(), len)
                .map_err(|_| outside)?;
        }
        mapping.write(at, head).map_err(|_| outside)?;
        Ok(true)
    }

    /// The descriptor of the next entry, not checked.
    #[inline]
    fn next_buffer(&self) -> Descriptor {
        match self.row {
            Some(row) => row.buffer(self.port.ring.size(), self.next),
            None => self.port.ring.descriptor(self.next),
        }
    }

    /// Sends as many of `frames` as the ring takes and publishes them; returns their number.
    ///
    /// # Errors
    /// As for [`reserve`](Self::reserve).
    pub fn send_burst(&mut self, frames: &[&[u8]]) -> Result<usize, RingError> {
        let mut sent = 0;
        for frame in frames {
            if !self.push(&[frame])? {
                break;
            }
            sent += 1;
        }
        self.commit();
        Ok(sent)
    }

    /// Publishes what was queued and wakes the peer if it sleeps.
    #[inline]
    pub fn commit(&mut self) {
        if self.published == self.next || self.port.failed.is_some() {
            return;
        }
        self.published = self.next;
        match self.row {
            None => self.port.ring.set_tail(self.next),
            Some(_) => self.port.ring.set_head(self.next),
        }
        self.port.notify();
    }

    /// Entries of the ring.
    #[must_use]
    pub fn ring_size(&self) -> usize {
        usize::from(self.port.entries())
    }

    /// Whether the control channel still holds the link up.
    #[must_use]
    pub fn is_up(&self) -> bool {
        self.port.is_up()
    }

    /// Free entries from `next` on, as the peer's index has it.
    #[inline]
    fn look(&self) -> Result<u16, RingError> {
        let entries = self.port.entries();
        match self.row {
            // What the client has offered beyond what was filled.
            None => {
                let filled = self.next.wrapping_sub(self.published);
                let offered = advance(self.port.ring.head(), self.published, entries)?;
                offered
                    .checked_sub(filled)
                    .ok_or(RingError::IndexJump(offered))
            }
            // The server trails behind: what lies between it and `next` is taken.
            Some(_) => {
                let taken = advance(self.next, self.port.ring.tail(), entries)?;
                Ok(entries - taken)
            }
        }
    }

    /// The empty buffer `ahead` entries from `next`.
    #[inline]
    fn buffer(&self, ahead: u16) -> Result<Descriptor, RingError> {
        let index = self.next.wrapping_add(ahead);
        if let Some(row) = self.row {
            return Ok(row.buffer(self.port.ring.size(), index));
        }
        let offered = self.port.ring.descriptor(index);
        self.port
            .regions
            .check(offered.region, offered.offset, offered.length)?;
        Ok(offered)
    }

    /// Makes room in the frame under way; `false` when there is none.
    #[inline]
    fn open_part(&mut self) -> Result<bool, RingError> {
        let used = self.parts.len();
        if used >= SEGMENTS_MAX || self.reserve(used + 1)? <= used {
            return Ok(false);
        }
        // `used` is below SEGMENTS_MAX.
        #[expect(clippy::cast_possible_truncation, reason = "bounded by SEGMENTS_MAX")]
        let buffer = self.buffer(used as u16);
        let buffer = self.port.fail(buffer)?;
        self.parts.push(Part { buffer, filled: 0 });
        Ok(true)
    }
}

impl AsFd for TxQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.bell.as_fd()
    }
}

/// A frame under way. Nothing is seen of it unless it is finished.
#[derive(Debug)]
pub struct TxFrame<'a> {
    queue: &'a mut TxQueue,
    full: bool,
}

impl TxFrame<'_> {
    /// Adds private bytes.
    ///
    /// # Errors
    /// As for [`TxQueue::reserve`].
    #[inline]
    pub fn append(&mut self, mut from: &[u8]) -> Result<(), RingError> {
        while !from.is_empty() && self.room()? {
            let Some(part) = self.queue.parts.last_mut() else {
                break;
            };
            let take = from.len().min((part.buffer.length - part.filled) as usize);
            let (now, rest) = from.split_at(take);
            let at = part.buffer.offset as usize + part.filled as usize;
            let region = part.buffer.region;
            let mapping = self
                .queue
                .port
                .regions
                .mapping(region)
                .ok_or(RingError::UnknownRegion(region))?;
            mapping
                .write(at, now)
                .map_err(|_| RingError::OutsideRegion(region))?;
            part.filled = advance_filled(part, take);
            from = rest;
        }
        Ok(())
    }

    /// Adds `len` bytes from `offset` of a received packet, straight from shared memory to shared memory.
    ///
    /// # Errors
    /// As for [`TxQueue::reserve`].
    #[inline]
    pub fn append_packet(
        &mut self,
        packet: &RxPacket<'_>,
        offset: usize,
        len: usize,
    ) -> Result<(), RingError> {
        let mut result = Ok(());
        packet.walk(offset, len, |from, from_at, piece| {
            let (mut at, mut left) = (from_at, piece);
            while left > 0 {
                match self.copy_piece(from, at, left) {
                    Ok(0) => return false,
                    Ok(taken) => {
                        at += taken;
                        left -= taken;
                    }
                    Err(error) => {
                        result = Err(error);
                        return false;
                    }
                }
            }
            true
        });
        result
    }

    /// Queues the frame. `false`: it did not fit and nothing was queued. An empty frame is no frame, and fits.
    #[inline]
    pub fn finish(self) -> bool {
        let queue = self.queue;
        if self.full || queue.port.failed.is_some() {
            queue.parts.clear();
            return false;
        }
        let count = queue.parts.len();
        for (place, part) in queue.parts.drain(..).enumerate() {
            let flags = flags(place + 1 < count);
            let descriptor = Descriptor {
                flags,
                length: part.filled,
                ..part.buffer
            };
            queue.port.ring.set_descriptor(queue.next, descriptor);
            queue.next = queue.next.wrapping_add(1);
            queue.free -= 1;
        }
        true
    }

    /// Copies what fits into the current part; 0 when the frame does not fit.
    #[inline]
    fn copy_piece(
        &mut self,
        from: &crate::sys::Mapping,
        at: usize,
        len: usize,
    ) -> Result<usize, RingError> {
        if !self.room()? {
            return Ok(0);
        }
        let Some(part) = self.queue.parts.last_mut() else {
            return Ok(0);
        };
        let take = len.min((part.buffer.length - part.filled) as usize);
        let region = part.buffer.region;
        let to = self
            .queue
            .port
            .regions
            .mapping(region)
            .ok_or(RingError::UnknownRegion(region))?;
        let to_at = part.buffer.offset as usize + part.filled as usize;
        from.copy_to(at, to, to_at, take)
            .map_err(|_| RingError::OutsideRegion(region))?;
        part.filled = advance_filled(part, take);
        Ok(take)
    }

    /// Whether the current part has room, or a new one was opened.
    #[inline]
    fn room(&mut self) -> Result<bool, RingError> {
        let mut has = self
            .queue
            .parts
            .last()
            .is_some_and(|part| part.filled < part.buffer.length);
        while !has && !self.full {
            self.full = !self.queue.open_part()?;
            has = !self.full
                && self
                    .queue
                    .parts
                    .last()
                    .is_some_and(|part| part.filled < part.buffer.length);
        }
        Ok(has)
    }
}

/// `take` is at most the room of the part, so the sum stays within 32 bits.
#[expect(
    clippy::cast_possible_truncation,
    reason = "at most the length of the buffer"
)]
const fn advance_filled(part: &Part, take: usize) -> u32 {
    part.filled + take as u32
}
