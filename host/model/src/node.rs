//! A node as the other nodes see it.

use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::mac::MacAddr;
use crate::name::{NodeId, NodeName};

/// What a node's agent publishes so that the others can reach its pods.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NodeRecord {
    pub name: NodeName,
    pub id: NodeId,
    /// VXLAN source address (VTEP) on the underlay.
    pub underlay: IpAddr,
    /// Pods of this node.
    pub pod_cidr: IpNet,
    /// Tunnel-side (BVI) address and MAC of the pod-to-pod mesh.
    pub vxlan_address: IpAddr,
    pub vxlan_mac: MacAddr,
}
