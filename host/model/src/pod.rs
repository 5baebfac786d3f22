//! Pods: what was asked (reflected from Kubernetes) and what was attached (by the agent).

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::mac::MacAddr;
use crate::name::{NodeName, ObjectName};

/// A pod as Kubernetes describes it, reduced to what networking needs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodRecord {
    pub uid: String,
    /// Absent until it is scheduled.
    pub node: Option<NodeName>,
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
    /// Interfaces that its annotation asks for beside the default one, in its order.
    #[serde(default)]
    pub interfaces: Vec<InterfaceRequest>,
}

/// How an interface reaches the pod.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum InterfaceKind {
    Tap,
    Veth,
    Memif,
}

impl fmt::Display for InterfaceKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Tap => "tap",
            Self::Veth => "veth",
            Self::Memif => "memif",
        })
    }
}

/// The network that an interface joins.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum NetworkRef {
    /// The cluster's pod network.
    Default,
    /// No addresses, no forwarding until a chain stitches it.
    Stub,
    Named(String),
}

/// One extra interface of a pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceRequest {
    pub name: String,
    pub kind: InterfaceKind,
    pub network: NetworkRef,
}

/// A pod that is attached: written before CNI ADD returns, removed by DEL.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Attachment {
    pub pod: ObjectName,
    pub node: NodeName,
    pub container_id: String,
    pub interfaces: Vec<AttachedInterface>,
}

/// One interface of an attached pod; the first is the default one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AttachedInterface {
    /// Name inside the pod, also for a memif.
    pub name: String,
    pub kind: InterfaceKind,
    pub mac: MacAddr,
    #[serde(default)]
    pub addresses: Vec<IpAddr>,
}

impl Attachment {
    /// Addresses on the pod network.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        self.interfaces
            .iter()
            .flat_map(|i| i.addresses.iter().copied())
    }

    /// The interface called `name`.
    pub fn interface(&self, name: &str) -> Option<&AttachedInterface> {
        self.interfaces.iter().find(|i| i.name == name)
    }
}
