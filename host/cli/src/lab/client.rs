//! The commands that talk to a running lab.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::time::{Instant, interval};

use super::control::{self, Action, Reply, Request, Status};
use super::place::{Place, Record};
use super::pod::Phase;
use super::status;

const POLL: Duration = Duration::from_millis(50);
/// A scenario lies beside the manifests; it is no manifest.
pub(crate) const SCENARIO_FILE: &str = "demo.yaml";

/// Which lab is meant.
#[derive(Clone, Debug, Args)]
pub(crate) struct Target {
    /// Name of the lab.
    #[arg(long, default_value = "default", env = "WEFT_LAB")]
    pub(crate) name: String,
}

#[derive(Debug, Args)]
pub(crate) struct Apply {
    #[command(flatten)]
    target: Target,
    /// File or directory.
    path: PathBuf,
    /// Seconds to wait until all pods run and all chains are ready; 0 does not wait.
    #[arg(long, default_value_t = 60)]
    wait: u64,
}

#[derive(Debug, Args)]
pub(crate) struct Delete {
    #[command(flatten)]
    target: Target,
    /// File or directory.
    path: PathBuf,
}

#[derive(Debug, Args)]
pub(crate) struct ShowStatus {
    #[command(flatten)]
    target: Target,
    /// Everything, as JSON.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct Signal {
    #[command(flatten)]
    target: Target,
    /// Process or pod, as `weft lab status` names it.
    victim: String,
}

#[derive(Debug, Args)]
pub(crate) struct Logs {
    #[command(flatten)]
    target: Target,
    /// Process or pod, as `weft lab status` names it; `lab` is the lab itself.
    process: String,
}

/// Shows a log; that of a lab that has ended, too.
pub(super) fn logs(options: &Logs) -> anyhow::Result<()> {
    let logs = Place::new(&options.target.name)?.logs();
    let name = &options.process;
    let pod = name.split_once('/').map_or_else(
        || format!("pod-default-{name}.log"),
        |(namespace, pod)| format!("pod-{namespace}-{pod}.log"),
    );
    let found = [format!("{name}.log"), pod]
        .iter()
        .map(|f| logs.join(f))
        .find(|p| p.is_file());
    let path = found.with_context(|| format!("no log of `{name}` in `{}`", logs.display()))?;
    let text = fs::read_to_string(&path).with_context(|| format!("read `{}`", path.display()))?;
    crate::say!("{}", text.trim_end())
}

impl Target {
    pub(crate) fn lab(&self) -> anyhow::Result<Record> {
        Place::new(&self.name)?.expect_running()
    }
}

pub(super) async fn apply(options: Apply) -> anyhow::Result<()> {
    let lab = options.target.lab()?;
    apply_files(&lab, read(&options.path)?).await?;
    let status = await_ready(&lab, Duration::from_secs(options.wait)).await?;
    crate::say!(
        "applied: {} pods, {} chains",
        status.pods.len(),
        status.chains.len()
    )
}

/// Applies files as one set.
pub(crate) async fn apply_files(lab: &Record, files: Vec<(PathBuf, String)>) -> anyhow::Result<()> {
    done(
        control::ask(lab, &Request::Apply(files)).await?,
        "nothing was applied",
    )
}

pub(super) async fn delete(options: Delete) -> anyhow::Result<()> {
    let lab = options.target.lab()?;
    let request = Request::Delete(read(&options.path)?);
    done(control::ask(&lab, &request).await?, "nothing was removed")
}

pub(super) async fn show_status(options: ShowStatus) -> anyhow::Result<()> {
    let status = control::status(&options.target.lab()?).await?;
    if options.json {
        return crate::say!("{}", serde_json::to_string_pretty(&status)?);
    }
    crate::say!("{}", status::render(&status))
}

pub(super) async fn signal(options: Signal, action: Action) -> anyhow::Result<()> {
    signal_one(&options.target.lab()?, &options.victim, action).await
}

