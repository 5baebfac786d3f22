//! Network policies: sets, rules, policies and interfaces, with the effects and codes of VPP's npol plugin.
//!
//! Who uses what is kept in both directions, so a change costs what depends on it: it gives each interface
//! that it reaches a new epoch, under which workers ask again about the flows of that interface.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::pool::Pool;
use super::{Dataplane, Result};
use crate::error::ApiError;
use crate::id::SwIfIndex;
use crate::npol::{Applied, InterfacePolicies, IpSet, IpSetKind, Member, Policy, Rule, RuleSpec};

/// Most members of a set.
pub const MEMBERS_MAX: usize = 1 << 20;
/// Most sets, most rules and most policies.
const OBJECTS_MAX: usize = 1 << 16;

/// By what an object is used.
#[derive(Debug, Default)]
struct Uses(BTreeMap<u32, BTreeSet<u32>>);

impl Uses {
    fn add(&mut self, of: u32, by: u32) {
        self.0.entry(of).or_default().insert(by);
    }

    fn remove(&mut self, of: u32, by: u32) {
        if let Some(users) = self.0.get_mut(&of) {
            users.remove(&by);
            if users.is_empty() {
                self.0.remove(&of);
            }
        }
    }

    fn of_all(&self, all: &BTreeSet<u32>) -> BTreeSet<u32> {
        let users = all.iter().filter_map(|of| self.0.get(of));
        users.flatten().copied().collect()
    }
}

#[derive(Debug, Default)]
pub(super) struct NpolState {
    sets: Pool,
    rules: Pool,
    policies: Pool,
    /// Rules that name a set.
    rules_of_set: Uses,
    policies_of_rule: Uses,
    interfaces_of_policy: Uses,
    epoch: u32,
    counts: [usize; 3],
}

const SETS: usize = 0;
const RULES: usize = 1;
const POLICIES: usize = 2;

impl NpolState {
    fn count(&mut self, what: usize, more: bool) -> Result<()> {
        let count = self.counts.get_mut(what).ok_or(ApiError::Unspecified)?;
        if more && *count == OBJECTS_MAX {
            return Err(ApiError::LimitExceeded);
        }
        *count = if more {
            *count + 1
        } else {
            count.saturating_sub(1)
        };
        Ok(())
    }
}

impl Dataplane {
    /// # Errors
    /// [`ApiError::LimitExceeded`].
    pub fn npol_ipset_create(&mut self, kind: IpSetKind) -> Result<u32> {
        self.npol.count(SETS, true)?;
        let id = self.npol.sets.take();
        self.tables.npol.sets.set(id, Arc::new(IpSet::new(kind)));
        self.npol_changed_set(id);
        Ok(id)
    }

    /// # Errors
    /// [`ApiError::NoSuchEntry`].
    pub fn npol_ipset_kind(&self, id: u32) -> Result<IpSetKind> {
        let set = self.tables.npol.sets.get(id).ok_or(ApiError::NoSuchEntry)?;
        Ok(set.kind())
    }

    /// Adds members to a set or removes them, in order until one fails.
    ///
    /// # Errors
    /// [`ApiError::NoSuchEntry`] for an unknown set; [`ApiError::InvalidValue`] for a member of another kind;
    /// [`ApiError::LimitExceeded`] beyond [`MEMBERS_MAX`]; what `members` gives.
    pub fn npol_ipset_add_del_members(
        &mut self,
        id: u32,
        is_add: bool,
        members: impl IntoIterator<Item = Result<Member>>,
    ) -> Result<()> {
        let sets = &mut self.tables.npol.sets;
        let set = Arc::make_mut(sets.get_mut(id).ok_or(ApiError::NoSuchEntry)?);
        let outcome = members.into_iter().try_for_each(|member| {
            if is_add && set.len() >= MEMBERS_MAX {
                return Err(ApiError::LimitExceeded);
            }
            set.set(member?, is_add).map_err(|_| ApiError::InvalidValue)
        });
        self.npol_changed_set(id);
        outcome
    }

    /// Deletes a set; rules that name it match as if it were empty.
    ///
    /// # Errors
    /// [`ApiError::NoSuchEntry`].
    pub fn npol_ipset_delete(&mut self, id: u32) -> Result<()> {
        let removed = self.tables.npol.sets.remove(id);
        removed.ok_or(ApiError::NoSuchEntry)?;
        self.npol.sets.give_back(id);
        self.npol.count(SETS, false)?;
        self.npol_changed_set(id);
        Ok(())
    }

    /// Makes a rule, or replaces the one with this id; an id that is not in use makes one, as in VPP.
    ///
    /// # Errors
    /// [`ApiError::LimitExceeded`].
    pub fn npol_rule_update(&mut self, id: Option<u32>, spec: RuleSpec) -> Result<u32> {
        let old = id.and_then(|id| Some((id, self.tables.npol.rules.get(id)?.clone())));
        let id = match old {
            Some((id, old)) => {
                old.sets()
                    .for_each(|set| self.npol.rules_of_set.remove(set, id));
                id
            }
            None => {
                self.npol.count(RULES, true)?;
                self.npol.rules.take()
            }
        };
        let rule = Rule::new(spec);
        rule.sets()
            .for_each(|set| self.npol.rules_of_set.add(set, id));
        self.tables.npol.rules.set(id, Arc::new(rule));
        self.npol_changed_rules(&BTreeSet::from([id]));
        Ok(id)
    }

