#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers of a test are small"
)]

use packet::{MacAddr, vxlan};

use super::*;
use crate::bridge::PortType;
use crate::offload::{Caps, segment};
use crate::tunnel::VxlanSpec;
use crate::{Gso, Offload, SwIfIndex, Tunnel};

struct Node {
    lab: Lab,
    pod: SwIfIndex,
    uplink: SwIfIndex,
    tunnel: SwIfIndex,
}

/// A node whose pod port and tunnel share a bridge domain.
fn node(own: &str, peer: &str, peer_mac: MacAddr, len: u8) -> Node {
    node_on(own, peer, peer_mac, len, (0, 0))
}

/// A node with the ports of its own end and of the other.
fn node_on(own: &str, peer: &str, peer_mac: MacAddr, len: u8, ports: (u16, u16)) -> Node {
    let mut lab = Lab::new();
    let (pod, uplink) = (
        lab.device("pod"),
        lab.routed("uplink", &[&format!("{own}/{len}")]),
    );
    lab.neighbor(uplink, peer, peer_mac);
    let spec = VxlanSpec {
        src: addr(own),
        dst: addr(peer),
        src_port: ports.0,
        dst_port: ports.1,
        vni: 10,
        ..VxlanSpec::default()
    };
    let tunnel = lab.dp.vxlan_add_del_tunnel_v3(true, spec).unwrap();
    lab.dp.set_flags(tunnel, true).unwrap();
    for port in [pod, tunnel] {
        lab.dp
            .set_l2_bridge(port, 7, PortType::Normal, 0, true)
            .unwrap();
    }
    Node {
        lab,
        pod,
        uplink,
        tunnel,
    }
}

fn pair(v6: bool) -> (Node, Node) {
    let (a, b, len) = if v6 {
        ("2001:db8::1", "2001:db8::2", 64)
    } else {
        ("192.168.16.1", "192.168.16.2", 24)
    };
    let mac = own_mac(SwIfIndex(2));
    (node(a, b, mac, len), node(b, a, mac, len))
}

/// What the device layer does before a wire without offloads.
fn finish(bytes: &[u8], offload: &Offload) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    segment(bytes, offload, &mut [0; 2000], |f| frames.push(f.to_vec())).unwrap();
    frames
}

#[test]
fn frames_cross_a_tunnel_unchanged_over_both_underlays() {
    for v6 in [false, true] {
        let (mut a, mut b) = pair(v6);
        let inner = eth(host(2), host(1), &udp("10.0.0.1", "10.0.0.2", (1, 2), 700));
        let sent = a.lab.send(a.pod, &inner);
        assert_eq!(sent.len(), 1, "{:?}", a.lab.drops());
        assert_eq!(sent[0].0, a.uplink);
        let text = decode(&sent[0].1);
        assert!(
            text.contains(&format!("> 4789 length {}", inner.len() + 16))
                && text.contains("ttl 254"),
            "{text}"
        );
        assert_eq!(
            sent[0].2.needs_software(Caps {
                csum: true,
                gso: true
            }),
            v6
        );
        let [wire] = finish(&sent[0].1, &sent[0].2).try_into().unwrap();
        let out = b.lab.send(b.uplink, &wire);
        assert_eq!(
            out.iter()
                .map(|(on, bytes, _)| (*on, bytes))
                .collect::<Vec<_>>(),
            [(b.pod, &inner)]
        );
        assert_eq!(b.lab.dp.interface_counters(b.tunnel).rx.packets, 1);
        // The answer is unicast: both sides have learned.
        let answer = eth(host(1), host(2), &udp("10.0.0.2", "10.0.0.1", (2, 1), 10));
        let sent = b.lab.send(b.pod, &answer);
        assert_eq!(sent[0].0, b.uplink);
    }
}

#[test]
fn the_source_port_follows_the_inner_flow() {
    let (mut a, _) = pair(false);
    let mut ports = std::collections::BTreeSet::new();
    for port in 0..64 {
        let sent = a.lab.send(
            a.pod,
            &eth(
                host(2),
                host(1),
                &udp("10.0.0.1", "10.0.0.2", (port, 2), 10),
            ),
        );
        let outer = packet::FlowKey::of_ip(&sent[0].1[14..]).unwrap();
        assert!(outer.src_port >= 0xc000);
        ports.insert(outer.src_port);
    }
    assert!(ports.len() > 50, "{ports:?}");
}

#[test]
fn each_end_listens_on_a_port_of_its_own() {
    let (left, right, mac) = ("192.168.16.1", "192.168.16.2", own_mac(SwIfIndex(2)));
    let mut a = node_on(left, right, mac, 24, (4789, 8472));
    let mut b = node_on(right, left, mac, 24, (8472, 4789));
    let there = eth(host(2), host(1), &udp("10.0.0.1", "10.0.0.2", (1, 2), 9));
    let back = eth(host(1), host(2), &udp("10.0.0.2", "10.0.0.1", (2, 1), 9));
    for (inner, port, forth) in [(there, 8472, true), (back, 4789, false)] {
        let (from, to) = if forth {
            (&mut a, &mut b)
        } else {
            (&mut b, &mut a)
        };
        let sent = from.lab.send(from.pod, &inner);
        let outer = packet::FlowKey::of_ip(&sent[0].1[14..]).unwrap();
        assert_eq!(outer.dst_port, port);
        assert!(outer.src_port >= 0xc000, "follows the flow");
        let [wire] = finish(&sent[0].1, &sent[0].2).try_into().unwrap();
        let out = to.lab.send(to.uplink, &wire);
        assert_eq!((out[0].0, &out[0].1), (to.pod, &inner));
    }
}

