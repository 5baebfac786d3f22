//! Sessions: what the packets of a flow become, one entry per direction, in tables that all workers share.

use std::net::IpAddr;
use std::sync::atomic::{AtomicU32, Ordering};

use crate::id::{Family, Nanos};
use crate::session::{Change, FlowTable, FlowWords, Found, Refused, Scope, Timeout, Tuple};

/// Life of an idle session, as in VPP.
pub(crate) const TIMEOUT: Timeout = Timeout::secs(30);
/// Life of an idle TCP connection whose SYN was answered.
pub(crate) const TIMEOUT_ESTABLISHED: Timeout = Timeout::secs(3600);
/// Life of a TCP connection after FIN or RST.
pub(crate) const TIMEOUT_CLOSING: Timeout = Timeout::secs(5);
/// Life of what is known of a packet's first fragment (RFC 791 and 8200 allow 60 s; Linux keeps 30).
const TIMEOUT_FRAGMENT: Timeout = Timeout::secs(30);
/// Packets whose fragments are on their way at the same time.
const FRAGMENTED_MAX: usize = 16_384;
/// Share of the table that one round of ageing looks at.
const AGE_ROUNDS: usize = 8;

/// Sessions from which on they are fetched for many packets together: half a mebibyte.
const WARM_MIN: usize = 8192;

/// This is the answering direction (VPP's `CNAT_SESSION_IS_RETURN`).
pub(crate) const RETURN: u8 = 16;
/// Both ends are rewritten on input (VPP's `CNAT_SESSION_FLAG_HAS_CLIENT`).
pub(crate) const BOTH_ENDS: u8 = 1;
/// Packets are forwarded to the back-end as they are.
pub(crate) const NO_NAT: u8 = 2;
/// No answering direction is kept.
pub(crate) const NO_RETURN: u8 = 4;
/// The source is decided and the answering direction is kept.
pub(crate) const COMPLETE: u8 = 8;

/// What the packets of one direction become.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Session {
    /// Addresses and ports behind both rewrites; the scope is that of the opposite direction.
    pub(crate) to: Tuple,
    pub(crate) flags: u8,
    /// Tracker of the back-end, 0 = none. 24 bits.
    pub(crate) tracker: u32,
    /// Number of the flow.
    pub(crate) serial: u32,
}

/// Highest number of a tracker.
pub(crate) const TRACKER_MAX: u32 = (1 << 24) - 1;

impl Session {
    pub(crate) const fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// The key of the other direction, if that is kept.
    fn opposite_of(&self, key: &Tuple) -> Option<Tuple> {
        (self.has(COMPLETE) && !self.has(NO_RETURN)).then(|| opposite_key(key, self))
    }

    const fn meta(&self) -> u64 {
        (self.flags as u64) << 56 | (self.tracker as u64) << 32 | self.serial as u64
    }

    const fn of_meta(to: Tuple, meta: u64) -> Self {
        let [flags, a, b, c, d, e, f, g] = meta.to_be_bytes();
        Self {
            to,
            flags,
            tracker: u32::from_be_bytes([0, a, b, c]),
            serial: u32::from_be_bytes([d, e, f, g]),
        }
    }
}

/// A session in a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionInfo {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub src_port: u16,
    pub dst_port: u16,
    pub protocol: u8,
    /// Addresses and ports that packets get.
    pub to: (IpAddr, u16, IpAddr, u16),
    /// Shared by both directions of a flow.
    pub index: u32,
    /// VPP's flags: 1 has a client, 16 is the answering direction.
    pub flags: u32,
}

/// The key of an IPv4 flow in its table.
pub(crate) type FlowKey4 = [u64; 2];

type V4 = FlowTable<2, 3>;
type V6 = FlowTable<5, 6>;

/// Sessions of both families, and what is known of packets in fragments.
#[derive(Debug)]
pub(crate) struct Sessions {
    v4: V4,
    v6: V6,
    fragments: FlowTable<5, 1>,
    serial: AtomicU32,
}

impl Sessions {
    /// Tables for `flows` of each family; memory is taken by [`Sessions::reserve`].
    pub(crate) const fn new(flows: usize, seed: u64) -> Self {
        Self {
            v4: FlowTable::new(flows.saturating_mul(2), seed),
            v6: FlowTable::new(flows.saturating_mul(2), seed),
            fragments: FlowTable::new(FRAGMENTED_MAX, seed),
            serial: AtomicU32::new(1),
        }
    }

    pub(crate) fn reserve(&self) {
        self.v4.reserve();
        self.v6.reserve();
        self.fragments.reserve();
    }

    /// Entries of both families.
    pub(crate) fn len(&self) -> usize {
        self.v4.len() + self.v6.len()
    }

    pub(crate) fn next_serial(&self) -> u32 {
        self.serial.fetch_add(1, Ordering::Relaxed)
    }

