//! A frame: an own, editable head and an opaque tail that stays with the device.
//!
//! The head is copied once from the device's memory, so a hostile peer that shares that memory cannot
//! change a header between check and use. Encapsulation and rewriting edit the head only.

use std::net::{IpAddr, Ipv4Addr};

use crate::id::SwIfIndex;
use crate::npol::Onward;
use crate::offload::{Offload, Tunnel};

/// Free bytes in front of a received head, for encapsulation.
///
/// Sixteen segments with their IPv6 header take 304 bytes.
pub const HEADROOM: usize = 320;
/// Most bytes of a packet that are copied to the head.
pub const HEAD_MAX: usize = 192;
/// Most frames received into one batch.
pub const BATCH_MAX: usize = 256;

/// Length of an untagged Ethernet header, as an offset in a frame.
pub(crate) const ETHERNET_LEN: u16 = 14;

const _: () = assert!(ETHERNET_LEN as usize == packet::ethernet::HEADER_LEN);

const HEAD_SIZE: usize = HEADROOM + HEAD_MAX;

/// Bytes behind the head that the device holds until the batch ends. The graph never reads them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tail {
    pub slot: u32,
    pub offset: u32,
    pub len: u32,
}

/// A packet on its way through the graph.
///
/// What all nodes read comes first, the bytes start on a cache line of their own.
#[derive(Debug, Clone)]
#[repr(C, align(64))]
pub struct Frame {
    start: u16,
    end: u16,
    /// The rest of the packet, behind the head.
    pub tail: Option<Tail>,
    /// Interface the frame is considered received on; encapsulation and bridging change it.
    pub rx: SwIfIndex,
    pub(crate) meta: Meta,
    /// Work that was left to a device.
    pub offload: Offload,
    bytes: Bytes,
}

const _: () = assert!(std::mem::offset_of!(Frame, bytes) == 128);

/// Head and headroom.
#[derive(Debug, Clone)]
#[repr(align(64))]
struct Bytes([u8; HEAD_SIZE]);

const _: () = assert!(
    HEADROOM.is_multiple_of(64),
    "received heads start on a cache line"
);

/// What nodes tell each other about a frame.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Meta {
    /// Interface to transmit on.
    pub(crate) tx: SwIfIndex,
    /// Offset of the L3 header from the start of the head.
    pub(crate) l3: u16,
    /// Next hop that the last lookup arrived at (the destination itself when attached).
    pub(crate) next_hop: IpAddr,
    /// Encapsulations, decapsulations and re-entries so far: bounds loops.
    pub(crate) turns: u8,
    /// Split-horizon group of the bridge port it came in by.
    pub(crate) shg: u8,
    /// Adjacency or load balance chosen by the last lookup.
    pub(crate) object: u32,
    /// FIB (index in the tables) to look up in.
    pub(crate) fib: u32,
    /// Packet number in the trace, 0 = not traced.
    pub(crate) trace: u32,
    /// The switch itself made this packet.
    pub(crate) local: bool,
    /// Number under which its translation is remembered, 0 = none.
    pub(crate) cnat: u16,
    /// The packet was put together again: nobody sees it twice.
    pub(crate) whole: bool,
    /// How long a fragment of this packet may be; 0 = it came whole, and its output decides.
    pub(crate) fragment_size: u16,
    /// What is known of its way out, if its L3 header is still where it was when that was found: where, from the start
    /// of the frame's memory.
    onward: Option<(u16, Onward)>,
    /// A bridge or cross-connect sends it out: its tags are as they shall be, but for the rewrite.
    pub(crate) switched: bool,
}

impl Default for Meta {
    fn default() -> Self {
        Self {
            tx: SwIfIndex::NONE,
            l3: 0,
            next_hop: IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            turns: 0,
            shg: 0,
            object: 0,
            fib: 0,
            trace: 0,
            local: false,
            cnat: 0,
            whole: false,
            fragment_size: 0,
            onward: None,
            switched: false,
        }
    }
}

impl Frame {
    pub(crate) fn empty() -> Self {
        Self {
            start: 0,
            end: 0,
            tail: None,
            rx: SwIfIndex::NONE,
            meta: Meta::default(),
            offload: Offload::default(),
            bytes: Bytes([0; HEAD_SIZE]),
        }
    }

