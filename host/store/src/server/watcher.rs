//! One watcher's place in the history. Pure.
//!
//! Watchers keep no queue: they remember the next revision and read the log when there is something
//! new, so a slow client costs no memory, and one that is too slow learns of it by compaction.

use std::sync::Arc;

use super::mvcc::{Mvcc, Record};
use crate::range::KeyRange;
use crate::wire::watch_create_request::Filter;
use crate::wire::{Event, WatchCreateRequest, event};

/// A batch of events ends at the first revision border after this many bytes.
const BATCH_BYTES: usize = 1024 * 1024;
/// Log records that one poll looks at, because it holds the state's lock meanwhile.
const SCAN_MAX: usize = 10_000;

#[derive(Debug)]
pub(crate) struct Watcher {
    range: KeyRange,
    next: i64,
    no_put: bool,
    no_delete: bool,
    prev_kv: bool,
    pub(crate) fragment: bool,
    pub(crate) progress_notify: bool,
}

#[derive(Debug, PartialEq)]
pub(crate) enum Poll {
    /// All events of the revisions up to the given one that were not reported yet; maybe none.
    Events { events: Vec<Event>, revision: i64 },
    /// History that the watcher needs is gone.
    Compacted { revision: i64 },
    /// There is nothing between the watcher and the visible revision.
    Idle,
}

impl Watcher {
    /// `None` when the range can never hold a key.
    pub(crate) fn new(request: WatchCreateRequest, visible: i64) -> Option<Self> {
        let filter = |filter| request.filters().any(|f| f == filter);
        let (no_put, no_delete) = (filter(Filter::NoPut), filter(Filter::NoDelete));
        let key = if request.key.is_empty() {
            vec![0].into()
        } else {
            request.key
        };
        let range = KeyRange::new(key, request.range_end);
        if range.is_empty() {
            return None;
        }
        Some(Self {
            range,
            next: if request.start_revision > 0 {
                request.start_revision
            } else {
                visible + 1
            },
            no_put,
            no_delete,
            prev_kv: request.prev_kv,
            fragment: request.fragment,
            progress_notify: request.progress_notify,
        })
    }

    /// Reads on, at most to `visible`. Revisions are never split.
    pub(crate) fn poll(&mut self, mvcc: &Mvcc, visible: i64) -> Poll {
        if self.next < mvcc.compacted() {
            return Poll::Compacted {
                revision: mvcc.compacted(),
            };
        }
        if self.next > visible {
            return Poll::Idle;
        }
        let mut events = Vec::new();
        let mut bytes = 0;
        let mut scanned = 0;
        let mut reached = visible;
        for (revision, records) in mvcc.changes_since(self.next) {
            if revision > visible {
                break;
            }
            if bytes >= BATCH_BYTES || scanned >= SCAN_MAX {
                reached = revision - 1;
                break;
            }
            scanned += records.len();
            for record in records.iter().filter(|record| self.wants(record)) {
                bytes += record.key.len() + record.value.len();
                events.push(self.event(mvcc, record));
            }
        }
        self.next = reached + 1;
        Poll::Events {
            events,
            revision: reached,
        }
    }

    fn wants(&self, record: &Record) -> bool {
        let filtered = if record.is_deletion() {
            self.no_delete
        } else {
            self.no_put
        };
        !filtered && self.range.contains(&record.key)
    }

    fn event(&self, mvcc: &Mvcc, record: &Arc<Record>) -> Event {
        let previous = self
            .prev_kv
            .then(|| mvcc.at(&record.key, record.mod_revision - 1))
            .flatten()
            .map(|record| record.to_wire());
        let kind = if record.is_deletion() {
            event::Type::Delete
        } else {
            event::Type::Put
        };
        Event {
            r#type: kind.into(),
            kv: Some(record.to_wire()),
            prev_kv: previous,
        }
    }
}

#[cfg(test)]
mod tests;
