//! CNI ADD and DEL: what a container runtime waits for.

use std::cell::Cell;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::Context;
use serde_json::{Value, json};
use tempfile::TempDir;

use super::Setting;
use crate::contest::{Contender, interleave};
use crate::process::{Daemon, Place, checked};
use crate::report::{Better, CaseReport, Metric, Skip};
use crate::sandbox::{Namespace, is_inside};

const REFERENCE: &str = "bridge + host-local";
const REFERENCE_DIR: &str = "/usr/lib/cni";
const STORE: &str = "127.0.0.1:2379";
const VERSION: &str = "1.0.0";

pub(super) fn run(setting: &Setting) -> CaseReport {
    let mut report = CaseReport {
        title: "CNI attachments, one at a time".into(),
        method: vec![
            "From the start of the plugin's process to its end, each in a fresh network namespace (not counted), one default interface; no plugin is pinned. Percentiles by nearest rank.".into(),
            "weft: `weft-cni` with a running agent, weft-vswitch and store; the answer comes when the interface carries packets. Reference: plugin `bridge` (gateway, no masquerading) with `host-local`.".into(),
        ],
        ..CaseReport::default()
    };
    if !is_inside() {
        report
            .skipped
            .push(Skip::new("the case", "it needs network namespaces"));
        return report;
    }
    let weft = Weft::start(setting, &mut report.skipped);
    let reference = reference(&mut report.skipped);
    let mut contenders = Vec::new();
    if let Some(weft) = &weft {
        contenders.push(contender("weft-cni", &weft.plugin).against(REFERENCE, 1.0));
    }
    if let Some((plugin, _dir)) = &reference {
        contenders.push(contender(REFERENCE, plugin));
    }
    let metric = |label: &str| Metric::new(label, "ms", Better::Lower);
    let metrics = [metric("ADD"), metric("ADD + DEL")];
    report.groups = interleave(
        setting.run.attachments,
        &metrics,
        contenders,
        &mut report.skipped,
    );
    report
}

/// A plugin with its network configuration.
struct Plugin {
    program: PathBuf,
    conf: Value,
}

/// The first attachment of each is not counted: a bridge is made, files are read for the first time.
fn contender<'a>(name: &'static str, plugin: &'a Plugin) -> Contender<'a> {
    let cold = Cell::new(true);
    Contender::new(name, move || {
        if cold.replace(false) {
            attach_once(plugin)?;
        }
        attach_once(plugin)
    })
}

/// Milliseconds of ADD, and of ADD and DEL.
fn attach_once(plugin: &Plugin) -> anyhow::Result<Vec<f64>> {
    let pod = Namespace::new("cni")?;
    let start = Instant::now();
    let result = plugin.call("ADD", &pod)?;
    let add = start.elapsed();
    let added: Value = serde_json::from_str(&result).context("read the result of ADD")?;
    anyhow::ensure!(
        added.pointer("/ips/0/address").is_some(),
        "ADD gives no address: {result}"
    );
    let start = Instant::now();
    plugin.call("DEL", &pod)?;
    let both = add + start.elapsed();
    Ok([add, both].map(|time| time.as_secs_f64() * 1e3).to_vec())
}

impl Plugin {
    fn call(&self, command: &str, pod: &Namespace) -> anyhow::Result<String> {
        let mut process = std::process::Command::new(&self.program);
        process
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("CNI_COMMAND", command)
            .env("CNI_CONTAINERID", &pod.name)
            .env("CNI_NETNS", pod.path())
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", REFERENCE_DIR);
        let output = talk(&mut process, self.conf.to_string().as_bytes())?;
        checked(&process, &output)
            .with_context(|| format!("{command} of `{}`", self.program.display()))
    }
}

fn talk(process: &mut std::process::Command, input: &[u8]) -> anyhow::Result<Output> {
    let mut child = process
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("start {process:?}"))?;
    child
        .stdin
        .take()
        .context("standard input is a pipe")?
        .write_all(input)?;
    Ok(child.wait_with_output()?)
}