    /// Forgets everything and gives the head of a new packet, to be written; `None` when it is too long.
    #[inline]
    pub(crate) fn reset(
        &mut self,
        rx: SwIfIndex,
        head_len: usize,
        tail: Option<Tail>,
        offload: Offload,
    ) -> Option<&mut [u8]> {
        if head_len > HEAD_MAX {
            return None;
        }
        self.start = index(HEADROOM);
        self.end = index(HEADROOM + head_len);
        self.tail = tail.filter(|t| t.len > 0);
        self.rx = rx;
        self.offload = offload;
        self.meta = Meta::default();
        self.bytes.0.get_mut(HEADROOM..HEADROOM + head_len)
    }

    /// Becomes a copy of `other` (its head is copied, its tail shared).
    pub(crate) fn copy_from(&mut self, other: &Self) {
        let range = usize::from(other.start)..usize::from(other.end);
        if let (Some(to), Some(from)) = (
            self.bytes.0.get_mut(range.clone()),
            other.bytes.0.get(range),
        ) {
            to.copy_from_slice(from);
        }
        (self.start, self.end, self.tail, self.rx) = (other.start, other.end, other.tail, other.rx);
        (self.offload, self.meta) = (other.offload, other.meta);
    }

    /// Becomes a piece of `old`: `header`, then the bytes of `range`, which counts from `skip` bytes into `old`.
    /// `false` when `old` has no such bytes.
    pub(crate) fn become_piece_of(
        &mut self,
        old: &Self,
        header: &[u8],
        skip: usize,
        range: std::ops::Range<usize>,
    ) -> bool {
        let Some(head) = old.head().get(skip..) else {
            return false;
        };
        let near = head
            .get(range.start.min(head.len())..range.end.min(head.len()))
            .unwrap_or(&[]);
        let len = header.len() + near.len();
        let start = HEADROOM.min(HEAD_SIZE.saturating_sub(len));
        let Some(room) = self.bytes.0.get_mut(start..start + len) else {
            return false;
        };
        let (front, back) = room.split_at_mut(header.len());
        front.copy_from_slice(header);
        back.copy_from_slice(near);
        (self.start, self.end) = (index(start), index(start + len));
        let far = |at: usize| u32::try_from(at.max(head.len()) - head.len()).unwrap_or(0);
        let (from, to) = (far(range.start), far(range.end));
        self.tail = old.tail.filter(|_| to > from).map(|t| Tail {
            slot: t.slot,
            offset: t.offset + from,
            len: to - from,
        });
        (self.rx, self.offload) = (old.rx, Offload::default());
        self.meta = Meta {
            l3: 0,
            onward: None,
            ..old.meta
        };
        to == from || self.tail.is_some()
    }

    /// Becomes a packet that the switch makes, keeping its trace and its count of turns.
    pub(crate) fn replace(&mut self, head: &[u8]) {
        let (rx, trace, turns) = (self.rx, self.meta.trace, self.meta.turns);
        if let Some(room) = self.reset(rx, head.len(), None, Offload::default()) {
            room.copy_from_slice(head);
        }
        self.meta = Meta {
            trace,
            turns,
            local: true,
            ..Meta::default()
        };
    }

    /// Length of the L3 packets this frame becomes on the wire: segments count, not the super-frame.
    pub(crate) fn l3_wire_len(&self) -> usize {
        let len = self.l3_len();
        if self.offload.fragment != 0 {
            return len.min(usize::from(self.offload.fragment));
        }
        if !self.offload.gso.is_some() {
            return len;
        }
        let headers = usize::from(self.offload.hdr_len.saturating_sub(self.meta.l3));
        len.min(headers + usize::from(self.offload.gso_size))
    }

    /// Puts other bytes in the place of everything from the L3 header on; `false` (and no change) when they are too many.
    pub(crate) fn set_l3(&mut self, head: &[u8], tail: Option<Tail>) -> bool {
        let from = usize::from(self.start) + usize::from(self.meta.l3);
        let Some(room) = self.bytes.0.get_mut(from..from + head.len()) else {
            return false;
        };
        room.copy_from_slice(head);
        self.end = index(from + head.len());
        self.tail = tail.filter(|t| t.len > 0);
        self.forget_onward();
        true
    }

