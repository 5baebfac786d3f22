//! What the statistics segment holds, read from the engine under VPP's names.

use vpp_api::stats::{Combined, Image, ImageError};
use vswitch::SwIfIndex;
use vswitch::counters::InterfaceCounters;

use crate::engine::Engine;

/// Bytes of the segment, as VPP's default; what is never written costs nothing.
pub const SEGMENT_BYTES: u64 = 32 << 20;

type Packets = fn(&InterfaceCounters) -> vswitch::counters::Combined;
type Number = fn(&InterfaceCounters) -> u64;

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
    for error in engine.dataplane.error_counters() {
        image.simple(
            &format!("/err/{}/{}", error.node, error.reason),
            &[vec![error.count]],
        )?;
    }
    Ok(image)
}

fn system(engine: &Engine, image: &mut Image) -> Result<(), ImageError> {
    let now = std::time::Duration::from_nanos(engine.now().0);
    let (panics, lost) = engine.mishaps();
    image.scalar("/sys/heartbeat", now.as_secs())?;
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
    image.names(
        "/sys/node/names",
        &nodes.iter().map(|node| Some(node.name)).collect::<Vec<_>>(),
    )?;
    image.simple(
        "/sys/node/calls",
        &[nodes.iter().map(|node| node.calls).collect()],
    )?;
    image.simple(
        "/sys/node/vectors",
        &[nodes.iter().map(|node| node.vectors).collect()],
    )
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
    let columns = COMBINED
        .iter()
        .map(|(what, _)| what)
        .chain(SIMPLE.iter().map(|(what, _)| what));
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
