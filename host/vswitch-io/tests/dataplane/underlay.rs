//! The world outside: Linux interfaces, and other nodes over VXLAN.

use std::io::{IoSlice, IoSliceMut};
use std::net::IpAddr;

use vpp_api::vxlan::VxlanAddDelTunnelV3;
use vswitch_io::device::af_packet::{AfPacket, AfPacketConfig, BURST_MAX, Received};
use vswitch_io::device::vnet::PACKET_HEADER_LEN;

use crate::lab::{Namespace, is_permitted, run, wait_for};
use crate::switch::{PodConfig, Switch};
use crate::traffic::{expect_ping, transfer};

const TRANSFER: usize = 8 << 20;

/// Connects two namespaces with a veth pair; both ends are called `up0` and are up.
pub(crate) fn wire(left: &Namespace, right: &Namespace) {
    let link = [
        "link",
        "add",
        "up0",
        "netns",
        &left.name,
        "type",
        "veth",
        "peer",
        "name",
        "up0",
        "netns",
        &right.name,
    ];
    run("ip", &link);
    for end in [left, right] {
        end.run("sysctl -q -w net.ipv6.conf.up0.disable_ipv6=1");
        end.run("ip link set up0 up");
    }
}

#[tokio::test]
async fn a_pod_reaches_a_linux_host_through_a_packet_socket() {
    if !is_permitted() {
        return;
    }
    let (node, host, pod) = (
        Namespace::new("node"),
        Namespace::new("host"),
        Namespace::new("pod"),
    );
    wire(&node, &host);
    host.run("ip addr add 192.168.5.2/24 dev up0");
    host.run("ip route add 10.1.1.0/24 via 192.168.5.1");
    let switch = Switch::start(Some(&node), 1).await;
    let uplink = switch.af_packet("up0").await;
    switch.address(uplink, "192.168.5.1/24").await;
    let tap = switch.tap(&pod, &PodConfig::routed(1)).await;
    switch.address(tap, "10.1.1.1/24").await;
    expect_ping(&pod, "192.168.5.2");
    expect_ping(&host, "10.1.1.2");
    transfer(
        &pod,
        &host,
        "192.168.5.2".parse::<IpAddr>().unwrap(),
        TRANSFER,
    );
    transfer(&host, &pod, "10.1.1.2".parse::<IpAddr>().unwrap(), TRANSFER);
}

#[tokio::test]
async fn vlan_tags_pass_between_a_packet_socket_and_a_tap() {
    if !is_permitted() {
        return;
    }
    let (node, host, pod) = (
        Namespace::new("node"),
        Namespace::new("host"),
        Namespace::new("pod"),
    );
    wire(&node, &host);
    let switch = Switch::start(Some(&node), 1).await;
    let uplink = switch.af_packet("up0").await;
    let tap = switch.tap(&pod, &PodConfig::bridged(1)).await;
    switch.bridge(1, &[uplink, tap]).await;
    let open = |namespace: &Namespace, name: &str| {
        let config = AfPacketConfig {
            host_if_name: name.into(),
            queues: 1,
            qdisc_bypass: false,
            ip_only: false,
        };
        namespace.enter(|| AfPacket::open(&config).unwrap())
    };
    let (at_host, at_pod) = (open(&host, "up0"), open(&pod, "eth0"));
    expect_tagged(&at_host, &at_pod, 1);
    expect_tagged(&at_pod, &at_host, 2);
}

/// Sends frames of VLAN 100 at one end until one arrives at the other with its tag.
fn expect_tagged(from: &AfPacket, to: &AfPacket, mark: u8) {
    let mut frame = vec![
        2,
        0,
        0,
        0,
        0,
        0x20 + mark,
        2,
        0,
        0,
        0,
        0,
        0x10 + mark,
        0x81,
        0,
        0,
        100,
        0x88,
        0xb5,
    ];
    frame.resize(300, mark);
    wait_for("a tagged frame", || {
        let header = [0; PACKET_HEADER_LEN];
        from.queues()[0]
            .send_burst(&[[&header[..], &frame, &[]].map(IoSlice::new)])
            .unwrap();
        let (mut header, mut bytes) = ([0; PACKET_HEADER_LEN], [0; 2048]);
        let mut messages = [[&mut header[..], &mut bytes, &mut []].map(IoSliceMut::new)];
        let mut received = [Received::default(); BURST_MAX];
        let count = to.queues()[0]
            .recv_burst(&mut messages, &mut received)
            .map_err(|error| error.to_string())?;
        let tag = received[0]
            .vlan
            .filter(|tag| (tag.tpid, tag.tci) == (0x8100, 100));
        // The kernel keeps the tag apart from the frame: what is left is four bytes shorter.
        let is_whole = received[0].len == PACKET_HEADER_LEN + 296
            && bytes[14..296].iter().all(|byte| *byte == mark);
        if count == 1 && tag.is_some() && is_whole {
            Ok(())
        } else {
            Err(format!("{:?}", received[0]))
        }
    });
}

/// One node: its switch, its uplink 192.168.5.`n`, a pod 10.2.0.`n` and a tunnel to node `peer`.
async fn node(n: u8, peer: u8, namespace: &Namespace, pod: &Namespace) -> Switch {
    let switch = Switch::start(Some(namespace), 1).await;
    let uplink = switch.af_packet("up0").await;
    switch.address(uplink, &format!("192.168.5.{n}/24")).await;
    let request = VxlanAddDelTunnelV3 {
        src_address: format!("192.168.5.{n}").parse().unwrap(),
        dst_address: format!("192.168.5.{peer}").parse().unwrap(),
        vni: 10,
        decap_next_index: u32::MAX,
        ..VxlanAddDelTunnelV3::default()
    };
    let tunnel = switch.api.request(&request).await.unwrap().sw_if_index;
    switch.up(tunnel).await;
    let tap = switch
        .tap(
            pod,
            &PodConfig {
                mtu: 1400,
                ..PodConfig::bridged(n)
            },
        )
        .await;
    switch.bridge(10, &[tap, tunnel]).await;
    switch
}

#[tokio::test]
async fn pods_of_two_nodes_share_a_subnet_over_vxlan() {
    if !is_permitted() {
        return;
    }
    let (left, right) = (Namespace::new("left"), Namespace::new("right"));
    let (a, b) = (Namespace::new("a"), Namespace::new("b"));
    wire(&left, &right);
    let _left = node(1, 2, &left, &a).await;
    let _right = node(2, 1, &right, &b).await;
    expect_ping(&a, "10.2.0.2");
    expect_ping(&b, "10.2.0.1");
    transfer(&a, &b, "10.2.0.2".parse::<IpAddr>().unwrap(), TRANSFER);
    transfer(&b, &a, "10.2.0.1".parse::<IpAddr>().unwrap(), TRANSFER);
}
