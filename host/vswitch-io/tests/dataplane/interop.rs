//! Fragments, tuns, tunnels and VLANs against what Linux makes of them.

use std::io::{IoSlice, IoSliceMut};
use std::net::IpAddr;
use std::time::{Duration, Instant};

use vpp_api::fib_types::{FibPath, FibPathNhProto};
use vpp_api::interface::{
    CreateVlanSubif, SwInterfaceDump, SwInterfaceSetMtu, SwInterfaceSetUnnumbered,
};
use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
use vpp_api::ip::{IpReassemblyEnableDisable, IpRoute, IpRouteAddDel};
use vpp_api::ipip::{IpipAddTunnel, IpipTunnel};
use vpp_api::tapv2::TapFlags;
use vpp_api::vxlan::VxlanAddDelTunnelV3;
use vswitch_io::device::af_packet::{AfPacket, AfPacketConfig, BURST_MAX, Received};
use vswitch_io::device::vnet::PACKET_HEADER_LEN;

use crate::lab::{Namespace, is_permitted, wait_for};
use crate::switch::{PodConfig, Switch, prefix};
use crate::traffic::{expect_ping, transfer};
use crate::underlay::wire;

const TRANSFER: usize = 4 << 20;

/// Sends pings of `size` bytes that may be cut on their way, until one is answered.
fn expect_long_ping(from: &Namespace, to: &str, size: u32) {
    wait_for(&format!("ping of {size} bytes to {to}"), || {
        let output = from.try_run(&format!("ping -n -c 1 -W 1 -M dont -s {size} {to}"));
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stdout).into_owned())
        }
    });
}

async fn mtu(switch: &Switch, sw_if_index: InterfaceIndex, mtu: u32) {
    let request = SwInterfaceSetMtu {
        sw_if_index,
        mtu: [mtu, 0, 0, 0],
    };
    switch.api.request(&request).await.unwrap();
}

/// Two pods behind one switch.
async fn pods() -> (Switch, [Namespace; 2], [InterfaceIndex; 2]) {
    let pods = [Namespace::new("a"), Namespace::new("b")];
    let switch = Switch::start(None, 1).await;
    let mut taps = [InterfaceIndex::NONE; 2];
    for (n, (pod, tap)) in (1..).zip(pods.iter().zip(&mut taps)) {
        *tap = switch.tap(pod, &PodConfig::routed(n)).await;
        switch.address(*tap, &format!("10.1.{n}.1/24")).await;
        switch.address(*tap, &format!("fd01:{n}::1/64")).await;
        mtu(&switch, *tap, 1450).await;
    }
    (switch, pods, taps)
}

#[tokio::test]
async fn linux_and_the_switch_put_the_fragments_of_each_other_together() {
    if !is_permitted() {
        return;
    }
    let (switch, [a, _b], [first, second]) = pods().await;
    for to in ["10.1.1.1", "fd01:1::1", "10.1.2.2", "fd01:2::2"] {
        expect_long_ping(&a, to, 4000);
    }
    // The same when packets are put together on their way, and cut smaller by the last link.
    for sw_if_index in [first, second] {
        let request = IpReassemblyEnableDisable {
            sw_if_index,
            enable_ip4: true,
            enable_ip6: true,
            ..IpReassemblyEnableDisable::default()
        };
        switch.api.request(&request).await.unwrap();
    }
    mtu(&switch, second, 1000).await;
    expect_long_ping(&a, "10.1.2.2", 4000);
    expect_long_ping(&a, "10.1.2.2", 1300);
    let runtime = switch.cli("show runtime").await;
    assert!(runtime.contains("ip4-frag"), "{runtime}");
    mtu(&switch, second, 1450).await;
    expect_long_ping(&a, "fd01:2::2", 4000);
    let errors = switch.cli("show errors").await;
    assert!(!errors.contains("overlap"), "{errors}");
}

#[tokio::test]
async fn pods_behind_tuns_reach_each_other() {
    if !is_permitted() {
        return;
    }
    let pods = [Namespace::new("a"), Namespace::new("b")];
    let switch = Switch::start(None, 1).await;
    for (n, pod) in (1..).zip(&pods) {
        let mut request = PodConfig::routed(n).request(pod);
        request.tap_flags = TapFlags::TUN;
        let tun = switch.api.request(&request).await.unwrap().sw_if_index;
        switch.up(tun).await;
        switch.address(tun, &format!("10.1.{n}.1/24")).await;
        switch.address(tun, &format!("fd01:{n}::1/64")).await;
    }
    for to in ["10.1.1.1", "fd01:1::1", "10.1.2.2", "fd01:2::2"] {
        expect_ping(&pods[0], to);
    }
    transfer(
        &pods[0],
        &pods[1],
        "10.1.2.2".parse::<IpAddr>().unwrap(),
        TRANSFER,
    );
    transfer(
        &pods[1],
        &pods[0],
        "fd01:1::2".parse::<IpAddr>().unwrap(),
        TRANSFER,
    );
}

