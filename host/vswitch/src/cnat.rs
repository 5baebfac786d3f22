//! Cloud NAT, as VPP's plugin of that name: virtual endpoints spread over back-ends, and source NAT by policy.
//!
//! A flow has a *session* of two entries, one per direction; each says what its packets become. The destination
//! is rewritten on the input arc, before the lookup, and the source on the output arc, after it, in either
//! direction. Interfaces with the feature keep a session for every flow, translated or not, so that a policy
//! decides by the first packet and answers are never taken for new flows. On all other interfaces only flows of
//! translations with a route (VPP's *clients*) are translated, both ends at once on input.
//!
//! The API knows neither weights nor affinity: a path that is listed twice gets twice the flows, and a flow hash
//! over addresses alone keeps a client on a back-end (with Maglev, also when others come and go).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::id::{Family, SwIfIndex};

pub(crate) mod key;
mod maglev;
pub(crate) mod packet;
pub(crate) mod pass;
pub(crate) mod service;
pub(crate) mod session;
pub(crate) mod snat;
pub(crate) mod tables;

pub use session::SessionInfo;
pub use tables::SESSIONS_DEFAULT;

/// Most paths of a translation.
pub const PATHS_MAX: usize = 4096;

/// Allocate a source port where a path names a source (flag of a translation).
pub const ALLOC_PORT: u8 = 1;
/// Answers are not translated back (flag of a translation).
pub const NO_RETURN_SESSION: u8 = 4;
/// No route for the virtual address: only interfaces with the feature translate (flag of a translation).
pub const NO_CLIENT: u8 = 8;

/// Forward to the back-end without rewriting (flag of a path).
pub const PATH_NO_NAT: u8 = 2;
/// All addresses of the path are known (flag of a path, shown in dumps).
pub const PATH_ACTIVE: u8 = 4;

/// No route for the source address (flag of source NAT).
pub const SNAT_NO_CLIENT: u8 = 2;
/// Serves all tables without an own entry (flag of source NAT).
pub const SNAT_USE_AS_DEFAULT: u8 = 4;

/// Where an endpoint's address comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    Address(IpAddr),
    /// The first address of a family on an interface, whatever it is at the time.
    Interface(SwIfIndex, Family),
}

/// An address and a port; port 0 of a path leaves the packet's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Endpoint {
    pub place: Place,
    pub port: u16,
}

impl Endpoint {
    pub const fn new(address: IpAddr, port: u16) -> Self {
        Self {
            place: Place::Address(address),
            port,
        }
    }

    /// "No source": the unspecified address.
    pub const fn none(family: Family) -> Self {
        Self::new(
            match family {
                Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
                Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
            },
            0,
        )
    }
}

/// A back-end, and the source its packets get when that is specified.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Path {
    pub dst: Endpoint,
    pub src: Endpoint,
    pub flags: u8,
}

impl Path {
    /// A back-end whose packets keep their source.
    pub const fn to(address: IpAddr, port: u16) -> Self {
        Self {
            dst: Endpoint::new(address, port),
            src: Endpoint::none(Family::of(address)),
            flags: 0,
        }
    }
}

/// How a back-end is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Balance {
    /// By flow hash over the paths.
    #[default]
    Default,
    /// By flow hash over a Maglev table.
    Maglev,
}

/// A virtual endpoint and its paths.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranslationSpec {
    pub vip: Endpoint,
    pub protocol: u8,
    pub flags: u8,
    /// The address belongs to translations alone: what none of them takes is dropped.
    pub exclusive: bool,
    pub balance: Balance,
    /// Fields of the flow hash as bits of VPP's `ip_flow_hash_config_v2`; 0 is the default.
    pub flow_hash: u32,
    pub paths: Vec<Path>,
}

/// An endpoint with the address it has now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resolved {
    pub endpoint: Endpoint,
    pub address: Option<IpAddr>,
}

/// A path in a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PathInfo {
    pub dst: Resolved,
    pub src: Resolved,
    pub flags: u8,
}

/// A translation in a dump, with the packets and bytes that chose a back-end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TranslationInfo {
    pub id: u32,
    pub vip: Resolved,
    pub protocol: u8,
    pub balance: Balance,
    pub flow_hash: u32,
    pub paths: Vec<PathInfo>,
    pub chosen: crate::counters::Combined,
}

/// Which flows get another source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SnatKind {
    /// All.
    #[default]
    None,
    /// Those of included interfaces, except to excluded prefixes.
    IfPfx,
    /// Kubernetes: as before, those that only pass through the node, and those of a pod to itself.
    K8s,
    /// All.
    Dnat,
    /// None.
    DnatOnly,
}

/// Sets of interfaces that policies look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SnatSet {
    IncludeV4,
    IncludeV6,
    Pod,
    Host,
}

/// Source NAT of one table in a dump; an address that is not set is unspecified.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SnatInfo {
    /// Tables that flows come from, IPv4 and IPv6.
    pub fwd_tables: [u32; 2],
    /// Tables that answers come from.
    pub ret_tables: [u32; 2],
    pub ip4: Ipv4Addr,
    pub ip6: Ipv6Addr,
    pub sw_if_index: SwIfIndex,
}