#[test]
fn pending_offloads_are_carried_through_the_tunnel() {
    for v6 in [false, true] {
        let (mut a, mut b) = pair(v6);
        let mut segment_bytes = vec![0; 20];
        packet::tcp::Header {
            src_port: 1,
            dst_port: 2,
            flags: packet::tcp::ACK,
            ..packet::tcp::Header::default()
        }
        .emit(&mut segment_bytes);
        segment_bytes.extend([5; 4000]);
        let inner = eth(
            host(2),
            host(1),
            &ip("10.0.0.1", "10.0.0.2", 6, 64, &segment_bytes),
        );
        let offload = Offload {
            needs_csum: true,
            csum_start: 34,
            csum_offset: 16,
            gso: Gso::Tcp4,
            gso_size: 1360,
            hdr_len: 54,
            ..Offload::default()
        };
        let sent = a.lab.send_with(a.pod, &inner, offload);
        let (_, bytes, carried) = &sent[0];
        let outer = if v6 { 70 } else { 50 };
        assert_eq!(
            (carried.csum_start, carried.hdr_len, carried.gso),
            (34 + outer, 54 + outer, Gso::Tcp4)
        );
        assert_ne!(carried.tunnel, Tunnel::None);
        let frames = finish(bytes, carried);
        assert_eq!(frames.len(), 3);
        for wire in frames {
            decode(&wire);
            let out = b.lab.send(b.uplink, &wire);
            assert_eq!(out[0].0, b.pod);
            decode(&out[0].1);
        }
    }
}

#[test]
fn foreign_and_broken_vxlan_packets_are_dropped_with_a_reason() {
    let (mut a, _) = pair(false);
    let mut payload = vec![0; 8];
    vxlan::emit(&mut payload, 11);
    payload.extend(eth(
        host(1),
        host(2),
        &udp("10.0.0.2", "10.0.0.1", (1, 2), 10),
    ));
    let wrap = |payload: &[u8]| {
        let mut datagram = vec![0; 8];
        packet::udp::emit(
            &mut datagram,
            50_000,
            vxlan::PORT,
            8 + payload.len() as u16,
            0,
        );
        datagram.extend(payload);
        eth(
            own_mac(SwIfIndex(2)),
            host(9),
            &ip("192.168.16.2", "192.168.16.1", 17, 64, &datagram),
        )
    };
    assert!(a.lab.send(a.uplink, &wrap(&payload)).is_empty());
    assert!(a.lab.send(a.uplink, &wrap(&[0; 30])).is_empty());
    assert!(a.lab.send(a.uplink, &wrap(&[8, 0, 0])).is_empty());
    assert_eq!(
        a.lab.drops(),
        [
            "vxlan-input: vxlan header malformed = 2",
            "vxlan-input: no such vxlan tunnel = 1"
        ]
    );
}

#[test]
fn a_tunnel_with_an_address_routes() {
    let mut lab = Lab::new();
    let (pod, uplink) = (
        lab.routed("pod", &["10.1.1.1/24"]),
        lab.routed("uplink", &["192.168.16.1/24"]),
    );
    lab.neighbor(uplink, "192.168.16.2", host(2));
    let spec = VxlanSpec {
        src: addr("192.168.16.1"),
        dst: addr("192.168.16.2"),
        vni: 10,
        is_l3: true,
        ..VxlanSpec::default()
    };
    let tunnel = lab.dp.vxlan_add_del_tunnel_v3(true, spec).unwrap();
    lab.dp.set_flags(tunnel, true).unwrap();
    lab.dp.ip4_enable_disable(tunnel, true).unwrap();
    let path = crate::route::RoutePath {
        sw_if_index: tunnel,
        ..crate::route::RoutePath::default()
    };
    lab.dp
        .ip_route_add_del(0, prefix("10.1.2.0/24"), &[path], true, false)
        .unwrap();
    let inner = udp("10.1.1.9", "10.1.2.9", (1, 2), 50);
    let sent = lab.send(pod, &eth(own_mac(pod), host(1), &inner));
    assert_eq!(sent[0].0, uplink);
    let packet = &sent[0].1[50 - 14 + 14..];
    assert_eq!(packet.len(), inner.len());
    assert!(packet::ipv4::Ipv4::new_checked(packet).is_ok_and(|ip| ip.ttl() == 63));
}

#[test]
fn a_tunnel_that_routes_into_itself_ends() {
    let mut lab = Lab::new();
    let spec = VxlanSpec {
        src: addr("10.9.0.1"),
        dst: addr("10.9.0.2"),
        vni: 1,
        ..VxlanSpec::default()
    };
    let tunnel = lab.dp.vxlan_add_del_tunnel_v3(true, spec).unwrap();
    lab.dp.set_flags(tunnel, true).unwrap();
    lab.dp
        .add_del_address(tunnel, true, prefix("10.9.0.1/24"))
        .unwrap();
    lab.neighbor(tunnel, "10.9.0.2", host(1));
    let pod = lab.routed("pod", &["10.1.1.1/24"]);
    assert!(
        lab.send(
            pod,
            &eth(
                own_mac(pod),
                host(3),
                &udp("10.1.1.9", "10.9.0.2", (1, 2), 4)
            )
        )
        .is_empty()
    );
    assert_eq!(lab.drops(), ["vxlan-encap: no room for encapsulation = 1"]);
}