pub(crate) async fn signal_one(lab: &Record, name: &str, action: Action) -> anyhow::Result<()> {
    let request = Request::Signal {
        name: name.to_owned(),
        action,
    };
    done(control::ask(lab, &request).await?, "nothing was done")
}

/// Returns when the lab is gone; one that does not run is no error.
pub(super) async fn down(target: Target) -> anyhow::Result<()> {
    let place = Place::new(&target.name)?;
    let Some(lab) = place.running()? else {
        return crate::say!("lab `{}` is not running", target.name);
    };
    control::ask(&lab, &Request::Down).await?;
    let mut tick = interval(POLL);
    while place.running()? == Some(lab) {
        tick.tick().await;
    }
    Ok(())
}

fn done(reply: Reply, otherwise: &str) -> anyhow::Result<()> {
    match reply {
        Reply::Done => Ok(()),
        Reply::Refused(lines) => anyhow::bail!("{otherwise}:\n  {}", lines.join("\n  ")),
        Reply::Status(_) => anyhow::bail!("the lab gave an answer to another question"),
    }
}

/// The manifests at `path`: a file, or the `*.yaml` and `*.yml` of a directory by name.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<(PathBuf, String)>> {
    let mut files = Vec::new();
    if path.is_dir() {
        let entries = fs::read_dir(path).with_context(|| format!("read `{}`", path.display()))?;
        for entry in entries {
            let file = entry?.path();
            let yaml = file.extension().is_some_and(|e| e == "yaml" || e == "yml");
            if yaml && file.file_name().is_some_and(|n| n != SCENARIO_FILE) {
                files.push(file);
            }
        }
        files.sort();
        anyhow::ensure!(!files.is_empty(), "`{}` has no *.yaml file", path.display());
    } else {
        files.push(path.to_owned());
    }
    let text = |file: PathBuf| {
        let text =
            fs::read_to_string(&file).with_context(|| format!("read `{}`", file.display()))?;
        Ok((file, text))
    };
    files.into_iter().map(text).collect()
}

/// Waits until every pod runs and every chain is ready; after `patience` it says what is missing.
pub(crate) async fn await_ready(lab: &Record, patience: Duration) -> anyhow::Result<Status> {
    let deadline = Instant::now() + patience;
    let mut tick = interval(POLL);
    loop {
        tick.tick().await;
        let status = control::status(lab).await?;
        let missing = missing(&status);
        if missing.is_empty() || patience.is_zero() {
            return Ok(status);
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "not ready after {patience:?}:\n  {}",
            missing.join("\n  ")
        );
    }
}

/// What is not as it should be, one line each.
fn missing(status: &Status) -> Vec<String> {
    let mut lines = Vec::new();
    for (name, pod) in &status.pods {
        if pod.phase != Phase::Running || pod.process.pid.is_none() {
            lines.push(format!(
                "pod `{name}` on `{}` is {:?}: {}",
                pod.node, pod.phase, pod.reason
            ));
        }
    }
    for (name, chain) in status.chains.iter().filter(|(_, c)| !c.is_ready()) {
        let conditions = chain
            .status
            .iter()
            .flat_map(|s| &s.conditions)
            .filter(|c| !c.status);
        let told: Vec<String> = conditions
            .map(|c| format!("{} ({})", c.message, c.reason))
            .collect();
        lines.push(format!("chain `{name}` is not ready: {}", told.join(", ")));
    }
    lines.extend(status.store_problem.iter().map(|p| format!("store: {p}")));
    lines
}

/// The end of the lab's own log.
pub(super) fn tail(place: &Place) -> String {
    let path = place.logs().join("lab.log");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().collect();
    let last = lines
        .get(lines.len().saturating_sub(20)..)
        .unwrap_or_default();
    format!("{}\n(from `{}`)", last.join("\n"), path.display())
}
