//! Access lists and where they are applied.

use std::sync::Arc;

use super::{Dataplane, Result};
use crate::acl::{Acl, AclInfo, AclRule, MatchCounter};
use crate::counters::Combined;
use crate::error::ApiError;
use crate::id::SwIfIndex;

/// Columns of the use counts.
const INPUT: usize = 0;
const OUTPUT: usize = 1;
pub(super) const LOOKUP: usize = 2;

impl Dataplane {
    /// Adds a list (`None` or `u32::MAX`), or replaces one in place, and gives its index.
    ///
    /// # Errors
    /// [`ApiError::NoSuchEntry`] for an unknown index; [`ApiError::InvalidSrcAddress`] or
    /// [`ApiError::InvalidDstAddress`] for host bits in a prefix; [`ApiError::InvalidValue`] for mixed families.
    pub fn acl_add_replace(
        &mut self,
        acl_index: Option<u32>,
        tag: &str,
        rules: Vec<AclRule>,
    ) -> Result<u32> {
        rules.iter().try_for_each(AclRule::check)?;
        let index = match acl_index.filter(|i| *i != u32::MAX) {
            Some(index) if self.tables.acls.get(index).is_none() => {
                return Err(ApiError::NoSuchEntry);
            }
            Some(index) => index,
            None => self.acl_pool.take(),
        };
        let old = self.tables.acls.get(index).map(|acl| acl.reflects());
        let acl = Acl::new(tag, rules);
        self.count_reflecting(old.unwrap_or(false), acl.reflects());
        self.tables.acls.set(index, Arc::new(acl));
        self.acls_changed();
        Ok(index)
    }

    /// # Errors
    /// [`ApiError::NoSuchEntry`]; [`ApiError::AclInUseInbound`], [`ApiError::AclInUseOutbound`] or
    /// [`ApiError::AclInUseByLookup`] while it is used.
    pub fn acl_del(&mut self, acl_index: u32) -> Result<()> {
        if self.tables.acls.get(acl_index).is_none() {
            return Err(ApiError::NoSuchEntry);
        }
        let uses = self.acl_uses.get(&acl_index).copied().unwrap_or_default();
        let errors = [
            ApiError::AclInUseInbound,
            ApiError::AclInUseOutbound,
            ApiError::AclInUseByLookup,
        ];
        if let Some((_, error)) = uses.into_iter().zip(errors).find(|(count, _)| *count > 0) {
            return Err(error);
        }
        self.acl_uses.remove(&acl_index);
        let reflected = self
            .tables
            .acls
            .remove(acl_index)
            .is_some_and(|acl| acl.reflects());
        self.count_reflecting(reflected, false);
        self.acl_pool.give_back(acl_index);
        self.acls_changed();
        Ok(())
    }

    /// Replaces the lists of both directions; all or nothing.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::NoSuchEntry`] for an unknown list;
    /// [`ApiError::EntryAlreadyExists`] when one is named twice in a direction.
    pub fn acl_interface_set_acl_list(
        &mut self,
        on: SwIfIndex,
        input: &[u32],
        output: &[u32],
    ) -> Result<()> {
        self.interface(on)?;
        for list in [input, output] {
            for (at, index) in list.iter().enumerate() {
                if self.tables.acls.get(*index).is_none() {
                    return Err(ApiError::NoSuchEntry);
                }
                if list.iter().take(at).any(|other| other == index) {
                    return Err(ApiError::EntryAlreadyExists);
                }
            }
        }
        let info = self.info_mut(on)?;
        let old_in = std::mem::replace(&mut info.acl_in, input.to_vec());
        let old_out = std::mem::replace(&mut info.acl_out, output.to_vec());
        for (column, old, new) in [(INPUT, old_in, input), (OUTPUT, old_out, output)] {
            old.iter()
                .for_each(|index| self.use_acl(*index, column, false));
            new.iter()
                .for_each(|index| self.use_acl(*index, column, true));
        }
        self.acls_changed();
        self.refresh(on);
        Ok(())
    }

    /// Flows that were reflected are asked about again.
    fn acls_changed(&mut self) {
        let tracking = &mut self.tables.acl_tracking;
        tracking.epoch = tracking.epoch.wrapping_add(1);
        self.dirty = true;
    }

    fn count_reflecting(&mut self, before: bool, after: bool) {
        self.acl_reflecting += usize::from(after);
        self.acl_reflecting -= usize::from(before);
        let tracking = &mut self.tables.acl_tracking;
        tracking.reflects = self.acl_reflecting > 0;
        if tracking.reflects {
            tracking.flows.table().reserve();
        }
    }

    /// Counts the matches of rules, or stops counting.
    pub fn acl_stats_intf_counters_enable(&mut self, enable: bool) {
        self.tables.acl_tracking.counters = enable;
        self.dirty = true;
    }

    /// Matches of the rules of every list, VPP's `/acl/<index>/matches`: index, one count per rule.
    pub fn acl_matches(&self) -> impl Iterator<Item = (u32, Vec<Combined>)> {
        let acls = self.tables.acls.iter();
        acls.map(|(index, acl)| (index, acl.matches.iter().map(MatchCounter::read).collect()))
    }

    /// Appends a list to one direction of an interface, or takes it off.
    ///
    /// # Errors
    /// As [`Dataplane::acl_interface_set_acl_list`]; [`ApiError::NoSuchEntry`] when it is not applied.
    pub fn acl_interface_add_del(
        &mut self,
        on: SwIfIndex,
        is_input: bool,
        acl_index: u32,
        is_add: bool,
    ) -> Result<()> {
        let info = self.interface(on)?;
        let (mut input, mut output) = (info.acl_in.clone(), info.acl_out.clone());
        let list = if is_input { &mut input } else { &mut output };
        if is_add {
            list.push(acl_index);
        } else {
            let at = list
                .iter()
                .position(|i| *i == acl_index)
                .ok_or(ApiError::NoSuchEntry)?;
            list.remove(at);
        }
        self.acl_interface_set_acl_list(on, &input, &output)
    }

    pub fn acls(&self) -> impl Iterator<Item = AclInfo> {
        self.tables.acls.iter().map(|(acl_index, acl)| AclInfo {
            acl_index,
            tag: acl.tag.clone(),
            rules: acl.rules.clone(),
        })
    }

    /// Interfaces with lists: index, input, output.
    pub fn acl_interface_lists(&self) -> Vec<(SwIfIndex, Vec<u32>, Vec<u32>)> {
        let used = self
            .interfaces
            .values()
            .filter(|i| !i.acl_in.is_empty() || !i.acl_out.is_empty());
        used.map(|i| (i.sw_if_index, i.acl_in.clone(), i.acl_out.clone()))
            .collect()
    }

    pub(super) fn use_acl(&mut self, index: u32, column: usize, on: bool) {
        if let Some(count) = self.acl_uses.entry(index).or_default().get_mut(column) {
            *count = if on {
                *count + 1
            } else {
                count.saturating_sub(1)
            };
        }
    }
}
