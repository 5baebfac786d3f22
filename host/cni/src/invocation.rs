//! The environment of one call (CNI specification, section "Parameters").

use agent_api::agent::{AttachmentId, PodRef};

use crate::error::CniError;

/// Reads one environment variable.
pub(crate) type Env<'a> = &'a dyn Fn(&str) -> Option<String>;

/// Longest interface name: Linux's `IFNAMSIZ` less its terminator.
const IFNAME_LEN_MAX: usize = 15;

/// # Errors
/// Code 4 that names the variable when it is absent or empty.
pub(crate) fn required(env: Env<'_>, name: &'static str) -> Result<String, CniError> {
    let value = env(name).filter(|v| !v.is_empty());
    value.ok_or_else(|| CniError::Environment {
        name,
        problem: "is missing".to_owned(),
    })
}

/// The attachment that ADD, DEL and CHECK speak of.
///
/// # Errors
/// Code 4 for an absent or illegal `CNI_CONTAINERID` or `CNI_IFNAME`.
pub(crate) fn attachment(env: Env<'_>) -> Result<AttachmentId, CniError> {
    let container_id = required(env, "CNI_CONTAINERID")?;
    if !is_identifier(&container_id) {
        return Err(CniError::Environment {
            name: "CNI_CONTAINERID",
            problem: format!(
                "is `{container_id}`; it must start with a letter or digit, then also `_`, `.` or `-`"
            ),
        });
    }
    let ifname = required(env, "CNI_IFNAME")?;
    if !is_ifname(&ifname) {
        return Err(CniError::Environment {
            name: "CNI_IFNAME",
            problem: format!(
                "is `{ifname}`; it must have 1 to {IFNAME_LEN_MAX} characters without `/`, `:` and blanks"
            ),
        });
    }
    Ok(AttachmentId {
        container_id,
        ifname,
    })
}

/// The pod in `CNI_ARGS`, where the runtime is Kubernetes'.
pub(crate) fn pod(env: Env<'_>) -> Option<PodRef> {
    let args = env("CNI_ARGS")?;
    let value = |key: &str| {
        let found = args
            .split(';')
            .filter_map(|pair| pair.split_once('='))
            .find(|(k, _)| *k == key);
        found.map(|(_, v)| v.to_owned()).filter(|v| !v.is_empty())
    };
    Some(PodRef {
        namespace: value("K8S_POD_NAMESPACE")?,
        name: value("K8S_POD_NAME")?,
        uid: value("K8S_POD_UID").unwrap_or_default(),
    })
}

/// Names of containers and networks.
pub(crate) fn is_identifier(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    text.starts_with(|c: char| c.is_ascii_alphanumeric()) && text.chars().all(legal)
}

fn is_ifname(text: &str) -> bool {
    let legal = |c: char| !c.is_whitespace() && c != '/' && c != ':';
    (1..=IFNAME_LEN_MAX).contains(&text.len())
        && text.chars().all(legal)
        && text != "."
        && text != ".."
}
