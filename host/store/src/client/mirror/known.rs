//! What the consumer has been told so far: enough to emit differences, nothing more.

use std::collections::BTreeMap;

use super::MirrorEvent;
use crate::client::Kv;
use crate::client::kv::Listing;

#[derive(Debug, Default)]
pub(super) struct Known {
    /// The store and the revision of what was last seen; `None` before the first listing.
    seen: Option<(u64, i64)>,
    keys: BTreeMap<String, i64>,
}

/// Where the mirror is in the history of one store.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) cluster: u64,
    pub(super) revision: i64,
    /// The newest key at that revision and when it was written, to recognise the history by.
    pub(super) newest: (String, i64),
}

pub(super) enum Update {
    Replaced(Vec<Kv>),
    /// Deletes first, then puts in the order in which they were written.
    Changed(Vec<MirrorEvent>),
}

impl Known {
    pub(super) fn reconcile(&mut self, listing: Listing) -> Update {
        let Listing {
            cluster,
            revision,
            mut kvs,
        } = listing;
        let continues = self
            .seen
            .is_some_and(|(c, r)| c == cluster && r <= revision);
        self.seen = Some((cluster, revision));
        let keys = kvs
            .iter()
            .map(|kv| (kv.key.clone(), kv.mod_revision))
            .collect();
        let before = std::mem::replace(&mut self.keys, keys);
        if !continues {
            return Update::Replaced(kvs);
        }
        let mut events: Vec<MirrorEvent> = before
            .keys()
            .filter(|key| !self.keys.contains_key(*key))
            .map(|key| MirrorEvent::Delete {
                key: key.clone(),
                revision,
            })
            .collect();
        kvs.retain(|kv| before.get(&kv.key) != Some(&kv.mod_revision));
        kvs.sort_by_key(|kv| kv.mod_revision);
        events.extend(kvs.into_iter().map(MirrorEvent::Put));
        Update::Changed(events)
    }

    /// `None` when the consumer already knows.
    pub(super) fn put(&mut self, kv: Kv) -> Option<Kv> {
        self.advance(kv.mod_revision);
        let previous = self.keys.insert(kv.key.clone(), kv.mod_revision);
        (previous != Some(kv.mod_revision)).then_some(kv)
    }

    /// False when the consumer already knows.
    pub(super) fn delete(&mut self, key: &str, revision: i64) -> bool {
        self.advance(revision);
        self.keys.remove(key).is_some()
    }

    pub(super) fn revision(&self) -> Option<i64> {
        self.seen.map(|(_, revision)| revision)
    }

    /// `None` when nothing is known that a history could be recognised by.
    pub(super) fn place(&self) -> Option<Place> {
        let (cluster, revision) = self.seen?;
        let (key, written) = self.keys.iter().max_by_key(|(_, written)| **written)?;
        Some(Place {
            cluster,
            revision,
            newest: (key.clone(), *written),
        })
    }

    /// Nothing that matters happened up to `revision`.
    pub(super) fn advance(&mut self, revision: i64) {
        if let Some((_, seen)) = &mut self.seen {
            *seen = revision.max(*seen);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn first_listing_is_a_snapshot_and_later_ones_are_differences() {
        let mut known = Known::default();
        assert_eq!(
            summary(known.reconcile(listing(1, 5, &[("a", 2), ("b", 3)]))),
            "all a b"
        );
        assert_eq!(
            summary(known.reconcile(listing(1, 5, &[("a", 2), ("b", 3)]))),
            ""
        );
        let after = listing(1, 9, &[("a", 8), ("c", 7)]);
        assert_eq!(summary(known.reconcile(after)), "-b +c +a");
    }

    #[test]
    fn watched_changes_are_part_of_what_is_known() {
        let mut known = Known::default();
        known.reconcile(listing(1, 5, &[("a", 2)]));
        assert!(known.put(kv("b", 6)).is_some());
        assert!(known.put(kv("b", 6)).is_none());
        assert!(known.delete("a", 7));
        assert!(!known.delete("a", 7));
        assert_eq!(known.revision(), Some(7));
        assert_eq!(summary(known.reconcile(listing(1, 7, &[("b", 6)]))), "");
    }

    #[test]
    fn the_place_in_history_is_the_last_revision_and_the_newest_key() {
        let mut known = Known::default();
        assert_eq!(known.place(), None);
        known.reconcile(listing(1, 5, &[("a", 2), ("b", 1)]));
        let place = |revision, key: &str, written| {
            let newest = (key.to_owned(), written);
            Some(Place {
                cluster: 1,
                revision,
                newest,
            })
        };
        assert_eq!(known.place(), place(5, "a", 2));
        known.advance(9);
        known.advance(8);
        assert_eq!(known.place(), place(9, "a", 2));
        known.put(kv("b", 11));
        assert_eq!(known.place(), place(11, "b", 11));
        known.delete("b", 12);
        assert_eq!(known.place(), place(12, "a", 2));
        known.delete("a", 13);
        assert_eq!(known.place(), None, "an empty prefix costs nothing to list");
    }

    #[test]
    fn replaced_history_is_a_snapshot_not_a_mass_deletion() {
        for (cluster, revision) in [(2, 9), (1, 4)] {
            let mut known = Known::default();
            known.reconcile(listing(1, 5, &[("a", 2), ("b", 3)]));
            let update = known.reconcile(listing(cluster, revision, &[("b", 3)]));
            assert_eq!(
                summary(update),
                "all b",
                "cluster {cluster} revision {revision}"
            );
        }
    }

    fn kv(key: &str, mod_revision: i64) -> Kv {
        Kv {
            key: key.into(),
            value: Vec::new(),
            version: 1,
            create_revision: mod_revision,
            mod_revision,
            lease: 0,
        }
    }

    fn listing(cluster: u64, revision: i64, keys: &[(&str, i64)]) -> Listing {
        Listing {
            cluster,
            revision,
            kvs: keys.iter().map(|(key, r)| kv(key, *r)).collect(),
        }
    }

    fn summary(update: Update) -> String {
        let words: Vec<String> = match update {
            Update::Replaced(kvs) => std::iter::once("all".into())
                .chain(kvs.into_iter().map(|kv| kv.key))
                .collect(),
            Update::Changed(events) => events
                .into_iter()
                .map(|event| match &event {
                    MirrorEvent::Put(kv) => format!("+{}", kv.key),
                    MirrorEvent::Delete { key, .. } => format!("-{key}"),
                    MirrorEvent::Synced { .. }
                    | MirrorEvent::Disconnected { .. }
                    | MirrorEvent::Resumed { .. } => panic!("unexpected {event:?}"),
                })
                .collect(),
        };
        words.join(" ")
    }
}
