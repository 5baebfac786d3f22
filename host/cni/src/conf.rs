//! The network configuration on standard input.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use serde_json::Value;

use crate::error::{CniError, Code};
use crate::request::Request;

/// Where containerd and CRI-O put a pod's annotations.
#[cfg(test)]
const POD_ANNOTATIONS: &str = "io.kubernetes.cri.pod-annotations";

/// A network configuration, with what the runtime added to it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Conf {
    #[serde(default = "default_version")]
    pub(crate) cni_version: String,
    #[serde(default)]
    name: String,
    #[serde(default = "default_socket")]
    pub(crate) agent_socket: PathBuf,
    #[serde(default)]
    log_file: Option<PathBuf>,
    #[serde(default = "default_timeout_ms")]
    timeout_ms: u32,
    #[serde(default)]
    runtime_config: RuntimeConfig,
    #[serde(default)]
    prev_result: Option<PrevResult>,
    #[serde(default, rename = "cni.dev/valid-attachments")]
    pub(crate) valid_attachments: Option<Vec<ValidAttachment>>,
}

#[derive(Debug, Default, Deserialize)]
struct RuntimeConfig {
    #[serde(default, rename = "io.kubernetes.cri.pod-annotations")]
    annotations: Option<BTreeMap<String, String>>,
}

/// The part of a previous result that CHECK compares.
#[derive(Debug, Deserialize)]
pub(crate) struct PrevResult {
    #[serde(default)]
    pub(crate) ips: Vec<PrevIp>,
}

#[derive(Debug, Deserialize)]
pub(crate) struct PrevIp {
    pub(crate) address: String,
}

/// An attachment that GC keeps.
#[derive(Debug, Deserialize)]
pub(crate) struct ValidAttachment {
    #[serde(rename = "containerID")]
    pub(crate) container_id: String,
    pub(crate) ifname: String,
}

impl Conf {
    pub(crate) fn parse(input: &str) -> Result<Self, CniError> {
        serde_json::from_str(input).map_err(|problem| {
            CniError::new(Code::Decode, "the network configuration is not understood")
                .because(&problem)
        })
    }

    /// The network name is required and made of certain characters.
    pub(crate) fn validate(&self) -> Result<(), CniError> {
        let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-');
        let starts = self.name.starts_with(|c: char| c.is_ascii_alphanumeric());
        if starts && self.name.chars().all(legal) {
            return Ok(());
        }
        let msg = format!("network name `{}` is missing or not valid", self.name);
        Err(CniError::new(Code::InvalidConfig, &msg))
    }

    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms.into())
    }

    pub(crate) const fn timeout_ms(&self) -> u32 {
        self.timeout_ms
    }

    pub(crate) fn annotations(&self) -> BTreeMap<String, String> {
        self.runtime_config.annotations.clone().unwrap_or_default()
    }

    pub(crate) fn prev_result(&self) -> Result<&PrevResult, CniError> {
        let missing = || CniError::new(Code::InvalidConfig, "prevResult is missing");
        self.prev_result.as_ref().ok_or_else(missing)
    }

    /// Appends one line to the log file, if there is one; a log that cannot be written is no failure.
    pub(crate) fn log(
        &self,
        command: &str,
        request: &Request,
        outcome: &Result<Option<Value>, CniError>,
    ) {
        let Some(path) = &self.log_file else {
            return;
        };
        let file = std::fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(path);
        let word = match outcome {
            Ok(_) => "ok".to_owned(),
            Err(error) => error.to_json(&self.cni_version).to_string(),
        };
        if let Ok(mut file) = file {
            let (id, ifname) = (&request.container_id, &request.ifname);
            let _ = writeln!(file, "{command} {id} {ifname}: {word}");
        }
    }
}

fn default_version() -> String {
    "0.3.0".to_owned()
}

fn default_socket() -> PathBuf {
    "/run/weft/agent.sock".into()
}

const fn default_timeout_ms() -> u32 {
    30_000
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn annotations_come_from_the_runtime_configuration() {
        let input = format!(
            r#"{{"cniVersion":"1.1.0","name":"weft","type":"weft-cni",
                "runtimeConfig":{{"{POD_ANNOTATIONS}":{{"weft.dev/interfaces":"left/memif"}}}}}}"#
        );
        let conf = Conf::parse(&input).unwrap();
        assert_eq!(conf.annotations()["weft.dev/interfaces"], "left/memif");
        assert!(conf.validate().is_ok());
    }

    #[test]
    fn a_name_is_required_and_checked() {
        for (name, valid) in [("weft", true), ("", false), ("-x", false), ("a/b", false)] {
            let conf = Conf::parse(&format!(r#"{{"name":"{name}"}}"#)).unwrap();
            assert_eq!(conf.validate().is_ok(), valid, "{name}");
        }
    }
}
