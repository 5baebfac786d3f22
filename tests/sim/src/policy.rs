//! A model of policies: lists of rules that are read from the top, and a list of the flows that they have allowed.
//!
//! A packet meets the policies of the interface it comes from, then those of the one it goes to. A flow that was allowed
//! goes on, both ways, for as long as the rules would allow its first packet and it is not silent for too long.

use std::net::IpAddr;

use vswitch::npol::{
    Criterion, Filter, FilterKind, InterfacePolicies, Member, Policy, PolicyDefault, RuleAction,
    RuleSpec,
};

use crate::model::covers;
use crate::wire::{ICMP, ICMP6, L4, Packet, TCP, UDP};
use crate::world::If;

mod flow;

pub use flow::{Flow, SCTP};

/// What was configured, by number.
#[derive(Debug, Clone, Default)]
pub struct Policies {
    pub sets: Vec<Vec<Member>>,
    pub rules: Vec<RuleSpec>,
    pub policies: Vec<Policy>,
    pub interfaces: Vec<(If, InterfacePolicies)>,
    flows: Vec<Flow>,
}

/// The outcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    Passes,
    Denied,
    /// Whether a flow has just ended cannot be told to the millisecond.
    Unclear,
}

/// What rules see of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Look {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub protocol: u8,
    pub ports: (u16, u16),
    pub icmp: Option<(u8, u8)>,
}

impl Look {
    fn of(packet: &Packet) -> Self {
        let ports = match &packet.l4 {
            L4::Udp { ports, .. } | L4::Tcp { ports, .. } => *ports,
            L4::Other { protocol, data } if *protocol == SCTP => sctp_ports(data),
            _ => (0, 0),
        };
        Self {
            src: packet.src,
            dst: packet.dst,
            protocol: packet.protocol(),
            ports,
            icmp: match &packet.l4 {
                L4::Icmp { kind, code, .. } => Some((*kind, *code)),
                _ => None,
            },
        }
    }
}

fn sctp_ports(data: &[u8]) -> (u16, u16) {
    let word = |at| u16::from_be_bytes([data[at], data[at + 1]]);
    (word(0), word(2))
}

impl Policies {
    /// So many empty objects of each kind, and no interface that has policies.
    pub fn new(sets: usize, rules: Vec<RuleSpec>, policies: usize) -> Self {
        Self {
            sets: vec![Vec::new(); sets],
            rules,
            policies: vec![Policy::default(); policies],
            ..Self::default()
        }
    }

    /// Takes a packet from `rx` to `tx` at a time in milliseconds.
    pub fn pass(&mut self, packet: &Packet, rx: If, tx: If, now: u64) -> Verdict {
        match self.at(packet, rx, true, now) {
            Verdict::Passes => self.at(packet, tx, false, now),
            other => other,
        }
    }

    /// At one interface, which the packet comes from or goes to.
    fn at(&mut self, packet: &Packet, on: If, comes: bool, now: u64) -> Verdict {
        let Some(applied) = self.applied(on).cloned() else {
            return Verdict::Passes;
        };
        if self.flows.iter().any(|flow| flow.is_ending(now)) {
            return Verdict::Unclear;
        }
        self.flows.retain(|flow| flow.lives(now));
        let known = self.flows.iter().position(|f| f.has(packet, on, comes));
        if let Some(at) = known {
            let (first, came) = self.flows[at].first();
            if !self.allows(&applied, &first, came) {
                self.flows.remove(at);
            } else if self.flows[at].step(packet, comes, now) {
                return Verdict::Passes;
            }
        }
        let look = Look::of(packet);
        if !self.allows(&applied, &look, comes) {
            return Verdict::Denied;
        }
        if let Some(flow) = Flow::begin(packet, &look, on, comes, now) {
            self.flows.retain(|f| !f.has(packet, on, comes));
            self.flows.push(flow);
        }
        Verdict::Passes
    }

    fn applied(&self, on: If) -> Option<&InterfacePolicies> {
        self.interfaces
            .iter()
            .find(|(of, _)| *of == on)
            .map(|(_, applied)| applied)
    }

