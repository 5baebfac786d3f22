//! Reassembly (RFC 791, RFC 8200 section 4.5): fragments in, whole packets out.
//!
//! The graph never holds a packet beyond its batch, and never reads tails. So it only says which fragments are wanted
//! whole, by sending them to the interface [`SwIfIndex::LOCAL0`]; the thread that runs the graph gives their bytes to
//! its [`Reassembler`], and what comes out is received again with [`crate::Batch::push_whole`].
//!
//! Everything is bounded: packets under way, fragments of one, its bytes, and its time. A fragment that overlaps
//! another one dooms the whole packet (RFC 5722). A worker only sees the fragments that it receives itself: devices
//! with several queues send all fragments of a packet to one of them, since they spread by addresses alone.

use std::net::IpAddr;

use packet::ipv4::{self, Ipv4};
use packet::ipv6::{self, Ipv6};

use crate::frame::Frame;
use crate::graph::DropReason;
use crate::id::{Family, Nanos, SwIfIndex};
use crate::tables::Tables;

/// Packets under way at once.
pub const PACKETS_MAX: usize = 64;
/// Fragments of one packet.
pub const FRAGMENTS_MAX: usize = 64;
/// Bytes for link and IP headers in front of the payload.
const HEADERS_MAX: usize = 256;
/// Longest payload.
const PAYLOAD_MAX: usize = 65_535;
const SLOT_LEN: usize = HEADERS_MAX + PAYLOAD_MAX + 1;

/// How much is kept for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    pub timeout_ms: u32,
    pub packets: u32,
    /// Fragments of one packet.
    pub fragments: u32,
    /// Kept for dumps: packets that are too old go when room is needed.
    pub walk_interval_ms: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout_ms: 200,
            packets: 1024,
            fragments: 64,
            walk_interval_ms: 50,
        }
    }
}

/// What is configured, by family.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Reassembly {
    limits: [Limits; 2],
    /// Packets to the switch itself are put together.
    pub(crate) local: [bool; 2],
}

impl Default for Reassembly {
    fn default() -> Self {
        Self {
            limits: [Limits::default(); 2],
            local: [true; 2],
        }
    }
}

impl Reassembly {
    pub(crate) const fn limits(&self, family: Family) -> &Limits {
        let [v4, v6] = &self.limits;
        match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }

    pub(crate) const fn limits_mut(&mut self, family: Family) -> &mut Limits {
        let [v4, v6] = &mut self.limits;
        match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }

    pub(crate) const fn is_local(&self, family: Family) -> bool {
        let [v4, v6] = self.local;
        match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Key {
    rx: SwIfIndex,
    src: IpAddr,
    dst: IpAddr,
    ident: u32,
    protocol: u8,
}

/// What a fragment says about itself.
#[derive(Debug, Clone, Copy)]
struct Part {
    key: Key,
    offset: usize,
    /// Payload of this fragment, in bytes.
    len: usize,
    more: bool,
    dont_fragment: bool,
    /// Bytes from the L3 header to the payload.
    skip: usize,
    /// Where the IPv6 "next header" byte is that names the fragment header, and where that header is.
    v6: Option<(usize, usize)>,
}

/// A packet under way.
#[derive(Debug, Clone, Copy)]
struct Packet {
    key: Key,
    started: Nanos,
    ranges: [(u32, u32); FRAGMENTS_MAX],
    count: usize,
    held: usize,
    /// Length of the payload, known with the last fragment.
    total: Option<usize>,
    /// Length of the headers, known with the first fragment.
    headers: Option<usize>,
    l3: usize,
    fragment_size: usize,
    dont_fragment: bool,
    doomed: bool,
    /// Where the complete packet is in its slot.
    ready: Option<(usize, usize)>,
}

/// What became of a fragment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    Kept,
    Dropped(DropReason),
    /// It made its packet complete: [`Reassembler::drain`] gives it.
    Ready,
}

/// A packet put together; its first bytes are the link header of the first fragment.
#[derive(Debug, Clone, Copy)]
pub struct Whole<'a> {
    pub rx: SwIfIndex,
    pub bytes: &'a [u8],
    /// Longest fragment it came in, when it must not leave in longer ones; else 0.
    pub fragment_size: u16,
}

/// The packets of one worker that are being put together. All memory is reserved at the start; pages that no fragment
/// ever touched cost nothing.
#[derive(Debug)]
pub struct Reassembler {
    packets: [Option<Packet>; PACKETS_MAX],
    bytes: Vec<u8>,
    ready: usize,
}

impl Default for Reassembler {
    fn default() -> Self {
        Self {
            packets: [None; PACKETS_MAX],
            bytes: vec![0; PACKETS_MAX * SLOT_LEN],
            ready: 0,
        }
    }
}

