//! What the statistics segment holds, read from the engine under VPP's names.

mod rows;

use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use vpp_api::stats::{Combined, Image, ImageError};
use vswitch::SwIfIndex;
use vswitch::counters::{InterfaceCounters, NodeCounter, WorkerCounters};
use vswitch::graph::{DropReason, NODES, NodeId};

use crate::engine::Engine;

/// Bytes of the segment, as VPP's default; what is never written costs nothing.
pub const SEGMENT_BYTES: u64 = 32 << 20;

type Packets = fn(&InterfaceCounters) -> vswitch::counters::Combined;
type Number = fn(&InterfaceCounters) -> u64;
type OfNode = fn(NodeCounter) -> u64;

const COMBINED: [(&str, Packets); 2] = [
    ("rx", |counters| counters.rx),
    ("tx", |counters| counters.tx),
];
const SIMPLE: [(&str, Number); 5] = [
    ("drops", |counters| counters.drops),
    ("rx-error", |counters| counters.rx_errors),
    ("tx-error", |counters| counters.tx_errors),
    ("ip4", |counters| counters.ip4),
    ("ip6", |counters| counters.ip6),
];
/// Counters of VPP's that never move here: MPLS is not there, a queue that runs empty or full is the device's to count,
/// punted packets are answered in the graph. Clients look them up by name.
const SIMPLE_ZERO: [&str; 4] = ["rx-no-buf", "rx-miss", "punt", "mpls"];
/// The same for those that VPP counts only after `collect_detailed_interface_stats`.
const COMBINED_ZERO: [&str; 6] = [
    "rx-unicast",
    "rx-multicast",
    "rx-broadcast",
    "tx-unicast",
    "tx-multicast",
    "tx-broadcast",
];

const NODE_COUNTERS: [(&str, OfNode); 2] = [
    ("calls", |node| node.calls),
    ("vectors", |node| node.vectors),
];

/// Reads everything that is published.
///
/// # Errors
/// When a name is too long for the segment.
pub fn collect(engine: &Engine) -> Result<Image, ImageError> {
    let mut image = Image::new();
    system(engine, &mut image)?;
    nodes(engine, &mut image)?;
    interfaces(engine, &mut image)?;
    services(engine, &mut image)?;
    rows::collect(engine, &mut image)?;
    errors(engine, &mut image)?;
    functions(engine, &mut image)?;
    Ok(image)
}

fn system(engine: &Engine, image: &mut Image) -> Result<(), ImageError> {
    let now = std::time::Duration::from_nanos(engine.now().0);
    let (panics, lost) = engine.mishaps();
    let boot = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
        .saturating_sub(now);
    image.scalar("/sys/heartbeat", now.as_secs())?;
    image.scalar("/sys/boottime", boot.as_secs())?;
    // Times are published as the bits of a floating-point number of seconds.
    image.scalar("/sys/last_update", now.as_secs_f64().to_bits())?;
    image.scalar("/sys/num_worker_threads", engine.worker_count() as u64)?;
    image.scalar("/sys/worker_panics", panics)?;
    image.scalar("/sys/notices_lost", lost)
}

fn nodes(engine: &Engine, image: &mut Image) -> Result<(), ImageError> {
    let nodes = engine.dataplane.node_counters();
    let (calls, vectors) = nodes.iter().fold((0, 0), |(calls, vectors), node| {
        (calls + node.calls, vectors + node.vectors)
    });
    image.gauge(
        "/sys/vector_rate",
        vectors.checked_div(calls).unwrap_or_default(),
    )?;
    let names: Vec<_> = nodes.iter().map(|node| Some(node.name)).collect();
    image.names("/sys/node/names", &names)?;
    let workers = engine.dataplane.worker_counters();
    let table = |read: fn(NodeCounter) -> u64| {
        let row = |w: &Arc<WorkerCounters>| NodeId::ALL.iter().map(|n| read(w.node(*n))).collect();
        let mut rows = vec![vec![0; NODES]];
        rows.extend(workers.iter().map(row));
        rows
    };
    for (what, read) in NODE_COUNTERS {
        image.simple(&format!("/sys/node/{what}"), &table(read))?;
    }
    for (what, _) in NODE_COUNTERS {
        for (at, node) in nodes.iter().enumerate() {
            let path = format!("/nodes/{}/{what}", node.name);
            image.symlink(&path, &format!("/sys/node/{what}"), narrow(at))?;
        }
    }
    // Per worker, as vectors per call in whole numbers.
    let mut rates = vec![vec![0]];
    rates.extend(workers.iter().map(|worker| {
        let all = NodeId::ALL.iter().map(|node| worker.node(*node));
        let (calls, vectors) = all.fold((0, 0), |(c, v), n| (c + n.calls, v + n.vectors));
        vec![vectors.checked_div(calls).unwrap_or_default()]
    }));
    image.simple("/sys/vector_rate_per_worker", &rates)
}

