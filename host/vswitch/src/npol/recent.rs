//! Flows that a worker saw pass a moment ago: one cheap look for the policies of both interfaces of a packet.
//!
//! The flow table is shared by all workers and keeps a flow once per interface, so a packet from pod to pod costs two
//! finds in it. What is kept here says that, within the same tick of the table's clock, a packet of this direction was
//! found there to pass the interface it came in by, the one it left by, or both, and under which epochs of their
//! policies. Only packets that cannot change the state of their flow are answered from here; the first of each tick
//! asks the table, which so learns that the flow lives. A change of policies changes the epoch and is seen at once;
//! that another worker saw a connection close is seen a tick later, and a closed connection's tail passes anyway.

use packet::proto;
use packet::tcp::{FIN, RST, SYN};

use crate::frame::Frame;
use crate::id::SwIfIndex;
use crate::session::{Scope, fold};
use crate::track::Hook;

/// Directions of flows that a worker remembers, as a power of two: 256 KiB for each family.
const BITS: u32 = 12;

/// Version 4 and a header of five words.
const PLAIN_V4: u8 = 0x45;
/// "More fragments" and the high bits of the offset, in the first byte of the fragment word.
const FRAGMENT_BITS: u8 = 0x3f;
/// Odd numbers with as many ones as zeros.
const SECRETS: [u64; 2] = [0x2545_f491_4f6c_dd1d, 0xd6e8_feb8_6659_fd93];

/// One direction of a flow from one interface, and where it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowKey<const K: usize> {
    words: [u64; K],
    slot: usize,
}

impl FlowKey<2> {
    /// The key of a whole packet of UDP, or of TCP that neither opens nor closes a connection, over IPv4 without
    /// options; `None` for all others.
    #[inline]
    pub(crate) fn of_v4(frame: &Frame) -> Option<Self> {
        let header = frame.l3_start::<28>()?;
        if header[0] != PLAIN_V4 || header[6] & FRAGMENT_BITS != 0 || header[7] != 0 {
            return None;
        }
        let protocol = header[9];
        if protocol != proto::UDP
            && !(protocol == proto::TCP && is_quiet(frame.l3_start::<34>()?[33]))
        {
            return None;
        }
        let addresses = word(header, 12)?;
        let rest = ports(header, 20)? << 32 | u64::from(protocol) << 24 | scope(frame);
        let hash = fold(addresses ^ SECRETS[0], rest ^ SECRETS[1]);
        Some(Self::new([addresses, rest], hash))
    }
}

impl FlowKey<5> {
    /// The same over IPv6 without extension headers.
    #[inline]
    pub(crate) fn of_v6(frame: &Frame) -> Option<Self> {
        let header = frame.l3_start::<48>()?;
        let protocol = header[6];
        if header[0] >> 4 != 6
            || protocol != proto::UDP
                && !(protocol == proto::TCP && is_quiet(frame.l3_start::<54>()?[53]))
        {
            return None;
        }
        let [a, b, c, d] = [
            word(header, 8)?,
            word(header, 16)?,
            word(header, 24)?,
            word(header, 32)?,
        ];
        let rest = ports(header, 40)? << 32 | u64::from(protocol) << 24 | scope(frame);
        let hash = fold(a ^ SECRETS[0], b ^ SECRETS[1]).rotate_left(29)
            ^ fold(c ^ SECRETS[1], d ^ SECRETS[0]);
        let hash = fold(hash ^ SECRETS[0], rest ^ SECRETS[1]);
        Some(Self::new([a, b, c, d, rest], hash))
    }
}

impl<const K: usize> FlowKey<K> {
    #[inline]
    fn new(words: [u64; K], hash: u64) -> Self {
        let slot = usize::try_from(hash >> (u64::BITS - BITS)).unwrap_or(0);
        Self { words, slot }
    }
}

#[inline]
fn scope(frame: &Frame) -> u64 {
    Scope::new(frame.rx.0).number().into()
}

const fn is_quiet(tcp_flags: u8) -> bool {
    tcp_flags & (SYN | FIN | RST) == 0
}

