//! Frames from memif to memif through one worker of a dataplane.

use std::cell::RefCell;
use std::path::PathBuf;

use anyhow::Context;

use super::Setting;
use crate::contest::{Contender, interleave};
use crate::dataplane::{Dataplane, Engine};
use crate::memif::Counted;
use crate::process::{Place, output};
use crate::report::{Better, CaseReport, Metric, Skip};

const SIZES: [usize; 3] = [64, 512, 1500];
const VPP: &str = "VPP";
const VPP_PREFIX: &str = "WEFT_VPP_PREFIX";

#[derive(Clone, Copy)]
enum Path {
    CrossConnect,
    Route,
}

impl Path {
    const fn name(self) -> &'static str {
        match self {
            Self::CrossConnect => "L2 cross-connect",
            Self::Route => "IPv4 forwarding",
        }
    }
}

pub(super) fn run(setting: &Setting) -> CaseReport {
    let mut report = CaseReport {
        title: "memif to memif through one worker, both directions together".into(),
        method: vec![
            "The dataplane, with one worker, on core 1; on core 0 one process that sends on both memifs and counts what comes out of both (headers read in place). The dataplane is the memif server.".into(),
            "Sum of both directions, of frames that arrived. L2: cross-connect. IPv4: UDP between two connected subnets, static neighbours, one flow each way.".into(),
            "The kernel has no memif: it is the peer of the case `tcp`.".into(),
        ],
        ..CaseReport::default()
    };
    let mut engines = Vec::new();
    if let Some(program) = setting
        .programs
        .get("vswitch-io", "weft-vswitch", &mut report.skipped)
    {
        engines.push(Engine::Weft(program));
    }
    match std::env::var_os(VPP_PREFIX).map(PathBuf::from) {
        Some(prefix) if prefix.join("bin/vpp").is_file() => engines.push(Engine::Vpp(prefix)),
        Some(prefix) => {
            let why = format!(
                "`{VPP_PREFIX}` is `{}`, which has no `bin/vpp`",
                prefix.display()
            );
            report.skipped.push(Skip::new(VPP, why));
        }
        None => report.skipped.push(Skip::new(
            VPP,
            format!("`{VPP_PREFIX}` is not set; the bars are ratios to it"),
        )),
    }
    for path in [Path::CrossConnect, Path::Route] {
        for size in SIZES {
            let held_back = RefCell::new(Vec::new());
            let contender = |engine: &Engine| {
                let (engine, held_back) = (engine.clone(), &held_back);
                let name = engine.name();
                let sample = move || {
                    let counted = one_sample(setting, &engine, path, size)?;
                    if matches!(engine, Engine::Weft(_)) {
                        held_back.borrow_mut().push(counted.held_back);
                    }
                    Ok(vec![counted.mpps()])
                };
                let contender = Contender::new(name, sample);
                if name == VPP {
                    contender
                } else {
                    contender.against(VPP, 1.0)
                }
            };
            let contenders = engines.iter().map(contender).collect();
            let metric = Metric::new(format!("{}, {size} B", path.name()), "Mpps", Better::Higher);
            let groups = interleave(
                setting.run.rounds,
                std::slice::from_ref(&metric),
                contenders,
                &mut report.skipped,
            );
            report.groups.extend(groups);
            if let Some(share) = crate::statistics::Summary::of(&held_back.into_inner()) {
                report.notes.push(format!(
                    "{}: weft-vswitch held the generator back in {:.0} % of its bursts; near 100 % it is the worker that limits, near 0 % the generator.",
                    metric.label, share.median * 100.0
                ));
            }
        }
    }
    report
}

fn one_sample(
    setting: &Setting,
    engine: &Engine,
    path: Path,
    size: usize,
) -> anyhow::Result<Counted> {
    let dataplane = Dataplane::start(engine, Place::core(1))?;
    let memifs = dataplane.memifs()?;
    match path {
        Path::CrossConnect => dataplane.cross_connect(memifs)?,
        Path::Route => dataplane.route(memifs)?,
    }
    let mut pump = Place::core(0).command(None, &setting.own);
    pump.arg("memif-pump")
        .arg("--socket")
        .arg(dataplane.memif_socket());
    pump.args([
        "--size",
        &size.to_string(),
        "--seconds",
        &setting.run.seconds.to_string(),
    ]);
    serde_json::from_str(&output(&mut pump)?).context("read the count")
}
