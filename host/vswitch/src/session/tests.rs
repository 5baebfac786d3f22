use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::AtomicBool;

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;
const MINUTE: Timeout = Timeout::secs(60);

fn table(limit: usize) -> FlowTable<2, 2> {
    let table = FlowTable::new(limit, 7);
    table.reserve();
    table
}

fn at(secs: u64) -> Nanos {
    Nanos(secs * SECOND)
}

#[test]
fn a_table_without_memory_finds_nothing_and_says_why() {
    let table = FlowTable::<2, 2>::new(1_000_000, 0);
    assert_eq!(table.bytes(), 0);
    assert_eq!(table.get(&[1, 2], at(0)), None);
    let refused = table.insert(&[1, 2], [0; 2], MINUTE, at(0));
    assert_eq!(refused, Err(Refused::NoMemory));
    assert_eq!(table.age(1000, at(0), |_, _| {}), 0);
    table.reserve();
    table.reserve();
    assert_eq!(table.insert(&[1, 2], [3; 2], MINUTE, at(0)), Ok(None));
}

#[test]
fn a_million_sessions_cost_82_bytes_each_and_nothing_before() {
    let resident = || {
        let text = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages = text.split(' ').nth(1).unwrap().parse::<usize>().unwrap();
        pages * 4096
    };
    let before = resident();
    let table = FlowTable::<KEY_WORDS, 2>::new(1_000_000, 0);
    table.reserve();
    assert_eq!(table.bytes() / 1_000_000, 81);
    // Other tests of this process may grow meanwhile, but not by this.
    assert!(resident() < before + table.bytes() / 2);
    let key = Tuple::of_words([1, 2, 3, 4, 5]).words();
    table.insert(&key, [6, 7], MINUTE, at(0)).unwrap();
    assert_eq!(table.get(&key, at(0)).unwrap().value, [6, 7]);
}

#[test]
fn a_table_can_be_filled_to_its_limit_and_not_beyond() {
    let limit = 100_000;
    let table = table(limit);
    for n in 0..limit as u64 {
        assert_eq!(table.insert(&[n, n], [n, !n], MINUTE, at(0)), Ok(None));
    }
    assert_eq!(
        table.insert(&[1, 0], [0; 2], MINUTE, at(0)),
        Err(Refused::Full)
    );
    assert_eq!(table.len(), limit);
    for n in 0..limit as u64 {
        assert_eq!(table.get(&[n, n], at(1)).unwrap().value, [n, !n]);
    }
    assert_eq!(table.remove(&[5, 5], at(1)), Ok(Some([5, !5])));
    assert_eq!(table.insert(&[1, 0], [0; 2], MINUTE, at(1)), Ok(None));
    // All of one bucket's keys are not all of the table's.
    assert_eq!(table.retain(|key, _| key[0] % 2 == 0), limit / 2);
    assert_eq!(table.len(), limit / 2);
}

#[test]
fn touched_entries_live_on_and_others_age_in_slices() {
    let table = table(1000);
    for n in 0..100 {
        table.insert(&[n, 0], [n, 0], MINUTE, at(0)).unwrap();
    }
    let found = table.get(&[7, 0], at(50)).unwrap();
    table.touch(&found, at(50));
    assert!(table.get(&[8, 0], at(60)).is_some());
    assert!(table.get(&[8, 0], at(61)).is_none());
    assert_eq!(table.len(), 100);
    let mut expired = BTreeSet::new();
    let mut calls = 0;
    while table.len() > 1 {
        table.age(16, at(70), |key, value| {
            assert_eq!(key[0], value[0]);
            assert!(expired.insert(key[0]));
        });
        calls += 1;
        assert!(calls < 100, "{} left", table.len());
    }
    assert!(calls > 10, "a slice is one bucket");
    assert_eq!(expired.len(), 99);
    assert!(table.get(&[7, 0], at(100)).is_some());
    assert!(table.get(&[7, 0], at(111)).is_none());
    // What is over can be made anew before it was aged.
    assert_eq!(table.insert(&[7, 0], [9, 9], MINUTE, at(120)), Ok(None));
    assert_eq!(table.get(&[7, 0], at(120)).unwrap().value, [9, 9]);
    assert_eq!(table.len(), 1);
}

