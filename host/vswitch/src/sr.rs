//! Segment routing over IPv6 (RFC 8754, RFC 8986, RFC 9800): what local SIDs and policies are to the API
//! ([`LocalsidSpec`], [`PolicyInfo`], ...) and to the data path (the rest of this module).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::counters::Combined;
use crate::graph::NodeId;
use crate::id::{Family, SwIfIndex};
use crate::persist::PVec;
use crate::prefix::Prefix;

mod cache;
mod error;
mod rewrite;

pub(crate) use cache::{CACHED_MAX, HeaderCache};
pub use error::SrError;
pub(crate) use rewrite::{encapsulation, insertion};

/// Segments of one list: what VPP's API carries.
pub const SEGMENTS_MAX: usize = 16;
/// Segment lists of one policy: what a dump can count.
pub const LISTS_MAX: usize = 255;
/// Local SIDs, all tables together.
pub const LOCALSIDS_MAX: u32 = 1 << 16;
/// Hop limit of encapsulated packets until it is set.
pub const HOP_LIMIT_DEFAULT: u8 = 64;

/// A local SID, as it is configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalsidSpec {
    pub sid: Ipv6Addr,
    /// 128, but for SIDs that carry micro-SIDs behind them.
    pub prefix_len: u8,
    /// Length of a micro-SID in bits: 16 or 32 for `UnPerf`, `Un` and `Ua`, else 0.
    pub usid_len: u8,
    /// Remove the header when the last segment becomes active.
    pub psp: bool,
    /// Table that the SID is installed in.
    pub fib_table: u32,
    pub behavior: Behavior,
}

/// What a local SID does; `table`s are looked up when the SID is added.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Behavior {
    End,
    X {
        on: SwIfIndex,
        next_hop: Ipv6Addr,
    },
    T {
        table: u32,
    },
    Dx2 {
        on: SwIfIndex,
    },
    Dx6 {
        on: SwIfIndex,
        next_hop: Ipv6Addr,
    },
    Dx4 {
        on: SwIfIndex,
        next_hop: Ipv4Addr,
    },
    Dt6 {
        table: u32,
    },
    Dt4 {
        table: u32,
    },
    UnPerf,
    Un,
    Ua {
        on: SwIfIndex,
        next_hop: Ipv6Addr,
    },
    /// End.AS: what comes back is encapsulated from `src` along `path`.
    StaticProxy {
        way: ProxyWay,
        src: Ipv6Addr,
        path: Vec<Ipv6Addr>,
    },
    /// End.AD: what comes back gets the headers of the last packet that went out.
    DynamicProxy(ProxyWay),
    /// End.AM: packets keep their headers and show their last segment as destination.
    Masquerading(ProxyWay),
}

/// How a proxy reaches its function and hears from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ProxyWay {
    /// `None` = Ethernet frames.
    pub next_hop: Option<IpAddr>,
    pub out: SwIfIndex,
    pub back: SwIfIndex,
}

impl ProxyWay {
    pub(crate) fn family(&self) -> Option<Family> {
        self.next_hop.map(Family::of)
    }
}

/// Packets of a local SID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct LocalsidCounters {
    pub good: Combined,
    pub bad: Combined,
    /// What came back to a proxy and was encapsulated again, or not.
    pub returned: Combined,
    pub not_returned: Combined,
}

/// A local SID in a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalsidInfo {
    pub spec: LocalsidSpec,
    pub counters: LocalsidCounters,
}

/// How a policy uses its segment lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PolicyKind {
    /// One per flow, by weight.
    #[default]
    Default,
    /// A copy along each.
    Spray,
}

/// A policy to be added, with its first segment list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicySpec {
    pub bsid: Ipv6Addr,
    pub kind: PolicyKind,
    /// Else the header is inserted.
    pub is_encap: bool,
    pub fib_table: u32,
    /// Unspecified = the one for all policies.
    pub encap_src: Ipv6Addr,
    pub segments: Vec<Ipv6Addr>,
    /// `u32::MAX` = 1.
    pub weight: u32,
}

/// A change to the segment lists of a policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyChange {
    Add {
        segments: Vec<Ipv6Addr>,
        encap_src: Ipv6Addr,
        weight: u32,
    },
    Del {
        list: u32,
    },
    Weigh {
        list: u32,
        weight: u32,
    },
}

