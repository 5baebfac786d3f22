//! The way to the agent, with a deadline.

use std::future::Future;

use agent_api::agent::cni_client::CniClient;
use tonic::transport::Channel;

use crate::conf::Conf;
use crate::error::{CniError, Code};

/// Runs `work` to its end or to the deadline of the configuration.
pub(crate) fn within<T>(
    conf: &Conf,
    work: impl Future<Output = Result<T, CniError>>,
) -> Result<T, CniError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| CniError::new(Code::Io, "the plugin cannot start").because(&e))?;
    let timed = async { tokio::time::timeout(conf.timeout(), work).await };
    runtime.block_on(timed).unwrap_or_else(|_| {
        let msg = format!("the agent did not answer within {} ms", conf.timeout_ms());
        Err(CniError::new(Code::TryAgainLater, &msg))
    })
}

pub(crate) async fn connect(conf: &Conf) -> Result<CniClient<Channel>, CniError> {
    let channel = agent_api::connect(&conf.agent_socket).await;
    let channel = channel.map_err(|e| {
        let msg = format!(
            "agent socket `{}` does not answer",
            conf.agent_socket.display()
        );
        CniError::new(Code::TryAgainLater, &msg).because(&e)
    })?;
    Ok(CniClient::new(channel))
}
