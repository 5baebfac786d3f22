//! Rate limits with fixed memory: a packet storm must not become a storm of requests, errors or events.

use crate::id::Nanos;

const SLOTS: usize = 512;
const SECOND: u64 = 1_000_000_000;

/// Remembers when a key was last let through; keys that collide share the limit.
#[derive(Debug)]
pub(crate) struct PerKey {
    last: Box<[(u64, u64)]>,
    interval: u64,
}

impl PerKey {
    fn new(interval: u64) -> Self {
        Self {
            last: vec![(0, 0); SLOTS].into(),
            interval,
        }
    }

    /// Tells whether `key` may pass now.
    pub(crate) fn allow(&mut self, key: u64, now: Nanos) -> bool {
        let mixed = (key ^ (key >> 29)).wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
        let at = (mixed >> 32) as usize % SLOTS;
        let Some((held, until)) = self.last.get_mut(at) else {
            return false;
        };
        if *held == mixed && now.0 < *until {
            return false;
        }
        (*held, *until) = (mixed, now.0.saturating_add(self.interval));
        true
    }
}

/// A token bucket.
#[derive(Debug)]
pub(crate) struct Bucket {
    tokens: u64,
    burst: u64,
    per_second: u64,
    filled: u64,
}

impl Bucket {
    const fn new(per_second: u64, burst: u64) -> Self {
        Self {
            tokens: burst,
            burst,
            per_second,
            filled: 0,
        }
    }

    pub(crate) fn take(&mut self, now: Nanos) -> bool {
        let earned = now
            .0
            .saturating_sub(self.filled)
            .saturating_mul(self.per_second)
            / SECOND;
        if earned > 0 {
            self.tokens = self.burst.min(self.tokens.saturating_add(earned));
            self.filled = now.0;
        }
        self.tokens = match self.tokens.checked_sub(1) {
            Some(left) => left,
            None => return false,
        };
        true
    }
}

/// All limits of a worker.
#[derive(Debug)]
pub(crate) struct Throttle {
    /// Address resolution, per neighbour.
    pub(crate) resolve: PerKey,
    /// Learning events, per thing learned.
    pub(crate) learn: PerKey,
    /// ICMP errors.
    pub(crate) icmp: Bucket,
}

impl Throttle {
    pub(crate) fn new() -> Self {
        Self {
            resolve: PerKey::new(SECOND / 2),
            learn: PerKey::new(SECOND / 10),
            icmp: Bucket::new(100, 100),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_passes_once_per_interval() {
        let mut limit = PerKey::new(100);
        assert!(limit.allow(1, Nanos(0)));
        assert!(!limit.allow(1, Nanos(99)));
        assert!(limit.allow(2, Nanos(99)));
        assert!(limit.allow(1, Nanos(100)));
    }

    #[test]
    fn a_bucket_refills_with_time_up_to_its_burst() {
        let mut bucket = Bucket::new(10, 3);
        let taken = |b: &mut Bucket, now| (0..10).filter(|_| b.take(Nanos(now))).count();
        assert_eq!(taken(&mut bucket, 0), 3);
        assert_eq!(taken(&mut bucket, SECOND / 10), 1);
        assert_eq!(taken(&mut bucket, 100 * SECOND), 3);
    }
}
