//! One packet's way through both rewrites: found or made on input, finished on output.

use super::ALLOC_PORT;
use super::packet::{End, Packet, Upper};
use super::service::{Backend, Service};
use super::session::{
    self, BOTH_ENDS, COMPLETE, NO_NAT, NO_RETURN, RETURN, Session, TIMEOUT, TIMEOUT_CLOSING,
    TIMEOUT_ESTABLISHED, scope,
};
use super::tables::CnatTables;
use crate::frame::Frame;
use crate::graph::DropReason;
use crate::id::{Nanos, SwIfIndex};
use crate::session::{Refused, Tuple, number};

/// Ports tried for one flow before it is refused.
const PORT_TRIES: u32 = 64;
/// First port that is chosen when the flow's own is taken, as in VPP.
const PORT_MIN: u16 = 0xc000;
/// Ports below are never given to a flow that had another.
const PORT_SYSTEM: u16 = 1024;

/// A packet whose flow has a session.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Pass {
    pub(crate) key: Tuple,
    pub(crate) session: Session,
}

/// What the input arc does with a packet.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Verdict {
    /// Not of a flow that is translated here.
    Untouched,
    Translated(Pass),
    Drop(DropReason),
}

/// Everything a decision depends on beside the packet.
#[derive(Clone, Copy)]
pub(crate) struct Context<'a> {
    pub(crate) tables: &'a CnatTables,
    pub(crate) now: Nanos,
    /// The interface has the feature.
    pub(crate) enabled: bool,
}

