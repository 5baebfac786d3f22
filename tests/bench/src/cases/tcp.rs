//! One TCP stream between two pods, of one node and of two.

mod af_packet;
mod two_nodes;

use std::net::Ipv4Addr;
use std::path::Path;

use tempfile::TempDir;

use super::Setting;
use crate::contest::{Contender, interleave};
use crate::dataplane::{Dataplane, Engine, VPP, engines};
use crate::iperf;
use crate::process::{Place, find};
use crate::report::{Better, CaseReport, Metric, Skip};
use crate::sandbox::{Namespace, ip, is_inside};

const KERNEL: &str = "kernel veth + bridge";
const KERNEL_VXLAN: &str = "kernel VXLAN + bridge";
const MTU: u32 = 1450;
const MTU_TEXT: &str = "1450";

pub(super) fn run(setting: &Setting) -> CaseReport {
    let mut report = CaseReport {
        title: "TCP from pod to pod".into(),
        method: vec![
            "iperf3, one stream, client on core 0, server on core 1, MTU 1450 on both sides, rate at the receiver. Fresh namespaces and interfaces for each sample.".into(),
            "Two nodes: a dataplane per node, VXLAN over a veth pair of MTU 1500; the kernel's peer is its VXLAN device in a bridge per node.".into(),
            "AF_PACKET: the pods' veth pairs end at the dataplane, which bridges; both dataplanes segment and check sums as the kernel lets them. VPP's worker polls, on core 0.".into(),
            "weft-vswitch has one worker that may run on any core; the kernel does its part in the sender's context. On two cores three busy threads share two processors, which the kernel's path does not need; on a busy machine the third thread is also a third share of it, so that a ratio from there flatters weft-vswitch.".into(),
        ],
        ..CaseReport::default()
    };
    if find("iperf3").is_none() {
        report.skipped.push(Skip::new(
            "the case",
            "`iperf3` is not installed; hint: apt-get install iperf3",
        ));
        return report;
    }
    if !is_inside() {
        report
            .skipped
            .push(Skip::new("the case", "it needs network namespaces"));
        return report;
    }
    let engines = engines(setting, &mut report.skipped);
    let (mut contenders, mut across) = (Vec::new(), Vec::new());
    if let Some(engine) = engines.iter().find(|e| matches!(e, Engine::Weft(_))) {
        for (name, routed) in [
            ("weft-vswitch, routed", true),
            ("weft-vswitch, bridge domain", false),
        ] {
            let engine = engine.clone();
            let sample = move || Ok(vec![ours(setting, &engine, routed)?]);
            contenders.push(Contender::new(name, sample).against(KERNEL, 0.7));
        }
        let sample = move || Ok(vec![two_nodes::ours(setting, engine)?]);
        across.push(Contender::new("weft-vswitch", sample).against(KERNEL_VXLAN, 0.7));
    }
    contenders.push(Contender::new(KERNEL, || Ok(vec![kernel(setting)?])));
    across.push(Contender::new(KERNEL_VXLAN, || {
        Ok(vec![two_nodes::kernel(setting)?])
    }));
    let one = Metric::new("one node, one stream", "Gbit/s", Better::Higher);
    let two = Metric::new("two nodes, one stream", "Gbit/s", Better::Higher);
    let held = Metric::new(
        "one node by AF_PACKET, one stream",
        "Gbit/s",
        Better::Higher,
    );
    let holders = engines.iter().map(|engine| {
        let sample = move || Ok(vec![af_packet::bridged(setting, engine)?]);
        let contender = Contender::new(engine.name(), sample);
        match engine {
            Engine::Weft(_) => contender.against(VPP, 1.0),
            Engine::Vpp(_) => contender,
        }
    });
    let holders = holders.collect();
    for (metric, contenders) in [(one, contenders), (two, across), (held, holders)] {
        let groups = interleave(
            setting.run.rounds,
            &[metric],
            contenders,
            &mut report.skipped,
        );
        report.groups.extend(groups);
    }
    report
}

fn ours(setting: &Setting, engine: &Engine, routed: bool) -> anyhow::Result<f64> {
    let (a, b) = (Namespace::new("a")?, Namespace::new("b")?);
    let dataplane = Dataplane::start(engine, Place::ANYWHERE)?;
    let mut taps = Vec::new();
    for (pod, n) in [(&a, 1), (&b, 2)] {
        if routed {
            let gateway = Ipv4Addr::new(10, 1, n, 1);
            let tap = dataplane.tap(pod, Ipv4Addr::new(10, 1, n, 2), Some(gateway), MTU)?;
            dataplane.address(tap, gateway)?;
        } else {
            taps.push(dataplane.tap(pod, Ipv4Addr::new(10, 2, 0, n), None, MTU)?);
        }
    }
    if !routed {
        dataplane.bridge(&taps)?;
    }
    let server = if routed { "10.1.2.2" } else { "10.2.0.2" };
    stream(setting, &a, &b, server, dataplane.dir.path())
}

fn kernel(setting: &Setting) -> anyhow::Result<f64> {
    let (node, a, b) = (
        Namespace::new("node")?,
        Namespace::new("a")?,
        Namespace::new("b")?,
    );
    node.ip(&["link", "add", "br0", "type", "bridge"])?;
    node.ip(&["link", "set", "br0", "up"])?;
    for (pod, port, address) in [(&a, "a0", "10.3.0.1/24"), (&b, "b0", "10.3.0.2/24")] {
        ip(&[
            "-n", &node.name, "link", "add", port, "mtu", MTU_TEXT, "type", "veth", "peer", "name",
            "eth0", "mtu", MTU_TEXT, "netns", &pod.name,
        ])?;
        node.ip(&["link", "set", port, "master", "br0", "up"])?;
        pod.ip(&["addr", "add", address, "dev", "eth0"])?;
        pod.ip(&["link", "set", "eth0", "up"])?;
    }
    let dir = TempDir::new()?;
    stream(setting, &a, &b, "10.3.0.2", dir.path())
}

fn stream(
    setting: &Setting,
    client: &Namespace,
    server: &Namespace,
    address: &str,
    dir: &Path,
) -> anyhow::Result<f64> {
    let log = dir.join("iperf3.log");
    iperf::tcp(
        &client.name,
        &server.name,
        address,
        setting.run.seconds,
        &log,
    )
}
