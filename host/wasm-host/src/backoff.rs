//! When a function that failed is started again: at once after work well done, and ever later when it does nothing but
//! fail.

use std::time::Duration;

use weft_sdk::Nanos;

/// Wait after the second failure in a row; it doubles with each further one.
const FIRST: Duration = Duration::from_millis(10);
/// Longest wait.
const MOST: Duration = Duration::from_secs(5);

/// Failures since the last batch that went well.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Backoff {
    failures: u32,
    due: Nanos,
}

impl Backoff {
    /// A batch went well.
    pub(crate) const fn worked(&mut self) {
        self.failures = 0;
    }

    /// An instance failed, or could not be started.
    pub(crate) fn failed(&mut self, now: Nanos) {
        self.failures = self.failures.saturating_add(1);
        let wait = match self.failures.checked_sub(2) {
            None => Duration::ZERO,
            Some(doubled) => FIRST
                .saturating_mul(1_u32.checked_shl(doubled).unwrap_or(u32::MAX))
                .min(MOST),
        };
        let wait = u64::try_from(wait.as_nanos()).unwrap_or(u64::MAX);
        self.due = Nanos(now.0.saturating_add(wait));
    }

    /// True when a start may be tried.
    pub(crate) fn is_due(&self, now: Nanos) -> bool {
        self.failures < 2 || now.0 >= self.due.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Milliseconds from each failure to the next start, when every start fails.
    fn waits(failures: usize) -> Vec<u64> {
        let (mut backoff, mut now) = (Backoff::default(), 0);
        let mut fail = || {
            backoff.failed(Nanos(now));
            let start = now;
            while !backoff.is_due(Nanos(now)) {
                now += 1_000_000;
            }
            (now - start) / 1_000_000
        };
        (0..failures).map(|_| fail()).collect()
    }

    #[test]
    fn waits_double_from_the_second_failure_on_and_have_an_end() {
        assert_eq!(waits(5), [0, 10, 20, 40, 80]);
        assert_eq!(waits(40).last(), Some(&5000));
    }

    #[test]
    fn work_well_done_is_rewarded_with_a_start_at_once() {
        let mut backoff = Backoff::default();
        (0..9).for_each(|_| backoff.failed(Nanos(1)));
        assert!(!backoff.is_due(Nanos(2)));
        backoff.worked();
        backoff.failed(Nanos(3));
        assert!(backoff.is_due(Nanos(3)));
    }
}
