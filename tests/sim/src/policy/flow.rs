//! One allowed flow at one interface, and what its packets do to it.

use std::net::IpAddr;

use super::{Look, has_ports, is_icmp, sctp_ports};
use crate::wire::{L4, Packet};
use crate::world::If;

pub const SCTP: u8 = 132;

const SYN: u8 = 2;
const FIN: u8 = 1;
const RST: u8 = 4;
const ACK: u8 = 16;

/// Silence after which a flow is forgotten, in milliseconds.
const OPENING: u64 = 30_000;
const OPEN: u64 = 3_600_000;
const HALF_CLOSED: u64 = 120_000;
const CLOSED: u64 = 5_000;
const ONE_WAY: u64 = 30_000;
const BOTH_WAYS: u64 = 120_000;
/// The engine's clock is coarse.
const FUZZ: u64 = 1_000;

/// Both ends, and what tells flows between them apart.
type Ends = (IpAddr, IpAddr, u8, (u16, u16));

#[derive(Debug, Clone)]
pub struct Flow {
    on: If,
    /// As the side that began sends.
    ends: Ends,
    /// The side that began is behind the interface.
    came: bool,
    look: Look,
    stage: Stage,
    /// Who has finished: the side that began, the other.
    finished: [bool; 2],
    patience: u64,
    heard: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// One side was heard.
    Begun,
    /// The other agreed to open.
    Agreed,
    Open,
    HalfClosed,
    Closed,
}

impl Flow {
    /// The flow that an allowed packet begins.
    pub(super) fn begin(
        packet: &Packet,
        look: &Look,
        on: If,
        came: bool,
        now: u64,
    ) -> Option<Self> {
        let patience = match &packet.l4 {
            L4::Tcp { flags, .. } => (flags & RST == 0).then_some(OPENING),
            L4::Other { protocol, data } if *protocol == SCTP => {
                let ends = matches!(data[12], 6 | 14);
                (!ends).then_some(OPENING)
            }
            L4::Icmp { kind, .. } => is_request(packet, *kind).then_some(ONE_WAY),
            L4::Udp { .. } | L4::Other { .. } => Some(ONE_WAY),
        };
        Some(Self {
            on,
            ends: ends_of(packet)?,
            came,
            look: *look,
            stage: Stage::Begun,
            finished: [false; 2],
            patience: patience?,
            heard: now,
        })
    }

    pub(super) fn is_ending(&self, now: u64) -> bool {
        (now - self.heard).abs_diff(self.patience) < FUZZ
    }

    pub(super) fn lives(&self, now: u64) -> bool {
        now - self.heard < self.patience
    }

    /// The packet that began it, and whether it came from the interface.
    pub(super) const fn first(&self) -> (Look, bool) {
        (self.look, self.came)
    }

    /// Whether the packet is part of it, or reports an error about a packet of it.
    pub(super) fn has(&self, packet: &Packet, on: If, comes: bool) -> bool {
        let of = |ends: Option<Ends>, comes: bool| {
            ends.is_some_and(|ends| {
                on == self.on && self.ends == if comes == self.came { ends } else { back(ends) }
            })
        };
        match error_about(packet) {
            Some(quoted) => of(quoted, !comes),
            None => of(ends_of(packet), comes),
        }
    }

    /// Lets a packet pass, or says that it begins anew and the rules must be asked.
    pub(super) fn step(&mut self, packet: &Packet, comes: bool, now: u64) -> bool {
        if error_about(packet).is_some() {
            return true;
        }
        let by_first = comes == self.came;
        match &packet.l4 {
            L4::Tcp { flags, .. } => self.tcp(*flags, by_first, now),
            L4::Other { protocol, data } if *protocol == SCTP => self.sctp(data[12], by_first, now),
            L4::Icmp { kind, .. } if is_request(packet, *kind) != by_first => false,
            L4::Icmp { .. } | L4::Udp { .. } | L4::Other { .. } => {
                if !by_first {
                    self.patience = BOTH_WAYS;
                }
                self.heard = now;
                true
            }
        }
    }

    fn go(&mut self, stage: Stage, patience: u64, now: u64) -> bool {
        (self.stage, self.patience, self.heard) = (stage, patience, now);
        true
    }

    fn stay(&mut self, now: u64) -> bool {
        if self.stage != Stage::Closed {
            self.heard = now;
        }
        true
    }

