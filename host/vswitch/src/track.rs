//! Connection tracking, shared by policies (npol) and access lists that reflect.
//!
//! A flow is tracked per interface. Its key is the flow as the interface's own side sends it, so a packet
//! that leaves by the interface is looked up the other way round, and one flow that enters and leaves by the
//! same interface is two. The state remembers under which epoch of the rules the flow was allowed; under
//! another one it is asked about again, at its next packet.

mod packet;
mod plain;
mod state;

pub(crate) use packet::{Kind, Packet};
pub(crate) use state::{ACL, FlowState, Hook, NPOL, Step, Timeouts};

use crate::id::Nanos;
use crate::session::{
    Change, FlowTable, FlowWords, Found, KEY_WORDS, Refused, Scope, Timeout, Tuple,
};

/// How long the rest of a fragmented packet may take.
const FRAGMENTS: Timeout = Timeout::secs(30);

/// The flows that one kind of rules has allowed.
#[derive(Debug)]
pub(crate) struct Flows {
    table: FlowTable<KEY_WORDS, 1>,
    timeouts: &'static Timeouts,
}

/// What is known of the flow of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Known {
    /// It was allowed, or the packet reports an error about one that was.
    Allowed,
    /// It was allowed under older rules.
    Stale(Stale),
    /// Nothing: the rules decide.
    Nothing,
}

/// What a first, short look says about a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Glance {
    /// Nothing.
    Unknown,
    /// It passes.
    Passes,
    /// It passes, and so do others like it without being looked up, as long as the entry needs no new stamp.
    Steady,
}

/// A flow that must be asked about again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stale {
    key: FlowWords,
    state: FlowState,
}

impl Stale {
    /// The first packet of the flow, and where it was seen.
    pub(crate) fn first(&self) -> (Packet, Hook) {
        let own = Tuple::of_words(self.key);
        let tuple = oriented(own, self.state.origin);
        let flags = self.state.first_flags;
        let kind = match tuple.protocol {
            ::packet::proto::TCP => Kind::Tcp { flags },
            ::packet::proto::SCTP => Kind::Sctp { chunk: 1 },
            ::packet::proto::ICMP | ::packet::proto::ICMPV6 => Kind::EchoRequest,
            _ => Kind::Datagram,
        };
        let packet = Packet {
            tuple,
            kind,
            first_fragment: None,
        };
        (packet, self.state.origin)
    }
}

/// A flow as the interface's own side sends it.
const fn oriented(tuple: Tuple, hook: Hook) -> Tuple {
    match hook {
        Hook::Rx => tuple,
        Hook::Tx => tuple.reversed(),
    }
}

impl Flows {
    pub(crate) const fn new(limit: usize, seed: u64, timeouts: &'static Timeouts) -> Self {
        Self {
            table: FlowTable::new(limit, seed),
            timeouts,
        }
    }

    /// The table, to be looked at.
    pub(crate) const fn table(&self) -> &FlowTable<KEY_WORDS, 1> {
        &self.table
    }

    /// [`Flows::look`] for what most packets are: whole ones of TCP and UDP, without options, of a known flow.
    #[inline]
    pub(crate) fn glance(
        &self,
        packet: &[u8],
        scope: Scope,
        hook: Hook,
        epoch: u32,
        now: Nanos,
    ) -> Glance {
        let Some((key, kind)) = plain::read(packet, scope, hook) else {
            return Glance::Unknown;
        };
        let Some(found) = self.table.get(&key, now) else {
            return Glance::Unknown;
        };
        let [word] = found.value;
        let state = FlowState::of_word(word);
        if state.epoch != epoch {
            return Glance::Unknown;
        }
        match state.step(kind, hook, self.timeouts) {
            Step::Begin => Glance::Unknown,
            Step::Tail => Glance::Passes,
            Step::Refresh => {
                self.table.touch(&found, now);
                if state.is_steady(kind) {
                    Glance::Steady
                } else {
                    Glance::Passes
                }
            }
            step @ Step::Change(..) => {
                self.apply(&key, &found, step, now);
                Glance::Passes
            }
        }
    }

