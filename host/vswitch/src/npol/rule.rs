//! Rules: filters on the protocol, and criteria for either end of a packet.

use std::net::IpAddr;
use std::sync::Arc;

use super::{IpSet, Query};
use crate::acl::PortRange;
use crate::id::Family;
use crate::persist::PVec;
use crate::prefix::Prefix;

/// What a rule that matches says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RuleAction {
    Allow,
    Deny,
    /// Nothing, as in VPP.
    Log,
    /// The profiles decide.
    Pass,
}

/// What a filter looks at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FilterKind {
    IcmpType,
    IcmpCode,
    Protocol,
}

/// A condition on the protocol; all of them must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filter {
    pub kind: FilterKind,
    pub value: u32,
    /// The packet must have the value, or must not.
    pub should_match: bool,
}

/// What an end of a packet is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Criterion {
    Cidr(Prefix),
    Ports(PortRange),
    /// A set of addresses with ports.
    PortIpSet(u32),
    /// A set of addresses or prefixes.
    IpSet(u32),
}

/// A criterion for one end of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    pub is_src: bool,
    /// The end must not be such.
    pub is_not: bool,
    pub criterion: Criterion,
}

/// A rule as it is configured.
///
/// Entries are grouped by end, by being wanted or not, and by kind. No entry of a group that is not wanted may
/// hold; of each group that is wanted one must, where port ranges and sets with ports count as one group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleSpec {
    pub action: RuleAction,
    pub filters: Vec<Filter>,
    pub entries: Vec<Entry>,
}

/// The criteria of one end that are wanted, or those that are not.
#[derive(Debug, Clone, Default)]
struct Criteria {
    cidrs: Vec<Prefix>,
    ip_sets: Vec<u32>,
    ports: Vec<PortRange>,
    port_sets: Vec<u32>,
}

/// A rule in the form in which it is matched.
#[derive(Debug, Clone)]
pub(crate) struct Rule {
    pub(crate) action: RuleAction,
    pub(crate) spec: RuleSpec,
    src: Criteria,
    dst: Criteria,
    not_src: Criteria,
    not_dst: Criteria,
    /// It looks at ports or at ICMP, which later fragments do not show.
    needs_ports: bool,
}

/// One end of a packet.
#[derive(Debug, Clone, Copy)]
struct End {
    address: IpAddr,
    port: u16,
}

impl Rule {
    pub(crate) fn new(spec: RuleSpec) -> Self {
        let mut rule = Self {
            action: spec.action,
            src: Criteria::default(),
            dst: Criteria::default(),
            not_src: Criteria::default(),
            not_dst: Criteria::default(),
            needs_ports: spec.filters.iter().any(|f| f.kind != FilterKind::Protocol),
            spec,
        };
        for entry in &rule.spec.entries {
            let to = match (entry.is_src, entry.is_not) {
                (true, false) => &mut rule.src,
                (true, true) => &mut rule.not_src,
                (false, false) => &mut rule.dst,
                (false, true) => &mut rule.not_dst,
            };
            match entry.criterion {
                Criterion::Cidr(prefix) => to.cidrs.push(prefix),
                Criterion::IpSet(id) => to.ip_sets.push(id),
                Criterion::Ports(range) => {
                    to.ports.push(range);
                    rule.needs_ports = true;
                }
                Criterion::PortIpSet(id) => {
                    to.port_sets.push(id);
                    rule.needs_ports = true;
                }
            }
        }
        rule
    }

    /// The sets that the rule names.
    pub(crate) fn sets(&self) -> impl Iterator<Item = u32> {
        self.spec.entries.iter().filter_map(|e| match e.criterion {
            Criterion::IpSet(id) | Criterion::PortIpSet(id) => Some(id),
            Criterion::Cidr(_) | Criterion::Ports(_) => None,
        })
    }

    /// Tells whether the rule applies. What a later fragment does not show is taken to match where the rule
    /// denies, and not to match elsewhere.
    pub(crate) fn matches(&self, query: &Query, sets: &PVec<Arc<IpSet>>) -> bool {
        let blind = query.is_later_fragment;
        if blind && self.needs_ports && self.action != RuleAction::Deny {
            return false;
        }
        let (src, dst) = ends(query);
        self.spec.filters.iter().all(|f| f.holds(query, blind))
            && self.src.hold(src, query, sets, blind)
            && self.dst.hold(dst, query, sets, blind)
            && self.not_src.none_holds(src, query, sets, blind)
            && self.not_dst.none_holds(dst, query, sets, blind)
    }
}

fn ends(query: &Query) -> (End, End) {
    let tuple = &query.tuple;
    let end = |address, port| End { address, port };
    (
        end(tuple.src_ip(), tuple.src_port),
        end(tuple.dst_ip(), tuple.dst_port),
    )
}

impl Filter {
    fn holds(self, query: &Query, blind: bool) -> bool {
        let same = |value: u8| (self.value == u32::from(value)) == self.should_match;
        match self.kind {
            FilterKind::Protocol => same(query.tuple.protocol),
            FilterKind::IcmpType if !blind => query.icmp.is_some_and(|(kind, _)| same(kind)),
            FilterKind::IcmpCode if !blind => query.icmp.is_some_and(|(_, code)| same(code)),
            FilterKind::IcmpType | FilterKind::IcmpCode => {
                let icmp = match query.family() {
                    Family::V4 => packet::proto::ICMP,
                    Family::V6 => packet::proto::ICMPV6,
                };
                query.tuple.protocol == icmp
            }
        }
    }
}

impl Criteria {
    fn any_cidr(&self, end: End) -> bool {
        self.cidrs.iter().any(|prefix| prefix.contains(end.address))
    }

    fn any_ip_set(&self, end: End, sets: &PVec<Arc<IpSet>>) -> bool {
        let mut found = self.ip_sets.iter().filter_map(|id| sets.get(*id));
        found.any(|set| set.has(end.address))
    }

    fn any_port(&self, end: End, query: &Query, sets: &PVec<Arc<IpSet>>) -> bool {
        let mut found = self.port_sets.iter().filter_map(|id| sets.get(*id));
        self.ports.iter().any(|range| range.contains(end.port))
            || found.any(|set| set.has_port(end.address, end.port, query))
    }

    fn has_ports(&self) -> bool {
        !self.ports.is_empty() || !self.port_sets.is_empty()
    }

    fn hold(&self, end: End, query: &Query, sets: &PVec<Arc<IpSet>>, blind: bool) -> bool {
        (self.cidrs.is_empty() || self.any_cidr(end))
            && (self.ip_sets.is_empty() || self.any_ip_set(end, sets))
            && (blind || !self.has_ports() || self.any_port(end, query, sets))
    }

    fn none_holds(&self, end: End, query: &Query, sets: &PVec<Arc<IpSet>>, blind: bool) -> bool {
        !self.any_cidr(end)
            && !self.any_ip_set(end, sets)
            && (blind || !self.any_port(end, query, sets))
    }
}
