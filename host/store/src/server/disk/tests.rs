//! What survives closing the file.

use std::time::Duration;

use super::*;
use crate::server::state::Effects;
use crate::wire::PutRequest;

#[test]
fn a_reopened_store_has_its_identity_records_leases_and_compaction() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path()).unwrap();
    let (identity, mut state) = disk.load().unwrap();
    let mut effects = Effects::default();
    state.grant(7, 60, Duration::ZERO, &mut effects).unwrap();
    state.grant(8, 60, Duration::ZERO, &mut effects).unwrap();
    for (key, lease) in [("a", 7), ("a", 7), ("b", 0), ("gone", 8)] {
        let put = PutRequest {
            key: key.into(),
            value: "v".into(),
            lease,
            ..Default::default()
        };
        state.put(&put, &mut effects).unwrap();
    }
    state.revoke(8, &mut effects).unwrap();
    disk.commit(&effects).unwrap();
    state.durable = state.mvcc.revision();
    let mut effects = Effects::default();
    state.compact(4, &mut effects).unwrap();
    disk.commit(&effects).unwrap();
    drop(disk);

    let (again, restored) = Disk::open(dir.path()).unwrap().load().unwrap();
    assert_eq!(again, identity);
    assert_eq!(restored.durable, 6);
    assert_eq!(restored.mvcc.compacted(), 4);
    let a = restored.mvcc.newest(b"a").unwrap();
    assert_eq!(
        (a.create_revision, a.mod_revision, a.version, a.lease),
        (2, 3, 2, 7)
    );
    assert!(restored.mvcc.newest(b"gone").is_none());
    assert_eq!(restored.lessor.ids().collect::<Vec<_>>(), [7]);
    assert_eq!(restored.lessor.view(7, Duration::ZERO).unwrap().keys, ["a"]);
}

#[test]
fn a_data_directory_serves_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let _first = Disk::open(dir.path()).unwrap();
    assert!(matches!(
        Disk::open(dir.path()),
        Err(DiskError::InUse { .. })
    ));
}

#[test]
fn an_unreadable_row_is_reported_and_not_skipped() {
    let dir = tempfile::tempdir().unwrap();
    let disk = Disk::open(dir.path()).unwrap();
    disk.load().unwrap();
    let transaction = disk.database.begin_write().unwrap();
    transaction
        .open_table(RECORDS)
        .unwrap()
        .insert((2, 0), [9, 9].as_slice())
        .unwrap();
    transaction.commit().unwrap();
    match disk.load() {
        Err(DiskError::Damaged { revision, sub, .. }) => assert_eq!((revision, sub), (2, 0)),
        other => panic!("{:?}", other.map(|(identity, _)| identity)),
    }
}
