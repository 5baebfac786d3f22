//! Unpredictable numbers. A capability of its own, because an answer that depends on them cannot be replayed: the
//! operator grants `weft:host/random`.

/// Most bytes the host gives in one call.
pub const BYTES_PER_CALL_MAX: u32 = 1024;

/// A number nobody can foresee.
///
/// Natively it comes from the seed of [`test::Host`](crate::test::Host), so that a test repeats.
#[must_use]
pub fn number() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::capabilities::weft::host::random::number();
    #[cfg(not(target_arch = "wasm32"))]
    crate::double::with(crate::double::Double::random)
}

/// Fills `bytes` with bytes nobody can foresee; asks the host as often as it takes.
pub fn fill(bytes: &mut [u8]) {
    for part in bytes.chunks_mut(BYTES_PER_CALL_MAX as usize) {
        let drawn = draw(part.len());
        for (place, byte) in part.iter_mut().zip(drawn) {
            *place = byte;
        }
    }
}

#[cfg(target_arch = "wasm32")]
fn draw(count: usize) -> Vec<u8> {
    let count = u32::try_from(count).unwrap_or(BYTES_PER_CALL_MAX);
    crate::bindings::capabilities::weft::host::random::bytes(count)
}

#[cfg(not(target_arch = "wasm32"))]
fn draw(count: usize) -> Vec<u8> {
    std::iter::repeat_with(number)
        .flat_map(u64::to_le_bytes)
        .take(count)
        .collect()
}
