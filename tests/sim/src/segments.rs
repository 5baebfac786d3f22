//! A model of segment routing over IPv6 (RFC 8754, RFC 8986): packets as trees of headers, SIDs and policies in lists.

use std::cell::Cell;
use std::net::{IpAddr, Ipv6Addr};

use vswitch::Prefix;
use vswitch::sr::{Behavior, LocalsidSpec, PolicyKind, PolicySpec, Steered};

use crate::model::covers;
use crate::wire::Packet;
use crate::world::{self, If};

const IPIP: u8 = 4;
const IPV6: u8 = 41;
const ROUTING: u8 = 43;

/// A packet that may have a list of segments.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outer {
    pub src: Ipv6Addr,
    pub dst: Ipv6Addr,
    pub hops: u8,
    pub class: u8,
    /// In the order of travel, and how many are left.
    pub path: Option<(Vec<Ipv6Addr>, u8)>,
    pub inner: Inner,
}

/// What is behind the headers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Inner {
    /// Protocol and bytes.
    Plain(u8, Vec<u8>),
    V4(Packet),
    V6(Box<Outer>),
}

/// Something that is routed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Any {
    V4(Packet),
    V6(Outer),
}

impl Any {
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::V4(packet) => packet.encode(),
            Self::V6(outer) => outer.encode(),
        }
    }

    fn dst(&self) -> IpAddr {
        match self {
            Self::V4(packet) => packet.dst,
            Self::V6(outer) => outer.dst.into(),
        }
    }

    fn aged(self) -> Self {
        match self {
            Self::V4(packet) => Self::V4(Packet {
                ttl: packet.ttl - 1,
                ..packet
            }),
            Self::V6(outer) => Self::V6(Outer {
                hops: outer.hops - 1,
                ..outer
            }),
        }
    }
}

impl Outer {
    /// With flow label 0.
    pub fn encode(&self) -> Vec<u8> {
        let (protocol, inner) = match &self.inner {
            Inner::Plain(protocol, bytes) => (*protocol, bytes.clone()),
            Inner::V4(packet) => (IPIP, packet.encode()),
            Inner::V6(outer) => (IPV6, outer.encode()),
        };
        let mut body = Vec::new();
        let mut next = protocol;
        if let Some((path, left)) = &self.path {
            let count = u8::try_from(path.len()).expect("paths are short");
            body.extend([protocol, 2 * count, 4, *left, count - 1, 0, 0, 0]);
            for segment in path.iter().rev() {
                body.extend(segment.octets());
            }
            next = ROUTING;
        }
        body.extend(inner);
        let [high, low] = u16::try_from(body.len()).expect("short").to_be_bytes();
        let mut out = vec![0x60 | self.class >> 4, self.class << 4, 0, 0];
        out.extend([high, low, next, self.hops]);
        out.extend(self.src.octets());
        out.extend(self.dst.octets());
        out.extend(body);
        out
    }

    /// Goes on to the next segment (section 4.1 of RFC 8986); with PSP, the header goes with the last one.
    fn advance(&mut self, psp: bool) -> bool {
        let Some((path, left)) = &mut self.path else {
            return false;
        };
        if *left == 0 {
            return false;
        }
        *left -= 1;
        self.dst = path[path.len() - 1 - usize::from(*left)];
        if psp && *left == 0 {
            self.path = None;
        }
        true
    }

    fn is_at_end(&self) -> bool {
        self.path.as_ref().is_none_or(|(_, left)| *left == 0)
    }
}

/// Everything configured. Routes lead to the neighbour 0 of an interface.
#[derive(Debug, Clone, Default)]
pub struct Segments {
    pub source: Option<Ipv6Addr>,
    pub sids: Vec<LocalsidSpec>,
    pub policies: Vec<PolicySpec>,
    /// Bindings, and the lists that they got behind their first one.
    pub more: Vec<(Ipv6Addr, Vec<Ipv6Addr>)>,
    pub steering: Vec<(Steered, Ipv6Addr)>,
    /// Table, prefix and interface.
    pub routes: Vec<(u32, Prefix, If)>,
    is_unknown: Cell<bool>,
}

/// What leaves, and by which interface.
pub type Sent = (If, Any);

impl Segments {
    /// Nothing but an address for what is encapsulated, and routes.
    pub fn new(source: Ipv6Addr, routes: Vec<(u32, Prefix, If)>) -> Self {
        Self {
            source: Some(source),
            routes,
            ..Self::default()
        }
    }

    /// All that a packet becomes: any one of the sets is right. `None` when that is not modelled: a header is inserted
    /// in front of another one.
    pub fn outcomes(&self, packet: Any) -> Option<Vec<Vec<Sent>>> {
        self.is_unknown.set(false);
        let outcomes = self.lookup(0, packet, 0);
        (!self.is_unknown.get()).then_some(outcomes)
    }

    fn lookup(&self, table: u32, packet: Any, depth: u8) -> Vec<Vec<Sent>> {
        assert!(depth < 20, "no world has loops");
        let dst = packet.dst();
        if table == 0
            && let Any::V6(outer) = &packet
            && let Some(sid) = self.sid(outer.dst)
        {
            return self.end(sid, outer.clone(), depth);
        }
        let steered = self.steering.iter().filter_map(|(what, bsid)| match what {
            Steered::L3 { table: of, prefix } => Some((*of, *prefix, *bsid)),
            Steered::L2(_) => None,
        });
        let steered = steered.filter(|(of, prefix, _)| *of == table && covers(*prefix, dst));
        if let Some((.., bsid)) = steered.max_by_key(|(_, prefix, _)| prefix.len) {
            return self.follow(bsid, &packet, depth);
        }
        let routes = self.routes.iter();
        let routes = routes.filter(|(of, prefix, _)| *of == table && covers(*prefix, dst));
        match routes.max_by_key(|(_, prefix, _)| prefix.len) {
            Some((.., on)) => vec![vec![(*on, packet.aged())]],
            None => vec![Vec::new()],
        }
    }

