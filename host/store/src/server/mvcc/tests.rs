//! The history against the simplest thing that could be right: a full copy of the map per revision.

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

#[test]
fn a_new_store_is_at_revision_one_and_its_first_write_at_two() {
    let mut mvcc = Mvcc::default();
    assert_eq!(mvcc.revision(), 1);
    put(&mut mvcc, "a", "1");
    assert_eq!(mvcc.revision(), 2);
    assert_eq!(mvcc.newest(b"a").unwrap().create_revision, 2);
}

#[test]
fn a_change_that_changes_nothing_takes_no_revision() {
    let mut mvcc = Mvcc::default();
    let mut change = Change::default();
    assert!(
        mvcc.delete(&mut change, &KeyRange::One("absent".into()))
            .is_empty()
    );
    assert!(mvcc.finish(change).is_empty());
    assert_eq!(mvcc.revision(), 1);
}

#[test]
fn a_deletion_at_the_compacted_revision_is_kept_for_watchers_until_the_next_compaction() {
    let mut mvcc = Mvcc::default();
    put(&mut mvcc, "a", "1");
    delete(&mut mvcc, &KeyRange::One("a".into()));
    assert_eq!(mvcc.compact(3), [(2, 0)]);
    let seen: Vec<i64> = mvcc
        .changes_since(3)
        .map(|(revision, _)| revision)
        .collect();
    assert_eq!(seen, [3]);
    put(&mut mvcc, "b", "1");
    assert_eq!(mvcc.compact(4), [(3, 0)]);
}

#[test]
fn reading_before_the_compaction_or_after_the_present_is_refused() {
    let mut mvcc = Mvcc::default();
    for value in ["1", "2", "3"] {
        put(&mut mvcc, "a", value);
    }
    mvcc.compact(3);
    let cases = [
        (0, Ok(())),
        (2, Err(Refusal::Compacted)),
        (3, Ok(())),
        (4, Ok(())),
        (5, Err(Refusal::FutureRevision)),
    ];
    for (revision, expected) in cases {
        assert_eq!(
            mvcc.check_readable(revision, mvcc.revision()),
            expected,
            "{revision}"
        );
    }
}

proptest! {
    #[test]
    fn any_history_reads_like_a_copy_of_the_map_per_revision(ops in vec(op(), 1..60)) {
        let mut mvcc = Mvcc::default();
        let mut model = Model::default();
        for op in ops {
            apply(&mut mvcc, &mut model, op);
            check(&mvcc, &model)?;
        }
    }

    #[test]
    fn a_store_restored_from_its_rows_is_the_same(ops in vec(op(), 1..60)) {
        let mut mvcc = Mvcc::default();
        let mut model = Model::default();
        let mut rows = BTreeMap::new();
        for op in ops {
            let (records, forgotten) = apply(&mut mvcc, &mut model, op);
            for record in records {
                rows.insert((record.mod_revision, record.sub), record.as_ref().clone());
            }
            for row in forgotten {
                prop_assert!(rows.remove(&row).is_some(), "row {:?} was not stored", row);
            }
        }
        let restored = Mvcc::restore(mvcc.compacted(), rows.into_values());
        check(&restored, &model)?;
        let log = |mvcc: &Mvcc| -> Vec<(i64, Vec<Record>)> {
            mvcc.changes_since(mvcc.compacted())
                .map(|(revision, records)| {
                    (revision, records.iter().map(|record| record.as_ref().clone()).collect())
                })
                .collect()
        };
        prop_assert_eq!(log(&restored), log(&mvcc));
        // What is not live at the border, and not at it, must have been given up.
        let live = |record: &Record| restored.at(&record.key, restored.revision()).is_some();
        let kept = restored.keys.values().flatten().filter(|record| !live(record));
        for record in kept {
            prop_assert!(record.mod_revision >= restored.compacted() || !record.is_deletion());
        }
    }
}

