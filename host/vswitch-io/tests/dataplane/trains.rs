//! TCP in VXLAN against Linux's VXLAN device: trains of packets out, super-frames in, and single packets where the wire
//! takes nothing else.

use std::io::IoSliceMut;
use std::net::IpAddr;

use packet::ethernet::{self, Ethernet};
use packet::ipv4::Ipv4;
use packet::udp::Udp;
use packet::{checksum, virtio, vxlan};
use vpp_api::vxlan::VxlanAddDelTunnelV3;
use vswitch_io::device::af_packet::{AfPacket, AfPacketConfig, BURST_MAX, Received};
use vswitch_io::device::vnet::PACKET_HEADER_LEN;

use crate::lab::{Namespace, is_permitted};
use crate::switch::{PodConfig, Switch};
use crate::traffic::{expect_ping, transfer};
use crate::underlay::wire;

const TRANSFER: usize = 4 << 20;
/// Longest frame of an MTU of 1500.
const FRAME_LEN_MAX: usize = 1514;
/// Outer IPv4, UDP and VXLAN headers behind the outer Ethernet header.
const OUTER_LEN: usize = 20 + 8 + 8;

/// A node with a pod 10.2.0.1, and a Linux host with a VXLAN device 10.2.0.2.
struct Net {
    node: Namespace,
    host: Namespace,
    pod: Namespace,
    _switch: Switch,
}

impl Net {
    async fn new(underlay: &str, len: u8) -> Self {
        let [node, host, pod] = ["node", "host", "pod"].map(Namespace::new);
        wire(&node, &host);
        let [own, far] = [1, 2].map(|n| format!("{underlay}{n}"));
        host.run("sysctl -q -w net.ipv6.conf.up0.disable_ipv6=0");
        host.run(&format!("ip addr add {far}/{len} dev up0 nodad"));
        host.run(&format!(
            "ip link add vx0 mtu 1430 type vxlan id 10 local {far} remote {own} dstport 4789"
        ));
        host.run("ip addr add 10.2.0.2/24 dev vx0");
        host.run("ip link set vx0 up");
        let switch = Switch::start(Some(&node), 1).await;
        let uplink = switch.af_packet("up0").await;
        switch.address(uplink, &format!("{own}/{len}")).await;
        let request = VxlanAddDelTunnelV3 {
            src_address: own.parse().unwrap(),
            dst_address: far.parse().unwrap(),
            vni: 10,
            decap_next_index: u32::MAX,
            ..VxlanAddDelTunnelV3::default()
        };
        let tunnel = switch.api.request(&request).await.unwrap().sw_if_index;
        switch.up(tunnel).await;
        let config = PodConfig {
            mtu: 1430,
            ..PodConfig::bridged(1)
        };
        let tap = switch.tap(&pod, &config).await;
        switch.bridge(10, &[tap, tunnel]).await;
        expect_ping(&pod, "10.2.0.2");
        Self {
            node,
            host,
            pod,
            _switch: switch,
        }
    }

    fn send(&self) {
        let to = "10.2.0.2".parse::<IpAddr>().unwrap();
        transfer(&self.pod, &self.host, to, TRANSFER);
    }

    fn receive(&self) {
        let to = "10.2.0.1".parse::<IpAddr>().unwrap();
        transfer(&self.host, &self.pod, to, TRANSFER);
    }
}

/// Sees what arrives at an interface.
fn listen(namespace: &Namespace, name: &str) -> AfPacket {
    let config = AfPacketConfig {
        host_if_name: name.into(),
        ..AfPacketConfig::default()
    };
    namespace.enter(|| AfPacket::open(&config).unwrap())
}

/// Shows every frame that arrived.
fn drain(from: &AfPacket, mut show: impl FnMut(virtio::Header, &[u8])) {
    let mut bytes = vec![0; 70_000];
    loop {
        let mut header = [0; PACKET_HEADER_LEN];
        let mut messages = [[&mut header[..], &mut bytes, &mut []].map(IoSliceMut::new)];
        let mut received = [Received::default(); BURST_MAX];
        let Ok(1) = from.queues()[0].recv_burst(&mut messages, &mut received) else {
            return;
        };
        let len = received[0].len - PACKET_HEADER_LEN;
        show(virtio::Header::parse(&header).unwrap(), &bytes[..len]);
    }
}

#[tokio::test]
async fn linux_takes_trains_and_a_pod_gets_super_frames() {
    if !is_permitted() {
        return;
    }
    for (underlay, len) in [("192.168.5.", 24), ("fd05::", 64)] {
        let net = Net::new(underlay, len).await;
        let (wire, eth0) = (listen(&net.host, "up0"), listen(&net.pod, "eth0"));
        net.send();
        net.receive();
        let (mut trains, mut supers) = (0, 0);
        drain(&wire, |work, frame| {
            trains += usize::from(work.gso_type == virtio::GSO_UDP_L4 && frame.len() > 10_000);
        });
        drain(&eth0, |work, frame| {
            supers += usize::from(work.gso_type == virtio::GSO_TCPV4 && frame.len() > 10_000);
        });
        assert!(trains > 20 && supers > 20, "{trains} {supers} {underlay}");
    }
}

#[tokio::test]
async fn single_packets_of_a_train_are_well_formed_and_joined_again() {
    if !is_permitted() {
        return;
    }
    let net = Net::new("192.168.5.", 24).await;
    // The kernel cuts what leaves here, as it does for a card without offloads.
    for end in [&net.node, &net.host] {
        end.run("ip link set up0 gso_max_size 2000");
    }
    let (wire, eth0) = (listen(&net.host, "up0"), listen(&net.pod, "eth0"));
    net.send();
    net.receive();
    let mut data = 0;
    drain(&wire, |work, frame| {
        assert!(work.gso_type == virtio::GSO_NONE && frame.len() <= FRAME_LEN_MAX);
        data += usize::from(frame.len() == FRAME_LEN_MAX - 20 && is_sound(frame));
    });
    assert!(data > 1000, "{data}");
    let mut supers = 0;
    drain(&eth0, |work, _| {
        supers += usize::from(work.gso_type == virtio::GSO_TCPV4);
    });
    assert!(supers > 20, "{supers}");
}

/// Whether lengths and inner checksums of a TCP packet in VXLAN are right.
fn is_sound(frame: &[u8]) -> bool {
    let outer = Ethernet::new_checked(frame).unwrap().payload();
    let ip = Ipv4::new_checked(outer).unwrap();
    let datagram = Udp::new_checked(ip.payload()).unwrap();
    let lengths = (
        usize::from(ip.total_len()),
        usize::from(datagram.len()) + 20,
    );
    let is_outside_sound = lengths == (outer.len(), outer.len())
        && ip.checksum_ok()
        && datagram.dst_port() == vxlan::PORT;
    let inner = &outer[OUTER_LEN + ethernet::HEADER_LEN..];
    let ip = Ipv4::new_checked(inner).unwrap();
    let len = ip.total_len() - 20;
    let pseudo = checksum::pseudo4(ip.src(), ip.dst(), ip.protocol(), len);
    is_outside_sound
        && ip.checksum_ok()
        && usize::from(ip.total_len()) == inner.len()
        && checksum::fold(checksum::add(pseudo, &inner[20..])) == 0xffff
}