#[test]
fn an_entry_follows_another_and_lives_no_longer_than_it() {
    let table = table(1000);
    table.insert(&[1, 0], [1, 0], MINUTE, at(0)).unwrap();
    table.insert(&[2, 0], [2, 0], MINUTE, at(0)).unwrap();
    let leader = table.get(&[2, 0], at(50)).unwrap();
    table.touch(&leader, at(50));
    let revive = |key: &[u64; 2], _: &[u64; 2]| {
        if let (Some(found), Some(leader)) = (table.find(key), table.get(&[2, 0], at(70))) {
            table.follow(&found, &leader);
        }
    };
    assert!(table.get(&[1, 0], at(70)).is_none());
    assert_eq!(table.age_after(10_000, at(70), revive, |_, _| {}), 0);
    assert!(table.get(&[1, 0], at(110)).is_some());
    let mut over = Vec::new();
    table.for_all(at(111), |key, _, is_over| over.push((key[0], is_over)));
    over.sort_unstable();
    assert_eq!(over, [(1, true), (2, true)]);
    assert_eq!(table.age(10_000, at(111), |_, _| {}), 2);
}

/// Fetching changes nothing, whatever is there.
#[test]
fn entries_are_found_one_by_one_as_they_were_fetched_together() {
    let table = table(500);
    let mut keys = Vec::new();
    for n in 0..400 {
        keys.push([n % 300, n % 7]);
        if n % 3 != 0 {
            let key = [n % 300, n % 7];
            table.insert(&key, [n, !n], MINUTE, at(0)).unwrap();
        }
    }
    let before: Vec<_> = keys.iter().map(|key| table.get(key, at(1))).collect();
    table.warm(&keys);
    let after: Vec<_> = keys.iter().map(|key| table.get(key, at(1))).collect();
    assert_eq!(before, after);
    assert!(after.iter().any(Option::is_some) && after.iter().any(Option::is_none));
    FlowTable::<2, 2>::new(500, 7).warm(&keys);
}

