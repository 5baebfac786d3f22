//! Pods behind veth pairs that a dataplane holds the other ends of, by AF_PACKET.

use vpp_api::FixedString;
use vpp_api::af_packet::{AfPacketCreateV3, AfPacketFlags, AfPacketMode};

use super::{MTU_TEXT, Setting, stream};
use crate::dataplane::{Dataplane, Engine};
use crate::process::Place;
use crate::sandbox::{Namespace, ip};

/// Gbit/s through a bridge domain of the dataplane.
pub(super) fn bridged(setting: &Setting, engine: &Engine) -> anyhow::Result<f64> {
    let (node, a, b) = (
        Namespace::new("node")?,
        Namespace::new("a")?,
        Namespace::new("b")?,
    );
    let dataplane = Dataplane::start_in(&node, engine, Place::ANYWHERE)?;
    let mut ends = Vec::new();
    for (pod, port, address) in [(&a, "a0", "10.4.0.1/24"), (&b, "b0", "10.4.0.2/24")] {
        ip(&[
            "-n", &node.name, "link", "add", port, "mtu", MTU_TEXT, "type", "veth", "peer", "name",
            "eth0", "mtu", MTU_TEXT, "netns", &pod.name,
        ])?;
        node.ip(&["link", "set", port, "up"])?;
        pod.ip(&["addr", "add", address, "dev", "eth0"])?;
        pod.ip(&["link", "set", "eth0", "up"])?;
        let create = AfPacketCreateV3 {
            mode: AfPacketMode::Ethernet,
            use_random_hw_addr: true,
            host_if_name: FixedString::new(port)?,
            flags: AfPacketFlags::QDISC_BYPASS | AfPacketFlags::CKSUM_GSO,
            ..AfPacketCreateV3::default()
        };
        let sw_if_index = dataplane.ask(&create)?.sw_if_index;
        dataplane.up(sw_if_index)?;
        ends.push(sw_if_index);
    }
    dataplane.bridge(&ends)?;
    stream(setting, &a, &b, "10.4.0.2", dataplane.dir.path())
}