    fn sid(&self, dst: Ipv6Addr) -> Option<&LocalsidSpec> {
        let of = |sid: &&LocalsidSpec| {
            let (addr, len) = (sid.sid.into(), sid.prefix_len);
            covers(Prefix { addr, len }, dst.into())
        };
        self.sids.iter().filter(of).max_by_key(|sid| sid.prefix_len)
    }

    fn end(&self, sid: &LocalsidSpec, mut outer: Outer, depth: u8) -> Vec<Vec<Sent>> {
        let nothing = vec![Vec::new()];
        let to = |on: u32, packet: Any| vec![vec![(on, packet.aged())]];
        let goes_on = match &sid.behavior {
            Behavior::End | Behavior::X { .. } | Behavior::T { .. } => outer.advance(sid.psp),
            Behavior::Un | Behavior::Ua { .. } => {
                shift(&mut outer.dst, sid) || outer.advance(sid.psp)
            }
            _ => outer.is_at_end(),
        };
        if !goes_on {
            return nothing;
        }
        match (&sid.behavior, outer.inner.clone()) {
            (Behavior::End | Behavior::Un, _) => self.lookup(0, Any::V6(outer), depth + 1),
            (Behavior::T { table }, _) => self.lookup(*table, Any::V6(outer), depth + 1),
            (Behavior::X { on, .. } | Behavior::Ua { on, .. }, _) => to(on.0, Any::V6(outer)),
            (Behavior::Dx4 { on, .. }, Inner::V4(inner)) => to(on.0, Any::V4(inner)),
            (Behavior::Dx6 { on, .. }, Inner::V6(inner)) => to(on.0, Any::V6(*inner)),
            (Behavior::Dt4 { table }, Inner::V4(inner)) => {
                self.lookup(*table, Any::V4(inner), depth + 1)
            }
            (Behavior::Dt6 { table }, Inner::V6(inner)) => {
                self.lookup(*table, Any::V6(*inner), depth + 1)
            }
            _ => nothing,
        }
    }

    /// Along one list of a policy, or along each.
    fn follow(&self, bsid: Ipv6Addr, packet: &Any, depth: u8) -> Vec<Vec<Sent>> {
        let policy = self.policies.iter().find(|policy| policy.bsid == bsid);
        let policy = policy.expect("what is steered goes into a policy");
        let has_header = matches!(packet, Any::V6(outer) if outer.path.is_some());
        self.is_unknown
            .set(self.is_unknown.get() || (has_header && !policy.is_encap));
        let more = self.more.iter().filter(|(of, _)| *of == bsid);
        let lists = [&policy.segments].into_iter().chain(more.map(|(_, l)| l));
        let along = lists.map(|list| {
            let made = if policy.is_encap {
                encapsulate(packet.clone(), list, self.source.expect("is set"))
            } else {
                insert(packet.clone(), list)
            };
            // Segments of policies are far away: there is one way.
            self.lookup(0, Any::V6(made), depth + 1).remove(0)
        });
        match policy.kind {
            PolicyKind::Default => along.collect(),
            PolicyKind::Spray => vec![along.flatten().collect()],
        }
    }
}

/// H.Encaps (RFC 8986, section 5.1).
fn encapsulate(packet: Any, list: &[Ipv6Addr], src: Ipv6Addr) -> Outer {
    let (class, inner) = match packet.aged() {
        Any::V4(packet) => (packet.tos, Inner::V4(packet)),
        Any::V6(outer) => (outer.class, Inner::V6(Box::new(outer))),
    };
    Outer {
        src,
        dst: list[0],
        hops: 64,
        class,
        path: with_header(list.to_vec()),
        inner,
    }
}

/// H.Insert: the destination becomes the last segment.
fn insert(packet: Any, list: &[Ipv6Addr]) -> Outer {
    let Any::V6(outer) = packet.aged() else {
        panic!("IPv4 is never steered into an insertion");
    };
    let path: Vec<_> = list.iter().copied().chain([outer.dst]).collect();
    Outer {
        dst: list[0],
        path: with_header(path),
        ..outer
    }
}

fn with_header(path: Vec<Ipv6Addr>) -> Option<(Vec<Ipv6Addr>, u8)> {
    let left = u8::try_from(path.len()).expect("paths are short") - 1;
    (left > 0).then_some((path, left))
}

/// Takes the first micro-SID out, if another one follows.
fn shift(dst: &mut Ipv6Addr, sid: &LocalsidSpec) -> bool {
    let mut hex: Vec<u16> = dst.segments().to_vec();
    let at = usize::from(sid.prefix_len / 16) - 1;
    if hex[at + 1] == 0 {
        return false;
    }
    hex.remove(at);
    hex.push(0);
    let hex: [u16; 8] = hex.try_into().expect("eight words");
    *dst = hex.into();
    true
}

/// The frame in which something leaves.
pub fn frame(on: If, packet: &Any) -> Vec<u8> {
    let mut out = [world::host_mac(on, 0), world::mac_of(on)].concat();
    let kind: u16 = match packet {
        Any::V4(_) => 0x0800,
        Any::V6(_) => 0x86dd,
    };
    out.extend(kind.to_be_bytes());
    out.extend(packet.encode());
    out
}
