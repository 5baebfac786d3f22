//! The processes of the cluster: what an installation runs, with the command lines of production.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use anyhow::Context;
use runtime::netns::{Netns, named_path};
use tokio::process::{Child, Command};

use crate::lab::layout::{MANAGEMENT, MANIFESTS, MODULES, NodeLayout, RUN, STORE_PORT, store_url};
use crate::lab::process::Supervised;

/// How one process is started.
pub(super) struct ProcessSpec {
    pub(super) name: String,
    program: PathBuf,
    arguments: Vec<String>,
    /// Network namespace path; absent: the lab's own network.
    netns: Option<PathBuf>,
    log: PathBuf,
}

/// All of them, the store first.
pub(super) fn all(nodes: &[NodeLayout], bin_dir: &Path, logs: &Path) -> Vec<ProcessSpec> {
    let spec =
        |name: String, program: &str, arguments: &[&str], node: Option<&NodeLayout>| ProcessSpec {
            log: logs.join(format!("{name}.log")),
            program: bin_dir.join(program),
            arguments: arguments.iter().map(|a| (*a).to_owned()).collect(),
            netns: node.map(|n| named_path(n.name.as_str())),
            name,
        };
    let listen = format!("{MANAGEMENT}:{STORE_PORT}");
    let data = format!("{RUN}/store");
    let store = store_url();
    let mut specs = vec![
        spec(
            "store".into(),
            "weft",
            &["store", "--listen", &listen, "--data-dir", &data],
            None,
        ),
        spec(
            "ksr".into(),
            "weft",
            &["ksr", "--manifests", MANIFESTS, "--store", &store],
            None,
        ),
        spec(
            "controller".into(),
            "weft",
            &["controller", "--store", &store, "--modules", MODULES],
            None,
        ),
    ];
    for node in nodes {
        let path = |name: &str| node.path(name).display().to_string();
        let vswitch = [
            "--api-socket",
            &path("vpp-api.sock"),
            "--stats-socket",
            &path("stats.sock"),
            "--rundir",
            &path("memif"),
        ];
        let agent = [
            "agent",
            "--config",
            &path("agent.yaml"),
            "--node",
            node.name.as_str(),
        ];
        specs.push(spec(
            format!("vswitch@{}", node.name),
            "weft-vswitch",
            &vswitch,
            Some(node),
        ));
        specs.push(spec(
            format!("agent@{}", node.name),
            "weft",
            &agent,
            Some(node),
        ));
    }
    specs
}

impl ProcessSpec {
    pub(super) fn start(self) -> anyhow::Result<Supervised> {
        anyhow::ensure!(
            self.program.is_file(),
            "program `{}` is missing; hint: build it, or name its directory with --bin-dir",
            self.program.display()
        );
        let netns = self.netns.as_deref().map(Netns::open).transpose()?;
        let name = self.name.clone();
        Ok(Supervised::start(name, move || self.launch(netns.as_ref())))
    }

    fn launch(&self, netns: Option<&Netns>) -> anyhow::Result<Child> {
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("open log `{}`", self.log.display()))?;
        let mut command = Command::new(&self.program);
        command
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .process_group(0)
            .kill_on_drop(true);
        let runtime = tokio::runtime::Handle::current();
        let mut spawn = || {
            let _guard = runtime.enter();
            command.spawn()
        };
        let spawned = match netns {
            Some(netns) => netns.run(spawn)?,
            None => spawn(),
        };
        spawned.with_context(|| format!("start `{}`", self.program.display()))
    }
}
