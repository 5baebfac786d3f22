//! CHECK: is the attachment still as the runtime was told?

use agent_api::agent::CheckRequest;

use crate::config::Config;
use crate::error::CniError;
use crate::invocation::{Env, attachment, required};
use crate::version::Version;

pub(super) fn run(env: Env<'_>, input: &[u8]) -> Result<(), CniError> {
    let id = attachment(env)?;
    let netns = required(env, "CNI_NETNS")?;
    let (config, version) = Config::parse(input)?;
    version.require(Version::V0_4_0, "CHECK")?;
    let addresses = config.claimed_addresses(&id.ifname)?;
    let request = CheckRequest {
        id: Some(id),
        netns,
        addresses,
    };
    super::ask(&config, "CHECK", async |mut agent| {
        agent.check(request).await
    })
    .map(|_| ())
}