/// A node with an uplink 192.168.5.`n` and a pod of full Ethernet size.
async fn node(
    n: u8,
    namespace: &Namespace,
    pod: &Namespace,
    config: PodConfig,
) -> (Switch, InterfaceIndex) {
    let switch = Switch::start(Some(namespace), 1).await;
    let uplink = switch.af_packet("up0").await;
    switch.address(uplink, &format!("192.168.5.{n}/24")).await;
    let config = PodConfig {
        mtu: 1500,
        ..config
    };
    let tap = switch.tap(pod, &config).await;
    (switch, tap)
}

#[tokio::test]
async fn a_vxlan_tunnel_carries_packets_longer_than_its_underlay_takes() {
    if !is_permitted() {
        return;
    }
    let nodes = [Namespace::new("left"), Namespace::new("right")];
    let pods = [Namespace::new("a"), Namespace::new("b")];
    wire(&nodes[0], &nodes[1]);
    let mut switches = Vec::new();
    for (n, peer) in [(1u8, 2u8), (2, 1)] {
        let at = usize::from(n) - 1;
        let (switch, tap) = node(n, &nodes[at], &pods[at], PodConfig::bridged(n)).await;
        let request = VxlanAddDelTunnelV3 {
            src_address: format!("192.168.5.{n}").parse().unwrap(),
            dst_address: format!("192.168.5.{peer}").parse().unwrap(),
            vni: 10,
            decap_next_index: u32::MAX,
            ..VxlanAddDelTunnelV3::default()
        };
        let tunnel = switch.api.request(&request).await.unwrap().sw_if_index;
        switch.up(tunnel).await;
        switch.bridge(10, &[tap, tunnel]).await;
        switches.push(switch);
    }
    expect_long_ping(&pods[0], "10.2.0.2", 1472);
    expect_long_ping(&pods[1], "10.2.0.1", 4000);
    transfer(
        &pods[0],
        &pods[1],
        "10.2.0.2".parse::<IpAddr>().unwrap(),
        TRANSFER,
    );
}

#[tokio::test]
async fn pods_of_two_nodes_reach_each_other_through_an_ipip_tunnel() {
    if !is_permitted() {
        return;
    }
    let nodes = [Namespace::new("left"), Namespace::new("right")];
    let pods = [Namespace::new("a"), Namespace::new("b")];
    wire(&nodes[0], &nodes[1]);
    let mut switches = Vec::new();
    for (n, peer) in [(1u8, 2u8), (2, 1)] {
        let at = usize::from(n) - 1;
        let (switch, tap) = node(n, &nodes[at], &pods[at], PodConfig::routed(n)).await;
        switch.address(tap, &format!("10.1.{n}.1/24")).await;
        switch.address(tap, &format!("fd01:{n}::1/64")).await;
        let request = IpipAddTunnel {
            tunnel: IpipTunnel {
                instance: u32::MAX,
                src: format!("192.168.5.{n}").parse().unwrap(),
                dst: format!("192.168.5.{peer}").parse().unwrap(),
                ..IpipTunnel::default()
            },
        };
        let tunnel = switch.api.request(&request).await.unwrap().sw_if_index;
        switch.up(tunnel).await;
        let borrow = SwInterfaceSetUnnumbered {
            sw_if_index: tap,
            unnumbered_sw_if_index: tunnel,
            is_add: true,
        };
        switch.api.request(&borrow).await.unwrap();
        for (to, proto) in [
            (format!("10.1.{peer}.0/24"), FibPathNhProto::Ip4),
            (format!("fd01:{peer}::/64"), FibPathNhProto::Ip6),
        ] {
            let path = FibPath {
                sw_if_index: tunnel.0,
                weight: 1,
                proto,
                ..FibPath::default()
            };
            let route = IpRoute {
                prefix: prefix(&to),
                paths: vec![path],
                ..IpRoute::default()
            };
            let request = IpRouteAddDel {
                is_add: true,
                route,
                ..IpRouteAddDel::default()
            };
            switch.api.request(&request).await.unwrap();
        }
        switches.push(switch);
    }
    expect_ping(&pods[0], "10.1.2.2");
    expect_ping(&pods[0], "fd01:2::2");
    expect_long_ping(&pods[0], "10.1.2.2", 4000);
    transfer(
        &pods[0],
        &pods[1],
        "10.1.2.2".parse::<IpAddr>().unwrap(),
        TRANSFER,
    );
    transfer(
        &pods[1],
        &pods[0],
        "fd01:1::2".parse::<IpAddr>().unwrap(),
        TRANSFER,
    );
}

