//! Start and orderly end of the agent.

use std::future::Future;

use crate::config::AgentConfig;

/// Why an agent could not run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("`{0}` is no node name")]
    Node(String),
}

/// Runs the agent of a node until `shutdown` resolves.
///
/// # Errors
/// [`AgentError`] when it cannot start; later trouble is retried.
pub async fn run(
    config: AgentConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), AgentError> {
    tracing::info!(node = config.node, "agent started");
    shutdown.await;
    Ok(())
}