    fn allows(&self, applied: &InterfacePolicies, look: &Look, comes: bool) -> bool {
        let inbound = comes != applied.invert_rx_tx;
        let (list, first, last) = if inbound {
            let defaults = (applied.policy_default_rx, applied.profile_default_rx);
            (&applied.rx, defaults.0, defaults.1)
        } else {
            let defaults = (applied.policy_default_tx, applied.profile_default_tx);
            (&applied.tx, defaults.0, defaults.1)
        };
        let to_profiles = match self.first_match(list, inbound, look) {
            Some(RuleAction::Allow) => return true,
            Some(RuleAction::Deny) => return false,
            Some(_) => true,
            None => match first {
                PolicyDefault::Allow => return true,
                PolicyDefault::Deny => return false,
                PolicyDefault::Pass => true,
            },
        };
        assert!(to_profiles);
        match self.first_match(&applied.profiles, inbound, look) {
            Some(action) => action == RuleAction::Allow,
            None => last == PolicyDefault::Allow,
        }
    }

    fn first_match(&self, list: &[u32], inbound: bool, look: &Look) -> Option<RuleAction> {
        for policy in list {
            let policy = &self.policies[*policy as usize];
            for rule in if inbound { &policy.rx } else { &policy.tx } {
                let rule = &self.rules[*rule as usize];
                if rule.action != RuleAction::Log && self.matches(rule, look) {
                    return Some(rule.action);
                }
            }
        }
        None
    }

    fn matches(&self, rule: &RuleSpec, look: &Look) -> bool {
        if !rule.filters.iter().all(|filter| filter_holds(filter, look)) {
            return false;
        }
        for is_src in [true, false] {
            let of = |is_not: bool| -> Vec<&Criterion> {
                let here = rule.entries.iter();
                here.filter(|e| (e.is_src, e.is_not) == (is_src, is_not))
                    .map(|e| &e.criterion)
                    .collect()
            };
            if of(true).iter().any(|c| self.holds(c, look, is_src)) {
                return false;
            }
            let wanted = of(false);
            for group in 0..3 {
                let mut of_group = wanted.iter().filter(|c| group_of(c) == group).peekable();
                if of_group.peek().is_some() && !of_group.any(|c| self.holds(c, look, is_src)) {
                    return false;
                }
            }
        }
        true
    }

    fn holds(&self, criterion: &Criterion, look: &Look, is_src: bool) -> bool {
        let (ip, port) = if is_src {
            (look.src, look.ports.0)
        } else {
            (look.dst, look.ports.1)
        };
        match criterion {
            Criterion::Cidr(prefix) => covers(*prefix, ip),
            Criterion::Ports(range) => range.first <= port && port <= range.last,
            Criterion::IpSet(set) => self.sets[*set as usize].iter().any(|member| match member {
                Member::Ip(own) => *own == ip,
                Member::Net(net) => covers(*net, ip),
                Member::IpAndPort(..) => false,
            }),
            Criterion::PortIpSet(set) => {
                self.sets[*set as usize].contains(&Member::IpAndPort(ip, look.protocol, port))
            }
        }
    }
}

const fn group_of(criterion: &Criterion) -> u8 {
    match criterion {
        Criterion::Cidr(_) => 0,
        Criterion::IpSet(_) => 1,
        Criterion::Ports(_) | Criterion::PortIpSet(_) => 2,
    }
}

fn filter_holds(filter: &Filter, look: &Look) -> bool {
    let value = match (filter.kind, look.icmp) {
        (FilterKind::Protocol, _) => look.protocol,
        (FilterKind::IcmpType, Some((kind, _))) => kind,
        (FilterKind::IcmpCode, Some((_, code))) => code,
        // Whatever it says, it is about ICMP.
        (FilterKind::IcmpType | FilterKind::IcmpCode, None) => return false,
    };
    (u32::from(value) == filter.value) == filter.should_match
}

/// Protocols that have ports.
pub(crate) const fn has_ports(protocol: u8) -> bool {
    matches!(protocol, TCP | UDP | SCTP)
}

pub(crate) const fn is_icmp(protocol: u8) -> bool {
    matches!(protocol, ICMP | ICMP6)
}
