//! Every version of every key since the last compaction. Pure: no IO, no clock.
//!
//! Revisions grow by one per change of the store; all records of a transaction share one. Readers
//! name the revision they want, so records that are not yet durable stay invisible to them.

use std::collections::BTreeMap;
use std::collections::btree_map::Range;
use std::ops::Bound;
use std::sync::Arc;

use bytes::Bytes;

use super::refusal::Refusal;
use crate::range::KeyRange;
use crate::wire::KeyValue;

/// Revision of a store that was never written to.
pub(crate) const FIRST_REVISION: i64 = 1;
/// Bookkeeping per record that counts against the space limit, in bytes.
const RECORD_OVERHEAD: usize = 128;

/// One version of one key. A record with version 0 says that the key was deleted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) key: Bytes,
    pub(crate) value: Bytes,
    pub(crate) create_revision: i64,
    pub(crate) mod_revision: i64,
    /// Position among the records of the same revision.
    pub(crate) sub: u32,
    pub(crate) version: i64,
    pub(crate) lease: i64,
}

impl Record {
    pub(crate) fn is_deletion(&self) -> bool {
        self.version == 0
    }

    pub(crate) fn to_wire(&self) -> KeyValue {
        KeyValue {
            key: self.key.clone(),
            create_revision: self.create_revision,
            mod_revision: self.mod_revision,
            version: self.version,
            value: self.value.clone(),
            lease: self.lease,
        }
    }

    fn bytes(&self) -> usize {
        self.key.len() + self.value.len() + RECORD_OVERHEAD
    }
}

#[derive(Debug)]
pub(crate) struct Mvcc {
    /// Versions in ascending order; never empty.
    keys: BTreeMap<Bytes, Vec<Arc<Record>>>,
    /// What happened at each revision since `compacted`, that one included.
    log: BTreeMap<i64, Vec<Arc<Record>>>,
    revision: i64,
    compacted: i64,
    bytes: usize,
}

impl Default for Mvcc {
    fn default() -> Self {
        Self {
            keys: BTreeMap::new(),
            log: BTreeMap::new(),
            revision: FIRST_REVISION,
            compacted: 0,
            bytes: 0,
        }
    }
}

impl Mvcc {
    /// Rebuilds the state from stored records, which must come in the order they were written.
    pub(crate) fn restore(compacted: i64, records: impl IntoIterator<Item = Record>) -> Self {
        let mut mvcc = Self {
            compacted,
            revision: FIRST_REVISION.max(compacted),
            ..Self::default()
        };
        for record in records {
            mvcc.revision = mvcc.revision.max(record.mod_revision);
            mvcc.insert(Arc::new(record));
        }
        mvcc
    }

    /// Records a new value of `key` at the revision that [`Mvcc::finish`] will make current.
    pub(crate) fn put(&mut self, change: &mut Change, key: Bytes, value: Bytes, lease: i64) {
        let revision = self.revision + 1;
        let (create_revision, version) = match self.newest(&key) {
            Some(previous) => (previous.create_revision, previous.version + 1),
            None => (revision, 1),
        };
        let record = Record {
            key,
            value,
            create_revision,
            mod_revision: revision,
            sub: change.next_sub(),
            version,
            lease,
        };
        self.record(change, record);
    }

    /// Deletes the live keys of `range` and returns them.
    pub(crate) fn delete(&mut self, change: &mut Change, range: &KeyRange) -> Vec<Arc<Record>> {
        let deleted: Vec<Arc<Record>> = self.live(range, i64::MAX).cloned().collect();
        for previous in &deleted {
            let record = Record {
                key: previous.key.clone(),
                value: Bytes::new(),
                create_revision: 0,
                mod_revision: self.revision + 1,
                sub: change.next_sub(),
                version: 0,
                lease: 0,
            };
            self.record(change, record);
        }
        deleted
    }

    /// Makes the revision of `change` current, if it changed anything.
    pub(crate) fn finish(&mut self, change: Change) -> Vec<Arc<Record>> {
        if !change.records.is_empty() {
            self.revision += 1;
        }
        change.records
    }