#[tokio::test]
async fn a_vlan_subinterface_of_a_packet_socket_answers_with_its_tag() {
    if !is_permitted() {
        return;
    }
    let (node, host) = (Namespace::new("node"), Namespace::new("host"));
    wire(&node, &host);
    let switch = Switch::start(Some(&node), 1).await;
    let uplink = switch.af_packet("up0").await;
    let request = CreateVlanSubif {
        sw_if_index: uplink,
        vlan_id: 100,
    };
    let sub = switch.api.request(&request).await.unwrap().sw_if_index;
    switch.up(sub).await;
    switch.address(sub, "10.100.0.1/24").await;
    let config = AfPacketConfig {
        host_if_name: "up0".into(),
        queues: 1,
        qdisc_bypass: false,
        ip_only: false,
    };
    let wire = host.enter(|| AfPacket::open(&config).unwrap());
    let mac = [2, 0, 0, 0, 0, 7];
    let mut ask = vec![0xff; 6];
    ask.extend(mac);
    ask.extend([0x81, 0, 0, 100, 8, 6, 0, 1, 8, 0, 6, 4, 0, 1]);
    ask.extend(mac);
    ask.extend([10, 100, 0, 7, 0, 0, 0, 0, 0, 0, 10, 100, 0, 1]);
    wait_for("a tagged ARP reply", || {
        let header = [0; PACKET_HEADER_LEN];
        wire.queues()[0]
            .send_burst(&[[&header[..], &ask, &[]].map(IoSlice::new)])
            .unwrap();
        let (mut header, mut bytes) = ([0; PACKET_HEADER_LEN], [0; 2048]);
        let mut messages = [[&mut header[..], &mut bytes, &mut []].map(IoSliceMut::new)];
        let mut received = [Received::default(); BURST_MAX];
        wire.queues()[0]
            .recv_burst(&mut messages, &mut received)
            .map_err(|error| error.to_string())?;
        let tag = received[0].vlan.map(|tag| (tag.tpid, tag.tci));
        let is_reply = bytes[..6] == mac && bytes[12..14] == [8, 6] && bytes[21] == 2;
        if tag == Some((0x8100, 100)) && is_reply && bytes[28..32] == [10, 100, 0, 1] {
            Ok(())
        } else {
            Err(format!("{:?} {:?}", received[0], &bytes[..42]))
        }
    });
}

/// Whether the dataplane says that an interface has a link.
async fn has_link(switch: &Switch, sw_if_index: InterfaceIndex) -> bool {
    let dump = SwInterfaceDump {
        sw_if_index,
        ..SwInterfaceDump::default()
    };
    let details = switch.api.dump(&dump).await.unwrap().remove(0);
    details.flags.contains(IfStatusFlags::LINK_UP)
}

async fn expect_link(switch: &Switch, sw_if_index: InterfaceIndex, up: bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while has_link(switch, sw_if_index).await != up {
        assert!(Instant::now() < deadline, "the link does not become {up}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

#[tokio::test]
async fn a_packet_socket_follows_the_carrier_and_a_new_interface_of_its_name() {
    if !is_permitted() {
        return;
    }
    let (node, host) = (Namespace::new("node"), Namespace::new("host"));
    wire(&node, &host);
    host.run("ip addr add 192.168.5.2/24 dev up0");
    let switch = Switch::start(Some(&node), 1).await;
    let uplink = switch.af_packet("up0").await;
    switch.address(uplink, "192.168.5.1/24").await;
    expect_link(&switch, uplink, true).await;
    expect_ping(&host, "192.168.5.1");
    host.run("ip link set up0 down");
    expect_link(&switch, uplink, false).await;
    host.run("ip link set up0 up");
    expect_link(&switch, uplink, true).await;
    node.run("ip link del up0");
    expect_link(&switch, uplink, false).await;
    wire(&node, &host);
    host.run("ip addr add 192.168.5.2/24 dev up0");
    expect_link(&switch, uplink, true).await;
    expect_ping(&host, "192.168.5.1");
}
