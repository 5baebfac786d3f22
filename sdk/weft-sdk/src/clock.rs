//! The date. A capability: the operator grants `weft:host/clock`.

/// Milliseconds since the Unix epoch, frozen for the length of one call.
///
/// Natively it is what [`test::Host`](crate::test::Host) says, zero without one.
#[must_use]
pub fn now_unix_ms() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::capabilities::weft::host::clock::now_unix_ms();
    #[cfg(not(target_arch = "wasm32"))]
    crate::double::with(|host| host.unix_ms)
}
