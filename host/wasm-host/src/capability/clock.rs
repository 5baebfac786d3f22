//! The date, frozen for the length of one call.

use std::time::{SystemTime, UNIX_EPOCH};

use crate::bindings::capabilities::weft::host::clock;
use crate::state::HostState;

impl clock::Host for HostState {
    fn now_unix_ms(&mut self) -> u64 {
        *self.unix_ms.get_or_insert_with(|| {
            let since = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
    }
}
