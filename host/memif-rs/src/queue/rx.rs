//! Receiving by copy: look at a burst, copy out what is wanted, give the buffers back.

use std::os::fd::{AsFd, BorrowedFd};

use super::{BufferRow, Port, chain_can_grow};
use crate::{desc::Descriptor, error::RingError, ring::advance, sys::Mapping};

/// A receive queue.
///
/// [`peek`](Self::peek) shows packets where they lie; [`release`](Self::release) gives their memory back to the peer.
/// The descriptors were copied and checked by `peek`: what the peer does to them afterwards is not seen. The bytes can
/// change until they are copied out, so decide on a private copy only.
#[derive(Debug)]
pub struct RxQueue {
    port: Port,
    /// Buffers of a client; a server reads the client's descriptors.
    row: Option<BufferRow>,
    /// Index of the first entry not given back.
    next: u16,
    packets: Vec<Packet>,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, Copy)]
struct Packet {
    first: u16,
    count: u16,
    len: u32,
}

#[derive(Debug, Clone, Copy)]
struct Segment {
    region: u16,
    offset: u32,
    len: u32,
}

impl RxQueue {
    pub(crate) fn server(port: Port) -> Self {
        Self::new(port, None)
    }

    /// Offers all buffers to the server.
    pub(crate) fn client(port: Port, row: BufferRow) -> Self {
        let queue = Self::new(port, Some(row));
        queue.offer(0, queue.port.entries(), row);
        queue
    }

    fn new(port: Port, row: Option<BufferRow>) -> Self {
        let entries = usize::from(port.entries());
        Self {
            port,
            row,
            next: 0,
            packets: Vec::with_capacity(entries),
            segments: Vec::with_capacity(entries),
        }
    }

    /// Shows up to `max` packets as [`packet`](Self::packet)`(0..n)` and returns `n`.
    ///
    /// While shown packets are not released, it returns their number and does not look at the ring.
    ///
    /// # Errors
    /// The peer's breach of the ring rules, now and on every later call.
    #[inline]
    pub fn peek(&mut self, max: usize) -> Result<usize, RingError> {
        self.port.check()?;
        if self.packets.is_empty() {
            let scanned = self.scan(max);
            self.port.fail(scanned)?;
        }
        Ok(self.packets.len())
    }

    /// The shown packet `index`.
    #[inline]
    #[must_use]
    pub fn packet(&self, index: usize) -> Option<RxPacket<'_>> {
        let packet = self.packets.get(index)?;
        let first = usize::from(packet.first);
        let segments = self
            .segments
            .get(first..first + usize::from(packet.count))?;
        Some(RxPacket {
            queue: self,
            segments,
            len: packet.len,
        })
    }

    /// The shown packets.
    #[inline]
    pub fn packets(&self) -> impl Iterator<Item = RxPacket<'_>> {
        (0..self.packets.len()).filter_map(|index| self.packet(index))
    }

    /// Gives the first `count` shown packets back to the peer; the others are shown by the next `peek`.
    #[inline]
    pub fn release(&mut self, count: usize) {
        let Some(last) = count.min(self.packets.len()).checked_sub(1) else {
            return;
        };
        let entries = self
            .packets
            .get(last)
            .map_or(0, |packet| packet.first + packet.count);
        self.packets.clear();
        self.segments.clear();
        let from = self.next;
        self.next = from.wrapping_add(entries);
        match self.row {
            None => self.port.ring.set_tail(self.next),
            Some(row) => self.offer(from.wrapping_add(self.port.entries()), entries, row),
        }
    }

    /// Gives all shown packets back to the peer.
    #[inline]
    pub fn release_all(&mut self) {
        self.release(usize::MAX);
    }

    /// Receives by copy: packet `i` goes to `buffers[i]`, its whole length to `lengths[i]`; what does not fit is cut off.
    ///
    /// # Errors
    /// As for [`peek`](Self::peek).
    pub fn recv_burst(
        &mut self,
        buffers: &mut [&mut [u8]],
        lengths: &mut [usize],
    ) -> Result<usize, RingError> {
        let count = self.peek(buffers.len().min(lengths.len()))?;
        for ((packet, buffer), length) in self
            .packets()
            .zip(buffers.iter_mut())
            .zip(lengths.iter_mut())
        {
            packet.copy_out(0, buffer);
            *length = packet.len();
        }
        let count = count.min(buffers.len()).min(lengths.len());
        self.release(count);
        Ok(count)
    }

    /// Asks for wake-ups through the queue's eventfd. `true`: packets are waiting already, do not sleep.
    ///
    /// # Errors
    /// As for [`peek`](Self::peek).
    pub fn arm(&mut self) -> Result<bool, RingError> {
        self.port.check()?;
        self.port.ring.set_interrupts(true);
        let available = self.available();
        Ok(self.port.fail(available)? > 0)
    }

    /// Goes back to polling, as every queue starts.
    pub fn disarm(&mut self) {
        self.port.ring.set_interrupts(false);
    }

    /// Takes the wake-ups so far off the eventfd.
    pub fn acknowledge(&self) {
        self.port.bell.drain();
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

    #[inline]
    fn available(&self) -> Result<u16, RingError> {
        let theirs = match self.row {
            None => self.port.ring.head(),
            Some(_) => self.port.ring.tail(),
        };
        advance(theirs, self.next, self.port.entries())
    }

    #[inline]
    fn scan(&mut self, max: usize) -> Result<(), RingError> {
        self.segments.clear();
        let available = self.available()?;
        let mut seen = 0;
        let mut first = 0;
        let mut len = 0_u32;
        while seen < available && self.packets.len() < max {
            let index = self.next.wrapping_add(seen);
            let descriptor = self.port.ring.descriptor(index);
            let segment = self.checked(index, descriptor)?;
            self.segments.push(segment);
            seen += 1;
            if !descriptor.has_next() && seen == first + 1 {
                self.packets.push(Packet {
                    first,
                    count: 1,
                    len: segment.len,
                });
                first = seen;
                continue;
            }
            len = len
                .checked_add(segment.len)
                .ok_or(RingError::TooLong(u32::MAX))?;
            if descriptor.has_next() {
                let parts = usize::from(seen - first);
                if seen == available {
                    chain_can_grow(parts, available, self.port.entries())?;
                } else if parts >= crate::SEGMENTS_MAX {
                    return Err(RingError::ChainTooLong);
                }
            } else {
                self.packets.push(Packet {
                    first,
                    count: seen - first,
                    len,
                });
                first = seen;
                len = 0;
            }
        }
        Ok(())
    }

    /// The buffer that a descriptor, copied already, describes. A client knows its own buffers and only takes the length.
    #[inline]
    fn checked(&self, index: u16, descriptor: Descriptor) -> Result<Segment, RingError> {
        let len = descriptor.length;
        let Some(row) = self.row else {
            let Descriptor { region, offset, .. } = descriptor;
            let mapping = self.port.regions.check(region, offset, len)?;
            mapping.prefetch(offset as usize);
            return Ok(Segment {
                region,
                offset,
                len,
            });
        };
        let Descriptor {
            region,
            offset,
            length: room,
            ..
        } = row.buffer(self.port.ring.size(), index);
        if len > room {
            return Err(RingError::TooLong(len));
        }
        if let Some(mapping) = self.port.regions.mapping(region) {
            mapping.prefetch(offset as usize);
        }
        Ok(Segment {
            region,
            offset,
            len,
        })
    }

    /// Writes `count` empty buffers from index `from` and publishes them.
    fn offer(&self, from: u16, count: u16, row: BufferRow) {
        for step in 0..count {
            let index = from.wrapping_add(step);
            self.port
                .ring
                .set_descriptor(index, row.buffer(self.port.ring.size(), index));
        }
        self.port.ring.set_head(from.wrapping_add(count));
    }
}

