//! Instructions per packet: of the whole way through a worker, and of each graph node. They do not depend on how busy the
//! machine is, so that a change that makes the path longer shows.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, bail};

use super::Setting;
use super::forward::{self, Scenario, scenarios};
use crate::callgrind::{self, PROGRAM, Profile};
use crate::dataplane::{Dataplane, Engine};
use crate::process::{Place, find, output};
use crate::report::{Better, CaseReport, Group, Metric, Row, Skip};
use crate::traffic::Size;

/// The worker's function that takes a burst from a queue through the graph to other queues.
const SERVE: &str = "vswitch_io::worker::Worker::serve";
/// Batches of the two runs in memory whose difference is what packets cost.
const BATCHES: [u32; 2] = [16, 80];
const BATCH: u32 = 256;
/// Ways of the example `graph` of the crate `vswitch`.
const IN_MEMORY: [&str; 7] = [
    "l2",
    "ip4",
    "ip6",
    "npol",
    "cnat",
    "vxlan-encap",
    "vxlan-decap",
];

/// Flows of a scenario that has more: valgrind is slow, and a flow's first packet is not what is measured.
const FLOWS_MAX: u32 = 1000;

pub(super) fn run(setting: &Setting) -> CaseReport {
    let mut report = CaseReport {
        title: "instructions per packet (callgrind)".into(),
        method: vec![
            format!("`memif to memif`: everything under `{SERVE}` of a release build, empty polls included, divided by the packets that both interfaces received; generator as in the case `forward`, outside of valgrind."),
            "Per node: the example `graph` in memory, runs of 16 and 80 batches of 256 packets of 64 B; their difference. A node that another one does the work of is part of that one.".into(),
        ],
        ..CaseReport::default()
    };
    if find(PROGRAM).is_none() {
        let why = format!("`{PROGRAM}` is not installed; hint: apt-get install valgrind");
        report.skipped.push(Skip::new("the case", why));
        return report;
    }
    let program = setting
        .programs
        .get("vswitch-io", "weft-vswitch", &mut report.skipped);
    if let Some(program) = program {
        whole(setting, &Engine::Weft(program), &mut report);
    }
    match setting.programs.graph_example() {
        Ok(example) => nodes(&example, &mut report),
        Err(error) => report
            .skipped
            .push(Skip::new("graph nodes", format!("{error:#}"))),
    }
    report
}

fn metric(label: impl Into<String>) -> Metric {
    Metric::new(label, "instructions/packet", Better::Lower)
}

fn row(name: impl Into<String>, value: f64) -> Row {
    Row {
        name: name.into(),
        peer: None,
        bar: None,
        samples: vec![value],
    }
}

fn whole(setting: &Setting, engine: &Engine, report: &mut CaseReport) {
    let mut rows = Vec::new();
    let mut sample = |scenario: &Scenario, size: Size| {
        let name = format!("{}, {}", scenario.name, size.name());
        match through_worker(setting, engine, scenario, size) {
            Ok(cost) => rows.push(row(name, cost)),
            Err(error) => report.skipped.push(Skip::new(name, format!("{error:#}"))),
        }
    };
    for scenario in scenarios() {
        // Setting that many routes up takes too long here, and costs no more instructions per packet.
        if scenario.name.contains("000 routes") {
            continue;
        }
        sample(&scenario, Size::Bytes(64));
        if scenario.name == forward::CROSS_CONNECT {
            sample(&scenario, Size::Bytes(1500));
        }
    }
    report.groups.push(Group {
        metric: metric("memif to memif"),
        rows,
    });
}

