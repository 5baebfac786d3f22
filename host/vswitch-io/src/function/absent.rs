//! A dataplane without packet functions.

use vswitch::Nanos;
use vswitch::function::{HookFault, Job};

use super::{FunctionError, FunctionSpec, Report};
use crate::device::port::Tails;

/// Refuses everything.
#[derive(Debug, Default)]
pub struct Loader;

impl Loader {
    /// Refuses.
    ///
    /// # Errors
    /// [`FunctionError::Absent`].
    pub fn load(&mut self, _: &FunctionSpec, _: usize) -> Result<Vec<Instance>, FunctionError> {
        Err(FunctionError::Absent)
    }
}

/// There are none.
#[derive(Debug)]
pub enum Instance {}

impl Instance {
    pub(super) fn process(
        &mut self,
        _: &mut Job<'_>,
        _: &mut Tails<'_>,
        _: Nanos,
    ) -> Result<(), HookFault> {
        match *self {}
    }

    pub(super) fn swap(&mut self, _: Self) {
        match *self {}
    }

    pub(super) fn report(&mut self) -> Report {
        match *self {}
    }

    pub(super) fn tick(&mut self, _: Nanos) {
        match *self {}
    }

    pub(super) fn next_tick(&self) -> Option<Nanos> {
        match *self {}
    }
}