    fn tcp(&mut self, flags: u8, by_first: bool, now: u64) -> bool {
        let (syn, ack) = (flags & SYN != 0, flags & ACK != 0);
        if flags & RST != 0 {
            return self.die(now);
        }
        if syn && !ack {
            return self.again(by_first, now);
        }
        if flags & FIN != 0 && self.stage != Stage::Closed {
            return self.finish(by_first, now);
        }
        match (self.stage, by_first) {
            (Stage::Begun, false) if syn => self.go(Stage::Agreed, OPENING, now),
            (Stage::Begun, false) | (Stage::Agreed, true) => self.go(Stage::Open, OPEN, now),
            _ => self.stay(now),
        }
    }

    fn sctp(&mut self, chunk: u8, by_first: bool, now: u64) -> bool {
        match chunk {
            1 => return self.again(by_first, now),
            _ if self.stage == Stage::Closed => return true,
            6 | 14 => return self.die(now),
            7 | 8 => return self.finish(by_first, now),
            _ => {}
        }
        match (self.stage, by_first, chunk) {
            (Stage::Begun, false, 2) => self.go(Stage::Agreed, OPENING, now),
            (Stage::Begun | Stage::Agreed, false, _) => self.go(Stage::Open, OPEN, now),
            _ => self.stay(now),
        }
    }

    fn die(&mut self, now: u64) -> bool {
        if self.stage == Stage::Closed {
            return true;
        }
        self.go(Stage::Closed, CLOSED, now)
    }

    /// The opening packet: the side that began may send it again, or begin anew when the connection was closed.
    fn again(&mut self, by_first: bool, now: u64) -> bool {
        if !by_first {
            return false;
        }
        if matches!(self.stage, Stage::HalfClosed | Stage::Closed) {
            self.finished = [false; 2];
            return self.go(Stage::Begun, OPENING, now);
        }
        self.stay(now)
    }

    fn finish(&mut self, by_first: bool, now: u64) -> bool {
        let own = usize::from(!by_first);
        if self.finished[own] {
            return self.stay(now);
        }
        self.finished[own] = true;
        if self.finished == [true; 2] {
            self.go(Stage::Closed, CLOSED, now)
        } else {
            self.go(Stage::HalfClosed, HALF_CLOSED, now)
        }
    }
}

const fn back((src, dst, protocol, (a, b)): Ends) -> Ends {
    (dst, src, protocol, (b, a))
}

/// `None` when the packet is no part of any flow.
fn ends_of(packet: &Packet) -> Option<Ends> {
    let marks = match &packet.l4 {
        L4::Udp { ports, .. } | L4::Tcp { ports, .. } => *ports,
        L4::Other { protocol, data } if *protocol == SCTP => sctp_ports(data),
        L4::Other { .. } => (0, 0),
        L4::Icmp { kind, data, .. } => {
            let is_echo = is_request(packet, *kind) || is_reply(packet, *kind);
            let ident = is_echo.then(|| u16::from_be_bytes([data[0], data[1]]))?;
            (ident, ident)
        }
    };
    Some((packet.src, packet.dst, packet.protocol(), marks))
}

fn is_request(packet: &Packet, kind: u8) -> bool {
    kind == if packet.dst.is_ipv4() { 8 } else { 128 }
}

fn is_reply(packet: &Packet, kind: u8) -> bool {
    kind == if packet.dst.is_ipv4() { 0 } else { 129 }
}

/// For an ICMP error: the flow of the packet that it quotes, as that packet went.
fn error_about(packet: &Packet) -> Option<Option<Ends>> {
    let L4::Icmp { kind, data, .. } = &packet.l4 else {
        return None;
    };
    let is_error = if packet.dst.is_ipv4() {
        matches!(kind, 3 | 11 | 12)
    } else {
        (1..=4).contains(kind)
    };
    is_error.then(|| quoted(&data[4..]))
}

/// Reads headers at their places in a packet without options.
fn quoted(bytes: &[u8]) -> Option<Ends> {
    let (src, dst, protocol, upper): (IpAddr, IpAddr, u8, &[u8]) = if bytes[0] >> 4 == 4 {
        let word = |at: usize| -> [u8; 4] { bytes[at..at + 4].try_into().expect("four bytes") };
        (word(12).into(), word(16).into(), bytes[9], &bytes[20..])
    } else {
        let word = |at: usize| -> [u8; 16] { bytes[at..at + 16].try_into().expect("16 bytes") };
        (word(8).into(), word(24).into(), bytes[6], &bytes[40..])
    };
    let word = |at: usize| u16::from_be_bytes([upper[at], upper[at + 1]]);
    let marks = if has_ports(protocol) {
        (word(0), word(2))
    } else if is_icmp(protocol) {
        if !matches!(upper[0], 0 | 8 | 128 | 129) {
            return None;
        }
        (word(4), word(4))
    } else {
        (0, 0)
    };
    Some((src, dst, protocol, marks))
}
