//! ACL-based forwarding: policies and their attachments.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::acl::LOOKUP;
use super::route::Choice;
use super::{Dataplane, Result};
use crate::acl::{AbfAttachInfo, AbfEntry, AbfPolicyInfo};
use crate::error::ApiError;
use crate::id::{Family, SwIfIndex};
use crate::route::RoutePath;

#[derive(Debug)]
struct Policy {
    acl_index: u32,
    paths: Vec<RoutePath>,
    load_balance: u32,
    held: Vec<(SwIfIndex, IpAddr)>,
}

/// Policies and attachments.
#[derive(Debug, Default)]
pub(super) struct AbfState {
    policies: BTreeMap<u32, Policy>,
    /// Interface and policy, to priority and family.
    attached: BTreeMap<(SwIfIndex, u32), (u32, Family)>,
}

impl AbfState {
    pub(super) fn paths(&self) -> impl Iterator<Item = &RoutePath> {
        self.policies.values().flat_map(|p| &p.paths)
    }
}

impl Dataplane {
    /// Adds paths to a policy (made when missing) or removes them; the last path takes the policy along.
    ///
    /// # Errors
    /// [`ApiError::InvalidValue`] without paths or for another ACL than the policy's,
    /// [`ApiError::NoSuchEntry`] for an unknown ACL or policy, [`ApiError::AclInUseByLookup`] when the last
    /// path of an attached policy is removed, and those of paths.
    pub fn abf_policy_add_del(
        &mut self,
        policy_id: u32,
        acl_index: u32,
        paths: &[RoutePath],
        is_add: bool,
    ) -> Result<()> {
        let Some(first) = paths.first() else {
            return Err(ApiError::InvalidValue);
        };
        if !is_add {
            return self.remove_abf_paths(policy_id, paths);
        }
        self.check_paths(first.family, paths)?;
        if self.tables.acls.get(acl_index).is_none() {
            return Err(ApiError::NoSuchEntry);
        }
        if let Some(policy) = self.abf.policies.get_mut(&policy_id) {
            if policy.acl_index != acl_index {
                return Err(ApiError::InvalidValue);
            }
            policy
                .paths
                .retain(|old| !paths.iter().any(|new| new.same_target(old)));
            policy.paths.extend(paths);
        } else {
            let load_balance = self.load_balance_pool.take();
            self.abf.policies.insert(
                policy_id,
                Policy {
                    acl_index,
                    paths: paths.to_vec(),
                    load_balance,
                    held: Vec::new(),
                },
            );
            self.use_acl(acl_index, LOOKUP, true);
        }
        self.rebuild_abf(policy_id);
        Ok(())
    }

    /// Attaches a policy to an interface for one family, or detaches it. Lower priority is tried first.
    ///
    /// # Errors
    /// [`ApiError::NoSuchEntry`] for an unknown policy or attachment, [`ApiError::EntryAlreadyExists`] when the
    /// pair is attached (for either family), [`ApiError::InvalidSwIfIndex`].
    pub fn abf_itf_attach_add_del(
        &mut self,
        policy_id: u32,
        on: SwIfIndex,
        priority: u32,
        family: Family,
        is_add: bool,
    ) -> Result<()> {
        self.interface(on)?;
        if !self.abf.policies.contains_key(&policy_id) {
            return Err(ApiError::NoSuchEntry);
        }
        let key = (on, policy_id);
        if is_add {
            if self.abf.attached.contains_key(&key) {
                return Err(ApiError::EntryAlreadyExists);
            }
            self.abf.attached.insert(key, (priority, family));
        } else {
            self.abf
                .attached
                .remove(&key)
                .ok_or(ApiError::NoSuchEntry)?;
        }
        self.refresh(on);
        Ok(())
    }

    pub fn abf_policies(&self) -> Vec<AbfPolicyInfo> {
        let info = |(id, p): (&u32, &Policy)| AbfPolicyInfo {
            policy_id: *id,
            acl_index: p.acl_index,
            paths: p.paths.clone(),
        };
        self.abf.policies.iter().map(info).collect()
    }