#[derive(Debug, Clone)]
enum Op {
    Put(u8, u8),
    PutMany(Vec<u8>),
    Delete(u8, u8),
    Compact(prop::sample::Index),
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        6 => (0..6_u8, any::<u8>()).prop_map(|(key, value)| Op::Put(key, value)),
        2 => prop::collection::btree_set(0..6_u8, 1..4)
            .prop_map(|keys| Op::PutMany(keys.into_iter().collect())),
        3 => (0..6_u8, 0..7_u8).prop_map(|(start, end)| Op::Delete(start, end)),
        1 => any::<prop::sample::Index>().prop_map(Op::Compact),
    ]
}

type Snapshot = BTreeMap<Bytes, (Bytes, i64, i64, i64)>;

struct Model {
    /// Index 0 is [`FIRST_REVISION`].
    snapshots: Vec<Snapshot>,
    compacted: i64,
}

impl Default for Model {
    fn default() -> Self {
        Self {
            snapshots: vec![Snapshot::new()],
            compacted: 0,
        }
    }
}

impl Model {
    fn revision(&self) -> i64 {
        i64::try_from(self.snapshots.len()).unwrap()
    }

    fn at(&self, revision: i64) -> &Snapshot {
        &self.snapshots[usize::try_from(revision - 1).unwrap()]
    }

    fn change(&mut self, edit: impl FnOnce(&mut Snapshot, i64)) {
        let mut next = self.snapshots.last().unwrap().clone();
        edit(&mut next, self.revision() + 1);
        if Some(&next) != self.snapshots.last() {
            self.snapshots.push(next);
        }
    }

    fn put(snapshot: &mut Snapshot, revision: i64, key: u8, value: u8) {
        let (create, version) = match snapshot.get(&key_bytes(key)) {
            Some((_, create, _, version)) => (*create, version + 1),
            None => (revision, 1),
        };
        snapshot.insert(
            key_bytes(key),
            (vec![value].into(), create, revision, version),
        );
    }
}

fn apply(mvcc: &mut Mvcc, model: &mut Model, op: Op) -> (Vec<Arc<Record>>, Vec<(i64, u32)>) {
    let mut change = Change::default();
    match op {
        Op::Put(key, value) => {
            mvcc.put(&mut change, key_bytes(key), vec![value].into(), 0);
            model.change(|snapshot, revision| Model::put(snapshot, revision, key, value));
        }
        Op::PutMany(keys) => {
            for key in &keys {
                mvcc.put(&mut change, key_bytes(*key), vec![*key].into(), 0);
            }
            model.change(|snapshot, revision| {
                keys.iter()
                    .for_each(|key| Model::put(snapshot, revision, *key, *key));
            });
        }
        Op::Delete(start, end) => {
            let range = KeyRange::Between(key_bytes(start), key_bytes(end));
            mvcc.delete(&mut change, &range);
            model.change(|snapshot, _| snapshot.retain(|key, _| !range.contains(key)));
        }
        Op::Compact(index) => {
            let span = usize::try_from(model.revision() - model.compacted).unwrap();
            if span == 0 {
                return Default::default();
            }
            let revision = model.compacted + i64::try_from(index.index(span)).unwrap() + 1;
            model.compacted = revision;
            return (Vec::new(), mvcc.compact(revision));
        }
    }
    (mvcc.finish(change), Vec::new())
}

fn check(mvcc: &Mvcc, model: &Model) -> Result<(), TestCaseError> {
    prop_assert_eq!(mvcc.revision(), model.revision());
    for revision in model.compacted.max(FIRST_REVISION)..=model.revision() {
        let found: Snapshot = mvcc
            .live(&KeyRange::From(Bytes::new()), revision)
            .map(|r| {
                let facts = (
                    r.value.clone(),
                    r.create_revision,
                    r.mod_revision,
                    r.version,
                );
                (r.key.clone(), facts)
            })
            .collect();
        let expected = model.at(revision);
        prop_assert_eq!(&found, expected, "at revision {}", revision);
    }
    Ok(())
}

fn key_bytes(key: u8) -> Bytes {
    vec![b'a' + key].into()
}

fn put(mvcc: &mut Mvcc, key: &'static str, value: &'static str) {
    let mut change = Change::default();
    mvcc.put(&mut change, key.into(), value.into(), 0);
    mvcc.finish(change);
}

fn delete(mvcc: &mut Mvcc, range: &KeyRange) {
    let mut change = Change::default();
    mvcc.delete(&mut change, range);
    mvcc.finish(change);
}
