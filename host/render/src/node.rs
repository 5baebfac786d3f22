//! The node's own dataplane: uplink, pod gateway, and the VXLAN mesh to the other nodes.

use model::cluster::AddressPlanError;
use model::{MacAddr, NodeId, NodeName, NodeRecord};

use crate::facts::Facts;
use crate::object::{Device, IfTag, Key, L2, Object, Objects};
use crate::text::{digest, host};

/// Bridge domain of the pod-to-pod mesh.
pub const MESH_BRIDGE: u32 = 1;
/// Split-horizon group of tunnels: what came from one node does not go to another.
pub const TUNNELS: u8 = 1;

const GATEWAY_LOOPBACK: u32 = 1;
const MESH_LOOPBACK: u32 = 2;

/// The device to the other nodes.
pub fn uplink() -> IfTag {
    IfTag::new("uplink")
}

/// Lends its address to the pods' interfaces.
pub fn gateway() -> IfTag {
    IfTag::new("gateway")
}

/// The node's end of the mesh.
pub fn mesh() -> IfTag {
    IfTag::new("mesh")
}

/// MAC address of a node's end of the mesh.
pub const fn mesh_mac(id: NodeId) -> MacAddr {
    let [high, low] = id.0.to_be_bytes();
    MacAddr([0x02, 0xfe, 0, 1, high, low])
}

/// MAC address that the dataplane gives to the uplink of node `node`.
pub fn uplink_mac(node: &NodeName, interface: &str) -> MacAddr {
    MacAddr(digest(0x02, &[node.as_str(), interface]))
}

/// What the node has whoever else is there.
///
/// # Errors
/// [`AddressPlanError`] when the address plan has no room for this node.
pub fn base(facts: &Facts) -> Result<Objects, AddressPlanError> {
    let mut objects = Objects::new();
    let pods = facts.cluster.node_pod_cidr(facts.id)?;
    let gateway_address = model::cluster::nth_address(pods, 1)?;
    let loopback = |instance, mac| Object::interface(Device::Loopback { instance, mac });
    let [high, low] = facts.id.0.to_be_bytes();
    let gateway_mac = MacAddr([0x02, 0xfe, 0, 0, high, low]);
    objects.extend([
        (
            Key::Interface(gateway()),
            loopback(GATEWAY_LOOPBACK, gateway_mac),
        ),
        (
            Key::Address(gateway(), host(gateway_address)),
            Object::Address,
        ),
    ]);
    let Some(device) = &facts.uplink else {
        return Ok(objects);
    };
    let uplink_device = Device::AfPacket {
        host_name: device.interface.clone(),
        mac: uplink_mac(&facts.node, &device.interface),
    };
    let bvi = L2::Bridge {
        id: MESH_BRIDGE,
        is_bvi: true,
        group: 0,
    };
    let mesh_address = facts.cluster.vxlan_address(facts.id)?;
    objects.extend([
        (Key::Interface(uplink()), Object::interface(uplink_device)),
        (Key::Address(uplink(), device.address), Object::Address),
        (
            Key::Interface(mesh()),
            loopback(MESH_LOOPBACK, mesh_mac(facts.id)),
        ),
        (
            Key::Bridge(MESH_BRIDGE),
            Object::Bridge {
                tag: mesh().as_str().to_owned(),
            },
        ),
        (Key::L2(mesh()), Object::L2(bvi)),
        (Key::Address(mesh(), mesh_address), Object::Address),
    ]);
    Ok(objects)
}

/// The way to the pods of another node.
pub fn peer(facts: &Facts, peer: &NodeRecord) -> Objects {
    let mut objects = Objects::new();
    let Some(device) = &facts.uplink else {
        return objects;
    };
    if peer.name == facts.node {
        return objects;
    }
    let tunnel = IfTag::new(&format!("mesh/{}", peer.id));
    if let Some(mac) = peer.uplink_mac
        && device.address.contains(&peer.underlay)
    {
        // Known from the start, so that the first packet does not wait for an answer.
        objects.insert(
            Key::Neighbour(uplink(), peer.underlay),
            Object::Neighbour { mac },
        );
    }
    let device = Device::Vxlan {
        src: device.address.addr(),
        dst: peer.underlay,
        vni: facts.cluster.vxlan_vni,
    };
    let member = L2::Bridge {
        id: MESH_BRIDGE,
        is_bvi: false,
        group: TUNNELS,
    };
    objects.extend([
        (Key::Interface(tunnel.clone()), Object::interface(device)),
        (Key::L2(tunnel.clone()), Object::L2(member)),
        (
            Key::MacEntry(MESH_BRIDGE, peer.vxlan_mac),
            Object::MacEntry { interface: tunnel },
        ),
        (
            Key::Neighbour(mesh(), peer.vxlan_address),
            Object::Neighbour {
                mac: peer.vxlan_mac,
            },
        ),
        (
            Key::Route(peer.pod_cidr.trunc()),
            Object::Route {
                next_hop: peer.vxlan_address,
                interface: mesh(),
            },
        ),
    ]);
    objects
}

#[cfg(test)]
mod tests;
