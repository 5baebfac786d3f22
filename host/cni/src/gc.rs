//! GC.

use agent_api::agent::{AttachmentId, GcRequest};

use crate::agent;
use crate::conf::Conf;
use crate::error::{CniError, Code};

pub(crate) async fn gc(conf: &Conf) -> Result<(), CniError> {
    // Without the list everything would go: that must be said, not left out.
    let valid = conf.valid_attachments.as_ref().ok_or_else(|| {
        CniError::new(
            Code::InvalidConfig,
            "`cni.dev/valid-attachments` is missing",
        )
    })?;
    let keep = valid.iter().map(|a| AttachmentId {
        container_id: a.container_id.clone(),
        ifname: a.ifname.clone(),
    });
    let asked = GcRequest {
        keep: keep.collect(),
    };
    agent::connect(conf).await?.gc(asked).await?;
    Ok(())
}
