//! The packet window as a slice.
//!
//! Charter: the host maps the window at an address it passes to `process` and promised its size to `configure`.
//! No other object of this module lives there: it lies outside of every allocation. A peer on the far side of
//! the mapping may write to slots it owns, never to the ones of the running batch, and the sandbox bounds what
//! a host's mistake can reach. Tested through the host's own tests, which run modules built from this source.
#![expect(unsafe_code, reason = "the host hands over an address")]

use std::slice;

/// Calls `work` with the window.
pub(super) fn with<R>(address: u32, bytes: u32, work: impl FnOnce(&mut [u8]) -> R) -> R {
    let start = std::ptr::with_exposed_provenance_mut::<u8>(address as usize);
    // SAFETY: the host mapped `bytes` readable and writable bytes at `address`, no Rust object overlaps them,
    // and the slice ends before this call returns to the host.
    let window = unsafe { slice::from_raw_parts_mut(start, bytes as usize) };
    work(window)
}