/// A policy in a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyInfo {
    pub bsid: Ipv6Addr,
    pub kind: PolicyKind,
    pub is_encap: bool,
    pub fib_table: u32,
    pub encap_src: Ipv6Addr,
    pub lists: Vec<ListInfo>,
}

/// A segment list in a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListInfo {
    /// Number by which it is changed.
    pub index: u32,
    pub weight: u32,
    pub segments: Vec<Ipv6Addr>,
}

/// Traffic that is led into a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Steered {
    /// Frames received on an interface.
    L2(SwIfIndex),
    /// Packets to a prefix, looked up in a table.
    L3 { table: u32, prefix: Prefix },
}

/// A local SID, as the data path sees it.
#[derive(Debug)]
pub(crate) struct Localsid {
    pub(crate) psp: bool,
    pub(crate) action: Action,
}

#[derive(Debug)]
pub(crate) enum Action {
    /// End, End.X, End.T.
    End(Onward),
    /// uN and uA: the micro-SIDs behind the active one start at byte `at + len` of the destination.
    Micro {
        at: u8,
        len: u8,
        onward: Onward,
    },
    /// End.D*.
    Decap(Exit),
    Proxy(Proxy),
}

/// Where a packet goes that stays encapsulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Onward {
    /// Looked up where the SID was.
    Same,
    Table(u32),
    Adjacency(u32),
    /// The table or interface does not exist.
    Gone,
}

/// Where a packet goes that was taken out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    Table(Family, u32),
    Adjacency(Family, u32),
    Interface(SwIfIndex),
    Gone,
}

#[derive(Debug)]
pub(crate) struct Proxy {
    pub(crate) kind: ProxyKind,
    pub(crate) exit: Exit,
}

#[derive(Debug)]
pub(crate) enum ProxyKind {
    Static(Box<[u8]>),
    Dynamic(Arc<HeaderCache>),
    Masquerading,
}

/// A policy, as the data path sees it.
#[derive(Debug)]
pub(crate) struct Policy {
    pub(crate) is_encap: bool,
    /// All segment lists, when each gets a copy.
    pub(crate) spray: Option<Box<[u32]>>,
    /// Segment lists by weight.
    pub(crate) buckets: Box<[u32]>,
}

impl Policy {
    /// Chooses a segment list by flow hash; `hash` is asked for only when there is a choice.
    pub(crate) fn choose(&self, hash: impl FnOnce() -> u32) -> Option<u32> {
        if let [only] = &*self.buckets {
            return Some(*only);
        }
        let at = hash() as usize % self.buckets.len().max(1);
        self.buckets.get(at).copied()
    }
}

/// Headers of a segment list, ready to be put in front of, or into, a packet.
#[derive(Debug)]
pub(crate) struct SegmentList {
    pub(crate) rewrite: Box<[u8]>,
    /// The same for packets that came to the binding SID.
    pub(crate) rewrite_bsid: Box<[u8]>,
    /// FIB that encapsulated packets are looked up in.
    pub(crate) fib: u32,
}

/// What workers know of segment routing.
#[derive(Debug, Clone, Default)]
pub(crate) struct SrTables {
    pub(crate) localsids: PVec<Arc<Localsid>>,
    pub(crate) policies: PVec<Arc<Policy>>,
    pub(crate) lists: PVec<Arc<SegmentList>>,
}

impl SrTables {
    pub(crate) fn localsid(&self, index: u32) -> Option<&Localsid> {
        self.localsids.get(index).map(|sid| &**sid)
    }

    pub(crate) fn policy(&self, index: u32) -> Option<&Policy> {
        self.policies.get(index).map(|policy| &**policy)
    }

    pub(crate) fn list(&self, index: u32) -> Option<&SegmentList> {
        self.lists.get(index).map(|list| &**list)
    }
}

impl Localsid {
    /// The node that processes packets to the SID.
    pub(crate) const fn node(&self) -> NodeId {
        match self.action {
            Action::End(_) => NodeId::SrLocalsid,
            Action::Micro { .. } => NodeId::SrLocalsidUn,
            Action::Decap(_) => NodeId::SrLocalsidD,
            Action::Proxy(_) => NodeId::SrProxyLocalsid,
        }
    }
}
