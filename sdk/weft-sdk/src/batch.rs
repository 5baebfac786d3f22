//! Packets as an author sees them: slices and verdicts, no offsets.

use crate::descriptor::{CHANGED, DROP, Descriptor, FORWARD};
use crate::{Nanos, PortId};

/// What becomes of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Thrown away. What a packet has until somebody decides.
    Drop,
    /// Sent out of a port.
    Forward(PortId),
}

/// Packets that arrived together.
#[derive(Debug)]
pub struct Batch<'a> {
    table: &'a mut [Descriptor],
    window: &'a mut [u8],
    slot_bytes: u32,
    now: Nanos,
    next: usize,
}

impl<'a> Batch<'a> {
    /// Lays a batch over a window of slots. For hosts and tests; authors are handed one.
    #[must_use]
    pub const fn new(
        table: &'a mut [Descriptor],
        window: &'a mut [u8],
        slot_bytes: u32,
        now: Nanos,
    ) -> Self {
        Self {
            table,
            window,
            slot_bytes,
            now,
            next: 0,
        }
    }

    /// When the batch was handed over; the same for all its packets.
    #[must_use]
    pub const fn now(&self) -> Nanos {
        self.now
    }

    /// Number of packets.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.table.len()
    }

    /// True if there is no packet.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// The next packet, in order of arrival.
    pub fn next_packet(&mut self) -> Option<Packet<'_>> {
        let descriptor = self.table.get_mut(self.next)?;
        self.next += 1;
        Some(Packet {
            descriptor,
            window: self.window,
            slot_bytes: self.slot_bytes,
        })
    }

    /// Calls `decide` with every packet that [`next_packet`](Self::next_packet) has not returned yet.
    pub fn for_each(&mut self, mut decide: impl FnMut(&mut Packet<'_>)) {
        while let Some(mut packet) = self.next_packet() {
            decide(&mut packet);
        }
    }
}

/// One packet of a batch, from the Ethernet header on.
#[derive(Debug)]
pub struct Packet<'a> {
    descriptor: &'a mut Descriptor,
    window: &'a mut [u8],
    slot_bytes: u32,
}

impl Packet<'_> {
    /// The bytes.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        let (start, end) = self.bounds();
        self.window.get(start..end).unwrap_or_default()
    }

    /// The bytes, to be changed in place. The packet counts as changed from here on.
    pub fn data_mut(&mut self) -> &mut [u8] {
        self.descriptor.flags |= CHANGED;
        let (start, end) = self.bounds();
        self.window.get_mut(start..end).unwrap_or_default()
    }

    /// Where it came from; after [`forward`](Self::forward), where it goes.
    #[must_use]
    pub const fn port(&self) -> PortId {
        PortId(self.descriptor.port)
    }

    /// A number that stays with the packet, for the function's own use.
    #[must_use]
    pub const fn mark(&self) -> u32 {
        self.descriptor.mark
    }

    /// Sets the mark.
    pub const fn set_mark(&mut self, mark: u32) {
        self.descriptor.mark = mark;
    }

    /// Sends it out of `port`.
    pub const fn forward(&mut self, port: PortId) {
        self.descriptor.port = port.0;
        self.descriptor.verdict = FORWARD;
    }

    /// Throws it away.
    pub const fn drop(&mut self) {
        self.descriptor.verdict = DROP;
    }

    /// The decision so far.
    #[must_use]
    pub const fn verdict(&self) -> Verdict {
        match self.descriptor.verdict {
            FORWARD => Verdict::Forward(self.port()),
            _ => Verdict::Drop,
        }
    }

    /// Moves the start of the packet towards the front by `bytes`, whose content is then undefined: room for
    /// one more header. False, and nothing happens, if the slot has no such headroom.
    #[must_use]
    pub fn grow_front(&mut self, bytes: u16) -> bool {
        let headroom = self
            .descriptor
            .offset
            .checked_rem(self.slot_bytes)
            .unwrap_or(0);
        let length = self.descriptor.length.checked_add(bytes);
        let (true, Some(length)) = (headroom >= u32::from(bytes), length) else {
            return false;
        };
        self.descriptor.offset -= u32::from(bytes);
        self.relength(length)
    }

    /// Takes `bytes` away from the front. False if the packet is not that long.
    #[must_use]
    pub fn shrink_front(&mut self, bytes: u16) -> bool {
        let Some(length) = self.descriptor.length.checked_sub(bytes) else {
            return false;
        };
        self.descriptor.offset += u32::from(bytes);
        self.relength(length)
    }

    /// Sets the length by moving the end. Bytes gained are undefined. False if the slot ends before that.
    #[must_use]
    pub fn set_len(&mut self, length: u16) -> bool {
        let used = self
            .descriptor
            .offset
            .checked_rem(self.slot_bytes)
            .unwrap_or(0);
        let fits = used + u32::from(length) <= self.slot_bytes;
        fits && self.relength(length)
    }

    const fn relength(&mut self, length: u16) -> bool {
        self.descriptor.length = length;
        self.descriptor.flags |= CHANGED;
        true
    }

    const fn bounds(&self) -> (usize, usize) {
        let start = self.descriptor.offset as usize;
        (start, start.saturating_add(self.descriptor.length as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(edit: impl FnOnce(&mut Packet<'_>)) -> Descriptor {
        let mut window: Vec<u8> = (0..128).collect();
        let mut table = [Descriptor::received(64 + 16, 20, 1)];
        let mut batch = Batch::new(&mut table, &mut window, 64, Nanos(7));
        batch.for_each(|packet| {
            assert_eq!(packet.data(), (80..100).collect::<Vec<u8>>());
        });
        let mut batch = Batch::new(&mut table, &mut window, 64, Nanos(7));
        edit(&mut batch.next_packet().expect("one packet"));
        assert!(batch.next_packet().is_none());
        table[0]
    }

    #[test]
    fn a_packet_nobody_decides_about_is_dropped_and_unchanged() {
        let after = check(|_| {});
        assert_eq!((after.verdict, after.flags), (DROP, 0));
    }

    #[test]
    fn a_packet_grows_and_shrinks_only_inside_its_slot() {
        let grown = check(|packet| {
            assert!(!packet.grow_front(17));
            assert!(packet.grow_front(16));
            assert_eq!(packet.data().len(), 36);
            assert!(!packet.set_len(65));
            assert!(packet.set_len(64));
        });
        assert_eq!((grown.offset, grown.length, grown.flags), (64, 64, CHANGED));
        let shrunk = check(|packet| {
            assert!(!packet.shrink_front(21));
            assert!(packet.shrink_front(20));
            assert!(packet.data().is_empty());
        });
        assert_eq!((shrunk.offset, shrunk.length), (100, 0));
    }

    #[test]
    fn the_last_decision_counts() {
        let after = check(|packet| {
            packet.forward(packet.port().opposite());
            assert_eq!(packet.verdict(), Verdict::Forward(PortId(0)));
            packet.drop();
            assert_eq!(packet.verdict(), Verdict::Drop);
        });
        assert_eq!(after.verdict, DROP);
    }

    #[test]
    fn a_descriptor_outside_the_window_reads_as_an_empty_packet() {
        let mut table = [Descriptor::received(u32::MAX, u16::MAX, 0)];
        let mut batch = Batch::new(&mut table, &mut [], 64, Nanos(0));
        let mut packet = batch.next_packet().expect("one packet");
        assert!(packet.data().is_empty() && packet.data_mut().is_empty());
    }
}