    /// Looks a packet up and lets it change the state of its flow.
    pub(crate) fn look(&self, packet: &Packet, hook: Hook, epoch: u32, now: Nanos) -> Known {
        let Some(key) = key_of(packet, hook) else {
            return Known::Nothing;
        };
        let Some(found) = self.table.get(&key, now) else {
            return Known::Nothing;
        };
        let [word] = found.value;
        let state = FlowState::of_word(word);
        if state.epoch != epoch {
            return Known::Stale(Stale { key, state });
        }
        if matches!(
            packet.kind,
            Kind::IcmpError { .. } | Kind::LaterFragment { .. }
        ) {
            return Known::Allowed;
        }
        let step = state.step(packet.kind, hook, self.timeouts);
        if step == Step::Begin {
            return Known::Nothing;
        }
        self.apply(&key, &found, step, now);
        self.follow_fragments(packet, hook, epoch, now);
        Known::Allowed
    }

    fn apply(&self, key: &FlowWords, found: &Found<1>, step: Step, now: Nanos) {
        match step {
            Step::Refresh => {
                self.table.touch(found, now);
            }
            Step::Change(state, timeout) => {
                // Busy: the next packet does it. Changed meanwhile: that packet knew more.
                let _ = self.table.change(key, now, |there| match there {
                    Some(value) if value == found.value => Change::Set([state.word()], timeout),
                    _ => Change::Keep,
                });
            }
            Step::Tail | Step::Begin => {}
        }
    }

    /// Remembers the flow that an allowed packet begins, if it begins one.
    ///
    /// # Errors
    /// Why not.
    pub(crate) fn admit(
        &self,
        packet: &Packet,
        hook: Hook,
        epoch: u32,
        now: Nanos,
    ) -> Result<(), Refused> {
        if let Some((state, timeout)) = FlowState::begin(packet.kind, hook, epoch, self.timeouts)
            && let Some(key) = key_of(packet, hook)
        {
            let value = [state.word()];
            self.table
                .change(&key, now, |_| Change::Set(value, timeout))?;
        }
        self.follow_fragments(packet, hook, epoch, now);
        Ok(())
    }

    /// The rules of `epoch` allow the flow too.
    pub(crate) fn confirm(&self, stale: &Stale, epoch: u32, now: Nanos) {
        let Some(found) = self.table.get(&stale.key, now) else {
            return;
        };
        let [word] = found.value;
        let state = FlowState::of_word(word).under(epoch);
        let timeout = found.timeout();
        let _ = self.table.change(&stale.key, now, |there| match there {
            Some(value) if value == found.value => Change::Set([state.word()], timeout),
            _ => Change::Keep,
        });
    }

    /// The rules no longer allow the flow.
    pub(crate) fn forget(&self, stale: &Stale, now: Nanos) {
        let _ = self.table.remove(&stale.key, now);
    }

    /// Lets the fragments pass that belong to a first one that passes.
    fn follow_fragments(&self, packet: &Packet, hook: Hook, epoch: u32, now: Nanos) {
        let Some(ident) = packet.first_fragment else {
            return;
        };
        let key = fragments_key(packet.tuple, ident, hook);
        let state = FlowState::begin(Kind::Datagram, hook, epoch, self.timeouts);
        if let Some((state, _)) = state {
            // Without it they are judged by the rules, on what they show.
            let _ = self
                .table
                .change(&key, now, |_| Change::Set([state.word()], FRAGMENTS));
        }
    }
}

/// The key under which the flow of a packet is known; `None` when it has none.
fn key_of(packet: &Packet, hook: Hook) -> Option<FlowWords> {
    match packet.kind {
        Kind::Tcp { .. }
        | Kind::Sctp { .. }
        | Kind::Datagram
        | Kind::EchoRequest
        | Kind::EchoReply => Some(oriented(packet.tuple, hook).words()),
        // The packet in question went the other way.
        Kind::IcmpError { quoted, .. } => Some(oriented(quoted?, hook.other()).words()),
        Kind::LaterFragment { ident } => Some(fragments_key(packet.tuple, ident, hook)),
        Kind::Icmp { .. } | Kind::Neighbor => None,
    }
}

fn fragments_key(of: Tuple, ident: u32, hook: Hook) -> FlowWords {
    let [a, b, c, d] = ident.to_be_bytes();
    let tuple = Tuple {
        fragments: true,
        ..oriented(of, hook)
    };
    Tuple {
        src_port: u16::from_be_bytes([a, b]),
        dst_port: u16::from_be_bytes([c, d]),
        ..tuple
    }
    .words()
}

#[cfg(test)]
mod tests;
