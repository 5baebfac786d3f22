//! The network configuration on standard input.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::Deserialize;
use serde_json::Value;

use crate::error::CniError;
use crate::invocation::is_identifier;
use crate::version::Version;

/// The runtime capability that hands us the pod's annotations (containerd, CRI-O).
const ANNOTATIONS: &str = "io.kubernetes.cri.pod-annotations";

/// What we read of the configuration; the rest is the runtime's.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Config {
    #[serde(default)]
    cni_version: String,
    #[serde(default)]
    name: String,
    #[serde(default = "default_socket")]
    pub(crate) agent_socket: PathBuf,
    /// For the whole call, in milliseconds.
    #[serde(default = "default_timeout")]
    pub(crate) timeout_ms: u32,
    #[serde(default)]
    runtime_config: BTreeMap<String, Value>,
    #[serde(default)]
    pub(crate) prev_result: Option<Value>,
    #[serde(default, rename = "cni.dev/valid-attachments")]
    pub(crate) valid_attachments: Option<Vec<ValidAttachment>>,
}

/// An attachment that GC must keep.
#[derive(Debug, Deserialize)]
pub(crate) struct ValidAttachment {
    #[serde(rename = "containerID")]
    pub(crate) container_id: String,
    pub(crate) ifname: String,
}

fn default_socket() -> PathBuf {
    PathBuf::from("/run/weft/agent.sock")
}

const fn default_timeout() -> u32 {
    20_000
}

impl Config {
    /// Reads a configuration and its version.
    ///
    /// # Errors
    /// Code 6 for text that is no JSON, 1 for an unknown version, 7 for a field that is missing or
    /// wrong.
    pub(crate) fn parse(input: &[u8]) -> Result<(Self, Version), CniError> {
        let value: Value = serde_json::from_slice(input).map_err(CniError::Json)?;
        let config: Self =
            serde_json::from_value(value).map_err(|e| CniError::Config(e.to_string()))?;
        let version = Version::parse(&config.cni_version)?;
        if !is_identifier(&config.name) {
            return Err(CniError::Config(format!(
                "field `name` is `{}`; hint: name the network with letters, digits, `_`, `.`, `-`",
                config.name
            )));
        }
        Ok((config, version))
    }

    /// The pod's annotations, where the runtime handed them over.
    ///
    /// # Errors
    /// Code 7 when they are not a map of texts.
    pub(crate) fn annotations(&self) -> Result<BTreeMap<String, String>, CniError> {
        let Some(value) = self
            .runtime_config
            .get(ANNOTATIONS)
            .filter(|v| !v.is_null())
        else {
            return Ok(BTreeMap::new());
        };
        serde_json::from_value(value.clone())
            .map_err(|e| CniError::Config(format!("`runtimeConfig.\"{ANNOTATIONS}\"`: {e}")))
    }

    /// Addresses that `prevResult` claims for the interface `ifname` of this container.
    ///
    /// # Errors
    /// Code 7 when there is no `prevResult`, or one that cannot be read.
    pub(crate) fn claimed_addresses(&self, ifname: &str) -> Result<Vec<String>, CniError> {
        let previous = self.prev_result.as_ref();
        let previous =
            previous.ok_or_else(|| CniError::Config("`prevResult` is missing".into()))?;
        let list = |field: &str| previous.get(field).and_then(Value::as_array).cloned();
        let interfaces = list("interfaces").unwrap_or_default();
        let ours = |index: u64| {
            let at = usize::try_from(index).ok().and_then(|i| interfaces.get(i));
            at.and_then(|i| i.get("name")).and_then(Value::as_str) == Some(ifname)
        };
        let mut addresses = Vec::new();
        for ip in list("ips").unwrap_or_default() {
            let address = ip.get("address").and_then(Value::as_str);
            let address = address
                .ok_or_else(|| CniError::Config("`prevResult.ips[].address` is missing".into()))?;
            if ip.get("interface").and_then(Value::as_u64).is_none_or(ours) {
                addresses.push(address.to_owned());
            }
        }
        Ok(addresses)
    }
}