impl Reassembler {
    /// Takes a fragment. `tail` copies the bytes behind its head to where they belong, and gives how many there were.
    pub fn take(
        &mut self,
        frame: &Frame,
        tables: &Tables,
        now: Nanos,
        tail: impl FnOnce(&mut [u8]) -> usize,
    ) -> Outcome {
        let Some(part) = Part::of(frame) else {
            return Outcome::Dropped(DropReason::FragmentMalformed);
        };
        let limits = tables.reassembly(Family::of(part.key.src));
        let Some(at) = self.find(&part, frame, limits, now) else {
            return Outcome::Dropped(DropReason::ReassemblyLimit);
        };
        let (Some(Some(packet)), Some(slot)) = (
            self.packets.get_mut(at),
            self.bytes.chunks_exact_mut(SLOT_LEN).nth(at),
        ) else {
            return Outcome::Dropped(DropReason::ReassemblyLimit);
        };
        if let Err(reason) = packet.admit(&part, limits) {
            return Outcome::Dropped(reason);
        }
        if !packet.store(&part, frame, slot, tail) {
            packet.doomed = true;
            return Outcome::Dropped(DropReason::FragmentMalformed);
        }
        let Some(range) = packet.finish(slot) else {
            return Outcome::Kept;
        };
        packet.ready = Some((range.start, range.end));
        self.ready += 1;
        Outcome::Ready
    }

    /// Tells whether [`Reassembler::drain`] has something to give.
    pub const fn is_ready(&self) -> bool {
        self.ready > 0
    }

    /// Gives the packets that are complete, and forgets them.
    pub fn drain(&mut self, mut give: impl FnMut(Whole<'_>)) {
        self.ready = 0;
        let slots = self.bytes.chunks_exact(SLOT_LEN);
        for (place, slot) in self.packets.iter_mut().zip(slots) {
            let Some(packet) = place.take_if(|p| p.ready.is_some()) else {
                continue;
            };
            let (from, to) = packet.ready.unwrap_or_default();
            give(Whole {
                rx: packet.key.rx,
                bytes: slot.get(from..to).unwrap_or_default(),
                fragment_size: packet.sizes(),
            });
        }
    }

    /// The place of the packet that a fragment belongs to; a free one for the first that comes.
    fn find(&mut self, part: &Part, frame: &Frame, limits: &Limits, now: Nanos) -> Option<usize> {
        let timeout = u64::from(limits.timeout_ms) * 1_000_000;
        for place in &mut self.packets {
            if place
                .is_some_and(|p| p.ready.is_none() && now.0.saturating_sub(p.started.0) > timeout)
            {
                *place = None;
            }
        }
        let known = self
            .packets
            .iter()
            .position(|p| p.is_some_and(|p| p.key == part.key));
        if known.is_some() {
            return known;
        }
        let most = PACKETS_MAX.min(limits.packets as usize);
        let free = self.packets.iter().take(most).position(Option::is_none)?;
        *self.packets.get_mut(free)? = Some(Packet {
            key: part.key,
            started: now,
            ranges: [(0, 0); FRAGMENTS_MAX],
            count: 0,
            held: 0,
            total: None,
            headers: None,
            l3: usize::from(frame.meta.l3),
            fragment_size: 0,
            dont_fragment: false,
            doomed: false,
            ready: None,
        });
        Some(free)
    }
}

impl Part {
    fn of(frame: &Frame) -> Option<Self> {
        let bytes = frame.l3();
        if bytes.first()? >> 4 == 6 {
            Self::v6(frame, bytes)
        } else {
            Self::v4(frame, bytes)
        }
    }

    fn v4(frame: &Frame, bytes: &[u8]) -> Option<Self> {
        let ip = Ipv4::new_checked(bytes).ok()?;
        let (src, dst) = (ip.src().into(), ip.dst().into());
        let key = Key {
            rx: frame.rx,
            src,
            dst,
            ident: u32::from(ip.ident()),
            protocol: ip.protocol(),
        };
        let part = Self {
            key,
            offset: ip.fragment_offset(),
            len: frame.l3_len().checked_sub(ip.header_len())?,
            more: ip.fragment_word() & ipv4::FLAG_MF != 0,
            dont_fragment: ip.dont_fragment(),
            skip: ip.header_len(),
            v6: None,
        };
        part.checked()
    }

    fn v6(frame: &Frame, bytes: &[u8]) -> Option<Self> {
        let ip = Ipv6::new_checked(bytes).ok()?;
        let (next_at, at) = ipv6::fragment_header(bytes)?;
        let fragment = ipv6::fragment_at(bytes, at)?;
        let (src, dst) = (ip.src().into(), ip.dst().into());
        let key = Key {
            rx: frame.rx,
            src,
            dst,
            ident: fragment.ident,
            protocol: 0,
        };
        let skip = at + ipv6::FRAGMENT_LEN;
        let part = Self {
            key,
            offset: usize::from(fragment.offset),
            len: frame.l3_len().checked_sub(skip)?,
            more: fragment.more,
            dont_fragment: true,
            skip,
            v6: Some((next_at, at)),
        };
        part.checked()
    }

