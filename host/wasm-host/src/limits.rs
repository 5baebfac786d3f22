//! What a module may use.

use std::time::Duration;

use wasmtime::ResourceLimiter;

use crate::ticker::TICK;

/// Most memory one control-plane instance can be allowed.
pub(crate) const POOL_MEMORY_BYTES: usize = 256 << 20;
/// Most control-plane instances at one time.
pub(crate) const INSTANCES_MAX: u32 = 32;
/// Largest module file: a component with a whole script interpreter inside still fits.
pub(crate) const MODULE_BYTES_MAX: usize = 32 << 20;
/// Most elements of one table of functions.
const TABLE_ELEMENTS_MAX: usize = 100_000;

/// What one call of a module may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Its own memory; a packet window comes on top.
    pub memory_bytes: usize,
    /// Time of one call, in real time, rounded up to milliseconds.
    pub deadline: Duration,
    /// Data it may hand to the host in one call: answers and log lines.
    pub output_bytes: usize,
    /// State an instance may hand to its successor: it is copied twice between two batches.
    pub state_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            deadline: Duration::from_millis(200),
            output_bytes: 8 << 20,
            state_bytes: 16 << 20,
        }
    }
}

impl Limits {
    pub(crate) fn deadline_ticks(&self) -> u64 {
        let ticks = self.deadline.as_nanos().div_ceil(TICK.as_nanos());
        // The tick in progress when the call starts does not count.
        u64::try_from(ticks)
            .unwrap_or(u64::MAX / 2)
            .saturating_add(1)
    }
}

/// Refuses memory beyond the limit and remembers that it did, to tell "out of memory" from any other trap.
#[derive(Debug)]
pub(crate) struct Ceiling {
    pub(crate) memory_bytes: usize,
    pub(crate) refused: bool,
}

impl ResourceLimiter for Ceiling {
    fn memory_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let allowed = desired <= self.memory_bytes;
        self.refused |= !allowed;
        Ok(allowed)
    }

    fn table_growing(
        &mut self,
        _current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        Ok(desired <= TABLE_ELEMENTS_MAX)
    }
}