fn through_worker(
    setting: &Setting,
    engine: &Engine,
    scenario: &Scenario,
    size: Size,
) -> anyhow::Result<f64> {
    let dir = tempfile::tempdir()?;
    let out = dir.path().join("callgrind.out");
    let under = callgrind::arguments(&out, Some(SERVE));
    let mut dataplane = Dataplane::start_under(&under, engine, Place::core(1))?;
    (scenario.configure)(&dataplane, dataplane.memifs()?)?;
    let mut pump = Place::core(0).command(None, &setting.own);
    pump.arg("pump")
        .arg("--socket")
        .arg(dataplane.memif_socket());
    pump.args(["--seconds", "0.5", "--traffic", scenario.traffic.name()]);
    pump.args(["--size", &size.argument().to_string()]);
    let flows = scenario.networks.min(FLOWS_MAX);
    pump.args(["--networks", &flows.to_string()]);
    output(&mut pump)?;
    let packets = received(&dataplane.cli("show interface")?);
    dataplane.process().terminate()?;
    let profile = callgrind::read(&out)?;
    if packets == 0 {
        bail!("no packet was received");
    }
    Ok(per(profile.total, packets))
}

/// Packets that the devices received, of what `show interface` says. What came out of a tunnel came in by a device.
fn received(text: &str) -> u64 {
    let mut is_device = false;
    let mut sum = 0;
    for line in text.lines() {
        if !line.starts_with(' ') {
            is_device = line.starts_with("memif");
        }
        if is_device && let Some((_, count)) = line.split_once("rx packets") {
            sum += count.trim().parse::<u64>().unwrap_or(0);
        }
    }
    sum
}

fn nodes(example: &Path, report: &mut CaseReport) {
    for way in IN_MEMORY {
        match by_node(example, way) {
            Ok(costs) => {
                let rows = costs.into_iter().map(|(name, cost)| row(name, cost));
                report.groups.push(Group {
                    metric: metric(format!("{way}, by node")),
                    rows: rows.collect(),
                });
            }
            Err(error) => report.skipped.push(Skip::new(way, format!("{error:#}"))),
        }
    }
}

fn by_node(example: &Path, way: &str) -> anyhow::Result<BTreeMap<String, f64>> {
    let dir = tempfile::tempdir()?;
    let profile = |batches: u32| -> anyhow::Result<Profile> {
        let out = dir.path().join(batches.to_string());
        let arguments = callgrind::arguments(&out, None);
        let (program, arguments) = arguments.split_first().context("a profiler is a program")?;
        let mut command = Command::new(program);
        command.args(arguments).arg(example);
        output(command.args([way, &batches.to_string()]))?;
        callgrind::read(&out)
    };
    let [few, many] = [profile(BATCHES[0])?, profile(BATCHES[1])?];
    let packets = u64::from((BATCHES[1] - BATCHES[0]) * BATCH);
    let mut costs = BTreeMap::new();
    for (function, cost) in &many.inclusive {
        let name = match node(function) {
            Some(node) => node,
            None if function.contains("vswitch::worker::Worker") && function.contains("run") => {
                "(the whole graph)".to_owned()
            }
            None => continue,
        };
        let before = few.inclusive.get(function).copied().unwrap_or(0);
        *costs.entry(name).or_default() += per(cost.saturating_sub(before), packets);
    }
    if costs.is_empty() {
        bail!("the profile names no graph node");
    }
    Ok(costs)
}

/// The node of a function `…::each::<vswitch::node::NAME::process>`.
fn node(function: &str) -> Option<String> {
    let (_, of) = function.split_once("::each::<")?;
    let (_, name) = of.split_once("::node::")?;
    Some(name.split("::").next()?.replace('_', "-"))
}

#[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
fn per(cost: u64, packets: u64) -> f64 {
    cost as f64 / packets as f64
}

impl crate::programs::Programs {
    /// The example `graph`, built so that functions keep the names of what they are made for.
    fn graph_example(&self) -> anyhow::Result<PathBuf> {
        self.example("vswitch", "graph", "-Csymbol-mangling-version=v0")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_in_the_names_of_functions() {
        let name = "<vswitch::graph::Graph>::each::<vswitch::node::ip4_input::process>";
        assert_eq!(node(name).as_deref(), Some("ip4-input"));
        assert_eq!(node("vswitch::graph::Graph::run"), None);
    }

    #[test]
    fn packets_of_devices_are_summed_up() {
        let text = "Name  Idx\nmemif1/0   1 up\n      rx packets     10\n      rx bytes    640\n\
                    vxlan_tunnel0 3 up\n      rx packets    5\nmemif1/1 2 up     rx packets 7\n";
        assert_eq!(received(text), 17);
    }
}
