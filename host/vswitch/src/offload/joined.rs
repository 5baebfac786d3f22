//! Joins the tunnel packets of a train into one super-frame in a tunnel, as Linux's receive offload does: the graph
//! handles it once. Its payload is moved together where it lies.

use packet::{ipv4, udp, vxlan};

use super::coalesce::{Run, Segment};
use super::datagrams::Datagrams;
use super::segment::{set_lengths, u16_len};
use super::{Offload, Tunnel, put_u16};

/// Longest head of a joined frame, in bytes.
const HEAD_MAX: usize = crate::frame::HEAD_MAX;

/// A super-frame in a tunnel: a head, and payload in pieces of one length that are to be moved together.
#[derive(Debug)]
pub struct Joined {
    head: [u8; HEAD_MAX],
    head_len: usize,
    /// The work that is left.
    pub offload: Offload,
    /// How many datagrams were joined.
    pub count: usize,
    /// First datagram.
    number: usize,
    /// Headers between two pieces of payload: those of the tunnel and the inner packet.
    gap: usize,
    /// Where the far part begins, in bytes of the frame.
    split: usize,
}

impl Joined {
    /// Looks from datagram `number` on at what can be joined. The bytes of the frame are in `near`, then in `far`.
    /// `None` when that are not at least two.
    pub fn of(datagrams: &Datagrams, number: usize, near: &[u8], far: &[u8]) -> Option<Self> {
        let split = near.len();
        let from = number;
        let part = |number| {
            let range = datagrams.range(number)?;
            let (tunnel, inner) = (range.start, range.start + vxlan::HEADER_LEN);
            // Only the first may begin in the near part: the others are moved in the far one.
            if range.start < split && number != from {
                return None;
            }
            if range.start >= split {
                let bytes = far.get(range.start - split..range.end - split)?;
                let (tunnel, inner) = bytes.split_at_checked(vxlan::HEADER_LEN)?;
                return Some((tunnel, inner, &[][..]));
            }
            let end = range.end.max(split) - split;
            let head = near.get(inner..range.end.min(split))?;
            Some((near.get(tunnel..inner)?, head, far.get(..end)?))
        };
        let (tunnel, head, tail) = part(number)?;
        let plain = Offload::default();
        let first = Segment::of(head, tail, &plain)?;
        let mut run = Run::new(first);
        while let Some((next_tunnel, head, tail)) = part(number + run.count()) {
            let next = Segment::of(head, tail, &plain).filter(|_| next_tunnel == tunnel);
            if !next.is_some_and(|next| run.take(next)) {
                break;
            }
        }
        let count = run.count();
        let whole = run.whole()?;
        let len: usize = whole.pieces.iter().map(|piece| piece.len()).sum();
        let inner = datagrams.payload + vxlan::HEADER_LEN;
        let headers_len = inner + whole.headers.len();
        let mut this = Self {
            head: [0; HEAD_MAX],
            head_len: headers_len,
            offload: whole.offload,
            count,
            number,
            gap: vxlan::HEADER_LEN + whole.headers.len(),
            split,
        };
        let headers = this.head.get_mut(..headers_len)?;
        let (outer, rest) = headers.split_at_mut_checked(datagrams.payload)?;
        outer.copy_from_slice(datagrams.datagram(number)?.0.bytes());
        let (to_tunnel, to_inner) = rest.split_at_mut_checked(vxlan::HEADER_LEN)?;
        to_tunnel.copy_from_slice(tunnel);
        to_inner.copy_from_slice(whole.headers);
        // What of the first payload lies in the near part goes to the head.
        let start = datagrams.range(number)?.start + this.gap;
        if start < split {
            let payload = near.get(start..split)?;
            let room = this
                .head
                .get_mut(headers_len..headers_len + payload.len())?;
            room.copy_from_slice(payload);
            this.head_len += payload.len();
        }
        this.finish(datagrams, inner, headers_len + len)?;
        Some(this)
    }

    /// Writes the outer lengths, and what is left to do inside and outside.
    fn finish(&mut self, datagrams: &Datagrams, inner: usize, len: usize) -> Option<()> {
        let (l3, l4) = (datagrams.l3, datagrams.l4);
        let ip = self.head.get_mut(l3..)?;
        // A super-frame may be longer than the fields; who cuts it writes the real lengths.
        let ip_len = (len - l3).min(usize::from(u16::MAX));
        let datagram_len = ip_len - (l4 - l3);
        let protocol = packet::proto::UDP;
        set_lengths(ip, (ip_len, datagram_len), datagrams.is_v6, 0, protocol).ok()?;
        let datagram = self.head.get_mut(l4..)?;
        put_u16(datagram, 4, u16_len(datagram_len).ok()?);
        put_u16(datagram, udp::CHECKSUM_OFFSET, 0);
        let shift = u16_len(inner).ok()?;
        let inner_l3 = u16_len(usize::from(self.offload.csum_start) + inner).ok()?;
        let header_len = if self.offload.gso == super::Gso::Tcp6 {
            packet::ipv6::HEADER_LEN
        } else {
            ipv4::HEADER_LEN
        };
        let inner_l3 = inner_l3.checked_sub(u16_len(header_len).ok()?)?;
        let l3 = u16_len(l3).ok()?;
        self.offload.csum_start += shift;
        self.offload.hdr_len += shift;
        self.offload.tunnel = if datagrams.is_v6 {
            Tunnel::V6 { l3, inner_l3 }
        } else {
            Tunnel::V4 { l3, inner_l3 }
        };
        Some(())
    }

    /// The head.
    pub fn head(&self) -> &[u8] {
        self.head.get(..self.head_len).unwrap_or_default()
    }

    /// Moves the payload together and gives where it lies in `far` then.
    pub fn move_together(&self, datagrams: &Datagrams, far: &mut [u8]) -> std::ops::Range<usize> {
        let piece = |number| {
            let range = datagrams.range(number)?;
            let start = (range.start + self.gap).max(self.split) - self.split;
            Some(start..range.end.max(self.split) - self.split)
        };
        let Some(first) = piece(self.number) else {
            return 0..0;
        };
        let mut end = first.end;
        for number in self.number + 1..self.number + self.count {
            let Some(range) = piece(number).filter(|range| range.end <= far.len()) else {
                break;
            };
            let len = range.len();
            far.copy_within(range, end);
            end += len;
        }
        first.start..end
    }
}