    /// Finds a session and keeps it from ageing. A direction without packets lives as long as its opposite does, which is
    /// looked up when that matters and not with every packet.
    #[inline]
    pub(crate) fn hit(&self, key: &Tuple, now: Nanos) -> Option<Session> {
        match key.family {
            Family::V4 => {
                let found = self.v4.find(&words4(key))?;
                let session = session4(&found.value);
                if found.is_over(now) && self.living_opposite4(key, &session, now).is_none() {
                    return None;
                }
                self.v4.touch(&found, now);
                Some(session)
            }
            Family::V6 => {
                let found = self.v6.find(&key.words())?;
                let session = session6(&found.value);
                if found.is_over(now) && self.living_opposite6(key, &session, now).is_none() {
                    return None;
                }
                self.v6.touch(&found, now);
                Some(session)
            }
        }
    }

    /// The other direction, unless its place was taken by another flow that shows the same ends.
    #[cold]
    fn living_opposite4(&self, key: &Tuple, session: &Session, now: Nanos) -> Option<Found<3>> {
        let opposite = session.opposite_of(key)?;
        let found = self.v4.get(&words4(&opposite), now)?;
        (session4(&found.value).opposite_of(&opposite) == Some(*key)).then_some(found)
    }

    #[cold]
    fn living_opposite6(&self, key: &Tuple, session: &Session, now: Nanos) -> Option<Found<6>> {
        let opposite = session.opposite_of(key)?;
        let found = self.v6.get(&opposite.words(), now)?;
        (session6(&found.value).opposite_of(&opposite) == Some(*key)).then_some(found)
    }

    /// Lets a direction that is over live on with its opposite, if that lives.
    fn follow_opposite(&self, key: &Tuple, now: Nanos) {
        match key.family {
            Family::V4 => {
                if let Some(found) = self.v4.find(&words4(key)).filter(|f| f.is_over(now))
                    && let session = session4(&found.value)
                    && let Some(leader) = self.living_opposite4(key, &session, now)
                {
                    self.v4.follow(&found, &leader);
                }
            }
            Family::V6 => {
                if let Some(found) = self.v6.find(&key.words()).filter(|f| f.is_over(now))
                    && let session = session6(&found.value)
                    && let Some(leader) = self.living_opposite6(key, &session, now)
                {
                    self.v6.follow(&found, &leader);
                }
            }
        }
    }

    /// Brings the sessions of IPv4 flows into the cache, when there are so many that they are not there.
    #[inline]
    pub(crate) fn warm(&self, keys: &[FlowKey4]) {
        self.v4.warm(keys);
    }

    /// Whether sessions are more than caches hold.
    #[inline]
    pub(crate) fn is_big(&self) -> bool {
        self.v4.len() > WARM_MIN
    }

    /// Adds a session unless there is one; gives the one that was there.
    pub(crate) fn insert(
        &self,
        key: &Tuple,
        session: &Session,
        now: Nanos,
    ) -> Result<Option<Session>, Refused> {
        self.change(key, now, |there| match there {
            Some(_) => None,
            None => Some((*session, TIMEOUT)),
        })
    }

    /// Replaces a session by what `decide` says, unless that is `None`; gives the one that was there.
    pub(crate) fn change(
        &self,
        key: &Tuple,
        now: Nanos,
        decide: impl FnOnce(Option<Session>) -> Option<(Session, Timeout)>,
    ) -> Result<Option<Session>, Refused> {
        self.follow_opposite(key, now);
        match key.family {
            Family::V4 => {
                let there = self.v4.change(&words4(key), now, |there| {
                    decide(there.as_ref().map(session4)).map_or(Change::Keep, |(s, timeout)| {
                        Change::Set([addresses4(&s.to), ports(&s.to), s.meta()], timeout)
                    })
                })?;
                Ok(there.as_ref().map(session4))
            }
            Family::V6 => {
                let there = self.v6.change(&key.words(), now, |there| {
                    decide(there.as_ref().map(session6)).map_or(Change::Keep, |(s, timeout)| {
                        let [a, b, c, d, rest] = s.to.words();
                        Change::Set([a, b, c, d, rest, s.meta()], timeout)
                    })
                })?;
                Ok(there.as_ref().map(session6))
            }
        }
    }

    /// Sets how long both directions of a flow live from now on.
    pub(crate) fn set_timeout(&self, key: &Tuple, session: &Session, timeout: Timeout, now: Nanos) {
        let opposite = opposite_key(key, session);
        for key in [key, &opposite] {
            // A bucket that is busy now leaves the old timeout: the next such segment tries again.
            let _ = self.change(key, now, |there| Some((there?, timeout)));
        }
    }

    pub(crate) fn remove(&self, key: &Tuple, now: Nanos) {
        // What stays because its bucket is busy ages.
        let _ = match key.family {
            Family::V4 => self.v4.remove(&words4(key), now).map(|_| ()),
            Family::V6 => self.v6.remove(&key.words(), now).map(|_| ()),
        };
    }

