//! ADD: attach an interface; the answer says what is really there.

use agent_api::agent::AddRequest;
use serde_json::Value;

use crate::config::Config;
use crate::error::CniError;
use crate::invocation::{Env, attachment, pod, required};
use crate::result;

pub(super) fn run(env: Env<'_>, input: &[u8]) -> Result<Value, CniError> {
    let id = attachment(env)?;
    let netns = required(env, "CNI_NETNS")?;
    let (config, version) = Config::parse(input)?;
    let request = AddRequest {
        id: Some(id),
        netns,
        pod: pod(env),
        annotations: config.annotations()?,
        timeout_ms: config.timeout_ms,
    };
    let reply = super::ask(&config, "ADD", async |mut agent| agent.add(request).await)?;
    Ok(result::to_json(
        &reply,
        version,
        config.prev_result.as_ref(),
    ))
}