#[inline]
fn word(header: &[u8], at: usize) -> Option<u64> {
    let bytes = header.get(at..)?.first_chunk()?;
    Some(u64::from_ne_bytes(*bytes))
}

#[inline]
fn ports(header: &[u8], at: usize) -> Option<u64> {
    let bytes = header.get(at..)?.first_chunk()?;
    Some(u32::from_ne_bytes(*bytes).into())
}

/// Under which epoch, and in which tick, plus one; 0 is never.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Passed {
    epoch: u32,
    tick: u32,
}

impl Passed {
    #[inline]
    const fn now(epoch: u32, tick: u32) -> Self {
        Self {
            epoch,
            tick: tick.wrapping_add(1),
        }
    }
}

/// A direction of a flow.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Entry<const K: usize> {
    key: [u64; K],
    rx: Passed,
    tx: Passed,
    tx_on: u32,
}

const _: () = assert!(size_of::<Entry<5>>() == 64 && size_of::<Entry<2>>() == 64);

impl<const K: usize> Entry<K> {
    const fn new(key: [u64; K]) -> Self {
        let never = Passed { epoch: 0, tick: 0 };
        Self {
            key,
            rx: never,
            tx: never,
            tx_on: 0,
        }
    }

    /// Without a call to compare, which for so few words costs more than it does.
    #[inline]
    fn is_of(&self, key: &FlowKey<K>) -> bool {
        let pairs = self.key.iter().zip(&key.words);
        pairs.fold(0, |differs, (a, b)| differs | (a ^ b)) == 0
    }
}

/// What a packet that passed the interface it came in by may pass at the one it leaves by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Onward {
    on: u32,
    epoch: u32,
    tick: u32,
}

impl Onward {
    /// Whether that is `on`, with policies of `epoch`, still in this tick.
    #[inline]
    pub(crate) fn allows(self, on: SwIfIndex, epoch: u32, tick: u32) -> bool {
        let Passed { epoch, tick } = Passed::now(epoch, tick);
        self == Self {
            on: on.0,
            epoch,
            tick,
        }
    }
}

/// Directions of flows of one family that a worker remembers; a newer one takes the place of an older one.
#[derive(Debug)]
pub(crate) struct RecentFlows<const K: usize>(Box<[Entry<K>]>);

impl<const K: usize> RecentFlows<K> {
    pub(crate) fn new() -> Self {
        Self(vec![Entry::new([0; K]); 1 << BITS].into_boxed_slice())
    }

    /// Whether such a packet was found to pass the interface that it came in by in this tick; with that, what is known
    /// of its way out.
    #[inline]
    pub(crate) fn enters(&self, key: &FlowKey<K>, epoch: u32, tick: u32) -> Option<Onward> {
        let entry = self.0.get(key.slot)?;
        let passed = entry.is_of(key) && entry.rx == Passed::now(epoch, tick);
        passed.then_some(Onward {
            on: entry.tx_on,
            epoch: entry.tx.epoch,
            tick: entry.tx.tick,
        })
    }

    /// Whether such a packet was found to pass the interface `on`, by which it leaves, in this tick.
    #[inline]
    pub(crate) fn leaves(&self, key: &FlowKey<K>, on: SwIfIndex, epoch: u32, tick: u32) -> bool {
        let Some(entry) = self.0.get(key.slot) else {
            return false;
        };
        entry.is_of(key) && entry.tx == Passed::now(epoch, tick) && entry.tx_on == on.0
    }

    /// Remembers that such a packet passes `on`.
    pub(crate) fn remember(
        &mut self,
        key: &FlowKey<K>,
        (hook, on): (Hook, SwIfIndex),
        epoch: u32,
        tick: u32,
    ) {
        let Some(entry) = self.0.get_mut(key.slot) else {
            return;
        };
        if !entry.is_of(key) {
            *entry = Entry::new(key.words);
        }
        let now = Passed::now(epoch, tick);
        match hook {
            Hook::Rx => entry.rx = now,
            Hook::Tx => (entry.tx, entry.tx_on) = (now, on.0),
        }
    }
}

#[cfg(test)]
mod tests;
