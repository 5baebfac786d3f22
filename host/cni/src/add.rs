//! ADD.

use agent_api::agent::{AddRequest, PodRef};
use serde_json::Value;

use crate::conf::Conf;
use crate::error::{CniError, Code};
use crate::request::Request;
use crate::version::Version;
use crate::{agent, result};

pub(crate) async fn add(
    conf: &Conf,
    version: Version,
    request: &Request,
) -> Result<Value, CniError> {
    if !std::path::Path::new(&request.netns).exists() {
        let msg = format!("CNI_NETNS `{}` does not exist", request.netns);
        return Err(CniError::new(Code::UnknownContainer, &msg));
    }
    let asked = AddRequest {
        id: Some(request.attachment()),
        netns: request.netns.clone(),
        pod: pod(request),
        annotations: conf.annotations(),
        timeout_ms: conf.timeout_ms(),
    };
    let reply = agent::connect(conf).await?.add(asked).await?.into_inner();
    Ok(result::to_json(&reply, version))
}

/// The Kubernetes pod, where the runtime names one.
fn pod(request: &Request) -> Option<PodRef> {
    let text = |key| request.arg(key).unwrap_or_default().to_owned();
    let (namespace, name) = (text("K8S_POD_NAMESPACE"), text("K8S_POD_NAME"));
    if namespace.is_empty() || name.is_empty() {
        return None;
    }
    let uid = text("K8S_POD_UID");
    Some(PodRef {
        namespace,
        name,
        uid,
    })
}
