//! One TCP stream between pods of two nodes, over VXLAN on a veth pair.

use std::net::Ipv4Addr;

use tempfile::TempDir;
use vpp_api::FixedString;
use vpp_api::af_packet::{AfPacketCreateV3, AfPacketMode};
use vpp_api::vxlan::VxlanAddDelTunnelV3;

use super::{MTU, MTU_TEXT, Setting, stream};
use crate::dataplane::{Dataplane, Engine};
use crate::process::Place;
use crate::sandbox::{Namespace, ip};
use crate::traffic::VNI;

/// MTU of the wire between the nodes.
const WIRE_MTU: &str = "1500";
const SERVER: &str = "10.4.0.2";

/// A node and its pod, and its end of the wire, `wire0`.
struct Node {
    host: Namespace,
    pod: Namespace,
    number: u8,
}

fn nodes() -> anyhow::Result<[Node; 2]> {
    let node = |number| {
        Ok::<_, anyhow::Error>(Node {
            host: Namespace::new("node")?,
            pod: Namespace::new("pod")?,
            number,
        })
    };
    let nodes = [node(1)?, node(2)?];
    let [a, b] = &nodes;
    a.host.ip(&[
        "link",
        "add",
        "wire0",
        "mtu",
        WIRE_MTU,
        "type",
        "veth",
        "peer",
        "name",
        "wire0",
        "mtu",
        WIRE_MTU,
        "netns",
        &b.host.name,
    ])?;
    for node in &nodes {
        node.host.ip(&["link", "set", "wire0", "up"])?;
    }
    Ok(nodes)
}

pub(super) fn ours(setting: &Setting, engine: &Engine) -> anyhow::Result<f64> {
    let nodes = nodes()?;
    let mut dataplanes = Vec::new();
    for node in &nodes {
        let dataplane = Dataplane::start_in(&node.host, engine, Place::ANYWHERE)?;
        set_up(&dataplane, node)?;
        dataplanes.push(dataplane);
    }
    let dir = TempDir::new()?;
    let [a, b] = &nodes;
    stream(setting, &a.pod, &b.pod, SERVER, dir.path())
}

fn set_up(dataplane: &Dataplane, node: &Node) -> anyhow::Result<()> {
    let underlay = |number| Ipv4Addr::new(10, 9, 0, number);
    let pod = Ipv4Addr::new(10, 4, 0, node.number);
    let wire = dataplane.ask(&AfPacketCreateV3 {
        mode: AfPacketMode::Ethernet,
        use_random_hw_addr: true,
        host_if_name: FixedString::new("wire0")?,
        ..AfPacketCreateV3::default()
    })?;
    dataplane.up(wire.sw_if_index)?;
    dataplane.address(wire.sw_if_index, underlay(node.number))?;
    let tunnel = dataplane.ask(&VxlanAddDelTunnelV3 {
        src_address: underlay(node.number).into(),
        dst_address: underlay(3 - node.number).into(),
        src_port: 4789,
        dst_port: 4789,
        mcast_sw_if_index: vpp_api::interface_types::InterfaceIndex(u32::MAX),
        decap_next_index: u32::MAX,
        vni: VNI,
        ..VxlanAddDelTunnelV3::default()
    })?;
    dataplane.up(tunnel.sw_if_index)?;
    let tap = dataplane.tap(&node.pod, pod, None, MTU)?;
    dataplane.cross_connect([tap, tunnel.sw_if_index])
}

pub(super) fn kernel(setting: &Setting) -> anyhow::Result<f64> {
    let nodes = nodes()?;
    for node in &nodes {
        let (host, pod, n) = (&node.host, &node.pod, node.number);
        let (own, far) = (format!("10.9.0.{n}"), format!("10.9.0.{}", 3 - n));
        host.ip(&["addr", "add", &format!("{own}/24"), "dev", "wire0"])?;
        let vni = VNI.to_string();
        host.ip(&[
            "link", "add", "vx0", "mtu", MTU_TEXT, "type", "vxlan", "id", &vni, "local", &own,
            "remote", &far, "dstport", "4789",
        ])?;
        host.ip(&["link", "add", "br0", "type", "bridge"])?;
        ip(&[
            "-n", &host.name, "link", "add", "pod0", "mtu", MTU_TEXT, "type", "veth", "peer",
            "name", "eth0", "mtu", MTU_TEXT, "netns", &pod.name,
        ])?;
        for port in ["vx0", "pod0"] {
            host.ip(&["link", "set", port, "master", "br0", "up"])?;
        }
        host.ip(&["link", "set", "br0", "up"])?;
        pod.ip(&["addr", "add", &format!("10.4.0.{n}/24"), "dev", "eth0"])?;
        pod.ip(&["link", "set", "eth0", "up"])?;
    }
    let dir = TempDir::new()?;
    let [a, b] = &nodes;
    stream(setting, &a.pod, &b.pod, SERVER, dir.path())
}
