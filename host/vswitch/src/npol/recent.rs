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

/// Sets of directions of flows that a worker remembers, as a power of two.
const BITS: u32 = 12;
/// Directions in a set. With as many directions as half of all places, one in thirty finds its set full.
const WAYS: usize = 4;

/// A tick that is a decade away.
const NEVER: u32 = u32::MAX;

/// Version 4 and a header of five words.
const PLAIN_V4: u8 = 0x45;
/// "More fragments" and the high bits of the offset, in the first byte of the fragment word.
const FRAGMENT_BITS: u8 = 0x3f;
/// Odd numbers with as many ones as zeros.
const SECRETS: [u64; 2] = [0x2545_f491_4f6c_dd1d, 0xd6e8_feb8_6659_fd93];

/// One direction of a flow from one interface, and the set in which it is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowKey<const K: usize> {
    words: [u64; K],
    set: usize,
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
        let set = usize::try_from(hash >> (u64::BITS - BITS)).unwrap_or(0);
        Self { words, set }
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

/// A direction of a flow: what was found in one tick. No policies have epoch 0.
#[derive(Debug, Clone, Copy)]
struct Entry<const K: usize> {
    key: [u64; K],
    tick: u32,
    /// Epoch under which it passes the interface that it comes in by; 0 = unknown.
    rx: u32,
    /// Epoch under which it passes `tx_on`; 0 = unknown.
    tx: u32,
    tx_on: u32,
}

/// Directions whose hashes begin alike: two cache lines for IPv4, which processors fetch as a pair.
#[derive(Debug, Clone, Copy)]
#[repr(align(128))]
struct Set<const K: usize>([Entry<K>; WAYS]);

const _: () = assert!(size_of::<Set<2>>() == 128 && size_of::<Set<5>>() == 256);

impl<const K: usize> Entry<K> {
    const fn new(key: [u64; K], tick: u32) -> Self {
        Self {
            key,
            tick,
            rx: 0,
            tx: 0,
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
        let on = on.0;
        self == Self { on, epoch, tick }
    }
}

/// Directions of flows of one family that a worker remembers. The first ones of a tick keep their places for the rest of
/// it, so that a flood of new flows does not push out those that go on.
#[derive(Debug)]
pub(crate) struct RecentFlows<const K: usize>(Box<[Set<K>]>);

impl<const K: usize> RecentFlows<K> {
    pub(crate) fn new() -> Self {
        let nothing = Set([Entry::new([0; K], NEVER); WAYS]);
        Self(vec![nothing; 1 << BITS].into_boxed_slice())
    }

    #[inline]
    fn find(&self, key: &FlowKey<K>) -> Option<&Entry<K>> {
        let Set(entries) = self.0.get(key.set)?;
        entries.iter().find(|entry| entry.is_of(key))
    }

    /// Whether such a packet was found to pass the interface that it came in by in this tick; with that, what is known
    /// of its way out.
    #[inline]
    pub(crate) fn enters(&self, key: &FlowKey<K>, epoch: u32, tick: u32) -> Option<Onward> {
        let entry = self.find(key)?;
        (entry.rx == epoch && entry.tick == tick).then_some(Onward {
            on: entry.tx_on,
            epoch: entry.tx,
            tick,
        })
    }

    /// Whether such a packet was found to pass the interface `on`, by which it leaves, in this tick.
    #[inline]
    pub(crate) fn leaves(&self, key: &FlowKey<K>, on: SwIfIndex, epoch: u32, tick: u32) -> bool {
        let passes =
            |entry: &Entry<K>| (entry.tx, entry.tx_on) == (epoch, on.0) && entry.tick == tick;
        self.find(key).is_some_and(passes)
    }

    /// Remembers that such a packet passes `on`, unless others of this tick have all places of its set.
    pub(crate) fn remember(
        &mut self,
        key: &FlowKey<K>,
        (hook, on): (Hook, SwIfIndex),
        epoch: u32,
        tick: u32,
    ) {
        debug_assert!(epoch != 0, "epoch 0 is no policies'");
        let Some(Set(entries)) = self.0.get_mut(key.set) else {
            return;
        };
        let own = entries.iter().position(|entry| entry.is_of(key));
        let place = own.or_else(|| entries.iter().position(|entry| entry.tick != tick));
        let Some(entry) = place.and_then(|at| entries.get_mut(at)) else {
            return;
        };
        if own.is_none() || entry.tick != tick {
            *entry = Entry::new(key.words, tick);
        }
        match hook {
            Hook::Rx => entry.rx = epoch,
            Hook::Tx => (entry.tx, entry.tx_on) = (epoch, on.0),
        }
    }
}

#[cfg(test)]
mod tests;
