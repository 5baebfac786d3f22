//! GC: detach everything that the runtime no longer knows.

use agent_api::agent::{AttachmentId, GcRequest};

use crate::config::Config;
use crate::error::CniError;
use crate::version::Version;

pub(super) fn run(input: &[u8]) -> Result<(), CniError> {
    let (config, version) = Config::parse(input)?;
    version.require(Version::V1_1_0, "GC")?;
    // Absent and empty differ: an absent list must not detach the whole node.
    let listed = config
        .valid_attachments
        .as_ref()
        .ok_or_else(|| CniError::Config("`cni.dev/valid-attachments` is missing".to_owned()))?;
    let keep = listed
        .iter()
        .map(|a| AttachmentId {
            container_id: a.container_id.clone(),
            ifname: a.ifname.clone(),
        })
        .collect();
    super::ask(&config, "GC", async |mut agent| {
        agent.gc(GcRequest { keep }).await
    })
    .map(|_| ())
}
