//! Reassembly: its limits, and where it is asked for.

use super::{Dataplane, Result};
use crate::error::ApiError;
use crate::id::{Family, SwIfIndex};
use crate::reassembly::Limits;

impl Dataplane {
    /// Sets the limits of a family.
    pub fn reassembly_set(&mut self, family: Family, limits: Limits) {
        *self.tables.reassembly.limits_mut(family) = limits;
        self.dirty = true;
    }

    pub fn reassembly_get(&self, family: Family) -> Limits {
        *self.tables.reassembly(family)
    }

    /// Puts the packets together that come in on an interface, before its other features see them.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`].
    pub fn reassembly_enable_disable(
        &mut self,
        index: SwIfIndex,
        ip4: bool,
        ip6: bool,
    ) -> Result<()> {
        if index == SwIfIndex::LOCAL0 {
            return Err(ApiError::InvalidSwIfIndex);
        }
        self.info_mut(index)?.reassembly = [ip4, ip6];
        self.refresh(index);
        Ok(())
    }

    /// Puts the packets together that are for the switch itself, which is the default.
    pub fn local_reassembly_enable_disable(&mut self, ip4: bool, ip6: bool) {
        self.tables.reassembly.local = [ip4, ip6];
        self.dirty = true;
    }

    /// Whether packets to the switch itself are put together.
    pub fn local_reassembly_get(&self) -> [bool; 2] {
        self.tables.reassembly.local
    }
}
