//! `weft lab run DIR`: a lab for one scenario, from nothing to nothing.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use model::ChainStatus;
use runtime::shutdown::Shutdown;

use super::client::{self, SCENARIO_FILE};
use super::control::Status;
use super::demo::{Report, Scenario, play};
use super::{Settings, launch, status};

/// For pods to be attached and chains to be wired.
const READY_PATIENCE: Duration = Duration::from_secs(60);

#[derive(Debug, Args)]
pub(crate) struct Run {
    #[command(flatten)]
    settings: Settings,
    /// Directory with manifests and a demo.yaml.
    directory: PathBuf,
    /// Leave the lab running behind a scenario, until Ctrl-C.
    #[arg(long)]
    keep: bool,
}

pub(crate) fn run(options: Run) -> anyhow::Result<ExitCode> {
    let scenario = Scenario::read(&options.directory.join(SCENARIO_FILE))?;
    let files = client::read(&options.directory)?;
    let mut settings = options.settings;
    settings.nodes = scenario.nodes.unwrap_or(settings.nodes);
    if settings.name == "default" {
        settings.name = format!("run-{}", std::process::id());
    }
    let began = Instant::now();
    let mut report = Report::new();
    report.section(&format!("A lab for {}", options.directory.display()))?;
    // From the main thread: the lab dies with it.
    let running = launch::start(&settings, true)?;
    Report::line(&format!(
        "{} nodes are up after {} ms",
        settings.nodes,
        began.elapsed().as_millis()
    ))?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let lab = running.lab;
    let passed = runtime.block_on(async {
        let mut shutdown = Shutdown::listen()?;
        let scenes = async {
            client::apply_files(&lab, files).await?;
            let status = client::await_ready(&lab, READY_PATIENCE).await?;
            Report::line(&format!(
                "the chain is ready after {} ms",
                began.elapsed().as_millis()
            ))?;
            introduce(&report, &status, &scenario)?;
            play(lab, &settings.name, &scenario, &mut report).await?;
            report.conclude()?;
            anyhow::Ok(Some(report.passed()))
        };
        let outcome = tokio::select! {
            outcome = scenes => outcome,
            signal = shutdown.requested() => {
                crate::say!("\n{signal}: taking the lab down")?;
                Ok(None)
            }
        };
        if options.keep && matches!(outcome, Ok(Some(_))) {
            crate::say!("\nlab `{}` runs until Ctrl-C", settings.name)?;
            shutdown.requested().await;
        }
        if outcome.is_err() {
            explain(&lab).await;
        }
        let down = running.down().await;
        let outcome = outcome?;
        down.map(|()| outcome)
    })?;
    Ok(match passed {
        Some(true) => ExitCode::SUCCESS,
        Some(false) => ExitCode::FAILURE,
        None => ExitCode::from(130),
    })
}

/// The state of a lab that did not become what it should.
async fn explain(lab: &super::place::Record) {
    if let Ok(now) = super::control::status(lab).await {
        let _ = crate::say!("\n{}", status::render(&now));
    }
}

/// Topology, chain and the classifier's decision.
fn introduce(report: &Report, status: &Status, scenario: &Scenario) -> anyhow::Result<()> {
    report.section("Topology")?;
    for node in &status.nodes {
        let pods = status.pods.iter().filter(|(_, p)| p.node == *node);
        let text = |(name, pod): (&String, &super::pod::PodState)| {
            let short = name.rsplit('/').next().unwrap_or(name);
            format!("{short} {}", pod.addresses.join(" "))
        };
        let pods: Vec<String> = pods.map(text).collect();
        Report::line(&format!("{node}: {}", pods.join(", ")))?;
    }
    let name = format!("{}/{}", scenario.namespace, scenario.chain);
    let chain = status.chains.get(&name).and_then(|c| c.status.as_ref());
    report.section(&format!("Chain {name}"))?;
    Report::line(&path(scenario, chain))?;
    report.section("What the classifier decided")?;
    for rule in chain.iter().flat_map(|c| &c.rules) {
        Report::line(rule)?;
    }
    Ok(())
}

fn path(scenario: &Scenario, chain: Option<&ChainStatus>) -> String {
    let mut stations = vec![scenario.client.clone()];
    for hop in chain.iter().flat_map(|c| &c.hops) {
        let node = hop
            .node
            .as_ref()
            .map(ToString::to_string)
            .unwrap_or_default();
        stations.push(format!("[{} @ {node}]", hop.name));
    }
    stations.push(scenario.server.clone());
    stations.join(" --> ")
}
