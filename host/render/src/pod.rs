//! A container's interfaces: how they are named, addressed and reached.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use model::{InterfaceKind, MacAddr, NetworkRef};

use crate::facts::{Facts, LocalPod, PodInterface};
use crate::node::gateway;
use crate::object::{Device, IfTag, Key, Object, Objects};
use crate::text::{digest, fnv, host};

/// Next hop of every IPv4 pod: link-local, the same everywhere, so that pods may move.
pub const GATEWAY4: Ipv4Addr = Ipv4Addr::new(169, 254, 1, 1);
/// Next hop of every IPv6 pod.
pub const GATEWAY6: Ipv6Addr = Ipv6Addr::new(0xfe80, 0, 0, 0, 0, 0, 0, 1);

/// The next hop that a pod with `address` uses.
pub const fn gateway_for(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => IpAddr::V4(GATEWAY4),
        IpAddr::V6(_) => IpAddr::V6(GATEWAY6),
    }
}

/// MAC addresses of an interface: the pod's and the dataplane's.
pub fn macs(container_id: &str, name: &str) -> (MacAddr, MacAddr) {
    let mac = |side| MacAddr(digest(0x02, &[container_id, name, side]));
    (mac("pod"), mac("gateway"))
}

/// The dataplane's name for an interface of a container.
pub fn tag(container_id: &str, name: &str) -> IfTag {
    IfTag::new(&format!("pod/{:016x}/{name}", fnv(&[container_id])))
}

/// Name on the host of the veth that leads to an interface of a container.
pub fn veth_name(container_id: &str, name: &str) -> String {
    format!("wv{:012x}", fnv(&[container_id, name]) >> 16)
}

/// The interfaces of a container and the ways to its addresses.
pub fn pod(facts: &Facts, pod: &LocalPod) -> Objects {
    let mut objects = Objects::new();
    for interface in &pod.interfaces {
        let tag = tag(&pod.container_id, &interface.name);
        let device = device(facts, pod, interface);
        objects.insert(Key::Interface(tag.clone()), Object::interface(device));
        if interface.kind == InterfaceKind::Memif {
            let path = pod.socket_path.clone();
            objects.insert(Key::MemifSocket(pod.socket), Object::MemifSocket { path });
        }
        if interface.network == NetworkRef::Stub {
            continue;
        }
        objects.insert(
            Key::Unnumbered(tag.clone()),
            Object::Unnumbered { lender: gateway() },
        );
        for address in &interface.addresses {
            let (next_hop, mac) = (*address, interface.mac);
            objects.insert(
                Key::Neighbour(tag.clone(), next_hop),
                Object::Neighbour { mac },
            );
            let route = Object::Route {
                next_hop,
                interface: tag.clone(),
            };
            objects.insert(Key::Route(host(next_hop)), route);
        }
    }
    objects
}

fn device(facts: &Facts, pod: &LocalPod, interface: &PodInterface) -> Device {
    match interface.kind {
        InterfaceKind::Tap => Device::Tap {
            netns: pod.netns.clone(),
            host_name: interface.name.clone(),
            host_mac: interface.mac,
            mac: interface.gateway_mac,
            mtu: facts.cluster.mtu,
        },
        InterfaceKind::Memif => Device::Memif {
            socket: pod.socket,
            id: interface.memif_id,
            is_master: true,
            mac: interface.gateway_mac,
        },
        InterfaceKind::Veth => Device::AfPacket {
            host_name: veth_name(&pod.container_id, &interface.name),
            mac: interface.gateway_mac,
        },
    }
}

#[cfg(test)]
mod tests;
