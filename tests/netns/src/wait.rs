//! Waiting for conditions.

use std::fmt::Debug;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

/// Polls `look` until `good` accepts what it saw; panics with the last sight when that never happens.
pub fn eventually<T: Debug>(
    what: &str,
    mut look: impl FnMut() -> T,
    mut good: impl FnMut(&T) -> bool,
) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let seen = look();
        if good(&seen) {
            return seen;
        }
        assert!(
            Instant::now() < deadline,
            "{what}: not within {PATIENCE:?}; last seen: {seen:?}"
        );
        // The pause between two looks; the condition decides, not the time.
        std::thread::sleep(POLL);
    }
}
