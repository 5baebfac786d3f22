//! Settings that all nodes share.

use std::fmt;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use crate::name::NodeId;

/// Address plan and tunnel settings of the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ClusterConfig {
    /// All pods of the cluster; each node owns one sub-network of `node_prefix_len`.
    pub pod_cidr: IpNet,
    pub node_prefix_len: u8,
    /// Tunnel-side addresses (BVI) of the nodes.
    pub vxlan_cidr: IpNet,
    /// Addresses of chain ends.
    pub chain_cidr: IpNet,
    /// VNI of the pod-to-pod mesh; chain segments take VNIs from `chain_vni_base` up.
    pub vxlan_vni: u32,
    #[serde(default = "default_chain_vni_base")]
    pub chain_vni_base: u32,
    /// MTU of pod interfaces in bytes (IP packet).
    pub mtu: u16,
}

fn default_chain_vni_base() -> u32 {
    4096
}

/// An address plan that has no room for what was asked of it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum AddressPlanError {
    #[error(
        "prefix length {len} of a node is shorter than that of pod network `{net}`; hint: choose nodePrefixLen above it"
    )]
    NodePrefix { net: IpNet, len: u8 },
    #[error("network `{net}` has no room for number {index}; hint: use a shorter prefix")]
    Full { net: IpNet, index: u32 },
}

impl ClusterConfig {
    /// The pod sub-network of node `id`: the `id`-th of the pod network (0 stays unused).
    ///
    /// # Errors
    /// [`AddressPlanError`] when the plan has no such sub-network.
    pub fn node_pod_cidr(&self, id: NodeId) -> Result<IpNet, AddressPlanError> {
        let wrong = AddressPlanError::NodePrefix {
            net: self.pod_cidr,
            len: self.node_prefix_len,
        };
        let mut subnets = self
            .pod_cidr
            .subnets(self.node_prefix_len)
            .map_err(|_| wrong)?;
        subnets
            .nth(usize::from(id.0))
            .ok_or(AddressPlanError::Full {
                net: self.pod_cidr,
                index: u32::from(id.0),
            })
    }

    /// The tunnel address of node `id`, with the length of the tunnel network.
    ///
    /// # Errors
    /// [`AddressPlanError::Full`] when the network is too small.
    pub fn vxlan_address(&self, id: NodeId) -> Result<IpNet, AddressPlanError> {
        let net = self.vxlan_cidr;
        let index = u32::from(id.0);
        let address = nth_address(net, index)?;
        IpNet::new(address, net.prefix_len()).map_err(|_| AddressPlanError::Full { net, index })
    }
}

impl ClusterConfig {
    /// The settings in which `other` is not the same, in words; `None` when there are none.
    pub fn conflict(&self, other: &Self) -> Option<String> {
        let Self {
            pod_cidr,
            node_prefix_len,
            vxlan_cidr,
            chain_cidr,
            vxlan_vni,
            chain_vni_base,
            mtu,
        } = self;
        let pairs: [(&str, &dyn fmt::Display, &dyn fmt::Display); 7] = [
            ("podCidr", pod_cidr, &other.pod_cidr),
            ("nodePrefixLen", node_prefix_len, &other.node_prefix_len),
            ("vxlanCidr", vxlan_cidr, &other.vxlan_cidr),
            ("chainCidr", chain_cidr, &other.chain_cidr),
            ("vxlanVni", vxlan_vni, &other.vxlan_vni),
            ("chainVniBase", chain_vni_base, &other.chain_vni_base),
            ("mtu", mtu, &other.mtu),
        ];
        let differing = pairs.iter().filter_map(|(name, ours, theirs)| {
            let (ours, theirs) = (ours.to_string(), theirs.to_string());
            (ours != theirs).then(|| format!("`{name}` is {ours} here and {theirs} there"))
        });
        let differing: Vec<String> = differing.collect();
        (!differing.is_empty()).then(|| differing.join(", "))
    }
}

/// The `index`-th address of `net`, counted from its network address.
///
/// # Errors
/// [`AddressPlanError::Full`] when that would be outside, or the IPv4 broadcast address.
pub fn nth_address(net: IpNet, index: u32) -> Result<IpAddr, AddressPlanError> {
    let full = AddressPlanError::Full { net, index };
    let address = match net {
        IpNet::V4(net) => u32::from(net.network())
            .checked_add(index)
            .filter(|a| *a < u32::from(net.broadcast()) || net.prefix_len() >= 31)
            .map(|a| IpAddr::V4(a.into())),
        IpNet::V6(net) => u128::from(net.network())
            .checked_add(u128::from(index))
            .map(|a| IpAddr::V6(a.into())),
    };
    address.filter(|a| net.contains(a)).ok_or(full)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> ClusterConfig {
        ClusterConfig {
            pod_cidr: "10.1.0.0/16".parse().unwrap(),
            node_prefix_len: 24,
            vxlan_cidr: "192.168.30.0/24".parse().unwrap(),
            chain_cidr: "192.168.64.0/18".parse().unwrap(),
            vxlan_vni: 10,
            chain_vni_base: 4096,
            mtu: 1450,
        }
    }

    #[test]
    fn a_node_owns_the_sub_network_of_its_number() {
        assert_eq!(
            config().node_pod_cidr(NodeId(2)),
            Ok("10.1.2.0/24".parse().unwrap())
        );
        assert_eq!(
            config().vxlan_address(NodeId(2)),
            Ok("192.168.30.2/24".parse().unwrap())
        );
    }

    #[test]
    fn a_conflict_names_every_setting_that_differs() {
        assert_eq!(config().conflict(&config()), None);
        let other = ClusterConfig {
            mtu: 1500,
            vxlan_cidr: "192.168.31.0/24".parse().unwrap(),
            ..config()
        };
        assert_eq!(
            config().conflict(&other).unwrap(),
            "`vxlanCidr` is 192.168.30.0/24 here and 192.168.31.0/24 there, `mtu` is 1450 here and 1500 there"
        );
    }

    #[test]
    fn a_number_that_the_plan_cannot_hold_is_refused() {
        assert!(matches!(
            config().node_pod_cidr(NodeId(256)),
            Err(AddressPlanError::Full { .. })
        ));
        assert!(matches!(
            config().vxlan_address(NodeId(255)),
            Err(AddressPlanError::Full { .. })
        ));
    }
}