    /// Remembers the ports of a packet's first fragment for the others.
    pub(crate) fn remember_fragment(
        &self,
        packet: &Tuple,
        flow: &Tuple,
        now: Nanos,
    ) -> Result<(), Refused> {
        let ports = u64::from(flow.src_port) << 16 | u64::from(flow.dst_port);
        let set = Change::Set([ports], TIMEOUT_FRAGMENT);
        self.fragments
            .change(&packet.words(), now, |_| set)
            .map(|_| ())
    }

    /// Ports of the packet that a later fragment belongs to.
    pub(crate) fn fragment_ports(&self, packet: &Tuple, now: Nanos) -> Option<(u16, u16)> {
        let Found { value: [ports], .. } = self.fragments.get(&packet.words(), now)?;
        let [.., a, b, c, d] = ports.to_be_bytes();
        Some((u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d])))
    }

    /// Removes sessions that are over, some at a time. Call about once a second.
    pub(crate) fn age(&self, now: Nanos) {
        let last4 = |[addresses, ports]: &[u64; 2], _: &[u64; 3]| {
            self.follow_opposite(&tuple4(*addresses, *ports), now);
        };
        let slots = self.v4.limit() / AGE_ROUNDS;
        self.v4.age_after(slots, now, last4, |_, _| {});
        let last6 = |key: &FlowWords, _: &[u64; 6]| {
            self.follow_opposite(&Tuple::of_words(*key), now);
        };
        let slots = self.v6.limit() / AGE_ROUNDS;
        self.v6.age_after(slots, now, last6, |_, _| {});
        self.fragments
            .age(FRAGMENTED_MAX / AGE_ROUNDS, now, |_, _| {});
    }

    /// Removes the sessions whose tracker `ends`. Takes as long as the tables are big.
    pub(crate) fn end(&self, ends: impl Fn(u32) -> bool) {
        self.v4.retain(|_, value| !ends(session4(value).tracker));
        self.v6.retain(|_, value| !ends(session6(value).tracker));
    }

    pub(crate) fn clear(&self) {
        self.v4.retain(|_, _| false);
        self.v6.retain(|_, _| false);
        self.fragments.retain(|_, _| false);
    }

    /// Visits every session.
    pub(crate) fn for_each(&self, now: Nanos, mut visit: impl FnMut(SessionInfo)) {
        self.v4.for_all(now, |[addresses, ports], value, is_over| {
            let (key, session) = (tuple4(*addresses, *ports), session4(value));
            if !is_over || self.living_opposite4(&key, &session, now).is_some() {
                visit(info(&key, &session));
            }
        });
        self.v6.for_all(now, |key, value, is_over| {
            let (key, session) = (Tuple::of_words(*key), session6(value));
            if !is_over || self.living_opposite6(&key, &session, now).is_some() {
                visit(info(&key, &session));
            }
        });
    }

    /// Bytes of address space of the tables.
    pub(crate) fn bytes(&self) -> usize {
        self.v4.bytes() + self.v6.bytes() + self.fragments.bytes()
    }
}

/// The key of the other direction: the answer to what the packets become.
pub(crate) const fn opposite_key(key: &Tuple, session: &Session) -> Tuple {
    if session.has(NO_NAT) {
        Tuple {
            scope: session.to.scope,
            ..key.reversed()
        }
    } else {
        session.to.reversed()
    }
}

fn info(key: &Tuple, session: &Session) -> SessionInfo {
    let to = &session.to;
    SessionInfo {
        src: key.src_ip(),
        dst: key.dst_ip(),
        src_port: key.src_port,
        dst_port: key.dst_port,
        protocol: key.protocol,
        to: (to.src_ip(), to.src_port, to.dst_ip(), to.dst_port),
        index: session.serial,
        flags: u32::from(session.flags & (RETURN | BOTH_ENDS)),
    }
}

fn session4([addresses, ports, meta]: &[u64; 3]) -> Session {
    Session::of_meta(tuple4(*addresses, *ports), *meta)
}

fn session6([a, b, c, d, rest, meta]: &[u64; 6]) -> Session {
    Session::of_meta(Tuple::of_words([*a, *b, *c, *d, *rest]), *meta)
}

pub(super) const fn words4(tuple: &Tuple) -> [u64; 2] {
    [addresses4(tuple), ports(tuple)]
}

/// Both IPv4 addresses in one word.
const fn addresses4(tuple: &Tuple) -> u64 {
    let [_, src, _, dst, _] = tuple.words();
    src << 32 | dst
}

const fn ports(tuple: &Tuple) -> u64 {
    let [.., rest] = tuple.words();
    rest
}

const fn tuple4(addresses: u64, rest: u64) -> Tuple {
    let words: FlowWords = [0, addresses >> 32, 0, addresses & 0xffff_ffff, rest];
    Tuple::of_words(words)
}

/// A scope for a FIB.
pub(crate) const fn scope(fib: u32) -> Scope {
    Scope::new(fib)
}