impl Context<'_> {
    /// Finds or makes the session of a received packet.
    pub(crate) fn arrive(&self, frame: &Frame, packet: &mut Packet) -> Verdict {
        let sessions = &self.tables.sessions;
        if let Some(of) = packet.fragment_of
            && let Err(reason) = self.reassemble(packet, &of)
        {
            return reason.map_or(Verdict::Untouched, Verdict::Drop);
        }
        let key = packet.flow;
        if let Some(session) = sessions.hit(&key, self.now) {
            if !self.enabled && !session.has(BOTH_ENDS) {
                return Verdict::Untouched;
            }
            self.follow_tcp(packet, &session);
            return Verdict::Translated(Pass { key, session });
        }
        if matches!(packet.upper, Upper::Error { .. }) {
            return Verdict::Untouched;
        }
        let service = self.service(&key);
        let made = match (service, self.enabled) {
            (Some(service), _) => self.begin_service(frame, &key, service),
            (None, true) => self.begin(
                &key,
                Session {
                    to: key,
                    flags: 0,
                    tracker: 0,
                    serial: sessions.next_serial(),
                },
            ),
            (None, false) => return Verdict::Untouched,
        };
        match made {
            Ok(session) => Verdict::Translated(Pass { key, session }),
            Err(reason) => Verdict::Drop(reason),
        }
    }

    /// Gives a later fragment the ports of the first one, which are remembered here. An error without a reason
    /// lets the packet pass.
    fn reassemble(&self, packet: &mut Packet, of: &Tuple) -> Result<(), Option<DropReason>> {
        let sessions = &self.tables.sessions;
        if packet.upper != Upper::Fragment {
            return sessions
                .remember_fragment(of, &packet.flow, self.now)
                .map_err(|_| Some(DropReason::CnatFragment));
        }
        let unknown = self.enabled.then_some(DropReason::CnatFragment);
        let (src_port, dst_port) = sessions.fragment_ports(of, self.now).ok_or(unknown)?;
        (packet.flow.src_port, packet.flow.dst_port) = (src_port, dst_port);
        Ok(())
    }

    fn service(&self, key: &Tuple) -> Option<&Service> {
        let services = &self.tables.services;
        let service = services.get(&(key.dst_ip(), key.dst_port, key.protocol))?;
        let here =
            self.enabled || (service.has_route && key.scope == scope(self.tables.fib(key.family)));
        here.then_some(&**service)
    }

    fn begin_service(
        &self,
        frame: &Frame,
        key: &Tuple,
        service: &Service,
    ) -> Result<Session, DropReason> {
        service.hits.add(frame.len() as u64);
        let backend = service.choose(key).ok_or(DropReason::CnatNoBackend)?;
        let mut to = *key;
        to.dst = number(backend.dst);
        if backend.dst_port != 0 {
            to.dst_port = backend.dst_port;
        }
        let mut flags = if service.returns() { 0 } else { NO_RETURN };
        if backend.no_nat {
            flags |= NO_NAT;
        }
        if !self.enabled {
            flags |= BOTH_ENDS;
        }
        let session = Session {
            to,
            flags,
            tracker: backend.tracker,
            serial: self.tables.sessions.next_serial(),
        };
        if self.enabled {
            return self.begin(key, session);
        }
        let (session, free_port) = with_source(session, backend, service.flags);
        let done = self.complete(key, session, free_port)?;
        self.begin(key, done)
    }

    /// Adds the session of a new flow, or takes the one that another worker added just now.
    fn begin(&self, key: &Tuple, session: Session) -> Result<Session, DropReason> {
        let there = self.tables.sessions.insert(key, &session, self.now);
        there.map(|there| there.unwrap_or(session)).map_err(refusal)
    }

    /// Adds the answering direction, with another source port when its own is taken and `may_change` allows.
    fn complete(
        &self,
        key: &Tuple,
        mut session: Session,
        may_change: bool,
    ) -> Result<Session, DropReason> {
        session.flags |= COMPLETE;
        if session.has(NO_RETURN) {
            return Ok(session);
        }
        let own_port = session.to.src_port;
        let echo = matches!(
            session.to.protocol,
            packet::proto::ICMP | packet::proto::ICMPV6
        );
        for attempt in 0..PORT_TRIES {
            session.to.src_port = port(own_port, key, session.serial, attempt);
            if echo {
                session.to.dst_port = session.to.src_port;
            }
            let answer = session::opposite_key(key, &session);
            let back = Session {
                to: key.reversed(),
                flags: session.flags & (BOTH_ENDS | NO_NAT) | RETURN | COMPLETE,
                ..session
            };
            match self.tables.sessions.insert(&answer, &back, self.now) {
                Ok(None) => return Ok(session),
                Ok(Some(there)) if there.to == back.to => return Ok(session),
                // The answers are a flow of their own already, and no rewriting tells them apart.
                Ok(Some(_)) if !may_change => return Ok(session),
                Ok(Some(_)) => {}
                Err(reason) => return Err(refusal(reason)),
            }
        }
        Err(DropReason::CnatNoPort)
    }

    /// Decides the source of a flow at the first packet that leaves: `fib` is where it was looked up, `answers`
    /// the FIB of the interface it leaves by. A packet that is inside of another by now keeps its source.
    pub(crate) fn depart(
        &self,
        pass: &Pass,
        interfaces: (SwIfIndex, SwIfIndex),
        (fib, answers): (u32, u32),
        inside: bool,
    ) -> Result<Session, DropReason> {
        let Pass { key, mut session } = *pass;
        if session.flags & (COMPLETE | RETURN) != 0 {
            return Ok(session);
        }
        session.to.scope = scope(answers);
        let middle = pass.middle();
        let snat = self.tables.snat_of(fib).filter(|snat| {
            !inside && !session.has(NO_NAT) && snat.applies(&middle, interfaces.0, interfaces.1)
        });
        if let Some(snat) = snat {
            session.to.src = snat.address(key.family);
            if session.to.src == 0 {
                return Err(DropReason::CnatNoSource);
            }
        }
        let translated = session.to.src != key.src
            || session.to.dst != key.dst
            || session.to.dst_port != key.dst_port;
        let done = self.complete(&key, session, translated && !session.has(NO_NAT))?;
        self.settle(&key, &done)
    }

    /// Writes the decision down, unless another worker was faster: then its decision counts.
    fn settle(&self, key: &Tuple, done: &Session) -> Result<Session, DropReason> {
        let sessions = &self.tables.sessions;
        let there = sessions.change(key, self.now, |there| match there {
            Some(there) if there.has(COMPLETE) => None,
            Some(_) | None => Some((*done, TIMEOUT)),
        });
        match there.map_err(refusal)? {
            Some(other) if other.has(COMPLETE) => {
                if other.to != done.to {
                    sessions.remove(&session::opposite_key(key, done), self.now);
                }
                Ok(other)
            }
            Some(_) | None => Ok(*done),
        }
    }

    /// A connection that is answered lives long, one that ends not.
    fn follow_tcp(&self, packet: &Packet, session: &Session) {
        use packet::tcp::{ACK, FIN, RST, SYN};
        let timeout = match packet.tcp_flags {
            flags if flags & (FIN | RST) != 0 => TIMEOUT_CLOSING,
            flags if flags & (SYN | ACK) == SYN | ACK => TIMEOUT_ESTABLISHED,
            _ => return,
        };
        if session.has(COMPLETE) {
            let sessions = &self.tables.sessions;
            sessions.set_timeout(&packet.flow, session, timeout, self.now);
        }
    }
}

