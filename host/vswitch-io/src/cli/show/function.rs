//! `show function`.

use std::fmt::{self, Write};

use vswitch::function::{FunctionInfo, Side};

use super::name;
use crate::engine::Engine;

pub(super) fn run(engine: &Engine, what: &[&str], out: &mut String) -> fmt::Result {
    let only = what.first();
    let all = engine.dataplane.functions();
    for info in all.filter(|info| only.is_none_or(|only| *only == info.name)) {
        function(engine, info, out)?;
    }
    Ok(())
}

fn function(engine: &Engine, info: &FunctionInfo, out: &mut String) -> fmt::Result {
    let mode = if info.fail_open {
        "fail-open"
    } else {
        "fail-closed"
    };
    writeln!(out, "function {} `{}` {mode}", info.index, info.name)?;
    if let Some(spec) = engine.functions.get(&info.index) {
        writeln!(
            out,
            "  module {} memory {} MiB deadline {} ms",
            spec.module.display(),
            spec.memory_mib,
            spec.deadline.as_millis()
        )?;
    }
    let all = engine.dataplane.function_interfaces();
    for (on, side, _) in all.filter(|(_, _, function)| *function == info.index) {
        let side = match side {
            Side::Input => "input",
            Side::Output => "output",
        };
        writeln!(out, "  {side} of {}", name(engine, on))?;
    }
    let counters = engine.dataplane.function_counters(info.index);
    for (what, count) in [
        ("packets", counters.packets),
        ("drops", counters.drops),
        ("changed", counters.changed),
        ("undecided", counters.undecided),
        ("failed calls", counters.faults),
    ] {
        writeln!(out, "  {what:<20}{count:>16}")?;
    }
    for (worker, report) in engine.function_reports(info.index).iter().enumerate() {
        writeln!(
            out,
            "  worker {worker}: {} faults {}",
            report.about, report.faults
        )?;
        if !report.last_fault.is_empty() {
            writeln!(out, "    last fault: {}", report.last_fault)?;
        }
        for (what, count) in &report.counters {
            writeln!(out, "    {what:<30}{count:>16}")?;
        }
    }
    Ok(())
}