    /// Forgets what only revisions before `revision` can see. Returns the forgotten records that
    /// storage may drop too.
    pub(crate) fn compact(&mut self, revision: i64) -> Vec<(i64, u32)> {
        // Deletions at the previous border were kept for watchers only.
        let border = self.log.get(&self.compacted).map_or(&[][..], Vec::as_slice);
        let mut forgotten: Vec<(i64, u32)> = border
            .iter()
            .filter(|record| record.is_deletion())
            .map(|record| (record.mod_revision, record.sub))
            .collect();
        self.compacted = revision;
        self.log = self.log.split_off(&revision);
        let mut freed = 0;
        self.keys.retain(|_, versions| {
            let visible = versions.partition_point(|record| record.mod_revision <= revision);
            let Some(newest) = visible.checked_sub(1) else {
                return true;
            };
            let drop = newest + usize::from(versions[newest].is_deletion());
            for record in versions.drain(..drop) {
                freed += record.bytes();
                // Watchers may still ask for `revision` itself.
                if record.mod_revision < revision {
                    forgotten.push((record.mod_revision, record.sub));
                }
            }
            !versions.is_empty()
        });
        self.bytes = self.bytes.saturating_sub(freed);
        forgotten
    }

    /// The keys of `range` that were live at `revision`, in key order.
    pub(crate) fn live<'a>(
        &'a self,
        range: &KeyRange,
        revision: i64,
    ) -> impl Iterator<Item = &'a Arc<Record>> {
        self.histories(range)
            .filter_map(move |(_, versions)| live_at(versions, revision))
    }

    pub(crate) fn at(&self, key: &[u8], revision: i64) -> Option<&Arc<Record>> {
        self.keys
            .get(key)
            .and_then(|versions| live_at(versions, revision))
    }

    pub(crate) fn newest(&self, key: &[u8]) -> Option<&Arc<Record>> {
        self.at(key, i64::MAX)
    }

    /// What happened from revision `from` on, oldest first.
    pub(crate) fn changes_since(&self, from: i64) -> impl Iterator<Item = (i64, &[Arc<Record>])> {
        self.log
            .range(from..)
            .map(|(revision, records)| (*revision, records.as_slice()))
    }

    pub(crate) fn check_readable(&self, revision: i64, current: i64) -> Result<(), Refusal> {
        if revision > current {
            Err(Refusal::FutureRevision)
        } else if revision > 0 && revision < self.compacted {
            Err(Refusal::Compacted)
        } else {
            Ok(())
        }
    }

    pub(crate) fn revision(&self) -> i64 {
        self.revision
    }

    pub(crate) fn compacted(&self) -> i64 {
        self.compacted
    }

    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    fn record(&mut self, change: &mut Change, record: Record) {
        let record = Arc::new(record);
        self.insert(Arc::clone(&record));
        change.records.push(record);
    }

    fn insert(&mut self, record: Arc<Record>) {
        self.bytes += record.bytes();
        if record.mod_revision >= self.compacted {
            self.log
                .entry(record.mod_revision)
                .or_default()
                .push(Arc::clone(&record));
        }
        self.keys
            .entry(record.key.clone())
            .or_default()
            .push(record);
    }

    fn histories(&self, range: &KeyRange) -> Range<'_, Bytes, Vec<Arc<Record>>> {
        let (start, end) = match range {
            KeyRange::One(key) => (key, Bound::Included(key)),
            KeyRange::From(start) => (start, Bound::Unbounded),
            // `BTreeMap::range` panics on an inverted range.
            KeyRange::Between(start, _) if range.is_empty() => (start, Bound::Excluded(start)),
            KeyRange::Between(start, end) => (start, Bound::Excluded(end)),
        };
        self.keys.range::<Bytes, _>((Bound::Included(start), end))
    }
}

/// The records of a revision in the making.
#[derive(Debug, Default)]
pub(crate) struct Change {
    records: Vec<Arc<Record>>,
}

impl Change {
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
    }

    fn next_sub(&self) -> u32 {
        u32::try_from(self.records.len()).unwrap_or(u32::MAX)
    }
}

fn live_at(versions: &[Arc<Record>], revision: i64) -> Option<&Arc<Record>> {
    let visible = versions.partition_point(|record| record.mod_revision <= revision);
    let newest = versions.get(visible.checked_sub(1)?)?;
    (!newest.is_deletion()).then_some(newest)
}

#[cfg(test)]
mod tests;