impl AsFd for RxQueue {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.port.bell.as_fd()
    }
}

/// A received packet, still in shared memory.
#[derive(Debug, Clone, Copy)]
pub struct RxPacket<'a> {
    queue: &'a RxQueue,
    segments: &'a [Segment],
    len: u32,
}

impl RxPacket<'_> {
    /// Bytes in the packet.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether it has no bytes; such frames are legal on the ring.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Descriptors that it is spread over.
    #[must_use]
    pub const fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// Copies from `offset` on into `to`; returns the bytes copied, fewer than `to` holds at the packet's end.
    #[inline]
    pub fn copy_out(&self, offset: usize, to: &mut [u8]) -> usize {
        if let Some((mapping, at)) = self.one_piece(offset, to.len()) {
            return mapping.read(at, to).map_or(0, |()| to.len());
        }
        let mut done = 0;
        let wanted = to.len();
        self.walk(offset, wanted, |mapping, at, len| {
            let part = to.get_mut(done..done + len);
            let copied = part.is_some_and(|part| mapping.read(at, part).is_ok());
            done += if copied { len } else { 0 };
            copied
        });
        done
    }

    /// Where `[offset, offset + len)` starts, when it lies in a single buffer.
    #[inline]
    pub(super) fn one_piece(&self, offset: usize, len: usize) -> Option<(&Mapping, usize)> {
        let [segment] = self.segments else {
            return None;
        };
        let mapping = self.queue.port.regions.mapping(segment.region)?;
        let inside = offset + len <= segment.len as usize;
        inside.then_some((mapping, segment.offset as usize + offset))
    }

    /// Visits the pieces of `[offset, offset + len)` until `visit` says no.
    #[inline]
    pub(super) fn walk(
        &self,
        offset: usize,
        len: usize,
        mut visit: impl FnMut(&Mapping, usize, usize) -> bool,
    ) {
        let (mut skip, mut left) = (offset, len);
        for segment in self.segments {
            let segment_len = segment.len as usize;
            if skip >= segment_len {
                skip -= segment_len;
                continue;
            }
            let take = left.min(segment_len - skip);
            let at = segment.offset as usize + skip;
            let mapping = self.queue.port.regions.mapping(segment.region);
            if take == 0 || !mapping.is_some_and(|mapping| visit(mapping, at, take)) {
                return;
            }
            skip = 0;
            left -= take;
        }
    }
}
