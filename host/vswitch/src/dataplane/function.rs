//! Packet functions and where they are attached.

use std::collections::BTreeMap;

use super::pool::Pool;
use super::{Dataplane, Result};
use crate::error::ApiError;
use crate::function::{FUNCTIONS_MAX, Function, FunctionCounters, FunctionInfo, NAME_MAX, Side};
use crate::id::SwIfIndex;

#[derive(Debug, Default)]
pub(super) struct FunctionState {
    pool: Pool,
    infos: BTreeMap<u32, FunctionInfo>,
}

impl Dataplane {
    /// Makes a function, or changes what is configured about the one with this name.
    ///
    /// # Errors
    /// [`ApiError::InvalidValue`] for a name that is empty or too long; [`ApiError::LimitExceeded`] beyond
    /// [`FUNCTIONS_MAX`].
    pub fn function_add_replace(&mut self, name: &str, fail_open: bool) -> Result<u32> {
        self.function_may_be(name)?;
        let old = self.function_by_name(name);
        let index = old.unwrap_or_else(|| self.functions.pool.take());
        if old.is_none() {
            self.counters.iter().for_each(|c| c.clear_function(index));
        }
        let info = FunctionInfo {
            index,
            name: name.to_owned(),
            fail_open,
        };
        self.functions.infos.insert(index, info);
        self.tables.functions.set(index, Function { fail_open });
        self.dirty = true;
        Ok(index)
    }

    /// Whether [`Dataplane::function_add_replace`] would take this name.
    ///
    /// # Errors
    /// Those that it would give.
    pub fn function_may_be(&self, name: &str) -> Result<()> {
        if name.is_empty() || name.len() > NAME_MAX {
            return Err(ApiError::InvalidValue);
        }
        let is_full = self.functions.infos.len() >= FUNCTIONS_MAX;
        if is_full && self.function_by_name(name).is_none() {
            return Err(ApiError::LimitExceeded);
        }
        Ok(())
    }

    /// Deletes a function that no interface uses.
    ///
    /// # Errors
    /// [`ApiError::NoSuchEntry`]; [`ApiError::InstanceInUse`].
    pub fn function_del(&mut self, index: u32) -> Result<()> {
        if !self.functions.infos.contains_key(&index) {
            return Err(ApiError::NoSuchEntry);
        }
        let in_use = |info: &crate::interface::InterfaceInfo| {
            [info.function_in, info.function_out].contains(&Some(index))
        };
        if self.interfaces.values().any(in_use) {
            return Err(ApiError::InstanceInUse);
        }
        self.functions.infos.remove(&index);
        self.functions.pool.give_back(index);
        self.tables.functions.remove(index);
        self.dirty = true;
        Ok(())
    }

    /// Attaches a function to a side of an interface in the place of another, or takes it off.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::NoSuchEntry`] for an unknown function.
    pub fn function_interface_set(
        &mut self,
        on: SwIfIndex,
        side: Side,
        function: Option<u32>,
    ) -> Result<()> {
        self.interface(on)?;
        if function.is_some_and(|index| !self.functions.infos.contains_key(&index)) {
            return Err(ApiError::NoSuchEntry);
        }
        let info = self.info_mut(on)?;
        match side {
            Side::Input => info.function_in = function,
            Side::Output => info.function_out = function,
        }
        self.refresh(on);
        Ok(())
    }

    /// All functions in index order.
    pub fn functions(&self) -> impl Iterator<Item = &FunctionInfo> {
        self.functions.infos.values()
    }

    pub fn function_by_name(&self, name: &str) -> Option<u32> {
        self.functions().find(|f| f.name == name).map(|f| f.index)
    }

    /// Which interfaces have a function on which side.
    pub fn function_interfaces(&self) -> impl Iterator<Item = (SwIfIndex, Side, u32)> {
        self.interfaces().flat_map(|info| {
            let sides = [
                (Side::Input, info.function_in),
                (Side::Output, info.function_out),
            ];
            sides
                .into_iter()
                .filter_map(|(side, function)| Some((info.sw_if_index, side, function?)))
        })
    }

    /// What was counted about a function, summed over the workers.
    pub fn function_counters(&self, index: u32) -> FunctionCounters {
        self.counters
            .iter()
            .fold(FunctionCounters::default(), |sum, c| {
                sum + c.function(index)
            })
    }
}
