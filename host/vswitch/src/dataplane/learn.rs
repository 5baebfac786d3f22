//! How many addresses a bridge domain may learn.

use std::collections::BTreeMap;

use packet::MacAddr;

use super::{Dataplane, Result};
use crate::bridge::{L2FibFlags, LEARN_LIMIT_DEFAULT};
use crate::error::ApiError;

/// What is known of learned addresses.
#[derive(Debug)]
pub(super) struct LearnState {
    /// Of bridge domains to come.
    pub(super) limit_default: u32,
    /// Entries that are not static, by bridge.
    learned: BTreeMap<u32, u32>,
}

impl Default for LearnState {
    fn default() -> Self {
        Self {
            limit_default: LEARN_LIMIT_DEFAULT,
            learned: BTreeMap::new(),
        }
    }
}

impl Dataplane {
    /// Sets how many addresses a bridge domain may learn; it keeps those that it knows.
    ///
    /// # Errors
    /// [`ApiError::BdNotModifiable`] for 0, [`ApiError::NoSuchEntry`].
    pub fn bridge_domain_set_learn_limit(&mut self, bd_id: u32, limit: u32) -> Result<()> {
        if bd_id == 0 {
            return Err(ApiError::BdNotModifiable);
        }
        self.edit_bridge(bd_id, |bridge| bridge.spec.learn_limit = Some(limit))
    }

    /// Sets how many addresses bridge domains to come may learn.
    pub fn bridge_domain_set_default_learn_limit(&mut self, limit: u32) {
        self.learning.limit_default = limit;
    }

    /// Tells whether a bridge may learn an address, or learn that one has moved. Like VPP, which follows moves as long as
    /// the limit is not exceeded.
    pub(super) fn may_learn(&self, bridge: u32, is_move: bool) -> bool {
        let limit = self.tables.bridge(bridge).map(|b| b.spec.learn_limit);
        let limit = limit.flatten().unwrap_or(LEARN_LIMIT_DEFAULT);
        let learned = self.learning.learned.get(&bridge).copied().unwrap_or(0);
        learned < limit || (is_move && learned == limit)
    }

    /// Keeps count when an entry gets `new` flags or goes (`None`).
    pub(super) fn count_learned(&mut self, key: (u32, MacAddr), new: Option<L2FibFlags>) {
        let old = self.tables.macs.get(&key).map(|entry| entry.flags);
        let counts = |flags: Option<L2FibFlags>| flags.is_some_and(|flags| !flags.static_mac);
        let (before, after) = (u32::from(counts(old)), u32::from(counts(new)));
        if before == after {
            return;
        }
        let count = self.learning.learned.entry(key.0).or_default();
        *count = (*count + after).saturating_sub(before);
        if *count == 0 {
            self.learning.learned.remove(&key.0);
        }
    }
}
