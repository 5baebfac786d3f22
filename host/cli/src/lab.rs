//! `weft lab`: a whole cluster on one machine, from the same binaries and contracts as a real one.
//!
//! ```text
//! weft lab run|up ─► enter (namespaces) ─► init (PID 1) ─► supervise ─► store, ksr, controller,
//!                                                             │         vswitch + agent per node
//!                                                             └► pods (weft-cni, then a process)
//! ```
//!
//! [`supervise`] plays API server, scheduler and kubelet; [`cluster`] is the pure part of that.
//! [`control`] is how the other commands talk to it.

mod backoff;
mod client;
mod cluster;
mod container;
mod control;
mod demo;
mod enter;
mod exec;
mod init;
mod launch;
mod layout;
mod network;
mod place;
mod pod;
mod process;
mod run;
mod status;
mod supervise;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Args, Subcommand};

pub(crate) use client::Target;
use control::Action;

#[derive(Debug, Subcommand)]
pub(crate) enum Lab {
    /// Start a lab and leave it running.
    Up(launch::Up),
    /// Apply manifests: a file, or all *.yaml of a directory. All of them, or nothing.
    Apply(client::Apply),
    /// Remove the objects that manifests name.
    Delete(client::Delete),
    /// Run a command in a pod.
    Exec(exec::Exec),
    /// Show nodes, processes, pods and chains.
    Status(client::ShowStatus),
    /// Show the log of a process or a pod.
    Logs(client::Logs),
    /// Kill a process (`agent@node-1`, `store`) or a pod's container; it is started again.
    Kill(client::Signal),
    /// Kill it and keep it down.
    Stop(client::Signal),
    /// Start what was stopped.
    Start(client::Signal),
    /// Start a lab, apply a directory, play its demo.yaml, report, and take everything down.
    Run(run::Run),
    /// Stop the lab.
    Down(Target),
    /// Make the namespaces of a lab (internal).
    #[command(hide = true)]
    Enter(enter::Enter),
    /// Be the first process of a lab (internal).
    #[command(hide = true)]
    Init(init::Init),
    /// Run a lab from inside its namespaces (internal).
    #[command(hide = true)]
    Supervise(supervise::Supervise),
}

/// What a lab is made of.
#[derive(Clone, Debug, Args)]
pub(crate) struct Settings {
    /// Name of the lab; several can run at a time.
    #[arg(long, default_value = "default", env = "WEFT_LAB")]
    pub(crate) name: String,
    /// Nodes of the cluster.
    #[arg(long, default_value_t = 2)]
    pub(crate) nodes: u16,
    /// Directory of Weft's programs; that of this program otherwise.
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Directory of WASM components; `modules` beside the programs otherwise.
    #[arg(long, value_name = "DIR")]
    modules: Option<PathBuf>,
}

impl Settings {
    fn bin_dir(&self) -> anyhow::Result<PathBuf> {
        if let Some(directory) = &self.bin_dir {
            return absolute(directory);
        }
        let executable = std::env::current_exe().context("find this program")?;
        Ok(executable
            .parent()
            .context("find this program's directory")?
            .to_owned())
    }

    fn modules(&self) -> anyhow::Result<PathBuf> {
        match &self.modules {
            Some(directory) => absolute(directory),
            None => Ok(self.bin_dir()?.join("modules")),
        }
    }

    /// The same settings as arguments for the lab's inner processes.
    fn to_args(&self) -> Vec<String> {
        let mut arguments = vec![
            format!("--name={}", self.name),
            format!("--nodes={}", self.nodes),
        ];
        if let Some(directory) = &self.bin_dir {
            arguments.push(format!("--bin-dir={}", directory.display()));
        }
        if let Some(directory) = &self.modules {
            arguments.push(format!("--modules={}", directory.display()));
        }
        arguments
    }
}

fn absolute(path: &std::path::Path) -> anyhow::Result<PathBuf> {
    std::path::absolute(path).with_context(|| format!("resolve `{}`", path.display()))
}

/// The admin socket of the CNF in `pod`, as seen from outside the lab.
pub(crate) async fn cnf_socket(lab: &place::Record, pod: &str) -> anyhow::Result<PathBuf> {
    let status = control::status(lab).await?;
    let state = status.pod(pod)?;
    Ok(lab.inside(state.directory.join("cnf.sock")))
}

/// The agent's socket of a node, as seen from outside the lab.
pub(crate) fn agent_socket(lab: &place::Record, node: &str) -> PathBuf {
    lab.inside(layout::node_path(node, "agent.sock"))
}

/// Runs one lab command. Those that change namespaces run before any thread is started.
pub(crate) fn run(command: Lab) -> anyhow::Result<ExitCode> {
    match command {
        Lab::Enter(options) => enter::run(&options),
        Lab::Init(options) => init::run(&options),
        Lab::Exec(options) => exec::run(&options),
        Lab::Up(options) => launch::up(&options),
        Lab::Run(options) => run::run(options),
        Lab::Supervise(options) => {
            runtime::log::init("info");
            let workers = tokio::runtime::Builder::new_multi_thread()
                .worker_threads(2)
                .enable_all()
                .build()?;
            workers.block_on(supervise::run(options))?;
            Ok(ExitCode::SUCCESS)
        }
        Lab::Apply(options) => crate::block_on(client::apply(options)),
        Lab::Delete(options) => crate::block_on(client::delete(options)),
        Lab::Status(options) => crate::block_on(client::show_status(options)),
        Lab::Logs(options) => client::logs(&options).map(|()| ExitCode::SUCCESS),
        Lab::Kill(options) => crate::block_on(client::signal(options, Action::Kill)),
        Lab::Stop(options) => crate::block_on(client::signal(options, Action::Hold)),
        Lab::Start(options) => crate::block_on(client::signal(options, Action::Start)),
        Lab::Down(options) => crate::block_on(client::down(options)),
    }
}
