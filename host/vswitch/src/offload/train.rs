//! Cuts a super-frame inside a UDP tunnel into *trains*: datagrams of several whole tunnel packets of one length, which
//! the kernel or the card cuts apart (UDP segmentation offload). One system call carries dozens of packets.
//!
//! The payload is never copied: a train is a list of pieces, headers from a [`TrainRoom`] and parts of the frame.

use packet::{checksum, proto, udp};

use super::segment::{Cut, Layout, outer_header, set_lengths};
use super::{Gso, Offload, OffloadError, put_u16};

/// Most packets of a train: half of what Linux takes in a datagram (`UDP_MAX_SEGMENTS`), and more than 64 KiB of
/// packets for an Ethernet of 1500 bytes.
const SEGMENTS_MAX: usize = 64;
/// Longest headers in front of the inner payload, in bytes.
const HEADERS_MAX: usize = 256;
/// Pieces of a train: headers, and payload that may lie in the head, the tail, or both.
pub const PIECES_MAX: usize = 2 * SEGMENTS_MAX + 2;
/// Longest IP packet.
const IP_LEN_MAX: usize = 65_535;

/// Working memory for the headers of one train.
#[derive(Debug)]
pub struct TrainRoom(Box<[[u8; HEADERS_MAX]; SEGMENTS_MAX]>);

impl Default for TrainRoom {
    fn default() -> Self {
        Self(Box::new([[0; HEADERS_MAX]; SEGMENTS_MAX]))
    }
}

/// How a super-frame is cut into trains.
#[derive(Debug)]
pub struct Train<'a> {
    head: &'a [u8],
    tail: &'a [u8],
    layout: Layout,
    outer_l3: usize,
    /// Start of the outer UDP header.
    outer_l4: usize,
    is_outer_v6: bool,
    size: usize,
    payload_len: usize,
    count: usize,
    per_train: usize,
}

impl<'a> Train<'a> {
    /// Looks at a frame of `head` and `tail`. `None` when it is no super-frame of TCP in a UDP tunnel whose headers all
    /// lie in the head, or when a train would not carry two packets.
    pub fn of(head: &'a [u8], tail: &'a [u8], offload: &Offload) -> Option<Self> {
        if !matches!(offload.gso, Gso::Tcp4 | Gso::Tcp6) || offload.fragment != 0 {
            return None;
        }
        let layout = Layout::of(head, offload).ok()?;
        let outer_l3 = layout.outer_l3?;
        let (is_outer_v6, outer_len, protocol) = outer_header(head.get(outer_l3..)?).ok()?;
        let outer_l4 = outer_l3 + outer_len;
        let body = outer_l4 + udp::HEADER_LEN;
        if protocol != proto::UDP || layout.l3 < body || layout.payload > HEADERS_MAX {
            return None;
        }
        let size = usize::from(offload.gso_size);
        let payload_len = (head.len() + tail.len()).checked_sub(layout.payload)?;
        let piece = layout.payload - body + size;
        let most = SEGMENTS_MAX.min((IP_LEN_MAX - outer_len - udp::HEADER_LEN) / piece);
        if size == 0 || most < 2 || payload_len <= size {
            return None;
        }
        let count = payload_len.div_ceil(size);
        Some(Self {
            head,
            tail,
            layout,
            outer_l3,
            outer_l4,
            is_outer_v6,
            size,
            payload_len,
            count,
            // Trains of about the same length, rather than a full one and a short one.
            per_train: count.div_ceil(count.div_ceil(most)),
        })
    }