    pub fn abf_attachments(&self) -> Vec<AbfAttachInfo> {
        let all = self.abf.attached.iter();
        all.map(
            |(&(sw_if_index, policy_id), &(priority, family))| AbfAttachInfo {
                policy_id,
                sw_if_index,
                priority,
                family,
            },
        )
        .collect()
    }

    fn remove_abf_paths(&mut self, policy_id: u32, paths: &[RoutePath]) -> Result<()> {
        let attached = self.abf.attached.keys().any(|(_, id)| *id == policy_id);
        let policy = self
            .abf
            .policies
            .get_mut(&policy_id)
            .ok_or(ApiError::NoSuchEntry)?;
        let kept: Vec<_> = policy
            .paths
            .iter()
            .filter(|old| !paths.iter().any(|p| p.same_target(old)))
            .copied()
            .collect();
        if kept.is_empty() && attached {
            return Err(ApiError::AclInUseByLookup);
        }
        policy.paths = kept;
        if !policy.paths.is_empty() {
            self.rebuild_abf(policy_id);
            return Ok(());
        }
        if let Some(policy) = self.abf.policies.remove(&policy_id) {
            self.use_acl(policy.acl_index, LOOKUP, false);
            self.free_load_balance(policy.load_balance, &policy.held);
        }
        Ok(())
    }

    fn rebuild_abf(&mut self, policy_id: u32) {
        let Some(policy) = self.abf.policies.get_mut(&policy_id) else {
            return;
        };
        let choices: Vec<_> = policy.paths.iter().map(|p| Choice::path(*p)).collect();
        let (index, old) = (policy.load_balance, std::mem::take(&mut policy.held));
        let held = self.set_load_balance(index, &choices, &old);
        if let Some(policy) = self.abf.policies.get_mut(&policy_id) {
            policy.held = held;
        }
        self.dirty = true;
    }

    pub(super) fn rebuild_abf_on(&mut self, index: SwIfIndex) {
        let with_path = |p: &Policy| p.paths.iter().any(|path| path.sw_if_index == index);
        let ids: Vec<_> = self
            .abf
            .policies
            .iter()
            .filter(|(_, p)| with_path(p))
            .map(|(id, _)| *id)
            .collect();
        ids.into_iter().for_each(|id| self.rebuild_abf(id));
    }

    /// A policy that loses its last path this way keeps dropping what it matches: it must not leak past its hop.
    pub(super) fn forget_abf_paths_on(&mut self, index: SwIfIndex) {
        let mut changed = Vec::new();
        for (id, policy) in &mut self.abf.policies {
            let before = policy.paths.len();
            policy.paths.retain(|p| p.sw_if_index != index);
            if policy.paths.len() != before {
                changed.push(*id);
            }
        }
        changed.into_iter().for_each(|id| self.rebuild_abf(id));
    }

    pub(super) fn detach_abf_of(&mut self, index: SwIfIndex) {
        self.abf.attached.retain(|(on, _), _| *on != index);
    }

    /// Policies of an interface and family, in the order in which they are tried.
    pub(super) fn abf_entries(&self, on: SwIfIndex, family: Family) -> Vec<AbfEntry> {
        let all = self
            .abf
            .attached
            .range((on, 0)..=(on, u32::MAX))
            .filter(|(_, (_, of))| *of == family);
        let mut entries: Vec<_> = all
            .filter_map(|(&(_, policy_id), &(priority, _))| {
                let policy = self.abf.policies.get(&policy_id)?;
                Some(AbfEntry {
                    priority,
                    policy_id,
                    acl_index: policy.acl_index,
                    load_balance: policy.load_balance,
                })
            })
            .collect();
        entries.sort_by_key(|e| (e.priority, e.policy_id));
        entries
    }
}
