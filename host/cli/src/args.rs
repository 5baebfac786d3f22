//! The command line.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::command::{agent, build, cnf, controller, ksr, node, store};
use crate::{lab, probe};

/// Pod networking and service chains for Kubernetes, and a whole cluster on a laptop.
#[derive(Debug, Parser)]
#[command(name = "weft", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve cluster state over the etcd v3 protocol.
    Store(store::Store),
    /// Reflect Kubernetes objects into the store.
    Ksr(ksr::Ksr),
    /// Turn chains into wiring: choose instances, run classifiers, report status.
    Controller(controller::Controller),
    /// Run the dataplane of a node: watch the store, serve CNI.
    Agent(agent::Agent),
    /// Build a crate into a WASM module.
    Build(build::Build),
    /// Ask or change a running CNF.
    #[command(subcommand)]
    Cnf(cnf::Cnf),
    /// Ask the agent of a node.
    #[command(subcommand)]
    Node(node::Node),
    /// Test traffic: an echo server and a sender that counts what came back.
    #[command(subcommand)]
    Probe(probe::Probe),
    /// A whole cluster on this machine.
    #[command(subcommand)]
    Lab(lab::Lab),
}

/// Parses the command line and runs the command.
pub fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Store(options) => serve(store::run(options)),
        Command::Ksr(options) => serve(ksr::run(options)),
        Command::Controller(options) => serve(controller::run(options)),
        Command::Agent(options) => serve(agent::run(options)),
        Command::Build(options) => build::run(options).map(|()| ExitCode::SUCCESS),
        Command::Cnf(command) => block_on(cnf::run(command)),
        Command::Node(command) => block_on(node::run(command)),
        Command::Probe(command) => block_on(probe::run(command)),
        Command::Lab(command) => lab::run(command),
    }
}

/// Runs a long-lived process: it logs, and may use several threads.
fn serve(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    runtime::log::init("info");
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()?;
    runtime.block_on(work)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `work` on this thread.
pub(crate) fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)?;
    Ok(ExitCode::SUCCESS)
}
