//! `weft cnf`: what a running CNF counts, and the change of its module.

use std::path::PathBuf;

use agent_api::cnf::runner_client::RunnerClient;
use agent_api::cnf::{ReloadRequest, StatsReply, StatsRequest};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::lab;

#[derive(Debug, Subcommand)]
pub(crate) enum Cnf {
    /// Show ports, counters, drops and the module, as JSON.
    Stats(Stats),
    /// Change module or configuration between two batches: no packet is lost.
    Reload(Reload),
}

/// Which runner is meant.
#[derive(Debug, Args)]
pub(crate) struct Runner {
    /// Its socket.
    #[arg(long, default_value = "/run/weft/cnf.sock", value_name = "PATH")]
    socket: PathBuf,
    /// Its pod in a lab, instead of a socket.
    #[arg(long, conflicts_with = "socket")]
    pod: Option<String>,
    #[command(flatten)]
    target: lab::Target,
}

#[derive(Debug, Args)]
pub(crate) struct Stats {
    #[command(flatten)]
    runner: Runner,
}

#[derive(Debug, Args)]
pub(crate) struct Reload {
    #[command(flatten)]
    runner: Runner,
    /// New module; the present path is read again otherwise. The path is the runner's.
    #[arg(long, default_value = "")]
    module: String,
    /// New configuration.
    #[arg(long, default_value = "")]
    config: String,
}

pub(crate) async fn run(command: Cnf) -> anyhow::Result<()> {
    let value = match command {
        Cnf::Stats(options) => {
            let reply = options.runner.dial().await?.stats(StatsRequest {}).await;
            to_json(&reply.map_err(|s| refused(&s))?.into_inner())
        }
        Cnf::Reload(options) => {
            let request = ReloadRequest {
                module_path: options.module,
                config_path: options.config,
            };
            let reply = options.runner.dial().await?.reload(request).await;
            let reply = reply.map_err(|s| refused(&s))?.into_inner();
            json!({ "old": reply.old_digest, "new": reply.new_digest, "gapUs": reply.gap_us })
        }
    };
    crate::say!("{value:#}")
}

impl Runner {
    async fn dial(&self) -> anyhow::Result<RunnerClient<tonic::transport::Channel>> {
        let socket = match &self.pod {
            Some(pod) => lab::cnf_socket(&self.target.lab()?, pod).await?,
            None => self.socket.clone(),
        };
        Ok(RunnerClient::new(agent_api::connect(&socket).await?))
    }
}

/// The runner's own words, without the protocol's.
pub(crate) fn refused(status: &tonic::Status) -> anyhow::Error {
    anyhow::anyhow!("{}", status.message()).context("the CNF refused")
}

fn to_json(stats: &StatsReply) -> Value {
    let ports: Vec<Value> = stats
        .ports
        .iter()
        .map(|p| {
            json!({ "name": p.name, "up": p.up, "rxPackets": p.rx_packets,
                    "txPackets": p.tx_packets, "lastDisconnect": p.last_disconnect })
        })
        .collect();
    let function = stats.function.as_ref().map(|f| {
        json!({ "name": f.name, "kind": f.kind, "digest": f.digest, "swaps": f.swaps,
                "faults": f.faults, "lastFault": f.last_fault })
    });
    json!({ "ports": ports, "counters": stats.counters, "drops": stats.drops, "function": function })
}
