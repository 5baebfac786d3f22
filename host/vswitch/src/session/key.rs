//! The key of a flow: addresses, ports and protocol of either family within a scope, as five words.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::id::Family;

/// Words of a flow key.
pub const KEY_WORDS: usize = 5;

/// A flow key as [`super::FlowTable`] takes it.
pub type FlowWords = [u64; KEY_WORDS];

/// What flows are told apart by beside their packets: a FIB, an interface. At most 22 bits count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Scope(u32);

impl Scope {
    const BITS: u32 = 22;

    pub const fn new(number: u32) -> Self {
        Self(number & ((1 << Self::BITS) - 1))
    }

    pub const fn number(self) -> u32 {
        self.0
    }
}

/// Which way a packet goes, seen from a canonical key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Direction {
    /// From the lower endpoint to the higher one.
    Up,
    Down,
}

impl Direction {
    #[must_use]
    pub const fn reversed(self) -> Self {
        match self {
            Self::Up => Self::Down,
            Self::Down => Self::Up,
        }
    }
}

/// One direction of a flow. For an ICMP echo both ports are its identifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tuple {
    pub family: Family,
    /// Addresses as numbers; IPv4 addresses use the low 32 bits.
    pub src: u128,
    pub dst: u128,
    pub src_port: u16,
    pub dst_port: u16,
    pub protocol: u8,
    /// Not a flow but the fragments of one packet: the ports are the halves of its identification.
    pub fragments: bool,
    pub scope: Scope,
}

impl Tuple {
    /// The same flow, seen from the other end.
    #[must_use]
    pub const fn reversed(self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            src_port: self.dst_port,
            dst_port: self.src_port,
            ..self
        }
    }

    /// A key for this direction only.
    pub const fn words(&self) -> FlowWords {
        let ports = (self.src_port as u64) << 48 | (self.dst_port as u64) << 32;
        let kind = (matches!(self.family, Family::V6) as u64) << 23 | (self.fragments as u64) << 22;
        let rest = (self.protocol as u64) << 24 | kind | self.scope.0 as u64;
        let ([a, b], [c, d]) = (halves(self.src), halves(self.dst));
        [a, b, c, d, ports | rest]
    }

    /// The direction that a key of [`Tuple::words`] is for.
    pub const fn of_words([a, b, c, d, rest]: FlowWords) -> Self {
        let [p, q, r, s, protocol, x, y, z] = rest.to_be_bytes();
        let low = u32::from_be_bytes([0, x, y, z]);
        Self {
            family: if low >> 23 & 1 == 1 {
                Family::V6
            } else {
                Family::V4
            },
            src: (a as u128) << 64 | b as u128,
            dst: (c as u128) << 64 | d as u128,
            src_port: u16::from_be_bytes([p, q]),
            dst_port: u16::from_be_bytes([r, s]),
            protocol,
            fragments: low >> 22 & 1 == 1,
            scope: Scope::new(low),
        }
    }

    /// One key for both directions, and which of them this is.
    pub fn canonical(&self) -> (FlowWords, Direction) {
        if (self.src, self.src_port) <= (self.dst, self.dst_port) {
            (self.words(), Direction::Up)
        } else {
            (self.reversed().words(), Direction::Down)
        }
    }

    /// The direction `way` of a canonical key.
    pub const fn of_canonical(words: FlowWords, way: Direction) -> Self {
        let up = Self::of_words(words);
        match way {
            Direction::Up => up,
            Direction::Down => up.reversed(),
        }
    }

    pub fn src_ip(&self) -> IpAddr {
        ip(self.family, self.src)
    }

    pub fn dst_ip(&self) -> IpAddr {
        ip(self.family, self.dst)
    }
}

/// An address as a number, and back by [`Tuple::src_ip`].
pub fn number(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(v4) => v4.to_bits().into(),
        IpAddr::V6(v6) => v6.to_bits(),
    }
}

fn ip(family: Family, number: u128) -> IpAddr {
    match family {
        Family::V4 => Ipv4Addr::from_bits(u32::try_from(number).unwrap_or(0)).into(),
        Family::V6 => Ipv6Addr::from_bits(number).into(),
    }
}

const fn halves(address: u128) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = address.to_be_bytes();
    [
        u64::from_be_bytes([a, b, c, d, e, f, g, h]),
        u64::from_be_bytes([i, j, k, l, m, n, o, p]),
    ]
}
