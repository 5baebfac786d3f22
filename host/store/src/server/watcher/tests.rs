//! Which part of the history a watcher reports, and when.

use bytes::Bytes;

use super::*;
use crate::server::mvcc::Change;

#[test]
fn a_watcher_reports_its_range_from_its_start_revision() {
    let mvcc = history(&["a=1", "b=1", "b/1=1", "-b", "c=1"]);
    let cases = [
        ("b", "", 0, ""),
        ("b", "", 1, "3:b 5:-b"),
        ("b", "c", 1, "3:b 4:b/1 5:-b"),
        ("b", "c", 4, "4:b/1 5:-b"),
        ("b", "\0", 5, "5:-b 6:c"),
        ("", "\0", 2, "2:a 3:b 4:b/1 5:-b 6:c"),
    ];
    for (key, end, start, expected) in cases {
        let mut watcher = watcher(create(key, end, start), &mvcc);
        assert_eq!(
            drain(&mut watcher, &mvcc, mvcc.revision()),
            expected,
            "{key:?}..{end:?}"
        );
        assert_eq!(watcher.poll(&mvcc, mvcc.revision()), Poll::Idle);
    }
}

#[test]
fn nothing_beyond_the_visible_revision_is_reported() {
    let mvcc = history(&["a=1", "a=2", "a=3"]);
    let mut watcher = watcher(create("a", "", 1), &mvcc);
    assert_eq!(drain(&mut watcher, &mvcc, 3), "2:a 3:a");
    assert_eq!(drain(&mut watcher, &mvcc, 4), "4:a");
}

#[test]
fn a_watcher_of_the_future_waits_for_it() {
    let mut mvcc = history(&["a=1"]);
    let mut watcher = watcher(create("a", "", 4), &mvcc);
    assert_eq!(watcher.poll(&mvcc, 2), Poll::Idle);
    write(&mut mvcc, "a=2");
    write(&mut mvcc, "a=3");
    assert_eq!(drain(&mut watcher, &mvcc, 4), "4:a");
}

#[test]
fn filters_and_previous_values_apply() {
    let mvcc = history(&["a=1", "a=2", "-a"]);
    let only_deletes = WatchCreateRequest {
        filters: vec![Filter::NoPut.into()],
        prev_kv: true,
        ..create("a", "", 1)
    };
    let Poll::Events { events, .. } = watcher(only_deletes, &mvcc).poll(&mvcc, 4) else {
        panic!()
    };
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].prev_kv.as_ref().unwrap().value, "2");
    let only_puts = WatchCreateRequest {
        filters: vec![Filter::NoDelete.into()],
        ..create("a", "", 1)
    };
    assert_eq!(drain(&mut watcher(only_puts, &mvcc), &mvcc, 4), "2:a 3:a");
}

#[test]
fn compaction_ends_a_watcher_that_is_behind_it_only() {
    let mut mvcc = history(&["a=1", "a=2", "a=3"]);
    let mut behind = watcher(create("a", "", 2), &mvcc);
    let mut border = watcher(create("a", "", 3), &mvcc);
    mvcc.compact(3);
    assert_eq!(behind.poll(&mvcc, 4), Poll::Compacted { revision: 3 });
    assert_eq!(drain(&mut border, &mvcc, 4), "3:a 4:a");
}

#[test]
fn a_long_history_comes_in_batches_that_end_at_revision_borders() {
    let mut mvcc = Mvcc::default();
    for _ in 0..4 {
        let mut change = Change::default();
        for key in ["a", "b"] {
            mvcc.put(
                &mut change,
                key.into(),
                vec![0; BATCH_BYTES / 2 + 1].into(),
                0,
            );
        }
        mvcc.finish(change);
    }
    let mut watcher = watcher(create("a", "\0", 1), &mvcc);
    for expected in 2..=5 {
        match watcher.poll(&mvcc, 5) {
            Poll::Events { events, revision } => {
                assert_eq!((events.len(), revision), (2, expected));
            }
            Poll::Compacted { .. } | Poll::Idle => panic!("nothing at {expected}"),
        }
    }
}

#[test]
fn an_empty_range_is_not_watched() {
    assert!(Watcher::new(create("b", "a", 0), 1).is_none());
}

fn create(key: &'static str, end: &'static str, start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        key: key.into(),
        range_end: end.into(),
        start_revision,
        ..Default::default()
    }
}

fn watcher(request: WatchCreateRequest, mvcc: &Mvcc) -> Watcher {
    Watcher::new(request, mvcc.revision()).unwrap()
}

fn drain(watcher: &mut Watcher, mvcc: &Mvcc, visible: i64) -> String {
    let mut seen = Vec::new();
    while let Poll::Events { events, .. } = watcher.poll(mvcc, visible) {
        for event in events {
            let sign = if event.r#type() == event::Type::Delete {
                "-"
            } else {
                ""
            };
            let kv = event.kv.unwrap();
            seen.push(format!(
                "{}:{sign}{}",
                kv.mod_revision,
                String::from_utf8_lossy(&kv.key)
            ));
        }
    }
    seen.join(" ")
}

fn history(steps: &[&'static str]) -> Mvcc {
    let mut mvcc = Mvcc::default();
    steps.iter().for_each(|step| write(&mut mvcc, step));
    mvcc
}

fn write(mvcc: &mut Mvcc, step: &'static str) {
    let mut change = Change::default();
    match step.split_once('=') {
        Some((key, value)) => mvcc.put(&mut change, key.into(), value.into(), 0),
        None => {
            let key = Bytes::from_static(step.trim_start_matches('-').as_bytes());
            mvcc.delete(&mut change, &KeyRange::One(key));
        }
    }
    mvcc.finish(change);
}
