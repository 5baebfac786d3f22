//! Access lists on source MAC and IP address.

use std::collections::BTreeMap;

use super::pool::Pool;
use super::{Dataplane, Result};
use crate::classify::{InputTables, NONE};
use crate::error::ApiError;
use crate::id::SwIfIndex;
use crate::macip::{self, MacipInfo, MacipRule, RULES_MAX};

#[derive(Debug)]
struct List {
    tag: String,
    rules: Vec<MacipRule>,
    /// First table of the chain; a list without rules has none and lets everything pass, as in VPP.
    first: Option<u32>,
}

/// Lists and where they are applied.
#[derive(Debug, Default)]
pub(super) struct MacipState {
    lists: BTreeMap<u32, List>,
    pool: Pool,
    applied: BTreeMap<SwIfIndex, u32>,
}

impl Dataplane {
    /// Adds a list (`None` or `u32::MAX`), or replaces one in place, and gives its index.
    ///
    /// # Errors
    /// [`ApiError::NoSuchEntry`] for an unknown index; [`ApiError::LimitExceeded`] for too many rules or tables.
    pub fn macip_acl_add_replace(
        &mut self,
        acl_index: Option<u32>,
        tag: &str,
        rules: Vec<MacipRule>,
    ) -> Result<u32> {
        let old = acl_index.filter(|i| *i != u32::MAX);
        if old.is_some_and(|index| !self.macip.lists.contains_key(&index)) {
            return Err(ApiError::NoSuchEntry);
        }
        if rules.len() > RULES_MAX {
            return Err(ApiError::LimitExceeded);
        }
        let first = self.make_macip_chain(&rules)?;
        let index = old.unwrap_or_else(|| self.macip.pool.take());
        let list = List {
            tag: tag.to_owned(),
            rules,
            first,
        };
        let users: Vec<_> = self.macip_users(index).collect();
        let replaced = self.macip.lists.insert(index, list);
        let before = replaced.and_then(|list| list.first);
        for on in users {
            self.swap_input_tables(on, before, first)?;
        }
        if let Some(table) = before {
            self.classify_del_table(table, true)?;
        }
        Ok(index)
    }

    /// Deletes a list and takes it off its interfaces.
    ///
    /// # Errors
    /// [`ApiError::NoSuchEntry`].
    pub fn macip_acl_del(&mut self, acl_index: u32) -> Result<()> {
        if !self.macip.lists.contains_key(&acl_index) {
            return Err(ApiError::NoSuchEntry);
        }
        let users: Vec<_> = self.macip_users(acl_index).collect();
        for on in users {
            self.macip_acl_interface_del(on)?;
        }
        if let Some(table) = self.macip.lists.remove(&acl_index).and_then(|l| l.first) {
            self.classify_del_table(table, true)?;
        }
        self.macip.pool.give_back(acl_index);
        Ok(())
    }

    /// Applies a list to what an interface receives, in the place of the one before.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::NoSuchEntry`] for an unknown list.
    pub fn macip_acl_interface_add(&mut self, on: SwIfIndex, acl_index: u32) -> Result<()> {
        self.interface(on)?;
        let list = self.macip.lists.get(&acl_index);
        let first = list.ok_or(ApiError::NoSuchEntry)?.first;
        let before = self.macip.applied.insert(on, acl_index);
        let before = before.and_then(|old| self.macip.lists.get(&old)?.first);
        self.swap_input_tables(on, before, first)
    }

    /// Takes the list off an interface.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::NoSuchEntry`] when it has none.
    pub fn macip_acl_interface_del(&mut self, on: SwIfIndex) -> Result<()> {
        self.interface(on)?;
        let old = self.macip.applied.remove(&on);
        let old = old.ok_or(ApiError::NoSuchEntry)?;
        let first = self.macip.lists.get(&old).and_then(|list| list.first);
        self.swap_input_tables(on, first, None)
    }

    /// All lists.
    pub fn macip_acls(&self) -> impl Iterator<Item = MacipInfo> {
        self.macip.lists.iter().map(|(acl_index, list)| MacipInfo {
            acl_index: *acl_index,
            tag: list.tag.clone(),
            rules: list.rules.clone(),
        })
    }

    /// Interfaces with a list.
    pub fn macip_acl_interfaces(&self) -> impl Iterator<Item = (SwIfIndex, u32)> {
        self.macip.applied.iter().map(|(on, index)| (*on, *index))
    }

    /// Forgets an interface that is about to go.
    pub(super) fn macip_forget_interface(&mut self, on: SwIfIndex) {
        self.macip.applied.remove(&on);
    }

    fn macip_users(&self, index: u32) -> impl Iterator<Item = SwIfIndex> {
        let applied = self.macip.applied.iter();
        applied
            .filter(move |(_, of)| **of == index)
            .map(|(on, _)| *on)
    }

    /// Makes the tables of a list and gives the first of their chain; all or nothing.
    fn make_macip_chain(&mut self, rules: &[MacipRule]) -> Result<Option<u32>> {
        let mut last = NONE;
        for mut planned in macip::plan(rules) {
            planned.table.next_table = last;
            let made = self.classify_add_table(None, planned.table);
            let made = made.and_then(|table| {
                last = table;
                let mut sessions = planned.sessions.iter();
                sessions.try_for_each(|session| self.classify_add_session(table, session))
            });
            if let Err(error) = made {
                if last != NONE {
                    self.classify_del_table(last, true)?;
                }
                return Err(error);
            }
        }
        Ok((last != NONE).then_some(last))
    }

    /// Puts another chain in the place of one; tables that somebody else set stay.
    fn swap_input_tables(
        &mut self,
        on: SwIfIndex,
        before: Option<u32>,
        after: Option<u32>,
    ) -> Result<()> {
        let now = &mut self.info_mut(on)?.classify_in;
        for slot in [&mut now.ip4, &mut now.ip6, &mut now.l2] {
            if before.is_some() && *slot == before {
                *slot = None;
            }
        }
        if let Some(first) = after {
            self.input_acl_set_interface(on, InputTables::all(first), true)?;
        }
        self.refresh(on);
        Ok(())
    }
}