    /// Only the last fragment may have a length that is no multiple of eight, and none may be empty or reach too far.
    fn checked(self) -> Option<Self> {
        let fits = self.offset + self.len <= PAYLOAD_MAX;
        let whole = !self.more || self.len.is_multiple_of(8);
        (self.len > 0 && fits && whole).then_some(self)
    }
}

impl Packet {
    /// Decides whether a fragment fits to those that are there.
    fn admit(&mut self, part: &Part, limits: &Limits) -> Result<(), DropReason> {
        if self.doomed {
            return Err(DropReason::FragmentOverlap);
        }
        if self.ready.is_some() {
            return Err(DropReason::FragmentDuplicate);
        }
        let end = part.offset + part.len;
        let (from, to) = (narrow(part.offset), narrow(end));
        let known = self.ranges.get(..self.count).unwrap_or_default();
        if known.contains(&(from, to)) {
            return Err(DropReason::FragmentDuplicate);
        }
        let overlaps = known.iter().any(|(a, b)| from < *b && *a < to);
        let beyond = match self.total {
            Some(total) => end > total || !part.more,
            None => !part.more && known.iter().any(|(_, b)| *b > to),
        };
        if overlaps || beyond {
            self.doomed = true;
            return Err(DropReason::FragmentOverlap);
        }
        let most = FRAGMENTS_MAX.min(limits.fragments as usize);
        let Some(place) = self
            .ranges
            .get_mut(self.count)
            .filter(|_| self.count < most)
        else {
            self.doomed = true;
            return Err(DropReason::ReassemblyLimit);
        };
        *place = (from, to);
        self.count += 1;
        self.held += part.len;
        self.fragment_size = self.fragment_size.max(part.skip + part.len);
        self.dont_fragment |= part.dont_fragment;
        if !part.more {
            self.total = Some(end);
        }
        Ok(())
    }

    /// Copies a fragment's payload to its place, and the headers of the first one in front of all.
    fn store(
        &mut self,
        part: &Part,
        frame: &Frame,
        slot: &mut [u8],
        tail: impl FnOnce(&mut [u8]) -> usize,
    ) -> bool {
        let start = usize::from(frame.meta.l3) + part.skip;
        let inside = frame.head().get(start..).unwrap_or_default();
        let inside = inside.get(..part.len).unwrap_or(inside);
        let Some(room) = slot
            .get_mut(HEADERS_MAX + part.offset..)
            .and_then(|s| s.get_mut(..part.len))
        else {
            return false;
        };
        let Some((near, far)) = room.split_at_mut_checked(inside.len()) else {
            return false;
        };
        near.copy_from_slice(inside);
        if !far.is_empty() && tail(far) != far.len() {
            return false;
        }
        part.offset != 0 || self.store_headers(part, frame, slot).is_some()
    }

    fn store_headers(&mut self, part: &Part, frame: &Frame, slot: &mut [u8]) -> Option<()> {
        let l3 = usize::from(frame.meta.l3);
        let len = l3 + part.v6.map_or(part.skip, |(_, at)| at);
        let headers = frame.head().get(..len)?;
        let room = slot.get_mut(HEADERS_MAX.checked_sub(len)?..HEADERS_MAX)?;
        room.copy_from_slice(headers);
        if let Some((next_at, at)) = part.v6 {
            let next = *frame.l3().get(at)?;
            *room.get_mut(l3 + next_at)? = next;
        }
        (self.headers, self.l3) = (Some(len), l3);
        Some(())
    }

    /// Gives where the packet is in its slot, once all of it is there.
    fn finish(&self, slot: &mut [u8]) -> Option<std::ops::Range<usize>> {
        let (total, headers) = (self.total?, self.headers?);
        if self.held != total {
            return None;
        }
        let range = HEADERS_MAX.checked_sub(headers)?..HEADERS_MAX + total;
        let packet = slot.get_mut(range.start + self.l3..range.end)?;
        let len = u16::try_from(packet.len()).ok()?;
        if packet.first()? >> 4 == 6 {
            ipv6::set_payload_len(packet, len.checked_sub(narrow16(ipv6::HEADER_LEN))?);
        } else {
            let word = if self.dont_fragment { ipv4::FLAG_DF } else { 0 };
            ipv4::finish_header(packet, len, word);
        }
        Some(range)
    }

    fn sizes(&self) -> u16 {
        if self.dont_fragment {
            narrow16(self.fragment_size)
        } else {
            0
        }
    }
}

fn narrow(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

fn narrow16(len: usize) -> u16 {
    u16::try_from(len).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests;
