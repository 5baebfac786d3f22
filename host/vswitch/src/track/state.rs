//! The state of a flow: what its packets may still do, and how long it lives without them.

use packet::tcp::{ACK, FIN, RST, SYN};

use super::packet::Kind;
use crate::session::Timeout;

/// On which side of an interface a packet is seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Hook {
    /// Received from it.
    Rx,
    /// Sent to it.
    Tx,
}

impl Hook {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Rx => Self::Tx,
            Self::Tx => Self::Rx,
        }
    }
}

/// How long flows live without packets.
#[derive(Debug)]
pub(crate) struct Timeouts {
    /// A connection that is being opened.
    pub(crate) opening: Timeout,
    /// A connection that is open.
    pub(crate) open: Timeout,
    /// A connection that one side has closed.
    pub(crate) closing: Timeout,
    /// A connection that both sides have closed, or one has reset.
    pub(crate) closed: Timeout,
    /// Datagrams that nobody answered.
    pub(crate) unanswered: Timeout,
    /// Datagrams both ways.
    pub(crate) answered: Timeout,
}

/// Those of VPP's cnat, in whose sessions npol keeps its verdicts there; half-closed connections get 2 minutes.
pub(crate) const NPOL: Timeouts = Timeouts {
    opening: Timeout::secs(30),
    open: Timeout::secs(3600),
    closing: Timeout::secs(120),
    closed: Timeout::secs(5),
    unanswered: Timeout::secs(30),
    answered: Timeout::secs(120),
};

/// Those of VPP's acl plugin.
pub(crate) const ACL: Timeouts = Timeouts {
    opening: Timeout::secs(120),
    open: Timeout::secs(86_400),
    closing: Timeout::secs(120),
    closed: Timeout::secs(120),
    unanswered: Timeout::secs(600),
    answered: Timeout::secs(600),
};

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Phase {
    /// Only the side that began was heard.
    New,
    /// The other side has answered an opening.
    Answered,
    Open,
    Closing,
    Closed,
}

/// What the table keeps of a flow, as one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FlowState {
    /// Of the rules that allowed it.
    pub(crate) epoch: u32,
    /// Where its first packet was seen.
    pub(crate) origin: Hook,
    /// TCP flags of its first packet.
    pub(crate) first_flags: u8,
    phase: Phase,
    /// Sides that have finished: 1 the one that began, 2 the other.
    finished: u8,
}

/// What a packet does to its flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// Nothing, but the flow lives on.
    Refresh,
    /// Nothing: the flow is over, this is its tail.
    Tail,
    Change(FlowState, Timeout),
    /// Begins another flow over the same addresses: the rules decide.
    Begin,
}

/// Chunk types of SCTP (RFC 9260, section 3.2).
mod chunk {
    pub(super) const INIT: u8 = 1;
    pub(super) const INIT_ACK: u8 = 2;
    pub(super) const ABORT: u8 = 6;
    pub(super) const SHUTDOWN: u8 = 7;
    pub(super) const SHUTDOWN_ACK: u8 = 8;
    pub(super) const COOKIE_ECHO: u8 = 10;
    pub(super) const COOKIE_ACK: u8 = 11;
    pub(super) const SHUTDOWN_COMPLETE: u8 = 14;
}

impl FlowState {
    /// The state that an allowed packet begins; `None` when it begins nothing.
    pub(crate) const fn begin(
        kind: Kind,
        origin: Hook,
        epoch: u32,
        timeouts: &Timeouts,
    ) -> Option<(Self, Timeout)> {
        let (timeout, first_flags) = match kind {
            Kind::Tcp { flags } if flags & RST == 0 => (timeouts.opening, flags),
            Kind::Sctp { chunk } if chunk != chunk::ABORT && chunk != chunk::SHUTDOWN_COMPLETE => {
                (timeouts.opening, 0)
            }
            Kind::Datagram | Kind::EchoRequest => (timeouts.unanswered, 0),
            Kind::Tcp { .. }
            | Kind::Sctp { .. }
            | Kind::EchoReply
            | Kind::IcmpError { .. }
            | Kind::Icmp { .. }
            | Kind::Neighbor
            | Kind::LaterFragment { .. } => return None,
        };
        let state = Self {
            epoch,
            origin,
            first_flags,
            phase: Phase::New,
            finished: 0,
        };
        Some((state, timeout))
    }

    /// The same, allowed by the rules of `epoch`.
    pub(crate) const fn under(self, epoch: u32) -> Self {
        Self { epoch, ..self }
    }

    /// Whether packets of this kind that refresh it now do nothing else until a packet of another kind, or of the
    /// other side, changes it.
    pub(crate) const fn is_steady(self, kind: Kind) -> bool {
        match kind {
            Kind::Datagram => true,
            Kind::Tcp { .. } => matches!(self.phase, Phase::Open | Phase::Closing),
            Kind::Sctp { .. }
            | Kind::EchoRequest
            | Kind::EchoReply
            | Kind::IcmpError { .. }
            | Kind::Icmp { .. }
            | Kind::Neighbor
            | Kind::LaterFragment { .. } => false,
        }
    }

