//! Joins consecutive TCP segments of a flow into one super-frame, for a device that takes those: receive offload, with
//! the rules of Linux's `tcp_gro_receive` and `inet_gro_receive`.
//!
//! What is joined would be cut into the same segments again: headers differ in lengths, sequence, identification and
//! checksums only, and every checksum was right. A [`Run`] lives within one batch, so nothing is held back.

use packet::ethernet::{self, Ethernet};
use packet::ipv4::{self, Ipv4};
use packet::ipv6::{self, Ipv6};
use packet::{checksum, proto, tcp};

use super::segment::{l3_of, set_lengths, u16_len};
use super::train::sum;
use super::{Gso, Offload, Tunnel, put_u16};

/// Most segments of a super-frame.
const SEGMENTS_MAX: usize = 64;
/// Pieces of a super-frame: headers, and payload that may lie in a head, a tail, or both.
pub const PIECES_MAX: usize = 2 * SEGMENTS_MAX + 1;
/// Longest headers up to the payload, in bytes.
const HEADERS_MAX: usize = 144;
/// Longest IP packet.
const IP_LEN_MAX: usize = 65_535;

/// A TCP segment with payload that may be joined with others.
#[derive(Debug, Clone, Copy)]
pub struct Segment<'a> {
    head: &'a [u8],
    tail: &'a [u8],
    l3: usize,
    l4: usize,
    payload: usize,
    /// Payload of the head and of the tail together.
    len: usize,
    is_v6: bool,
    offload: Offload,
}

impl<'a> Segment<'a> {
    /// Looks at the headers of a frame of `head` and `tail`; its checksums are looked at when it is joined. One that is
    /// left to a device counts as right.
    pub fn of(head: &'a [u8], tail: &'a [u8], offload: &Offload) -> Option<Self> {
        if offload.gso.is_some() || offload.fragment != 0 || offload.tunnel != Tunnel::None {
            return None;
        }
        let l3 = l3_of(head, offload).ok()?;
        let packet = head.get(l3..)?;
        let (is_v6, header_len) = if packet.first()? >> 4 == 6 {
            let ip = Ipv6::new_checked(packet).ok()?;
            let total = usize::from(ip.payload_len()) + ipv6::HEADER_LEN;
            let fits = ip.next_header() == proto::TCP && total == packet.len() + tail.len();
            fits.then_some((true, ipv6::HEADER_LEN))?
        } else {
            let ip = Ipv4::new_checked(packet).ok()?;
            let fits = ip.protocol() == proto::TCP
                && ip.header_len() == ipv4::HEADER_LEN
                && usize::from(ip.total_len()) == packet.len() + tail.len()
                && !ip.is_fragment();
            fits.then_some((false, ipv4::HEADER_LEN))?
        };
        if !offload.ip_only
            && Ethernet::new_checked(head)
                .ok()?
                .payload_behind_tags()
                .ok()?
                .0
                != if is_v6 {
                    ethernet::IPV6
                } else {
                    ethernet::IPV4
                }
        {
            return None;
        }
        let view = tcp::Tcp::new_checked(packet.get(header_len..)?).ok()?;
        let l4 = l3 + header_len;
        let work = (offload.csum_start.into(), offload.csum_offset.into());
        if offload.needs_csum && work != (l4, tcp::CHECKSUM_OFFSET) {
            return None;
        }
        let payload = l4 + view.header_len();
        let len = (head.len() + tail.len()).checked_sub(payload)?;
        let is_data = view.flags() & !(tcp::PSH | tcp::CWR | ECE) == tcp::ACK;
        (is_data && len > 0 && payload <= HEADERS_MAX).then_some(Self {
            head,
            tail,
            l3,
            l4,
            payload,
            len,
            is_v6,
            offload: *offload,
        })
    }

    fn headers(&self) -> &'a [u8] {
        self.head.get(..self.payload).unwrap_or_default()
    }

    fn near(&self) -> &'a [u8] {
        self.head.get(self.payload..).unwrap_or_default()
    }

    fn word(&self, at: usize) -> u16 {
        let bytes = self.head.get(at..).and_then(|b| b.first_chunk());
        bytes.map_or(0, |b| u16::from_be_bytes(*b))
    }

    fn seq(&self) -> u32 {
        u32::from(self.word(self.l4 + 4)) << 16 | u32::from(self.word(self.l4 + 6))
    }

    fn flags(&self) -> u8 {
        self.head.get(self.l4 + 13).copied().unwrap_or(0)
    }

    /// Whether the checksums of IP and TCP are right.
    fn is_sound(&self) -> bool {
        let packet = self.head.get(self.l3..).unwrap_or_default();
        let l4_len = self.payload - self.l4 + self.len;
        let pseudo = if self.is_v6 {
            let Ok(ip) = Ipv6::new_checked(packet) else {
                return false;
            };
            checksum::pseudo6(
                ip.src(),
                ip.dst(),
                proto::TCP,
                u32::try_from(l4_len).unwrap_or(0),
            )
        } else {
            let Ok(ip) = Ipv4::new_checked(packet) else {
                return false;
            };
            if !ip.checksum_ok() {
                return false;
            }
            checksum::pseudo4(
                ip.src(),
                ip.dst(),
                proto::TCP,
                u16::try_from(l4_len).unwrap_or(0),
            )
        };
        if self.offload.needs_csum {
            return true;
        }
        let header = self.head.get(self.l4..self.payload).unwrap_or_default();
        let total = u32::from(checksum::fold(checksum::add(pseudo, header)))
            + u32::from(checksum::fold(sum(self.near(), self.tail)));
        checksum::fold(total) == 0xffff
    }

    /// The headers without what may differ between segments of one run; `number` is the place in the run.
    fn likeness(&self, number: u16) -> [u8; HEADERS_MAX] {
        let mut out = [0; HEADERS_MAX];
        let Some(bytes) = out.get_mut(..self.payload) else {
            return out;
        };
        bytes.copy_from_slice(self.headers());
        if self.is_v6 {
            put_u16(bytes, self.l3 + 4, 0);
        } else {
            put_u16(bytes, self.l3 + 2, 0);
            // Identification counts; of atomic packets (RFC 6864) it says nothing, but cutting makes it count.
            let ident = self.word(self.l3 + 4).wrapping_sub(number);
            put_u16(bytes, self.l3 + 4, ident);
            put_u16(bytes, self.l3 + 10, 0);
        }
        put_u16(bytes, self.l4 + 4, 0);
        put_u16(bytes, self.l4 + 6, 0);
        put_u16(bytes, self.l4 + tcp::CHECKSUM_OFFSET, 0);
        if let Some(flags) = bytes.get_mut(self.l4 + 13) {
            *flags &= !(tcp::PSH | tcp::CWR);
        }
        out
    }
}