impl Pass {
    /// The flow between its two rewrites: the destination is translated, the source not.
    pub(crate) const fn middle(&self) -> Tuple {
        let to = &self.session.to;
        if self.session.has(BOTH_ENDS) {
            return *to;
        }
        Tuple {
            dst: to.dst,
            dst_port: to.dst_port,
            ..self.key
        }
    }

    /// Rewrites what the input arc has to. `false` when the packet cannot be changed so.
    pub(crate) fn rewrite_input(&self, frame: &mut Frame, packet: &Packet) -> bool {
        let (key, to) = (&self.key, &self.session.to);
        if self.session.has(NO_NAT) {
            return true;
        }
        let dst =
            (key.dst, key.dst_port) == (to.dst, to.dst_port) || packet.set_end(frame, End::Dst, to);
        dst && (!self.session.has(BOTH_ENDS)
            || (key.src, key.src_port) == (to.src, to.src_port)
            || packet.set_end(frame, End::Src, to))
    }

    /// Whether the output arc has nothing to decide and nothing to rewrite.
    #[inline]
    pub(crate) fn leaves_as_it_is(&self) -> bool {
        let (key, session) = (&self.key, &self.session);
        session.flags & (COMPLETE | RETURN) != 0
            && (session.flags & (NO_NAT | BOTH_ENDS) != 0
                || (key.src, key.src_port) == (session.to.src, session.to.src_port))
    }

    /// Rewrites what the output arc has to.
    pub(crate) fn rewrite_output(&self, frame: &mut Frame, packet: &Packet) -> bool {
        let (key, to) = (&self.key, &self.session.to);
        self.session.flags & (NO_NAT | BOTH_ENDS) != 0
            || (key.src, key.src_port) == (to.src, to.src_port)
            || packet.set_end(frame, End::Src, to)
    }

    /// Takes the rewriting on input back, for an ICMP error to the sender.
    pub(crate) fn undo_input(&self, frame: &mut Frame) {
        let Some(packet) = Packet::of(frame).filter(|p| self.is_of(p)) else {
            return;
        };
        if !self.session.has(NO_NAT) {
            packet.set_end(frame, End::Dst, &self.key);
        }
        if self.session.has(BOTH_ENDS) {
            packet.set_end(frame, End::Src, &self.key);
        }
    }

    /// Tells whether the packet is still the one that came in, and not inside of another.
    pub(crate) fn is_of(&self, packet: &Packet) -> bool {
        let (is, middle) = (&packet.flow, self.middle());
        let same_ends = (is.src, is.dst, is.protocol) == (middle.src, middle.dst, middle.protocol)
            || (self.session.has(NO_NAT)
                && (is.src, is.dst, is.protocol)
                    == (self.key.src, self.key.dst, self.key.protocol));
        let ports = match packet.upper {
            Upper::Ports | Upper::Error { echo: false, .. } if !self.session.has(NO_NAT) => {
                (is.src_port, is.dst_port) == (middle.src_port, middle.dst_port)
            }
            Upper::Ports | Upper::Echo | Upper::Error { .. } | Upper::Fragment => true,
        };
        same_ends && ports
    }
}

/// Applies the source of a path, and tells whether the port may be another.
fn with_source(mut session: Session, backend: &Backend, flags: u8) -> (Session, bool) {
    let mut free_port = !session.has(NO_NAT);
    if !session.has(NO_NAT) {
        if backend.src_port != 0 {
            session.to.src_port = backend.src_port;
            free_port = false;
        }
        if !backend.src.is_unspecified() {
            session.to.src = number(backend.src);
            free_port = free_port || flags & ALLOC_PORT != 0;
        }
    }
    (session, free_port)
}

/// The port tried at an attempt: the flow's own, then any of the high ones.
fn port(own: u16, key: &Tuple, serial: u32, attempt: u32) -> u16 {
    if attempt == 0 && (own >= PORT_SYSTEM || own == key.src_port) {
        return own;
    }
    let mixed = (u64::from(serial) << 32 | u64::from(attempt)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let [a, b, ..] = mixed.to_be_bytes();
    PORT_MIN | (u16::from_be_bytes([a, b]) & !PORT_MIN)
}

const fn refusal(reason: Refused) -> DropReason {
    match reason {
        Refused::NoMemory | Refused::Full | Refused::Crowded => DropReason::CnatNoSession,
        Refused::Busy => DropReason::CnatBusy,
    }
}
