//! The agent's configuration file.

use std::path::{Path, PathBuf};

use ipnet::IpNet;
use model::ClusterConfig;
use serde::{Deserialize, Serialize};

/// Settings of one node, from YAML. Paths default to those of an installation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct AgentConfig {
    /// Name of this node; `--node` replaces it.
    #[serde(default)]
    pub node: Option<String>,
    /// URL of the store (etcd v3).
    pub store: String,
    #[serde(default = "default_vpp_api")]
    pub vpp_api: PathBuf,
    /// Counters of the dataplane; absent: `Describe` shows none.
    #[serde(default)]
    pub stats_socket: Option<PathBuf>,
    #[serde(default = "default_cni_socket")]
    pub cni_socket: PathBuf,
    /// What must survive a restart of the agent.
    #[serde(default = "default_state_dir")]
    pub state_dir: PathBuf,
    /// Per-pod directories, mounted in the pods.
    #[serde(default = "default_pod_dir")]
    pub pod_dir: PathBuf,
    /// The way to the other nodes; absent on a single node.
    #[serde(default)]
    pub uplink: Option<UplinkConfig>,
    /// The cluster's configuration where the store has none yet; absent: the store's is waited for. One
    /// that differs from the store's is a conflict, and the node serves no ADD until it is settled.
    #[serde(default)]
    pub cluster: Option<ClusterConfig>,
}

/// A host device that the dataplane takes for itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UplinkConfig {
    pub interface: String,
    /// Underlay address of the node with the length of its network.
    pub address: IpNet,
}

/// A configuration that the agent cannot start with.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    #[error("read configuration `{path}`")]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("configuration `{path}` is not understood: {problem}")]
    Parse { path: PathBuf, problem: String },
}

impl AgentConfig {
    /// Reads the YAML file at `path`.
    ///
    /// # Errors
    /// [`ConfigError`] with the place in the file.
    pub fn load(path: &Path) -> Result<Self, ConfigError> {
        let text = std::fs::read_to_string(path).map_err(|source| ConfigError::Read {
            path: path.to_owned(),
            source,
        })?;
        serde_saphyr::from_str(&text).map_err(|problem| ConfigError::Parse {
            path: path.to_owned(),
            problem: problem.to_string(),
        })
    }
}

fn default_vpp_api() -> PathBuf {
    "/run/weft/vpp-api.sock".into()
}

fn default_cni_socket() -> PathBuf {
    "/run/weft/agent.sock".into()
}

fn default_state_dir() -> PathBuf {
    "/var/lib/weft".into()
}

fn default_pod_dir() -> PathBuf {
    "/run/weft/pods".into()
}
