//! The demo's set-up: from `weft lab up` to the first packet through the quickstart chain.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use serde_json::Value;

use super::Setting;
use crate::contest::{Contender, interleave};
use crate::process::output;
use crate::report::{Better, CaseReport, Metric, Skip};

const CHAIN: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../chains/quickstart");
const CLIENT: &str = "quickstart/client";
const SERVER: &str = "quickstart/server";
const FUNCTIONS: [&str; 2] = ["quickstart/firewall", "quickstart/limiter"];
/// UDP that the classifier sends through the chain and the firewall lets pass.
const PORT: &str = "443";
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn run(setting: &Setting) -> CaseReport {
    let mut report = CaseReport {
        title: "from `weft lab up` to the first packet through the quickstart chain".into(),
        method: vec![
            "Two nodes, client, server, a sandboxed firewall and a native rate limiter. The clock runs from the start of `weft lab up`; `apply` waits for pods and chain; then single UDP requests are sent until one is answered and both functions have counted packets. No peer.".into(),
        ],
        ..CaseReport::default()
    };
    let mut programs = Vec::new();
    for (package, name) in [
        ("vswitch-io", "weft-vswitch"),
        ("weft-cni", "weft-cni"),
        ("cnf-runner", "weft-cnf"),
        ("rate-limiter", "rate-limiter"),
        ("weft", "weft"),
    ] {
        programs.push(setting.programs.get(package, name, &mut report.skipped));
    }
    let Some(Some(weft)) = programs.pop() else {
        return report;
    };
    if programs.iter().any(Option::is_none) {
        return report;
    }
    for module in ["firewall.wasm", "web-classifier.wasm"] {
        let path = setting.programs.modules.join(module);
        if !path.is_file() {
            let why = format!(
                "`{}` does not exist; hint: `weft build`, or `--modules DIR`",
                path.display()
            );
            report.skipped.push(Skip::new("the case", why));
            return report;
        }
    }
    let metrics = [
        "lab answers",
        "chain is ready",
        "first packet through the chain",
    ]
    .map(|label| Metric::new(label, "s", Better::Lower));
    let contender = Contender::new("weft lab", || one_sample(setting, &weft));
    report.groups = interleave(
        setting.run.rounds,
        &metrics,
        vec![contender],
        &mut report.skipped,
    );
    report
}

fn one_sample(setting: &Setting, weft: &Path) -> anyhow::Result<Vec<f64>> {
    let lab = Lab {
        weft: weft.to_owned(),
        name: format!("bench-{}", std::process::id()),
    };
    let start = Instant::now();
    let mut up = lab.command("up");
    up.arg("--bin-dir").arg(setting.programs.directory());
    up.arg("--modules").arg(&setting.programs.modules);
    output(&mut up)?;
    let answers = start.elapsed();
    output(lab.command("apply").arg(CHAIN))?;
    let ready = start.elapsed();
    let server = lab.address(SERVER)?;
    while !(lab.is_answered(&server)? && lab.is_counted()?) {
        if start.elapsed() > PATIENCE {
            bail!("no packet came through the chain in {PATIENCE:?}");
        }
    }
    Ok([answers, ready, start.elapsed()]
        .map(|time| time.as_secs_f64())
        .to_vec())
}

/// A lab that is taken down with its owner.
struct Lab {
    weft: PathBuf,
    name: String,
}

impl Lab {
    fn command(&self, verb: &str) -> Command {
        let mut command = Command::new(&self.weft);
        command.args(["lab", verb, "--name", &self.name]);
        command
    }

    fn address(&self, pod: &str) -> anyhow::Result<String> {
        let status: Value = serde_json::from_str(&output(self.command("status").arg("--json"))?)?;
        let path = format!("/pods/{}/addresses/0", pod.replace('/', "~1"));
        let address = status.pointer(&path).and_then(Value::as_str);
        let address = address.with_context(|| format!("pod `{pod}` has no address"))?;
        Ok(address.split('/').next().unwrap_or(address).to_owned())
    }

    fn is_answered(&self, server: &str) -> anyhow::Result<bool> {
        let mut command = self.command("exec");
        command.args([
            CLIENT, "--", "weft", "probe", "send", "--target", server, "--proto", "udp", "--port",
            PORT,
        ]);
        command.args(["--count", "1", "--wait", "0.2"]);
        let text = output(&mut command)?;
        let report: Value = serde_json::from_str(&text).context("read the probe's report")?;
        Ok(report.get("received").and_then(Value::as_u64).unwrap_or(0) > 0)
    }

    fn is_counted(&self) -> anyhow::Result<bool> {
        for pod in FUNCTIONS {
            // From inside: the path of its socket from outside may be longer than sockets have names.
            let mut command = self.command("exec");
            command.args([pod, "--", "weft", "cnf", "stats"]);
            let stats: Value =
                serde_json::from_str(&output(&mut command)?).context("read the counters")?;
            let ports = stats
                .get("ports")
                .and_then(Value::as_array)
                .map_or(&[][..], Vec::as_slice);
            let received =
                |port: &Value| port.get("rxPackets").and_then(Value::as_u64).unwrap_or(0);
            if ports.iter().map(received).sum::<u64>() == 0 {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if let Err(error) = output(&mut self.command("down")) {
            eprintln!("lab `{}` did not go down: {error:#}", self.name);
        }
    }
}
