//! Counters with a row per thread and a column per object: routes, neighbours, policy, access lists, buffers.

use std::sync::Arc;

use vpp_api::stats::{Combined, Image, ImageError};
use vswitch::SwIfIndex;
use vswitch::counters::{NpolVerdicts, WorkerCounters};

use crate::device::pool::SLOTS;
use crate::engine::Engine;

type Verdict = fn(&NpolVerdicts) -> u64;

/// VPP's names of what policy said about flows, by interface.
const VERDICTS: [(&str, Verdict); 4] = [
    ("rx/flows/allow", |v| v.rx_allow),
    ("rx/flows/deny", |v| v.rx_deny),
    ("tx/flows/allow", |v| v.tx_allow),
    ("tx/flows/deny", |v| v.tx_deny),
];

pub(super) fn collect(engine: &Engine, image: &mut Image) -> Result<(), ImageError> {
    let dataplane = &engine.dataplane;
    let routes = dataplane.route_rows();
    image.combined(
        "/net/route/to",
        &by_thread(engine, routes, |w, at| w.route(at)[0]),
    )?;
    image.combined(
        "/net/route/via",
        &by_thread(engine, routes, |w, at| w.route(at)[1]),
    )?;
    let adjacencies = dataplane.adjacency_rows();
    let of = |worker: &WorkerCounters, at| worker.adjacency(at);
    image.combined("/net/adjacency", &by_thread(engine, adjacencies, of))?;
    policy(engine, image)?;
    for (index, rules) in dataplane.acl_matches() {
        // Workers count in the list itself: what all of them saw is the first worker's.
        let rules: Vec<_> = rules.into_iter().map(combined).collect();
        let main = vec![Combined::default(); rules.len()];
        image.combined(&format!("/acl/{index}/matches"), &[main, rules])?;
    }
    buffers(engine, image)
}

/// First the main thread, which moves no packets, then the workers.
fn by_thread(
    engine: &Engine,
    columns: u32,
    read: impl Fn(&WorkerCounters, u32) -> vswitch::counters::Combined,
) -> Vec<Vec<Combined>> {
    let workers = engine.dataplane.worker_counters();
    let row =
        |worker: &Arc<WorkerCounters>| (0..columns).map(|at| combined(read(worker, at))).collect();
    let mut rows = vec![vec![Combined::default(); columns as usize]];
    rows.extend(workers.iter().map(row));
    rows
}

fn combined(value: vswitch::counters::Combined) -> Combined {
    Combined {
        packets: value.packets,
        bytes: value.bytes,
    }
}

fn policy(engine: &Engine, image: &mut Image) -> Result<(), ImageError> {
    let dataplane = &engine.dataplane;
    let last = dataplane.interfaces().map(|info| info.sw_if_index.0).max();
    let columns = last.map_or(0, |last| last + 1);
    for (what, read) in VERDICTS {
        let row = |worker: &Arc<WorkerCounters>| {
            let all = (0..columns).map(|at| read(&worker.npol(SwIfIndex(at))));
            all.collect()
        };
        let mut rows = vec![vec![0; columns as usize]];
        rows.extend(dataplane.worker_counters().iter().map(row));
        image.simple(&format!("/net/npol/{what}"), &rows)?;
    }
    Ok(())
}

/// Buffers are slots of the workers, which a batch takes and gives back: between two batches all are free.
fn buffers(engine: &Engine, image: &mut Image) -> Result<(), ImageError> {
    let all = (engine.worker_count() * SLOTS) as u64;
    for (what, value) in [("cached", 0), ("used", 0), ("available", all)] {
        image.gauge(&format!("/buffer-pools/default-numa-0/{what}"), value)?;
    }
    Ok(())
}
