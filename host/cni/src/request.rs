//! The request in the environment.

use std::env;

use crate::error::{CniError, Code};
use crate::verb::Verb;

/// Longest interface name: Linux's `IFNAMSIZ` less its terminator.
const IFNAME_LEN_MAX: usize = 15;

/// What the runtime says about the attachment. Fields that a verb does not need may be empty.
#[derive(Debug, Default)]
pub(crate) struct Request {
    pub(crate) container_id: String,
    pub(crate) netns: String,
    pub(crate) ifname: String,
    args: String,
}

/// The verb as the runtime wrote it.
pub(crate) fn command() -> Result<String, CniError> {
    required("CNI_COMMAND")
}

impl Request {
    pub(crate) fn from_env(verb: Verb) -> Result<Self, CniError> {
        if matches!(verb, Verb::Gc | Verb::Status) {
            return Ok(Self::default());
        }
        let container_id = required("CNI_CONTAINERID")?;
        let ifname = required("CNI_IFNAME")?;
        let netns = match verb {
            Verb::Del => optional("CNI_NETNS"),
            Verb::Add | Verb::Check | Verb::Gc | Verb::Status => required("CNI_NETNS")?,
        };
        check_container_id(&container_id)?;
        check_ifname(&ifname)?;
        let args = optional("CNI_ARGS");
        Ok(Self {
            container_id,
            netns,
            ifname,
            args,
        })
    }

    /// A value of `CNI_ARGS` (`KEY=value;KEY=value`).
    pub(crate) fn arg(&self, key: &str) -> Option<&str> {
        let mut pairs = self.args.split(';').filter_map(|pair| pair.split_once('='));
        pairs.find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    pub(crate) fn attachment(&self) -> agent_api::agent::AttachmentId {
        agent_api::agent::AttachmentId {
            container_id: self.container_id.clone(),
            ifname: self.ifname.clone(),
        }
    }
}

fn optional(name: &str) -> String {
    env::var(name).unwrap_or_default()
}

fn required(name: &str) -> Result<String, CniError> {
    let value = optional(name);
    if value.is_empty() {
        let msg = format!("environment variable {name} is missing");
        return Err(CniError::new(Code::InvalidEnvironment, &msg));
    }
    Ok(value)
}

fn check_container_id(id: &str) -> Result<(), CniError> {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
    if id.starts_with(|c: char| c.is_ascii_alphanumeric()) && id.chars().all(legal) {
        return Ok(());
    }
    let msg = format!("CNI_CONTAINERID `{id}` is not valid");
    Err(CniError::new(Code::InvalidEnvironment, &msg))
}

fn check_ifname(name: &str) -> Result<(), CniError> {
    let illegal = |c: char| c == '/' || c == ':' || c.is_whitespace();
    let reserved = name == "." || name == "..";
    if name.len() <= IFNAME_LEN_MAX && !reserved && !name.contains(illegal) {
        return Ok(());
    }
    let msg = format!("CNI_IFNAME `{name}` is no interface name");
    Err(CniError::new(Code::InvalidEnvironment, &msg))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn container_ids_and_interface_names_follow_the_specification() {
        for (id, valid) in [
            ("a1_.-", true),
            ("-a", false),
            ("a/b", false),
            (".a", false),
        ] {
            assert_eq!(check_container_id(id).is_ok(), valid, "{id}");
        }
        for (name, valid) in [
            ("eth0", true),
            ("a123456789012345", false),
            ("..", false),
            ("a:b", false),
            ("a b", false),
        ] {
            assert_eq!(check_ifname(name).is_ok(), valid, "{name}");
        }
    }

    #[test]
    fn kubernetes_arguments_are_found_among_others() {
        let args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=web-0".to_owned();
        let request = Request {
            args,
            ..Request::default()
        };
        assert_eq!(request.arg("K8S_POD_NAME"), Some("web-0"));
        assert_eq!(request.arg("K8S_POD_UID"), None);
    }
}
