//! Frames from memif to memif through one worker of a dataplane. What is measured is in one file per [`Scenario`].

mod cnat;
mod cross_connect;
mod ip4;
mod ip6;
mod npol;
mod srv6;
mod vxlan;

use std::cell::RefCell;

use anyhow::Context;
use vpp_api::interface_types::InterfaceIndex;

use super::Setting;
use crate::contest::{Contender, interleave};
use crate::dataplane::{Dataplane, Engine, VPP, engines};
use crate::memif::Counted;
use crate::process::{Place, output};
use crate::report::{Better, CaseReport, Metric};
use crate::statistics::Summary;
use crate::traffic::{Size, Traffic};

/// A way through the dataplane.
pub(super) struct Scenario {
    pub(super) name: &'static str,
    /// The ratio to VPP that is asked for.
    bar: f64,
    sizes: &'static [Size],
    pub(super) traffic: Traffic,
    /// Routed networks that frames go to; 0 for the connected ones.
    pub(super) networks: u32,
    /// Most samples of each contender, where setting it up takes long.
    rounds_max: usize,
    /// Sets both memifs up.
    pub(super) configure: Configure,
    /// What weft-vswitch is measured against instead of VPP: itself, under a name and set up otherwise.
    plain: Option<(&'static str, Configure)>,
}

type Configure = fn(&Dataplane, [InterfaceIndex; 2]) -> anyhow::Result<()>;

pub(super) const CROSS_CONNECT: &str = cross_connect::SCENARIO.name;

const ALL_SIZES: &[Size] = &[Size::Bytes(64), Size::Imix, Size::Bytes(1500)];
const SMALL: &[Size] = &[Size::Bytes(64)];
const ENDS: &[Size] = &[Size::Bytes(64), Size::Bytes(1500)];

pub(super) fn scenarios() -> Vec<Scenario> {
    let mut all = vec![cross_connect::SCENARIO];
    all.extend(ip4::SCENARIOS);
    all.extend([ip6::SCENARIO, vxlan::SCENARIO]);
    all.extend(srv6::SCENARIOS);
    all.extend(npol::SCENARIOS);
    all.push(cnat::SCENARIO);
    all
}

pub(super) fn run(setting: &Setting) -> CaseReport {
    let mut report = CaseReport {
        title: "memif to memif through one worker, both directions together".into(),
        method: vec![
            "The dataplane, with one worker, on core 1; on core 0 one process that sends on both memifs and counts what comes out of both (headers read in place). The dataplane is the memif server.".into(),
            "Sum of both directions, of frames that arrived. IMIX is 7 : 4 : 1 of 64, 594 and 1500 B. Routes are /24 networks, half of them behind each side; every frame goes to one of them at random, after one to each.".into(),
            "VXLAN and SRv6: encapsulation one way, decapsulation the other; sizes are those of the inner frames. SRv6 has one segment, so no routing header.".into(),
            "npol: VPP asks its policies from cnat's nodes, so there cnat is on, too.".into(),
            "The kernel has no memif: it is the peer of the case `tcp`.".into(),
        ],
        ..CaseReport::default()
    };
    let engines = engines(setting, &mut report.skipped);
    for scenario in scenarios() {
        let sizes = match scenario.sizes {
            [first, .., last] if setting.run.quick => &[*first, *last][..],
            sizes => sizes,
        };
        for size in sizes {
            measure(setting, &engines, &scenario, *size, &mut report);
        }
    }
    report
}

fn measure(
    setting: &Setting,
    engines: &[Engine],
    scenario: &Scenario,
    size: Size,
    report: &mut CaseReport,
) {
    let held_back = RefCell::new(Vec::new());
    let contender = |engine: &Engine, name: &'static str, configure: Configure| {
        let (engine, held_back) = (engine.clone(), &held_back);
        let sample = move || {
            let counted = one_sample(setting, &engine, scenario, size, configure)?;
            if matches!(engine, Engine::Weft(_)) {
                held_back.borrow_mut().push(counted.held_back);
            }
            Ok(vec![counted.mpps()])
        };
        Contender::new(name, sample)
    };
    let mut contenders = Vec::new();
    for engine in engines {
        let own = contender(engine, engine.name(), scenario.configure);
        match (engine, scenario.plain) {
            (Engine::Weft(_), Some((plain, configure))) => {
                contenders.push(own.against(plain, scenario.bar));
                contenders.push(contender(engine, plain, configure));
            }
            (Engine::Weft(_), None) => contenders.push(own.against(VPP, scenario.bar)),
            (Engine::Vpp(_), _) => contenders.push(own),
        }
    }
    let label = format!("{}, {}", scenario.name, size.name());
    let metric = Metric::new(label, "Mpps", Better::Higher);
    let groups = interleave(
        setting.run.rounds.min(scenario.rounds_max),
        std::slice::from_ref(&metric),
        contenders,
        &mut report.skipped,
    );
    report.groups.extend(groups);
    if let Some(share) = Summary::of(&held_back.into_inner()) {
        report.notes.push(format!(
            "{}: weft-vswitch held the generator back in {:.0} % of its bursts; near 100 % it is the worker that limits, near 0 % the generator.",
            metric.label, share.median * 100.0
        ));
    }
}

fn one_sample(
    setting: &Setting,
    engine: &Engine,
    scenario: &Scenario,
    size: Size,
    configure: Configure,
) -> anyhow::Result<Counted> {
    let dataplane = Dataplane::start(engine, Place::core(1))?;
    configure(&dataplane, dataplane.memifs()?)?;
    pump(
        setting,
        &dataplane,
        scenario.traffic,
        size,
        scenario.networks,
    )
}

/// Sends on memifs 0 and 1 of a dataplane and counts what comes out of both.
pub(super) fn pump(
    setting: &Setting,
    dataplane: &Dataplane,
    traffic: Traffic,
    size: Size,
    networks: u32,
) -> anyhow::Result<Counted> {
    let mut pump = Place::core(0).command(None, &setting.own);
    pump.arg("pump")
        .arg("--socket")
        .arg(dataplane.memif_socket());
    pump.args(["--size", &size.argument().to_string()]);
    pump.args(["--traffic", traffic.name()]);
    pump.args(["--networks", &networks.to_string()]);
    pump.args(["--seconds", &setting.run.seconds.to_string()]);
    serde_json::from_str(&output(&mut pump)?).context("read the count")
}
