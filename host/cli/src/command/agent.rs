//! `weft agent`: makes the dataplane of one node what the store says.

use std::path::PathBuf;

use clap::Args;
use model::NodeName;
use runtime::shutdown::Shutdown;

#[derive(Debug, Args)]
pub(crate) struct Agent {
    /// Configuration file (YAML).
    #[arg(long, env = "WEFT_CONFIG", value_name = "FILE")]
    config: PathBuf,
    /// Name of this node in Kubernetes.
    #[arg(long, env = "WEFT_NODE", value_parser = NodeName::parse)]
    node: NodeName,
}

pub(crate) async fn run(options: Agent) -> anyhow::Result<()> {
    let shutdown = Shutdown::listen()?.into_future();
    let mut config = agent::AgentConfig::load(&options.config)?;
    config.node = Some(options.node.as_str().to_owned());
    agent::run(config, shutdown).await?;
    Ok(())
}
