//! Numbers from the kernel.

use rustix::rand::{GetRandomFlags, getrandom};

use crate::bindings::capabilities::weft::host::random;
use crate::state::HostState;

/// Most bytes of one call.
const BYTES_MAX: u32 = weft_sdk::random::BYTES_PER_CALL_MAX;

impl random::Host for HostState {
    fn bytes(&mut self, count: u32) -> Vec<u8> {
        let count = usize::try_from(count.min(BYTES_MAX)).unwrap_or(0);
        let mut bytes = vec![0; count];
        let filled = fill(&mut bytes);
        bytes.truncate(filled);
        bytes
    }

    fn number(&mut self) -> u64 {
        let mut bytes = [0; 8];
        fill(&mut bytes);
        u64::from_le_bytes(bytes)
    }
}

/// Returns how many bytes were drawn: all of them, as the kernel promises for so few.
fn fill(bytes: &mut [u8]) -> usize {
    getrandom(bytes, GetRandomFlags::empty()).unwrap_or_else(|error| {
        tracing::error!(%error, "kernel gives no random bytes");
        0
    })
}
