//! The command line.

use std::io::Write;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::probe;

/// Pod networking and service chains for Kubernetes, and a whole cluster on a laptop.
#[derive(Debug, Parser)]
#[command(name = "weft", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Test traffic: an echo server and a sender that counts what came back.
    #[command(subcommand)]
    Probe(probe::Probe),
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
        Command::Probe(command) => block_on(probe::run(command)),
    }
}

fn block_on(work: impl Future<Output = anyhow::Result<()>>) -> anyhow::Result<ExitCode> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)?;
    Ok(ExitCode::SUCCESS)
}