    /// Remembers what is known of the way out of the packet whose L3 header is here.
    #[inline]
    pub(crate) fn let_onward(&mut self, onward: Onward) {
        self.meta.onward = Some((self.start + self.meta.l3, onward));
    }

    /// Forgets what is known of its way out.
    #[inline]
    pub(crate) fn forget_onward(&mut self) {
        self.meta.onward = None;
    }

    /// What is known of its way out. An encapsulation moves the L3 header: the packet is another one then, and nothing is
    /// known. Whoever edits it where it is, beyond its first bytes for the time to live and the link header, lets it be
    /// forgotten too.
    #[inline]
    pub(crate) fn onward(&self) -> Option<Onward> {
        let (at, onward) = self.meta.onward?;
        (at == self.start + self.meta.l3).then_some(onward)
    }

    /// Removes everything in front of the L3 header; `false` when the head is shorter.
    pub(crate) fn strip_l2(&mut self) -> bool {
        let ok = self.pull(usize::from(self.meta.l3));
        self.meta.l3 = 0;
        ok
    }

    /// First bytes of the packet.
    #[inline]
    pub fn head(&self) -> &[u8] {
        self.bytes
            .0
            .get(usize::from(self.start)..usize::from(self.end))
            .unwrap_or(&[])
    }

    /// First bytes of the packet, editable: afterwards it may be another packet.
    pub fn head_mut(&mut self) -> &mut [u8] {
        self.forget_onward();
        self.bytes
            .0
            .get_mut(usize::from(self.start)..usize::from(self.end))
            .unwrap_or(&mut [])
    }

    /// Length of head and tail, in bytes.
    #[inline]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a packet length, not a container"
    )]
    pub fn len(&self) -> usize {
        usize::from(self.end - self.start) + self.tail.map_or(0, |t| t.len as usize)
    }

    /// Length of the head, in bytes.
    pub(crate) fn head_len(&self) -> usize {
        usize::from(self.end - self.start)
    }

    /// Bytes of the head from the L3 header on.
    pub(crate) fn l3(&self) -> &[u8] {
        self.head().get(usize::from(self.meta.l3)..).unwrap_or(&[])
    }

    /// Bytes of the head from the L3 header on, editable.
    pub(crate) fn l3_mut(&mut self) -> &mut [u8] {
        let at = usize::from(self.meta.l3);
        self.head_mut().get_mut(at..).unwrap_or(&mut [])
    }

    /// The first `N` bytes of the L3 header; `None` when the head is shorter.
    #[inline]
    pub(crate) fn l3_start<const N: usize>(&self) -> Option<&[u8; N]> {
        let at = usize::from(self.start) + usize::from(self.meta.l3);
        if at + N > usize::from(self.end) {
            return None;
        }
        self.bytes.0.get(at..)?.first_chunk()
    }

    /// The first `N` bytes of the L3 header, editable.
    #[inline]
    pub(crate) fn l3_start_mut<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        let at = usize::from(self.start) + usize::from(self.meta.l3);
        if at + N > usize::from(self.end) {
            return None;
        }
        self.bytes.0.get_mut(at..)?.first_chunk_mut()
    }

    /// Whether nothing but its bytes says what to do with it: it is not traced, translated, cut, put together, to be
    /// segmented, or made here.
    #[inline]
    pub(crate) fn is_ordinary(&self) -> bool {
        self.is_plain() && !self.meta.local && self.meta.cnat == 0
    }

    /// The same, wherever it came from and whatever was done to it.
    #[inline]
    pub(crate) fn is_plain(&self) -> bool {
        self.meta.trace == 0
            && self.meta.fragment_size == 0
            && !self.offload.gso.is_some()
            && self.offload.fragment == 0
    }

    /// The first `N` bytes of the packet; `None` when the head is shorter.
    #[inline]
    pub(crate) fn start<const N: usize>(&self) -> Option<&[u8; N]> {
        self.bytes
            .0
            .get(usize::from(self.start)..usize::from(self.end))?
            .first_chunk()
    }

    /// The first `N` bytes of the packet, editable; `None` when the head is shorter.
    #[inline]
    pub(crate) fn head_start_mut<const N: usize>(&mut self) -> Option<&mut [u8; N]> {
        self.bytes
            .0
            .get_mut(usize::from(self.start)..usize::from(self.end))?
            .first_chunk_mut()
    }

    /// Length of head and tail from the L3 header on, in bytes.
    pub(crate) fn l3_len(&self) -> usize {
        self.len().saturating_sub(usize::from(self.meta.l3))
    }

    /// Bytes that may be added in front.
    pub(crate) const fn headroom(&self) -> usize {
        self.start as usize
    }

    /// Adds `n` bytes in front and gives them; `None` when the headroom is used up.
    pub(crate) fn push(&mut self, n: usize) -> Option<&mut [u8]> {
        let start = usize::from(self.start).checked_sub(n)?;
        self.shift_offload(i32::try_from(n).ok()?);
        self.start = index(start);
        self.bytes.0.get_mut(start..start + n)
    }

    /// Removes `n` bytes in front; `false` (and no change) when the head is shorter.
    pub(crate) fn pull(&mut self, n: usize) -> bool {
        if n > self.head_len() {
            return false;
        }
        self.shift_offload(-i32::try_from(n).unwrap_or(0));
        self.start = index(usize::from(self.start) + n);
        true
    }

    /// Cuts the packet at `len` bytes: link padding behind an IP packet.
    pub(crate) fn truncate(&mut self, len: usize) {
        let head = self.head_len();
        if len <= head {
            self.end = index(usize::from(self.start) + len);
            self.tail = None;
        } else if let Some(tail) = &mut self.tail {
            tail.len = tail.len.min(u32::try_from(len - head).unwrap_or(u32::MAX));
        }
    }

    fn shift_offload(&mut self, by: i32) {
        let shift = |at: u16| u16::try_from(i32::from(at) + by).ok();
        let offload = &mut self.offload;
        if offload.needs_csum {
            match shift(offload.csum_start) {
                Some(at) => offload.csum_start = at,
                None => offload.needs_csum = false,
            }
        }
        if offload.gso.is_some() {
            offload.hdr_len = shift(offload.hdr_len).unwrap_or(0);
        }
        let both = |l3, inner_l3| Some((shift(l3)?, shift(inner_l3)?));
        offload.tunnel = match offload.tunnel {
            Tunnel::None => Tunnel::None,
            Tunnel::V4 { l3, inner_l3 } => both(l3, inner_l3)
                .map_or(Tunnel::None, |(l3, inner_l3)| Tunnel::V4 { l3, inner_l3 }),
            Tunnel::V6 { l3, inner_l3 } => both(l3, inner_l3)
                .map_or(Tunnel::None, |(l3, inner_l3)| Tunnel::V6 { l3, inner_l3 }),
            Tunnel::Ip { l3, inner_l3 } => both(l3, inner_l3)
                .map_or(Tunnel::None, |(l3, inner_l3)| Tunnel::Ip { l3, inner_l3 }),
        };
    }
}