    /// What a packet seen at `hook` does.
    pub(crate) fn step(self, kind: Kind, hook: Hook, timeouts: &Timeouts) -> Step {
        let by_origin = hook == self.origin;
        match kind {
            Kind::Tcp { flags } => self.step_tcp(flags, by_origin, timeouts),
            Kind::Sctp { chunk } => self.step_sctp(chunk, by_origin, timeouts),
            Kind::EchoRequest if !by_origin => Step::Begin,
            Kind::EchoReply if by_origin => Step::Begin,
            Kind::Datagram
            | Kind::EchoRequest
            | Kind::EchoReply
            | Kind::IcmpError { .. }
            | Kind::Icmp { .. }
            | Kind::Neighbor
            | Kind::LaterFragment { .. } => {
                if by_origin || self.phase == Phase::Open {
                    Step::Refresh
                } else {
                    self.to(Phase::Open, timeouts.answered)
                }
            }
        }
    }

    fn step_tcp(self, flags: u8, by_origin: bool, timeouts: &Timeouts) -> Step {
        if flags & RST != 0 {
            return if self.phase == Phase::Closed {
                Step::Tail
            } else {
                self.to(Phase::Closed, timeouts.closed)
            };
        }
        if flags & (SYN | ACK) == SYN {
            return self.reopen(by_origin, timeouts);
        }
        if flags & FIN != 0 && self.phase != Phase::Closed {
            return self.finish(by_origin, timeouts);
        }
        match self.phase {
            Phase::New if by_origin => Step::Refresh,
            Phase::New if flags & SYN != 0 => self.to(Phase::Answered, timeouts.opening),
            Phase::New => self.to(Phase::Open, timeouts.open),
            Phase::Answered if by_origin => self.to(Phase::Open, timeouts.open),
            Phase::Answered | Phase::Open | Phase::Closing => Step::Refresh,
            Phase::Closed => Step::Tail,
        }
    }

    fn step_sctp(self, chunk: u8, by_origin: bool, timeouts: &Timeouts) -> Step {
        match (chunk, self.phase) {
            (chunk::INIT, _) => self.reopen(by_origin, timeouts),
            (_, Phase::Closed) => Step::Tail,
            (chunk::ABORT | chunk::SHUTDOWN_COMPLETE, _) => self.to(Phase::Closed, timeouts.closed),
            (chunk::SHUTDOWN | chunk::SHUTDOWN_ACK, _) => self.finish(by_origin, timeouts),
            (chunk::INIT_ACK, Phase::New) if !by_origin => {
                self.to(Phase::Answered, timeouts.opening)
            }
            (chunk::COOKIE_ECHO, Phase::Answered) if by_origin => Step::Refresh,
            (chunk::COOKIE_ACK, Phase::Answered) if !by_origin => {
                self.to(Phase::Open, timeouts.open)
            }
            // Taken up in the middle.
            (_, Phase::New | Phase::Answered) if !by_origin => self.to(Phase::Open, timeouts.open),
            _ => Step::Refresh,
        }
    }

    /// An opening packet: again from the side that began, or from the other, which was not asked about.
    fn reopen(self, by_origin: bool, timeouts: &Timeouts) -> Step {
        if !by_origin {
            return Step::Begin;
        }
        if self.phase < Phase::Closing {
            return Step::Refresh;
        }
        let anew = Self {
            phase: Phase::New,
            finished: 0,
            ..self
        };
        Step::Change(anew, timeouts.opening)
    }

    fn finish(self, by_origin: bool, timeouts: &Timeouts) -> Step {
        let finished = self.finished | if by_origin { 1 } else { 2 };
        if finished == self.finished {
            return Step::Refresh;
        }
        let (phase, timeout) = if finished == 3 {
            (Phase::Closed, timeouts.closed)
        } else {
            (Phase::Closing, timeouts.closing)
        };
        let state = Self {
            phase,
            finished,
            ..self
        };
        Step::Change(state, timeout)
    }

    const fn to(self, phase: Phase, timeout: Timeout) -> Step {
        Step::Change(Self { phase, ..self }, timeout)
    }

    pub(crate) const fn word(self) -> u64 {
        let origin = matches!(self.origin, Hook::Tx) as u64;
        (self.epoch as u64) << 32
            | (self.first_flags as u64) << 16
            | (self.finished as u64) << 8
            | origin << 4
            | self.phase as u64
    }

    pub(crate) const fn of_word(word: u64) -> Self {
        let [e, f, g, h, _, first_flags, finished, low] = word.to_be_bytes();
        Self {
            epoch: u32::from_be_bytes([e, f, g, h]),
            origin: if low >> 4 & 1 == 1 {
                Hook::Tx
            } else {
                Hook::Rx
            },
            first_flags,
            phase: match low & 0xf {
                0 => Phase::New,
                1 => Phase::Answered,
                2 => Phase::Open,
                3 => Phase::Closing,
                _ => Phase::Closed,
            },
            finished,
        }
    }
}
