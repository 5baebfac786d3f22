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
    /// MAC of `underlay`, so that nodes of one link need not ask for it; absent from older agents.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub uplink_mac: Option<MacAddr>,
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: &str = r#"{"name":"n","id":2,"underlay":"192.168.16.2","podCidr":"10.1.2.0/24","vxlanAddress":"192.168.30.2","vxlanMac":"02:fe:00:01:00:02"}"#;
    const NEW: &str = r#"{"name":"n","id":2,"underlay":"192.168.16.2","podCidr":"10.1.2.0/24","vxlanAddress":"192.168.30.2","vxlanMac":"02:fe:00:01:00:02","uplinkMac":"02:00:00:00:00:05"}"#;

    /// The reader of the release before `uplinkMac`.
    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct OldReader {
        id: NodeId,
        vxlan_mac: MacAddr,
    }

    #[test]
    fn old_and_new_agents_read_each_other() {
        let old: NodeRecord = serde_json::from_str(OLD).unwrap();
        assert_eq!(old.uplink_mac, None);
        assert_eq!(serde_json::to_string(&old).unwrap(), OLD);
        let new: NodeRecord = serde_json::from_str(NEW).unwrap();
        assert_eq!(new.uplink_mac, Some(MacAddr([2, 0, 0, 0, 0, 5])));
        assert_eq!(serde_json::to_string(&new).unwrap(), NEW);
        let read = |text| serde_json::from_str::<OldReader>(text).unwrap();
        assert_eq!(read(OLD), read(NEW));
    }
}
