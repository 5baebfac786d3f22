//! The values of one module: what the host and the tests' double keep.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{KEY_BYTES_MAX, KeyValueError};

/// How much a scope holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quota {
    /// Most keys.
    pub keys: usize,
    /// Most bytes, keys and values together.
    pub bytes: usize,
}

/// Values by key, bounded. A clone shares the values.
#[derive(Debug, Clone)]
pub struct Scope {
    quota: Quota,
    values: BTreeMap<String, Arc<[u8]>>,
    bytes: usize,
}

impl Scope {
    /// An empty scope.
    #[must_use]
    pub const fn new(quota: Quota) -> Self {
        Self {
            quota,
            values: BTreeMap::new(),
            bytes: 0,
        }
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&[u8]> {
        self.values.get(key).map(|value| &**value)
    }

    /// Keeps `value` under `key`.
    ///
    /// # Errors
    /// [`KeyValueError`]; the scope is as it was.
    pub fn put(&mut self, key: &str, value: Arc<[u8]>) -> Result<(), KeyValueError> {
        if key.is_empty() || key.len() > KEY_BYTES_MAX {
            return Err(KeyValueError::BadKey);
        }
        let former = self.values.get(key).map(|value| key.len() + value.len());
        let bytes = self.bytes - former.unwrap_or(0) + key.len() + value.len();
        let keys = self.values.len() + usize::from(former.is_none());
        if bytes > self.quota.bytes || keys > self.quota.keys {
            return Err(KeyValueError::Quota);
        }
        self.values.insert(key.to_owned(), value);
        self.bytes = bytes;
        Ok(())
    }

    /// Forgets `key`; true if it was there.
    pub fn delete(&mut self, key: &str) -> bool {
        let former = self.values.remove(key);
        self.bytes -= former.as_ref().map_or(0, |value| key.len() + value.len());
        former.is_some()
    }

    /// Up to `limit` keys that begin with `prefix`, in order.
    #[must_use]
    pub fn keys(&self, prefix: &str, limit: u32) -> Vec<String> {
        self.values
            .range(prefix.to_owned()..)
            .map(|(key, _)| key)
            .take_while(|key| key.starts_with(prefix))
            .take(usize::try_from(limit).unwrap_or(usize::MAX))
            .cloned()
            .collect()
    }

    /// Takes over what differs between `before` and `after`, where the quota lets it: for writers that worked on
    /// clones of this scope at the same time. Returns how many values had no room.
    pub fn merge(&mut self, before: &Self, after: &Self) -> usize {
        let gone = before
            .values
            .keys()
            .filter(|k| !after.values.contains_key(*k));
        for key in gone {
            self.delete(key);
        }
        let changed = |(key, value): &(&String, &Arc<[u8]>)| {
            let former = before.values.get(*key);
            former.is_none_or(|former| !Arc::ptr_eq(former, value))
        };
        let changed = after.values.iter().filter(changed);
        changed
            .filter(|(key, value)| self.put(key, Arc::clone(value)).is_err())
            .count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota = Quota { keys: 2, bytes: 12 };

    fn put(scope: &mut Scope, key: &str, value: &[u8]) -> Result<(), KeyValueError> {
        scope.put(key, value.into())
    }

    #[test]
    fn a_scope_counts_what_it_holds() {
        let mut scope = Scope::new(QUOTA);
        put(&mut scope, "a", b"12345").expect("fits");
        put(&mut scope, "b", b"12345").expect("fits to the last byte");
        assert_eq!(put(&mut scope, "a", b"123456"), Err(KeyValueError::Quota));
        assert_eq!(
            scope.get("a"),
            Some(&b"12345"[..]),
            "the former value stays"
        );
        assert_eq!(
            put(&mut scope, "c", b""),
            Err(KeyValueError::Quota),
            "a third key"
        );
        assert!(scope.delete("a") && !scope.delete("a"));
        put(&mut scope, "c", b"12345").expect("there is room again");
        for key in ["", &"k".repeat(257)] {
            assert_eq!(put(&mut scope, key, b""), Err(KeyValueError::BadKey));
        }
    }

    #[test]
    fn keys_come_in_order_by_prefix_and_page() {
        let mut scope = Scope::new(Quota { keys: 9, bytes: 99 });
        for key in ["flow/2", "flow/1", "flow/3", "flo", "g"] {
            put(&mut scope, key, b"").expect("fits");
        }
        assert_eq!(scope.keys("flow/", 2), ["flow/1", "flow/2"]);
        assert_eq!(scope.keys("", 100).len(), 5);
        assert!(scope.keys("x", 9).is_empty());
    }

    #[test]
    fn writers_at_the_same_time_do_not_undo_each_other() {
        let mut scope = Scope::new(Quota { keys: 3, bytes: 99 });
        put(&mut scope, "old", b"").expect("fits");
        let before = scope.clone();
        let (mut one, mut two) = (before.clone(), before.clone());
        put(&mut one, "one", b"1").expect("fits");
        put(&mut two, "two", b"2").expect("fits");
        put(&mut two, "three", b"3").expect("fits");
        two.delete("old");
        assert_eq!(scope.merge(&before, &one), 0);
        assert_eq!(scope.merge(&before, &two), 0);
        assert_eq!(scope.keys("", 9), ["one", "three", "two"]);
        let mut late = before.clone();
        put(&mut late, "four", b"4").expect("fits");
        assert_eq!(scope.merge(&before, &late), 1, "no room");
    }
}
