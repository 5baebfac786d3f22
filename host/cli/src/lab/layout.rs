//! The fixed plan of a lab: names, addresses and paths. Pure; all paths are inside the lab.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use model::{ClusterConfig, NodeName};

/// Nodes of one lab.
pub(crate) const NODES_MAX: u16 = 32;

/// Store, ksr and controller listen here, and every node reaches them over its `mgmt0`.
pub(super) const MANAGEMENT: Ipv4Addr = Ipv4Addr::new(10, 199, 0, 1);
pub(super) const MANAGEMENT_BRIDGE: &str = "mgmt";
/// The wire between the vswitches; the kernel has no address on it.
pub(super) const UNDERLAY_BRIDGE: &str = "underlay";
pub(super) const STORE_PORT: u16 = 2379;

/// Run directory of the lab itself.
pub(super) const RUN: &str = "/run/weft-lab";
/// Stands for the API server: what is in here is the cluster's intent, as ksr reads it.
pub(super) const MANIFESTS: &str = "/run/weft-lab/manifests";
/// WASM components, at the place where an installation has them on every node.
pub(super) const MODULES: &str = "/run/weft/modules";

/// One node.
#[derive(Clone, Debug)]
pub(super) struct NodeLayout {
    pub(super) name: NodeName,
    /// From 1.
    number: u16,
}

/// All nodes, `node-1` first.
pub(super) fn nodes(count: u16) -> anyhow::Result<Vec<NodeLayout>> {
    anyhow::ensure!(
        (1..=NODES_MAX).contains(&count),
        "a lab has 1 to {NODES_MAX} nodes, not {count}"
    );
    (1..=count)
        .map(|number| {
            let name = NodeName::parse(&format!("node-{number}"))?;
            Ok(NodeLayout { name, number })
        })
        .collect()
}

impl NodeLayout {
    pub(super) fn path(&self, name: &str) -> PathBuf {
        node_path(self.name.as_str(), name)
    }

    pub(super) fn agent_socket(&self) -> PathBuf {
        self.path("agent.sock")
    }

    pub(super) fn pod_dir(&self) -> PathBuf {
        self.path("pods")
    }

    pub(super) fn management_address(&self) -> Ipv4Addr {
        offset(MANAGEMENT, self.number + 9)
    }

    /// Belongs to the vswitch, on `eth1`.
    fn underlay_address(&self) -> Ipv4Addr {
        offset(Ipv4Addr::new(192, 168, 16, 0), self.number)
    }

    /// Names of the bridge-side ends of the node's links.
    pub(super) fn port(&self, bridge: &str) -> String {
        format!("{bridge}{}", self.number)
    }

    /// The agent's configuration file (YAML, written as JSON).
    pub(super) fn agent_config(&self) -> serde_json::Value {
        serde_json::json!({
            "store": store_url(),
            "vppApi": self.path("vpp-api.sock"),
            "statsSocket": self.path("stats.sock"),
            "cniSocket": self.agent_socket(),
            "stateDir": self.path("state"),
            "podDir": self.pod_dir(),
            "uplink": {
                "interface": "eth1",
                "address": format!("{}/24", self.underlay_address()),
            },
            "cluster": cluster(),
        })
    }
}

/// A file in the run directory of `node`.
pub(super) fn node_path(node: &str, name: &str) -> PathBuf {
    PathBuf::from("/run/weft-nodes").join(node).join(name)
}

pub(super) fn store_url() -> String {
    format!("http://{MANAGEMENT}:{STORE_PORT}")
}

/// The address plan of every lab.
pub(super) fn cluster() -> ClusterConfig {
    let net = |a, b, c, len| ipnet::Ipv4Net::new_assert(Ipv4Addr::new(a, b, c, 0), len).into();
    ClusterConfig {
        pod_cidr: net(10, 1, 0, 16),
        node_prefix_len: 24,
        vxlan_cidr: net(192, 168, 30, 24),
        chain_cidr: net(192, 168, 64, 18),
        vxlan_vni: 10,
        chain_vni_base: 4096,
        mtu: 1450,
    }
}

fn offset(base: Ipv4Addr, by: u16) -> Ipv4Addr {
    Ipv4Addr::from(u32::from(base) + u32::from(by))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_has_addresses_of_its_own() {
        let nodes = nodes(2).unwrap();
        assert_eq!(nodes[1].name.as_str(), "node-2");
        assert_eq!(nodes[0].management_address(), Ipv4Addr::new(10, 199, 0, 11));
        let config = nodes[1].agent_config();
        assert_eq!(config["uplink"]["address"], "192.168.16.2/24");
        assert_eq!(config["cluster"]["podCidr"], "10.1.0.0/16");
        assert_eq!(config["vppApi"], "/run/weft-nodes/node-2/vpp-api.sock");
        assert!(super::nodes(0).is_err() && super::nodes(NODES_MAX + 1).is_err());
    }
}
