//! A dataplane without traffic: what it takes from the node, and how fast it wakes.

use std::time::{Duration, Instant};

use anyhow::Context;

use super::Setting;
use crate::contest::{Contender, interleave};
use crate::dataplane::{Dataplane, Engine, VPP, engines};
use crate::process::{Place, output};
use crate::pump::Probed;
use crate::report::{Better, CaseReport, Metric};
use crate::statistics::Summary;

/// How long the processor's time is watched.
const WATCH: Duration = Duration::from_secs(2);
/// Routes whose memory is measured.
const ROUTES: u32 = 100_000;
const PROBES: usize = 50;
/// Ticks of the processor's time in `/proc`, the same on every Linux that we run on.
const TICKS_PER_SECOND: f64 = 100.0;

pub(super) fn run(setting: &Setting) -> CaseReport {
    let mut report = CaseReport {
        title: "a dataplane without traffic".into(),
        method: vec![
            format!(
                "One worker on core 1, two memifs cross-connected, the peer connected and silent. Processor time of the whole process over {} s. Bar: 1 % of a core.",
                WATCH.as_secs()
            ),
            format!(
                "First packet: a frame after 20 ms of silence, from handing it to the ring on core 0 until it comes out of the other memif; {PROBES} of them, median and 90th percentile of each sample. Bar: 100 us."
            ),
            format!(
                "Memory: resident set when the API answers (bar: 64 MiB), and what {ROUTES} routes add, by route."
            ),
        ],
        ..CaseReport::default()
    };
    let metrics = [
        Metric::new("processor", "% of a core", Better::Lower),
        Metric::new("first packet after idle, median", "us", Better::Lower),
        Metric::new("first packet after idle, p90", "us", Better::Lower),
        Metric::new("resident at start", "MiB", Better::Lower),
        Metric::new("memory of a route", "B", Better::Lower),
    ];
    let engines = engines(setting, &mut report.skipped);
    let contenders = engines.iter().map(|engine| {
        let contender = Contender::new(engine.name(), || one_sample(setting, engine));
        match engine {
            Engine::Weft(_) => contender.against(VPP, 1.0),
            Engine::Vpp(_) => contender,
        }
    });
    report.groups = interleave(
        setting.run.rounds.min(3),
        &metrics,
        contenders.collect(),
        &mut report.skipped,
    );
    report
}

fn one_sample(setting: &Setting, engine: &Engine) -> anyhow::Result<Vec<f64>> {
    let mut dataplane = Dataplane::start(engine, Place::core(1))?;
    let at_start = resident(&mut dataplane)?;
    let memifs = dataplane.memifs()?;
    dataplane.cross_connect(memifs)?;
    let mut probe = Place::core(0).command(None, &setting.own);
    probe
        .arg("probe")
        .arg("--socket")
        .arg(dataplane.memif_socket());
    probe.args(["--count", &PROBES.to_string()]);
    let probed: Probed = serde_json::from_str(&output(&mut probe)?).context("read the probes")?;
    let wake = Summary::of(&probed.micros).context("no probe came through")?;
    let busy = processor_time(&mut dataplane)?;
    let start = Instant::now();
    std::thread::sleep(WATCH);
    let busy = processor_time(&mut dataplane)? - busy;
    let share = 100.0 * busy / start.elapsed().as_secs_f64();
    dataplane.route(memifs)?;
    let before = resident(&mut dataplane)?;
    dataplane.networks(memifs, ROUTES)?;
    let grown = resident(&mut dataplane)? - before;
    let mib = at_start / 1024.0 / 1024.0;
    Ok(vec![
        share,
        wake.median,
        wake.p90,
        mib,
        grown / f64::from(ROUTES),
    ])
}

/// Bytes of the dataplane's resident set.
fn resident(dataplane: &mut Dataplane) -> anyhow::Result<f64> {
    let text = proc_file(dataplane, "status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
    Ok(kib.context("`/proc` has no resident set")? * 1024.0)
}

/// Seconds of processor time so far, in user and kernel mode (proc(5), fields 14 and 15 of `stat`).
fn processor_time(dataplane: &mut Dataplane) -> anyhow::Result<f64> {
    let text = proc_file(dataplane, "stat")?;
    let (_, behind_name) = text.rsplit_once(')').context("`stat` has a name")?;
    let ticks = behind_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .map(|field| field.parse::<f64>().unwrap_or(0.0));
    Ok(ticks.sum::<f64>() / TICKS_PER_SECOND)
}

fn proc_file(dataplane: &mut Dataplane, name: &str) -> anyhow::Result<String> {
    let path = format!("/proc/{}/{name}", dataplane.process().child.id());
    std::fs::read_to_string(&path).with_context(|| format!("read `{path}`"))
}
