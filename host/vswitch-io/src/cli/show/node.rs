//! `show errors`, `show runtime`, `show trace`, `show buffers`, `show threads`.

use std::fmt::{self, Write};

use vswitch::graph::NodeId;

use crate::device::pool::{SLOT_LEN, SLOTS};
use crate::engine::Engine;

pub(super) fn errors(engine: &Engine, out: &mut String) -> fmt::Result {
    writeln!(out, "{:^10}{:^28}{:^50}Severity", "Count", "Node", "Reason")?;
    let all = engine.dataplane.error_counters().into_iter();
    for error in all.filter(|error| error.count > 0) {
        writeln!(
            out,
            "{:>10}{:>28}  {:<48}error",
            error.count, error.node, error.reason
        )?;
    }
    let (panics, lost) = engine.mishaps();
    for (count, reason) in [(panics, "panics"), (lost, "notices lost")] {
        if count > 0 {
            writeln!(out, "{count:>10}{:>28}  {reason:<48}error", "worker")?;
        }
    }
    Ok(())
}

pub(super) fn runtime(engine: &Engine, out: &mut String) -> fmt::Result {
    for (at, worker) in engine.dataplane.worker_counters().iter().enumerate() {
        writeln!(out, "---------------\nThread {} worker-{at}", at + 1)?;
        writeln!(
            out,
            "{:^28}{:>12}{:>16}{:>16}{:>16}{:>14}",
            "Name", "State", "Calls", "Vectors", "Suspends", "Vectors/Call"
        )?;
        let nodes = NodeId::ALL.iter().map(|node| worker.node(*node));
        for node in nodes.filter(|node| node.calls > 0) {
            let hundredths = node.vectors * 100 / node.calls;
            let rate = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            writeln!(
                out,
                "{:<28}{:>12}{:>16}{:>16}{:>16}{rate:>14}",
                node.name, "active", node.calls, node.vectors, 0
            )?;
        }
    }
    Ok(())
}

/// The slots of the workers; between two batches all are free.
pub(super) fn buffers(engine: &Engine, out: &mut String) -> fmt::Result {
    writeln!(
        out,
        "{:<20}{:>6}{:>5}{:>7}{:>11}{:>7}{:>7}{:>8}{:>7}",
        "Pool Name", "Index", "NUMA", "Size", "Data Size", "Total", "Avail", "Cached", "Used"
    )?;
    let all = engine.worker_count() * SLOTS;
    writeln!(
        out,
        "{:<20}{:>6}{:>5}{SLOT_LEN:>7}{SLOT_LEN:>11}{all:>7}{all:>7}{:>8}{:>7}",
        "default-numa-0", 0, 0, 0, 0
    )
}

pub(super) fn threads(engine: &Engine, out: &mut String) -> fmt::Result {
    writeln!(out, "{:<7}{:<20}Type", "ID", "Name")?;
    writeln!(out, "{:<7}vpp_main", 0)?;
    for worker in 0..engine.worker_count() {
        writeln!(
            out,
            "{:<7}{:<20}workers",
            worker + 1,
            format!("worker-{worker}")
        )?;
    }
    Ok(())
}

pub(super) fn clock(engine: &Engine, out: &mut String) -> fmt::Result {
    let now = std::time::Duration::from_nanos(engine.now().0);
    writeln!(out, "Time now {}.{:06}", now.as_secs(), now.subsec_micros())
}

/// Modules of the API, named as VPP does: with the checksum of the whole module.
pub(super) fn modules(out: &mut String) -> fmt::Result {
    writeln!(out, "Plugin API modules...\n{:<50} Version", "Name")?;
    for module in vpp_api::MODULES {
        let name = format!("{}_{:08x}", module.name, module.crc);
        writeln!(out, "{name:<50} {}", module.version)?;
    }
    Ok(())
}

pub(super) fn trace(engine: &Engine, out: &mut String) -> fmt::Result {
    for (worker, packets) in engine.traced().into_iter().enumerate() {
        writeln!(
            out,
            "------------------- Start of thread {} worker-{worker} -------------------",
            worker + 1
        )?;
        if packets.is_empty() {
            writeln!(out, "No packets in trace buffer")?;
        }
        for (number, packet) in packets.iter().enumerate() {
            writeln!(out, "Packet {}\n\n{packet}", number + 1)?;
        }
    }
    Ok(())
}
