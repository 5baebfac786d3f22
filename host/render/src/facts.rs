//! What a node knows when it decides.

use std::collections::BTreeMap;
use std::net::IpAddr;

use ipnet::IpNet;
use model::{
    ClusterConfig, InterfaceKind, MacAddr, NetworkRef, NodeId, NodeName, NodeRecord, ObjectName,
};
use serde::{Deserialize, Serialize};

use crate::object::IfTag;

/// The host device that leads to the other nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Uplink {
    pub interface: String,
    pub address: IpNet,
}

/// Everything that decides what the dataplane of this node should be.
#[derive(Clone, Debug)]
pub struct Facts {
    pub node: NodeName,
    pub id: NodeId,
    pub cluster: ClusterConfig,
    pub uplink: Option<Uplink>,
    /// All nodes, this one too or not.
    pub nodes: BTreeMap<NodeName, NodeRecord>,
    /// Containers of this node by id.
    pub pods: BTreeMap<String, LocalPod>,
    /// Interfaces whose link is up.
    pub links_up: std::collections::BTreeSet<IfTag>,
}

/// A container that is attached, or about to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct LocalPod {
    pub container_id: String,
    /// Absent for an anonymous attachment.
    pub pod: Option<ObjectName>,
    /// The pod's labels; absent while its record is not known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub labels: Option<BTreeMap<String, String>>,
    /// Path of the network namespace.
    pub netns: String,
    /// Number of the pod's memif control socket, unique on the node.
    pub socket: u32,
    /// Path of that socket.
    pub socket_path: String,
    /// In the order in which they were asked for.
    pub interfaces: Vec<PodInterface>,
}

/// One interface of a container.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PodInterface {
    /// Name inside the pod.
    pub name: String,
    pub kind: InterfaceKind,
    pub network: NetworkRef,
    /// The pod's side.
    pub mac: MacAddr,
    /// The dataplane's side: what the pod sees as its gateway.
    pub gateway_mac: MacAddr,
    pub addresses: Vec<IpAddr>,
    /// Number of a memif on the pod's socket.
    #[serde(default)]
    pub memif_id: u32,
    /// Interface name of the CNI ADD that it came with.
    pub attached_by: String,
}

impl LocalPod {
    /// The interface called `name`.
    pub fn interface(&self, name: &str) -> Option<&PodInterface> {
        self.interfaces.iter().find(|i| i.name == name)
    }

    /// Addresses on the pod network.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let all = self.interfaces.iter();
        all.flat_map(|i| i.addresses.iter().copied())
    }
}

impl Facts {
    /// The local container of pod `name`.
    pub fn local_pod(&self, name: &ObjectName) -> Option<&LocalPod> {
        self.containers(name).next()
    }

    /// All local containers of pod `name`: two while one takes the place of the other.
    pub fn containers(&self, name: &ObjectName) -> impl Iterator<Item = &LocalPod> {
        let all = self.pods.values();
        all.filter(move |p| p.pod.as_ref() == Some(name))
    }
}