fn reference(skipped: &mut Vec<Skip>) -> Option<(Plugin, TempDir)> {
    let program = Path::new(REFERENCE_DIR).join("bridge");
    if !program.is_file() {
        skipped.push(Skip::new(
            REFERENCE,
            "not installed; hint: apt-get install containernetworking-plugins",
        ));
        return None;
    }
    let dir = tempfile::tempdir().ok()?;
    let conf = json!({
        "cniVersion": VERSION, "name": "reference", "type": "bridge", "bridge": "cni-bench", "isGateway": true,
        "ipam": { "type": "host-local", "subnet": "10.88.0.0/16", "routes": [{ "dst": "0.0.0.0/0" }], "dataDir": dir.path() },
    });
    Some((Plugin { program, conf }, dir))
}

/// A node: store, dataplane, agent, and its plugin.
struct Weft {
    plugin: Plugin,
    _daemons: Vec<Daemon>,
    _dir: TempDir,
}

impl Weft {
    fn start(setting: &Setting, skipped: &mut Vec<Skip>) -> Option<Self> {
        let mut program = |package: &str, name: &str| setting.programs.get(package, name, skipped);
        let plugin = program("weft-cni", "weft-cni");
        let vswitch = program("vswitch-io", "weft-vswitch");
        let weft = program("weft", "weft");
        let started = Self::start_node(&plugin?, &vswitch?, &weft?);
        if let Err(error) = &started {
            skipped.push(Skip::new(
                "weft-cni",
                format!("its node does not start: {error:#}"),
            ));
        }
        started.ok()
    }

    fn start_node(plugin: &Path, vswitch: &Path, weft: &Path) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let at = |name: &str| dir.path().join(name);
        let mut store = Place::ANYWHERE.command(None, weft);
        store
            .args(["store", "--listen", STORE, "--data-dir"])
            .arg(at("store"));
        let store = Daemon::start(&mut store, &at("store.log"))?;
        let mut switch = Place::ANYWHERE.command(None, vswitch);
        switch
            .arg("--api-socket")
            .arg(at("api.sock"))
            .arg("--stats-socket")
            .arg(at("stats.sock"));
        let mut switch = Daemon::start(&mut switch, &at("vswitch.log"))?;
        switch.until("an API socket", || at("api.sock").exists().then_some(()))?;
        // JSON is YAML.
        let config = json!({
            "store": format!("http://{STORE}"), "vppApi": at("api.sock"), "statsSocket": at("stats.sock"),
            "cniSocket": at("agent.sock"), "stateDir": at("state"), "podDir": at("pods"),
            "cluster": { "podCidr": "10.1.0.0/16", "nodePrefixLen": 24, "vxlanCidr": "192.168.30.0/24",
                         "chainCidr": "192.168.64.0/18", "vxlanVni": 10, "mtu": 1450 },
        });
        std::fs::write(at("agent.yaml"), config.to_string())
            .context("write the agent's configuration")?;
        let mut agent = Place::ANYWHERE.command(None, weft);
        agent
            .args(["agent", "--node", "bench", "--config"])
            .arg(at("agent.yaml"));
        let mut agent = Daemon::start(&mut agent, &at("agent.log"))?;
        agent.until("an agent socket", || {
            at("agent.sock").exists().then_some(())
        })?;
        let conf = json!({ "cniVersion": VERSION, "name": "weft", "type": "weft-cni", "agentSocket": at("agent.sock") });
        let plugin = Plugin {
            program: plugin.to_owned(),
            conf,
        };
        // The socket is there before all behind it is ready.
        let mut last = None;
        let ready = agent.until("a first attachment", || match attach_once(&plugin) {
            Ok(_) => Some(()),
            Err(error) => {
                last = Some(error);
                std::thread::sleep(Duration::from_millis(50));
                None
            }
        });
        if let Err(error) = ready {
            let last = last.map_or_else(String::new, |last| format!("; last: {last:#}"));
            anyhow::bail!("{error:#}{last}");
        }
        Ok(Self {
            plugin,
            _daemons: vec![agent, switch, store],
            _dir: dir,
        })
    }
}