/// Drops by node and reason: one table, and a name for each column that ever counted.
fn errors(engine: &Engine, image: &mut Image) -> Result<(), ImageError> {
    let workers = engine.dataplane.worker_counters();
    let pairs = NodeId::ALL
        .iter()
        .flat_map(|node| DropReason::ALL.iter().map(move |reason| (*node, *reason)));
    let counted: Vec<_> = pairs
        .filter(|(node, reason)| workers.iter().any(|w| w.error(*node, *reason) > 0))
        .collect();
    let mut rows = vec![vec![0; counted.len()]];
    rows.extend(workers.iter().map(|worker| {
        let each = counted
            .iter()
            .map(|(node, reason)| worker.error(*node, *reason));
        each.collect()
    }));
    image.simple("/node/errors", &rows)?;
    for (at, (node, reason)) in counted.iter().enumerate() {
        image.symlink(&format!("/err/{node}/{reason}"), "/node/errors", narrow(at))?;
    }
    Ok(())
}

/// Flows that chose a back-end, by translation; VPP, too, counts the first packet of each flow only.
fn services(engine: &Engine, image: &mut Image) -> Result<(), ImageError> {
    let (sessions, _) = engine.dataplane.cnat_session_memory();
    // An entry per direction; VPP counts flows.
    image.gauge("/cnat/sessions/total", (sessions / 2) as u64)?;
    let mut row = Vec::new();
    for info in engine.dataplane.cnat_translations() {
        row.resize((info.id as usize).max(row.len()), Combined::default());
        row.push(Combined {
            packets: info.chosen.packets,
            bytes: info.chosen.bytes,
        });
    }
    image.combined("/net/cnat-translation", &[row])
}

/// Packet functions, by index, over all workers; a part of the segment that VPP does not have.
fn functions(engine: &Engine, image: &mut Image) -> Result<(), ImageError> {
    let mut names = Vec::new();
    let mut rows: [Vec<u64>; 5] = Default::default();
    for info in engine.dataplane.functions() {
        let of = engine.dataplane.function_counters(info.index);
        let counts = [of.packets, of.drops, of.changed, of.undecided, of.faults];
        let at = info.index as usize;
        names.resize(at, None);
        names.push(Some(info.name.as_str()));
        for (row, count) in rows.iter_mut().zip(counts) {
            row.resize(at, 0);
            row.push(count);
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    image.names("/weft/function/names", &names)?;
    let columns = ["packets", "drops", "changed", "undecided", "faults"];
    for (what, row) in columns.into_iter().zip(rows) {
        image.simple(&format!("/weft/function/{what}"), &[row])?;
    }
    Ok(())
}

/// A row per thread: first the main thread, which moves no packets, then the workers.
fn interfaces(engine: &Engine, image: &mut Image) -> Result<(), ImageError> {
    let names = names(engine);
    image.names("/if/names", &names)?;
    let mut rows = vec![vec![InterfaceCounters::default(); names.len()]];
    for thread in engine.dataplane.worker_counters() {
        let all = (0..names.len()).map(|at| thread.interface(SwIfIndex(narrow(at))));
        rows.push(all.collect());
    }
    for (what, read) in COMBINED {
        let of = |counters: &InterfaceCounters| {
            let value = read(counters);
            Combined {
                packets: value.packets,
                bytes: value.bytes,
            }
        };
        let table: Vec<Vec<Combined>> = rows
            .iter()
            .map(|row| row.iter().map(of).collect())
            .collect();
        image.combined(&format!("/if/{what}"), &table)?;
    }
    for (what, read) in SIMPLE {
        let table: Vec<Vec<u64>> = rows
            .iter()
            .map(|row| row.iter().map(read).collect())
            .collect();
        image.simple(&format!("/if/{what}"), &table)?;
    }
    let zero = vec![vec![0; names.len()]; rows.len()];
    for what in SIMPLE_ZERO {
        image.simple(&format!("/if/{what}"), &zero)?;
    }
    let zero = vec![vec![Combined::default(); names.len()]; rows.len()];
    for what in COMBINED_ZERO {
        image.combined(&format!("/if/{what}"), &zero)?;
    }
    let columns = COMBINED
        .iter()
        .map(|(what, _)| what)
        .chain(SIMPLE.iter().map(|(what, _)| what))
        .chain(&SIMPLE_ZERO)
        .chain(&COMBINED_ZERO);
    for what in columns {
        for (at, name) in names.iter().enumerate() {
            let Some(name) = name else { continue };
            // VPP writes `memif1/0` as `memif1_0` in paths.
            let path = format!("/interfaces/{}/{what}", name.replace('/', "_"));
            image.symlink(&path, &format!("/if/{what}"), narrow(at))?;
        }
    }
    Ok(())
}

/// Names by interface index; an index that is not in use has none.
fn names(engine: &Engine) -> Vec<Option<&str>> {
    let mut names = Vec::new();
    for info in engine.dataplane.interfaces() {
        let at = info.sw_if_index.0 as usize;
        if names.len() <= at {
            names.resize(at + 1, None);
        }
        if let Some(place) = names.get_mut(at) {
            *place = Some(info.name.as_str());
        }
    }
    names
}

fn narrow(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}
