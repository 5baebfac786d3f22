//! Dispatch, and what the verbs share: one request to the agent under one deadline.

mod add;
mod check;
mod del;
mod gc;
mod status;
mod version;

use std::future::Future;
use std::time::Duration;

use agent_api::agent::cni_client::CniClient;
use serde_json::Value;
use tonic::transport::Channel;
use tonic::{Code, Response, Status};

use crate::config::Config;
use crate::error::CniError;
use crate::invocation::{Env, required};

/// Answers one call: what to print, if anything.
///
/// # Errors
/// [`CniError`], to be printed as the specification's error object.
pub(crate) fn run(env: Env<'_>, input: &[u8]) -> Result<Option<Value>, CniError> {
    let command = required(env, "CNI_COMMAND")?;
    match command.as_str() {
        "ADD" => add::run(env, input).map(Some),
        "DEL" => del::run(env, input).map(|()| None),
        "CHECK" => check::run(env, input).map(|()| None),
        "GC" => gc::run(input).map(|()| None),
        "STATUS" => status::run(input).map(|()| None),
        "VERSION" => version::run(input).map(Some),
        other => Err(CniError::Environment {
            name: "CNI_COMMAND",
            problem: format!("is `{other}`; hint: use ADD, DEL, CHECK, GC, STATUS or VERSION"),
        }),
    }
}

/// Sends one request and waits at most the configured time, the connection included.
fn ask<T, F>(
    config: &Config,
    verb: &'static str,
    request: impl FnOnce(CniClient<Channel>) -> F,
) -> Result<T, CniError>
where
    F: Future<Output = Result<Response<T>, Status>>,
{
    let reactor = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| CniError::Refused {
            verb,
            message: format!("start of the reactor: {e}"),
        })?;
    let timeout_ms = config.timeout_ms;
    let call = async {
        let socket = &config.agent_socket;
        let channel = agent_api::connect(socket).await.map_err(|e| {
            let details = std::error::Error::source(&e).map(ToString::to_string);
            CniError::AgentAway {
                socket: socket.clone(),
                details: details.unwrap_or_default(),
            }
        })?;
        let answer = request(CniClient::new(channel)).await;
        answer
            .map(Response::into_inner)
            .map_err(|status| refusal(verb, timeout_ms, &status))
    };
    reactor.block_on(async {
        let limit = Duration::from_millis(u64::from(timeout_ms));
        let answered = tokio::time::timeout(limit, call).await;
        answered.unwrap_or(Err(CniError::Deadline { timeout_ms }))
    })
}

fn refusal(verb: &'static str, timeout_ms: u32, status: &Status) -> CniError {
    let message = status.message().to_owned();
    match status.code() {
        Code::InvalidArgument => CniError::Config(message),
        Code::NotFound => CniError::UnknownContainer(message),
        Code::Unavailable => CniError::NotReady(message),
        Code::DeadlineExceeded => CniError::Deadline { timeout_ms },
        Code::Ok
        | Code::Cancelled
        | Code::Unknown
        | Code::AlreadyExists
        | Code::PermissionDenied
        | Code::ResourceExhausted
        | Code::FailedPrecondition
        | Code::Aborted
        | Code::OutOfRange
        | Code::Unimplemented
        | Code::Internal
        | Code::DataLoss
        | Code::Unauthenticated => CniError::Refused { verb, message },
    }
}

#[cfg(test)]
mod tests;
