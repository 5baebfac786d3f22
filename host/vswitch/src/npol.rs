//! Network policies (VPP's npol plugin): sets of addresses, rules, policies, and what an interface has of them.
//!
//! A packet that an interface receives meets its `rx` policies, one that it is sent meets `tx`; an inverted
//! interface (a host endpoint) swaps them. The first rule that matches decides: allow, deny, or pass on to
//! the profiles. Where nothing matches, the defaults of policies, then of profiles, decide.

use std::sync::Arc;

use crate::id::Family;
use crate::persist::PVec;
use crate::session::Tuple;
use crate::track::{Flows, Hook, Kind, NPOL, Packet};

mod recent;
mod rule;
mod set;

pub use rule::{Criterion, Entry, Filter, FilterKind, RuleAction, RuleSpec};
pub use set::{IpSetKind, Member, NotOfThisKind};

pub(crate) use recent::{FlowKey, Onward, RecentFlows};
pub(crate) use rule::Rule;
pub(crate) use set::IpSet;

/// Flows with a verdict, unless configured otherwise.
pub const FLOWS_MAX_DEFAULT: usize = 1_000_000;

/// What happens when no rule matched.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PolicyDefault {
    #[default]
    Allow,
    Deny,
    /// Policies only: the profiles decide.
    Pass,
}

/// What an interface has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct InterfacePolicies {
    /// Policies for packets received from the interface, in order.
    pub rx: Vec<u32>,
    /// Policies for packets sent to it.
    pub tx: Vec<u32>,
    /// Policies for both, where those passed.
    pub profiles: Vec<u32>,
    pub invert_rx_tx: bool,
    pub policy_default_rx: PolicyDefault,
    pub policy_default_tx: PolicyDefault,
    pub profile_default_rx: PolicyDefault,
    pub profile_default_tx: PolicyDefault,
}

/// A policy: rules per direction, in order.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Policy {
    pub rx: Vec<u32>,
    pub tx: Vec<u32>,
}

/// The policies of an interface, as workers see them.
#[derive(Debug, Clone)]
pub(crate) struct Applied {
    pub(crate) policies: InterfacePolicies,
    /// Changes with everything that these policies depend on.
    pub(crate) epoch: u32,
}

/// What workers read.
#[derive(Debug, Clone)]
pub(crate) struct NpolTables {
    pub(crate) sets: PVec<Arc<IpSet>>,
    pub(crate) rules: PVec<Arc<Rule>>,
    pub(crate) policies: PVec<Arc<Policy>>,
    /// By interface.
    pub(crate) applied: PVec<Arc<Applied>>,
    pub(crate) flows: Arc<Flows>,
}

impl Default for NpolTables {
    fn default() -> Self {
        Self {
            sets: PVec::default(),
            rules: PVec::default(),
            policies: PVec::default(),
            applied: PVec::default(),
            flows: Arc::new(Flows::new(FLOWS_MAX_DEFAULT, 0, &NPOL)),
        }
    }
}

/// What rules look at.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Query {
    pub(crate) tuple: Tuple,
    /// Type and code.
    pub(crate) icmp: Option<(u8, u8)>,
    /// The packet does not say its ports or its ICMP type.
    pub(crate) is_later_fragment: bool,
}

impl Query {
    pub(crate) fn of(packet: &Packet) -> Self {
        let mut tuple = packet.tuple;
        let icmp = packet.icmp();
        if icmp.is_some() {
            // The identifier of an echo is not a port.
            (tuple.src_port, tuple.dst_port) = (0, 0);
        }
        Self {
            tuple,
            icmp,
            is_later_fragment: matches!(packet.kind, Kind::LaterFragment { .. }),
        }
    }

    pub(crate) const fn family(&self) -> Family {
        self.tuple.family
    }
}

impl NpolTables {
    /// Tells whether the policies of an interface let a packet through.
    pub(crate) fn allows(&self, of: &InterfacePolicies, hook: Hook, query: &Query) -> bool {
        let rx = (hook == Hook::Rx) != of.invert_rx_tx;
        let (policies, policy_default, profile_default) = if rx {
            (&of.rx, of.policy_default_rx, of.profile_default_rx)
        } else {
            (&of.tx, of.policy_default_tx, of.profile_default_tx)
        };
        match self.decide(policies, rx, query) {
            Some(RuleAction::Allow) => return true,
            Some(RuleAction::Deny) => return false,
            Some(RuleAction::Pass) => {}
            Some(RuleAction::Log) | None => match policy_default {
                PolicyDefault::Allow => return true,
                PolicyDefault::Deny => return false,
                PolicyDefault::Pass => {}
            },
        }
        match self.decide(&of.profiles, rx, query) {
            Some(RuleAction::Allow) => true,
            // There is nothing to pass on to.
            Some(RuleAction::Deny | RuleAction::Pass) => false,
            Some(RuleAction::Log) | None => profile_default == PolicyDefault::Allow,
        }
    }

    /// The first verdict; a rule that logs gives none.
    fn decide(&self, policies: &[u32], rx: bool, query: &Query) -> Option<RuleAction> {
        let policies = policies.iter().filter_map(|id| self.policies.get(*id));
        let rules = policies.flat_map(|policy| if rx { &policy.rx } else { &policy.tx });
        rules
            .filter_map(|id| self.rules.get(*id))
            .filter(|rule| rule.action != RuleAction::Log)
            .find(|rule| rule.matches(query, &self.sets))
            .map(|rule| rule.action)
    }
}

#[cfg(test)]
mod tests;
