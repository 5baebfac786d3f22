//! Leases and the keys they hold. Pure: `now` is the time since the server started.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;

use super::refusal::Refusal;

const LEASES_MAX: usize = 100_000;
const TTL_MIN: i64 = 1;
const TTL_MAX: i64 = 9_000_000_000;

#[derive(Debug, Default)]
pub(crate) struct Lessor {
    leases: BTreeMap<i64, Lease>,
    deadlines: BTreeSet<(Duration, i64)>,
}

#[derive(Debug)]
struct Lease {
    ttl: i64,
    deadline: Duration,
    keys: BTreeSet<Bytes>,
}

/// What a client may know about a lease.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct LeaseView {
    pub(crate) granted_ttl: i64,
    pub(crate) remaining_ttl: i64,
    pub(crate) keys: Vec<Bytes>,
}

impl Lessor {
    /// Returns the length that was granted, in seconds.
    pub(crate) fn grant(&mut self, id: i64, ttl: i64, now: Duration) -> Result<i64, Refusal> {
        if ttl > TTL_MAX {
            return Err(Refusal::LeaseTtlTooLarge);
        }
        if self.leases.contains_key(&id) {
            return Err(Refusal::LeaseExists);
        }
        if self.leases.len() >= LEASES_MAX {
            return Err(Refusal::TooManyRequests);
        }
        let ttl = ttl.max(TTL_MIN);
        let deadline = now + seconds(ttl);
        self.leases.insert(
            id,
            Lease {
                ttl,
                deadline,
                keys: BTreeSet::new(),
            },
        );
        self.deadlines.insert((deadline, id));
        Ok(ttl)
    }

    /// Ends a lease and returns the keys it held.
    pub(crate) fn revoke(&mut self, id: i64) -> Result<BTreeSet<Bytes>, Refusal> {
        let lease = self.leases.remove(&id).ok_or(Refusal::LeaseNotFound)?;
        self.deadlines.remove(&(lease.deadline, id));
        Ok(lease.keys)
    }

    /// Starts the lease's time anew and returns its length; `None` when there is no such lease.
    pub(crate) fn keep_alive(&mut self, id: i64, now: Duration) -> Option<i64> {
        let lease = self.leases.get_mut(&id)?;
        self.deadlines.remove(&(lease.deadline, id));
        lease.deadline = now + seconds(lease.ttl);
        self.deadlines.insert((lease.deadline, id));
        Some(lease.ttl)
    }

    pub(crate) fn attach(&mut self, id: i64, key: Bytes) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.keys.insert(key);
        }
    }

    pub(crate) fn detach(&mut self, id: i64, key: &Bytes) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.keys.remove(key);
        }
    }

    pub(crate) fn expired(&self, now: Duration) -> Vec<i64> {
        self.deadlines
            .iter()
            .take_while(|(deadline, _)| *deadline <= now)
            .map(|(_, id)| *id)
            .collect()
    }

    pub(crate) fn next_deadline(&self) -> Option<Duration> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    pub(crate) fn view(&self, id: i64, now: Duration) -> Option<LeaseView> {
        let lease = self.leases.get(&id)?;
        let remaining = lease.deadline.saturating_sub(now).as_secs();
        Some(LeaseView {
            granted_ttl: lease.ttl,
            remaining_ttl: i64::try_from(remaining).unwrap_or(i64::MAX),
            keys: lease.keys.iter().cloned().collect(),
        })
    }

    pub(crate) fn contains(&self, id: i64) -> bool {
        self.leases.contains_key(&id)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = i64> {
        self.leases.keys().copied()
    }
}

fn seconds(ttl: i64) -> Duration {
    Duration::from_secs(u64::try_from(ttl).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Duration = Duration::from_secs(100);

    #[test]
    fn a_lease_expires_at_its_deadline_and_not_before() {
        let mut lessor = Lessor::default();
        assert_eq!(lessor.grant(7, 10, START), Ok(10));
        assert_eq!(lessor.expired(START + Duration::from_millis(9999)), []);
        assert_eq!(lessor.expired(START + Duration::from_secs(10)), [7]);
        assert_eq!(
            lessor.next_deadline(),
            Some(START + Duration::from_secs(10))
        );
    }

    #[test]
    fn keeping_alive_moves_the_deadline() {
        let mut lessor = Lessor::default();
        lessor.grant(7, 10, START).unwrap();
        let later = START + Duration::from_secs(9);
        assert_eq!(lessor.keep_alive(7, later), Some(10));
        assert_eq!(lessor.expired(START + Duration::from_secs(18)), []);
        assert_eq!(lessor.expired(START + Duration::from_secs(19)), [7]);
        assert_eq!(lessor.keep_alive(8, later), None);
    }

    #[test]
    fn revoking_returns_the_attached_keys_once() {
        let mut lessor = Lessor::default();
        lessor.grant(7, 10, START).unwrap();
        for key in ["b", "a", "c"] {
            lessor.attach(7, Bytes::from_static(key.as_bytes()));
        }
        lessor.detach(7, &Bytes::from_static(b"c"));
        let view = lessor.view(7, START + Duration::from_secs(4)).unwrap();
        assert_eq!(
            (view.granted_ttl, view.remaining_ttl, view.keys.len()),
            (10, 6, 2)
        );
        assert_eq!(
            lessor.revoke(7).unwrap().into_iter().collect::<Vec<_>>(),
            ["a", "b"]
        );
        assert_eq!(lessor.revoke(7), Err(Refusal::LeaseNotFound));
        assert_eq!(lessor.next_deadline(), None);
    }

    #[test]
    fn a_grant_is_bounded_and_unique() {
        let mut lessor = Lessor::default();
        assert_eq!(
            lessor.grant(1, TTL_MAX + 1, START),
            Err(Refusal::LeaseTtlTooLarge)
        );
        assert_eq!(lessor.grant(1, -5, START), Ok(TTL_MIN));
        assert_eq!(lessor.grant(1, 5, START), Err(Refusal::LeaseExists));
    }
}
