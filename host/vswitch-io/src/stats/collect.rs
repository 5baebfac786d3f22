//! What the statistics segment holds, read from the engine.

use vswitch::SwIfIndex;
use vswitch::counters::{InterfaceCounters, WorkerCounters};

use super::layout::{Entry, Value};
use crate::engine::Engine;

/// Reads everything that is published.
pub fn collect(engine: &Engine) -> Vec<Entry> {
    let mut entries = system(engine);
    let names = names(engine);
    let count = names.len();
    entries.push(Entry::new("/if/names", Value::Names(names.clone())));
    let first = entries.len();
    entries.extend(interfaces(engine, count));
    let columns: Vec<String> = entries
        .iter()
        .skip(first)
        .map(|entry| entry.name.clone())
        .collect();
    for (column, path) in columns.iter().enumerate() {
        let what = path.trim_start_matches("/if/");
        for (index, name) in names.iter().enumerate() {
            let Some(name) = name else { continue };
            // VPP spells `memif1/0` as `memif1_0` in paths.
            let path = format!("/interfaces/{}/{what}", name.replace('/', "_"));
            let link = Value::Symlink(narrow(first + column), narrow(index));
            entries.push(Entry::new(path, link));
        }
    }
    for error in engine.dataplane.error_counters() {
        let path = format!("/err/{}/{}", error.node, error.reason);
        entries.push(Entry::new(path, Value::Simple(vec![vec![error.count]])));
    }
    entries
}

fn system(engine: &Engine) -> Vec<Entry> {
    let seconds = u64::from(engine.now().secs());
    let nodes = engine.dataplane.node_counters();
    let (calls, vectors) = nodes.iter().fold((0, 0), |(calls, vectors), node| {
        (calls + node.calls, vectors + node.vectors)
    });
    let rate = vectors.checked_div(calls).unwrap_or_default();
    let (panics, lost) = engine.mishaps();
    vec![
        Entry::new("/sys/heartbeat", Value::Scalar(seconds)),
        Entry::new("/sys/last_update", Value::Scalar(time(seconds))),
        Entry::new("/sys/vector_rate", Value::Scalar(rate)),
        Entry::new(
            "/sys/num_worker_threads",
            Value::Scalar(engine.worker_count() as u64),
        ),
        Entry::new("/sys/worker_panics", Value::Scalar(panics)),
        Entry::new("/sys/notices_lost", Value::Scalar(lost)),
        Entry::new(
            "/sys/node/names",
            Value::Names(
                nodes
                    .iter()
                    .map(|node| Some(node.name.to_owned()))
                    .collect(),
            ),
        ),
        Entry::new(
            "/sys/node/calls",
            Value::Simple(vec![nodes.iter().map(|node| node.calls).collect()]),
        ),
        Entry::new(
            "/sys/node/vectors",
            Value::Simple(vec![nodes.iter().map(|node| node.vectors).collect()]),
        ),
    ]
}

/// A time is published as the bits of a floating-point number of seconds.
fn time(seconds: u64) -> u64 {
    std::time::Duration::from_secs(seconds)
        .as_secs_f64()
        .to_bits()
}

fn names(engine: &Engine) -> Vec<Option<String>> {
    let mut names = Vec::new();
    for info in engine.dataplane.interfaces() {
        let at = info.sw_if_index.0 as usize;
        if names.len() <= at {
            names.resize(at + 1, None);
        }
        if let Some(place) = names.get_mut(at) {
            *place = Some(info.name.clone());
        }
    }
    names
}

type Packets = fn(&InterfaceCounters) -> (u64, u64);
type Number = fn(&InterfaceCounters) -> u64;

/// Reads the counters of all interfaces, a row per thread; thread 0 is the main thread, which moves no packets.
fn interfaces(engine: &Engine, count: usize) -> Vec<Entry> {
    let threads = engine.dataplane.worker_counters();
    let combined: [(&str, Packets); 2] = [
        ("/if/rx", |counters| {
            (counters.rx.packets, counters.rx.bytes)
        }),
        ("/if/tx", |counters| {
            (counters.tx.packets, counters.tx.bytes)
        }),
    ];
    let simple: [(&str, Number); 5] = [
        ("/if/drops", |counters| counters.drops),
        ("/if/rx-error", |counters| counters.rx_errors),
        ("/if/tx-error", |counters| counters.tx_errors),
        ("/if/ip4", |counters| counters.ip4),
        ("/if/ip6", |counters| counters.ip6),
    ];
    let row = |thread: &WorkerCounters| -> Vec<InterfaceCounters> {
        (0..count)
            .map(|index| thread.interface(SwIfIndex(narrow(index))))
            .collect()
    };
    let rows: Vec<Vec<InterfaceCounters>> = threads.iter().map(|thread| row(thread)).collect();
    let main = vec![InterfaceCounters::default(); count];
    let all: Vec<&Vec<InterfaceCounters>> = std::iter::once(&main).chain(&rows).collect();
    let combined = combined.into_iter().map(|(name, read)| {
        let value = all
            .iter()
            .map(|row| row.iter().map(read).collect())
            .collect();
        Entry::new(name, Value::Combined(value))
    });
    let simple = simple.into_iter().map(|(name, read)| {
        let value = all
            .iter()
            .map(|row| row.iter().map(read).collect())
            .collect();
        Entry::new(name, Value::Simple(value))
    });
    combined.chain(simple).collect()
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