/// ECN echo, which all segments of a run have or none.
const ECE: u8 = 0x40;

/// A super-frame, in pieces.
#[derive(Debug)]
pub struct Whole<'r, 'a> {
    /// The work that it leaves.
    pub offload: Offload,
    /// Its headers.
    pub headers: &'r [u8],
    /// Its payload.
    pub pieces: &'r [&'a [u8]],
}

/// Consecutive segments of one flow.
#[derive(Debug)]
pub struct Run<'a> {
    first: Segment<'a>,
    likeness: [u8; HEADERS_MAX],
    /// Whether the checksums of the first were looked at.
    is_checked: bool,
    is_closed: bool,
    count: u16,
    next_seq: u32,
    payload_len: usize,
    last_flags: u8,
    headers: [u8; HEADERS_MAX],
    pieces: [&'a [u8]; PIECES_MAX],
    used: usize,
}

impl<'a> Run<'a> {
    /// Starts with a segment.
    pub fn new(first: Segment<'a>) -> Self {
        let mut run = Self {
            first,
            likeness: first.likeness(0),
            is_checked: false,
            is_closed: false,
            count: 0,
            next_seq: first.seq(),
            payload_len: 0,
            last_flags: 0,
            headers: [0; HEADERS_MAX],
            pieces: [&[]; PIECES_MAX],
            used: 0,
        };
        run.add(first);
        run
    }

    /// How many segments it has.
    pub fn count(&self) -> usize {
        usize::from(self.count)
    }

    /// Head, tail and work of the first, which is all when there is one.
    pub fn first(&self) -> (&'a [u8], &'a [u8], Offload) {
        (self.first.head, self.first.tail, self.first.offload)
    }

    /// Takes the segment in when it is the next of the flow and like the first; `false` when it is not.
    pub fn take(&mut self, next: Segment<'a>) -> bool {
        let ip_len = self.first.payload - self.first.l3 + self.payload_len + next.len;
        let fits = !self.is_closed
            && next.seq() == self.next_seq
            && next.payload == self.first.payload
            && next.len <= self.first.len
            && next.flags() & tcp::CWR == 0
            && ip_len <= IP_LEN_MAX
            && next.likeness(self.count) == self.likeness;
        if !fits || !next.is_sound() || !(self.is_checked || self.first.is_sound()) {
            return false;
        }
        self.is_checked = true;
        self.add(next);
        true
    }

    fn add(&mut self, segment: Segment<'a>) {
        for piece in [segment.near(), segment.tail] {
            if !piece.is_empty()
                && let Some(slot) = self.pieces.get_mut(self.used)
            {
                *slot = piece;
                self.used += 1;
            }
        }
        self.count += 1;
        self.payload_len += segment.len;
        self.next_seq = self
            .next_seq
            .wrapping_add(u32::try_from(segment.len).unwrap_or(0));
        self.last_flags = segment.flags();
        self.is_closed = segment.len < self.first.len
            || segment.flags() & tcp::PSH != 0
            || usize::from(self.count) >= SEGMENTS_MAX;
    }

    /// Gives the super-frame of two or more segments.
    pub fn whole(&mut self) -> Option<Whole<'_, 'a>> {
        let Segment {
            l3,
            l4,
            payload,
            is_v6,
            len,
            ..
        } = self.first;
        if self.count < 2 {
            return None;
        }
        let headers = self.headers.get_mut(..payload)?;
        headers.copy_from_slice(self.first.headers());
        *headers.get_mut(l4 + 13)? |= self.last_flags & tcp::PSH;
        let l4_len = payload - l4 + self.payload_len;
        let lengths = (l4_len + l4 - l3, l4_len);
        let pseudo = set_lengths(headers.get_mut(l3..)?, lengths, is_v6, 0, proto::TCP).ok()?;
        put_u16(headers, l4 + tcp::CHECKSUM_OFFSET, checksum::fold(pseudo));
        let offload = Offload {
            needs_csum: true,
            csum_start: u16_len(l4).ok()?,
            csum_offset: u16_len(tcp::CHECKSUM_OFFSET).ok()?,
            gso: if is_v6 { Gso::Tcp6 } else { Gso::Tcp4 },
            gso_size: u16_len(len).ok()?,
            hdr_len: u16_len(payload).ok()?,
            ecn: self.first.flags() & tcp::CWR != 0,
            ..Offload::default()
        };
        Some(Whole {
            offload,
            headers,
            pieces: self.pieces.get(..self.used)?,
        })
    }
}