    /// Gives every train: what the device is to do, and its pieces in order.
    ///
    /// # Errors
    /// [`OffloadError`] when the frame is not what it says; nothing more was given then.
    pub fn each(
        &self,
        room: &mut TrainRoom,
        mut give: impl FnMut(&Offload, &[&[u8]]),
    ) -> Result<(), OffloadError> {
        for first in (0..self.count).step_by(self.per_train) {
            let numbers = first..self.count.min(first + self.per_train);
            let offload = self.write(room, numbers.clone())?;
            let mut pieces: [&[u8]; PIECES_MAX] = [&[]; PIECES_MAX];
            let mut used = 0;
            let mut add = |piece| {
                if let Some(slot) = pieces.get_mut(used) {
                    *slot = piece;
                    used += 1;
                }
            };
            let body = self.outer_l4 + udp::HEADER_LEN;
            for (number, header) in numbers.clone().zip(room.0.iter()) {
                let from = if number == first { 0 } else { body };
                add(header.get(from..self.layout.payload).unwrap_or_default());
                let (near, far) = self.payload(number);
                if !near.is_empty() {
                    add(near);
                }
                if !far.is_empty() {
                    add(far);
                }
            }
            give(&offload, pieces.get(..used).unwrap_or_default());
        }
        Ok(())
    }

    /// Writes the headers of one train and gives the work that it leaves.
    fn write(
        &self,
        room: &mut TrainRoom,
        numbers: std::ops::Range<usize>,
    ) -> Result<Offload, OffloadError> {
        let headers = self
            .head
            .get(..self.layout.payload)
            .ok_or(OffloadError::OutOfFrame)?;
        let body = self.outer_l4 + udp::HEADER_LEN;
        let mut datagram_len = udp::HEADER_LEN;
        for (number, slot) in numbers.clone().zip(room.0.iter_mut()) {
            let slot = slot
                .get_mut(..headers.len())
                .ok_or(OffloadError::OutOfFrame)?;
            slot.copy_from_slice(headers);
            let (near, far) = self.payload(number);
            let cut = Cut {
                number,
                offset: number * self.size,
                is_last: number + 1 == self.count,
                payload_len: near.len() + far.len(),
                payload_sum: sum(near, far),
            };
            self.layout.finish(slot, cut)?;
            datagram_len += headers.len() - body + cut.payload_len;
        }
        let ip = room
            .0
            .first_mut()
            .and_then(|first| first.get_mut(self.outer_l3..))
            .ok_or(OffloadError::OutOfFrame)?;
        let header_len = self.outer_l4 - self.outer_l3;
        let lengths = (header_len + datagram_len, datagram_len);
        let pseudo = set_lengths(ip, lengths, self.is_outer_v6, numbers.start, proto::UDP)?;
        let datagram = ip.get_mut(header_len..).ok_or(OffloadError::OutOfFrame)?;
        put_u16(datagram, 4, super::segment::u16_len(datagram_len)?);
        put_u16(datagram, udp::CHECKSUM_OFFSET, checksum::fold(pseudo));
        let at = super::segment::u16_len;
        Ok(Offload {
            needs_csum: true,
            csum_start: at(self.outer_l4)?,
            csum_offset: at(udp::CHECKSUM_OFFSET)?,
            gso: if numbers.len() > 1 {
                Gso::Udp
            } else {
                Gso::None
            },
            gso_size: if numbers.len() > 1 {
                at(headers.len() - body + self.size)?
            } else {
                0
            },
            hdr_len: at(body)?,
            ..Offload::default()
        })
    }

    /// The payload of one segment: what lies in the head, and what lies in the tail.
    fn payload(&self, number: usize) -> (&'a [u8], &'a [u8]) {
        let start = self.layout.payload + number * self.size;
        let end = (start + self.size).min(self.layout.payload + self.payload_len);
        let split = self.head.len();
        let near = self.head.get(start.min(split)..end.min(split));
        let far = self
            .tail
            .get(start.max(split) - split..end.max(split) - split);
        (near.unwrap_or_default(), far.unwrap_or_default())
    }
}

/// Sums bytes that lie in two places.
pub(super) fn sum(near: &[u8], far: &[u8]) -> u32 {
    let first = checksum::add(0, near);
    if near.len().is_multiple_of(2) {
        return checksum::add(first, far);
    }
    // The second part starts in the middle of a word: its sum is that of the swapped words.
    u32::from(checksum::fold(first)) + u32::from(checksum::fold(checksum::add(0, far)).swap_bytes())
}
