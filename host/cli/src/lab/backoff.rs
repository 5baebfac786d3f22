//! When something that died is started again. Pure.

use std::time::Duration;

const FIRST: Duration = Duration::from_millis(100);
const LONGEST: Duration = Duration::from_secs(10);
/// Whoever ran this long has recovered: the next failure counts as the first.
const HEALTHY: Duration = Duration::from_secs(10);

/// Doubles from failure to failure.
#[derive(Debug, Default)]
pub(super) struct Backoff {
    failures: u32,
}

impl Backoff {
    /// The pause after something that `ran` this long.
    pub(super) fn after(&mut self, ran: Duration) -> Duration {
        if ran >= HEALTHY {
            self.failures = 0;
        }
        let pause = FIRST.saturating_mul(1 << self.failures.min(16));
        self.failures += 1;
        pause.min(LONGEST)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_restart_is_quick_and_later_ones_wait() {
        let mut backoff = Backoff::default();
        let mut pause = |ran| backoff.after(Duration::from_secs(ran)).as_millis();
        assert_eq!([pause(0), pause(0), pause(0)], [100, 200, 400]);
        assert_eq!((0..20).map(|_| pause(0)).max(), Some(10_000));
        assert_eq!(pause(11), 100);
    }
}
