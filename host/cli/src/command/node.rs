//! `weft node`: what the agent of a node knows.

use std::path::PathBuf;

use agent_api::agent::node_client::NodeClient;
use agent_api::agent::{DescribeRequest, NodeState};
use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::lab;

#[derive(Debug, Subcommand)]
pub(crate) enum Node {
    /// Show desired and applied objects, interfaces and failures, as JSON.
    Status(Status),
}

#[derive(Debug, Args)]
pub(crate) struct Status {
    /// Socket of the agent.
    #[arg(long, default_value = "/run/weft/agent.sock", value_name = "PATH")]
    socket: PathBuf,
    /// Node of a lab, instead of a socket.
    #[arg(long, conflicts_with = "socket")]
    node: Option<String>,
    #[command(flatten)]
    target: lab::Target,
}

pub(crate) async fn run(Node::Status(options): Node) -> anyhow::Result<()> {
    let socket = match &options.node {
        Some(node) => lab::agent_socket(&options.target.lab()?, node),
        None => options.socket,
    };
    let mut client = NodeClient::new(agent_api::connect(&socket).await?);
    let reply = client.describe(DescribeRequest {}).await;
    let state = reply.map_err(|s| anyhow::anyhow!("the agent refused: {}", s.message()))?;
    crate::say!("{:#}", to_json(&state.into_inner()))
}

fn to_json(state: &NodeState) -> Value {
    let failed: Vec<Value> = state
        .failed
        .iter()
        .map(|f| json!({ "object": f.object, "error": f.error }))
        .collect();
    let interfaces: Vec<Value> = state
        .interfaces
        .iter()
        .map(|i| {
            json!({ "name": i.name, "tag": i.tag, "up": i.up, "rxPackets": i.rx_packets,
                    "txPackets": i.tx_packets, "drops": i.drops })
        })
        .collect();
    json!({
        "node": state.node, "nodeId": state.node_id, "podCidr": state.pod_cidr,
        "connected": state.connected, "notReady": state.not_ready,
        "desired": state.desired, "applied": state.applied,
        "failed": failed, "interfaces": interfaces,
        "resyncs": state.resyncs, "operations": state.operations,
    })
}