const fn index(at: usize) -> u16 {
    debug_assert!(at <= HEAD_SIZE);
    let [.., high, low] = at.to_be_bytes();
    u16::from_be_bytes([high, low])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn push_and_pull_move_the_checksum_start() {
        let mut frame = Frame::empty();
        let offload = Offload {
            needs_csum: true,
            csum_start: 34,
            csum_offset: 16,
            ..Offload::default()
        };
        let tail = Tail {
            slot: 1,
            offset: 0,
            len: 40,
        };
        let room = frame.reset(SwIfIndex(1), 60, Some(tail), offload);
        room.unwrap().fill(7);
        frame.push(50).unwrap().fill(9);
        assert_eq!(
            (frame.len(), frame.offload.csum_start, frame.head()[50]),
            (150, 84, 7)
        );
        assert!(frame.pull(50));
        assert_eq!((frame.len(), frame.offload.csum_start), (100, 34));
        assert!(!frame.pull(61));
        assert!(frame.push(HEADROOM + 1).is_none());
        frame.truncate(80);
        assert_eq!(
            frame.tail,
            Some(Tail {
                slot: 1,
                offset: 0,
                len: 20
            })
        );
        frame.truncate(10);
        assert_eq!((frame.len(), frame.tail), (10, None));
    }

    #[test]
    fn a_head_that_is_too_long_is_refused() {
        let mut frame = Frame::empty();
        let room = frame.reset(SwIfIndex(1), HEAD_MAX + 1, None, Offload::default());
        assert!(room.is_none());
    }
}
