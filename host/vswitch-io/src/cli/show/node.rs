//! `show errors`, `show runtime`, `show trace`.

use std::fmt::{self, Write};

use vswitch::graph::NodeId;

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
            "{:^28}{:>12}{:>16}{:>16}{:>14}",
            "Name", "State", "Calls", "Vectors", "Vectors/Call"
        )?;
        let nodes = NodeId::ALL.iter().map(|node| worker.node(*node));
        for node in nodes.filter(|node| node.calls > 0) {
            let hundredths = node.vectors * 100 / node.calls;
            let rate = format!("{}.{:02}", hundredths / 100, hundredths % 100);
            writeln!(
                out,
                "{:<28}{:>12}{:>16}{:>16}{rate:>14}",
                node.name, "active", node.calls, node.vectors
            )?;
        }
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
