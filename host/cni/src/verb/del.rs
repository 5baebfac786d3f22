//! DEL: detach; succeeds when there is nothing to detach.

use agent_api::agent::DelRequest;

use crate::config::Config;
use crate::error::CniError;
use crate::invocation::{Env, attachment};

pub(super) fn run(env: Env<'_>, input: &[u8]) -> Result<(), CniError> {
    let id = attachment(env)?;
    let (config, _) = Config::parse(input)?;
    // The namespace may be gone already: the specification lets it be empty.
    let request = DelRequest {
        id: Some(id),
        netns: env("CNI_NETNS").unwrap_or_default(),
    };
    super::ask(&config, "DEL", async |mut agent| agent.del(request).await).map(|_| ())
}