    /// Deletes a rule; policies that name it go on without.
    ///
    /// # Errors
    /// [`ApiError::NoSuchEntry`].
    pub fn npol_rule_delete(&mut self, id: u32) -> Result<()> {
        let removed = self.tables.npol.rules.remove(id);
        let rule = removed.ok_or(ApiError::NoSuchEntry)?;
        rule.sets()
            .for_each(|set| self.npol.rules_of_set.remove(set, id));
        self.npol.rules.give_back(id);
        self.npol.count(RULES, false)?;
        self.npol_changed_rules(&BTreeSet::from([id]));
        Ok(())
    }

    /// Makes a policy, or replaces the one with this id; an id that is not in use makes one, as in VPP.
    ///
    /// # Errors
    /// [`ApiError::LimitExceeded`].
    pub fn npol_policy_update(&mut self, id: Option<u32>, policy: Policy) -> Result<u32> {
        let old = id.and_then(|id| Some((id, self.tables.npol.policies.get(id)?.clone())));
        let id = match old {
            Some((id, old)) => {
                for rule in old.rx.iter().chain(&old.tx) {
                    self.npol.policies_of_rule.remove(*rule, id);
                }
                id
            }
            None => {
                self.npol.count(POLICIES, true)?;
                self.npol.policies.take()
            }
        };
        for rule in policy.rx.iter().chain(&policy.tx) {
            self.npol.policies_of_rule.add(*rule, id);
        }
        self.tables.npol.policies.set(id, Arc::new(policy));
        self.npol_changed_policies(&BTreeSet::from([id]));
        Ok(id)
    }

    /// Deletes a policy; interfaces that name it go on without.
    ///
    /// # Errors
    /// [`ApiError::NoSuchEntry`].
    pub fn npol_policy_delete(&mut self, id: u32) -> Result<()> {
        let removed = self.tables.npol.policies.remove(id);
        let policy = removed.ok_or(ApiError::NoSuchEntry)?;
        for rule in policy.rx.iter().chain(&policy.tx) {
            self.npol.policies_of_rule.remove(*rule, id);
        }
        self.npol.policies.give_back(id);
        self.npol.count(POLICIES, false)?;
        self.npol_changed_policies(&BTreeSet::from([id]));
        Ok(())
    }

    /// Replaces everything that an interface has of policies. Its flows are tracked from now on.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::NpolNoSuchPolicy`].
    pub fn npol_configure_policies(
        &mut self,
        on: SwIfIndex,
        policies: InterfacePolicies,
    ) -> Result<()> {
        self.interface(on)?;
        let known = |id: &u32| self.tables.npol.policies.get(*id).is_some();
        if !named(&policies).all(|id| known(&id)) {
            return Err(ApiError::NpolNoSuchPolicy);
        }
        self.npol_release(on);
        named(&policies).for_each(|id| self.npol.interfaces_of_policy.add(id, on.0));
        let epoch = self.npol_next_epoch();
        let applied = Applied { policies, epoch };
        self.tables.npol.applied.set(on.0, Arc::new(applied));
        self.tables.npol.flows.table().reserve();
        self.refresh(on);
        Ok(())
    }

    /// Takes all policies off an interface.
    pub(super) fn npol_release(&mut self, on: SwIfIndex) {
        if let Some(applied) = self.tables.npol.applied.remove(on.0) {
            named(&applied.policies).for_each(|id| self.npol.interfaces_of_policy.remove(id, on.0));
        }
    }

    /// The members of each set, in order: id, kind, members.
    pub fn npol_ipsets(&self) -> impl Iterator<Item = (u32, IpSetKind, Vec<Member>)> {
        let sets = self.tables.npol.sets.iter();
        sets.map(|(id, set)| (id, set.kind(), set.members()))
    }

    pub fn npol_rules(&self) -> impl Iterator<Item = (u32, &RuleSpec)> {
        let rules = self.tables.npol.rules.iter();
        rules.map(|(id, rule)| (id, &rule.spec))
    }

    pub fn npol_policies(&self) -> impl Iterator<Item = (u32, &Policy)> {
        let policies = self.tables.npol.policies.iter();
        policies.map(|(id, policy)| (id, &**policy))
    }

    /// Interfaces with policies.
    pub fn npol_interfaces(&self) -> impl Iterator<Item = (SwIfIndex, &InterfacePolicies)> {
        let applied = self.tables.npol.applied.iter();
        applied.map(|(on, applied)| (SwIfIndex(on), &applied.policies))
    }

    fn npol_changed_set(&mut self, id: u32) {
        let rules = self.npol.rules_of_set.of_all(&BTreeSet::from([id]));
        self.npol_changed_rules(&rules);
    }

    fn npol_changed_rules(&mut self, rules: &BTreeSet<u32>) {
        let policies = self.npol.policies_of_rule.of_all(rules);
        self.npol_changed_policies(&policies);
    }

    fn npol_changed_policies(&mut self, policies: &BTreeSet<u32>) {
        self.dirty = true;
        for on in self.npol.interfaces_of_policy.of_all(policies) {
            let epoch = self.npol_next_epoch();
            if let Some(applied) = self.tables.npol.applied.get_mut(on) {
                Arc::make_mut(applied).epoch = epoch;
            }
        }
    }

    fn npol_next_epoch(&mut self) -> u32 {
        self.npol.epoch = self.npol.epoch.checked_add(1).unwrap_or(1);
        self.npol.epoch
    }
}

/// All policies that an interface names, profiles included.
fn named(policies: &InterfacePolicies) -> impl Iterator<Item = u32> {
    let lists = [&policies.rx, &policies.tx, &policies.profiles];
    lists.into_iter().flatten().copied()
}