#[derive(Debug, Clone)]
enum Step {
    Insert(u64, u64),
    Set(u64, u64),
    Remove(u64),
    Touch(u64),
    Age(usize),
    Wait(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..60u64;
    prop_oneof![
        4 => (key.clone(), any::<u64>()).prop_map(|(k, v)| Step::Insert(k, v)),
        2 => (key.clone(), any::<u64>()).prop_map(|(k, v)| Step::Set(k, v)),
        2 => key.clone().prop_map(Step::Remove),
        2 => key.prop_map(Step::Touch),
        1 => (1..200usize).prop_map(Step::Age),
        1 => (1..40u64).prop_map(Step::Wait),
    ]
}

proptest! {
    #[test]
    fn a_table_does_what_a_map_with_deadlines_does(steps in prop::collection::vec(step(), 1..300)) {
        let table = table(40);
        // Value and second of the last use; entries that are over stay until they are aged.
        let mut model = BTreeMap::<u64, (u64, u64)>::new();
        let mut now = 0;
        let live = |model: &BTreeMap<u64, (u64, u64)>, k: u64, now: u64| {
            model.get(&k).filter(|(_, seen)| now - seen <= 60).map(|(v, _)| *v)
        };
        for step in steps {
            match step {
                Step::Insert(k, v) => {
                    let there = live(&model, k, now);
                    let full = !model.contains_key(&k) && model.len() == 40;
                    let got = table.insert(&[k, 1], [v, !v], MINUTE, at(now));
                    if full {
                        prop_assert_eq!(got, Err(Refused::Full));
                    } else {
                        prop_assert_eq!(got, Ok(there.map(|v| [v, !v])));
                        if there.is_none() {
                            model.insert(k, (v, now));
                        }
                    }
                }
                Step::Set(k, v) => {
                    let got = table.change(&[k, 1], now_of(now), |there| match there {
                        Some(_) => Change::Set([v, !v], MINUTE),
                        None => Change::Keep,
                    });
                    let there = live(&model, k, now);
                    prop_assert_eq!(got, Ok(there.map(|v| [v, !v])));
                    if there.is_some() {
                        model.insert(k, (v, now));
                    }
                }
                Step::Remove(k) => {
                    let there = live(&model, k, now);
                    prop_assert_eq!(table.remove(&[k, 1], at(now)), Ok(there.map(|v| [v, !v])));
                    model.remove(&k);
                }
                Step::Touch(k) => {
                    let found = table.get(&[k, 1], at(now));
                    prop_assert_eq!(found.map(|f| f.value[0]), live(&model, k, now));
                    if let (Some(found), Some(entry)) = (found, model.get_mut(&k)) {
                        table.touch(&found, at(now));
                        entry.1 = now;
                    }
                }
                Step::Age(slots) => {
                    table.age(slots, at(now), |key, _| {
                        let (_, seen) = model.remove(&key[0]).unwrap();
                        assert!(now - seen > 60);
                    });
                }
                Step::Wait(secs) => now += secs,
            }
            prop_assert_eq!(table.len(), model.len());
        }
        let mut all = BTreeMap::new();
        table.for_each(at(now), |key, value| {
            assert!(all.insert(key[0], value[0]).is_none());
        });
        let want = model.keys().filter_map(|k| Some((*k, live(&model, *k, now)?)));
        prop_assert_eq!(all, want.collect::<BTreeMap<_, _>>());
    }

    #[test]
    fn keys_keep_every_field_and_both_directions_share_one(
        src in any::<u128>(), dst in any::<u128>(), ports in any::<(u16, u16)>(), protocol in any::<u8>(),
        v6 in any::<bool>(), fragments in any::<bool>(), scope in any::<u32>(),
    ) {
        let family = if v6 { crate::Family::V6 } else { crate::Family::V4 };
        let mask = if v6 { u128::MAX } else { u128::from(u32::MAX) };
        let tuple = Tuple {
            family, src: src & mask, dst: dst & mask, src_port: ports.0, dst_port: ports.1,
            protocol, fragments, scope: Scope::new(scope),
        };
        prop_assert_eq!(Tuple::of_words(tuple.words()), tuple);
        let ((there, way), (back, other)) = (tuple.canonical(), tuple.reversed().canonical());
        prop_assert_eq!(there, back);
        prop_assert_eq!(Tuple::of_canonical(there, way), tuple);
        prop_assert!(way != other || tuple == tuple.reversed());
        prop_assert_eq!(number(tuple.src_ip()), tuple.src);
    }
}

fn now_of(secs: u64) -> Nanos {
    at(secs)
}

/// Adds one to a value or removes it, and gives what was added and what was removed. Each value is its own
/// check, so a torn one shows.
fn count_or_remove(
    table: &FlowTable<2, 2>,
    key: [u64; 2],
    remove: bool,
) -> Result<(u64, u64), Refused> {
    let there = table.change(&key, at(1), |there| {
        let sum = there.map_or(0, |[sum, check]| {
            assert_eq!(check, !sum, "torn");
            sum
        });
        if remove {
            Change::Remove
        } else {
            Change::Set([sum + 1, !(sum + 1)], MINUTE)
        }
    })?;
    Ok(if remove {
        (0, there.map_or(0, |[sum, _]| sum))
    } else {
        (1, 0)
    })
}

/// Keys that share buckets, so that threads meet: the table has 24 entries in 4 buckets.
#[test]
fn threads_neither_tear_nor_lose_nor_double_what_they_share() {
    const ROUNDS: u64 = 60_000;
    let table = table(40);
    let stop = AtomicBool::new(false);
    let (increments, removed) = (AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let writers: Vec<_> = (0..3u64)
            .map(|thread| {
                let (table, increments, removed) = (&table, &increments, &removed);
                scope.spawn(move || {
                    let mut dice = thread + 1;
                    for _ in 0..ROUNDS {
                        dice = dice.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
                        let key = [(dice >> 40) % 24, 5];
                        match count_or_remove(table, key, (dice >> 20) % 8 == 0) {
                            Ok((more, less)) => {
                                increments.fetch_add(more, Ordering::Relaxed);
                                removed.fetch_add(less, Ordering::Relaxed);
                            }
                            Err(refused) => assert_eq!(refused, Refused::Busy),
                        }
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            let mut hits = 0u64;
            while !stop.load(Ordering::Relaxed) {
                for n in 0..24 {
                    if let Some(found) = table.get(&[n, 5], at(1)) {
                        assert_eq!(found.value[1], !found.value[0], "torn");
                        table.touch(&found, at(1));
                        hits += 1;
                    }
                }
                let mut seen = BTreeSet::new();
                table.for_each(at(1), |key, value| {
                    assert_eq!(value[1], !value[0], "torn");
                    seen.insert(key[0]);
                });
                table.age(64, at(1), |_, _| panic!("nothing is over"));
            }
            assert!(hits > 0);
        });
        for writer in writers {
            writer.join().unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
    let (mut left, mut keys) = (0, Vec::new());
    table.for_each(at(1), |key, value| {
        left += value[0];
        keys.push(key[0]);
    });
    assert_eq!(
        left + removed.load(Ordering::Relaxed),
        increments.load(Ordering::Relaxed)
    );
    assert_eq!(keys.len(), table.len());
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
}
