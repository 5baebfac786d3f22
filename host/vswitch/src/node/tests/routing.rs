//! Ways of packets that can go on.

use std::collections::BTreeMap;

use packet::MacAddr;
use packet::arp::Operation;

use super::resolution::arp;
use super::*;
use crate::route::{PathKind, RoutePath};
use crate::{Family, SwIfIndex};

pub(super) fn two_subnets() -> (Lab, SwIfIndex, SwIfIndex) {
    let mut lab = Lab::new();
    let a = lab.routed("a", &["10.0.0.1/24", "2001:db8:a::1/64"]);
    let b = lab.routed("b", &["10.0.1.1/24", "2001:db8:b::1/64"]);
    (lab, a, b)
}

#[test]
fn link_padding_is_cut() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.9", host(2));
    let mut frame = eth(own_mac(a), host(1), &udp("10.0.0.9", "10.0.1.9", (1, 2), 4));
    frame.resize(60, 0xee);
    assert_eq!(lab.send(a, &frame)[0].1.len(), 14 + 20 + 8 + 4);
}

#[test]
fn ecmp_spreads_flows_by_weight_and_keeps_each_on_its_path() {
    let mut lab = Lab::new();
    let a = lab.routed("a", &["10.0.0.1/24"]);
    let outs: Vec<_> = (1..=3)
        .map(|n| lab.routed(&format!("out{n}"), &[&format!("10.{n}.0.1/24")]))
        .collect();
    let mut paths = Vec::new();
    for (n, out) in (1..).zip(&outs) {
        let peer = format!("10.{n}.0.2");
        lab.neighbor(*out, &peer, host(n));
        paths.push(RoutePath {
            weight: if n == 3 { 2 } else { 1 },
            ..RoutePath::via(addr(&peer), *out)
        });
    }
    lab.dp
        .ip_route_add_del(0, prefix("10.50.0.0/16"), &paths, true, false)
        .unwrap();
    let mut spread = BTreeMap::new();
    for port in 0..1000 {
        let frame = eth(
            own_mac(a),
            host(9),
            &udp("10.0.0.9", "10.50.0.1", (port, 2), 4),
        );
        let (first, again) = (lab.send(a, &frame)[0].0, lab.send(a, &frame)[0].0);
        assert_eq!(first, again);
        *spread.entry(first).or_insert(0) += 1;
    }
    let shares: Vec<_> = outs.iter().map(|o| spread[o]).collect();
    assert!(
        (200..300).contains(&shares[0])
            && (200..300).contains(&shares[1])
            && (430..570).contains(&shares[2]),
        "{shares:?}"
    );
    // A path whose interface is down takes no flows.
    lab.dp.set_flags(outs[2], false).unwrap();
    for port in 0..50 {
        let frame = eth(
            own_mac(a),
            host(9),
            &udp("10.0.0.9", "10.50.0.1", (port, 2), 4),
        );
        assert_ne!(lab.send(a, &frame)[0].0, outs[2]);
    }
}

#[test]
fn recursive_and_vrf_lookups_are_followed_and_loops_end() {
    let mut lab = Lab::new();
    let (a, b) = (lab.device("a"), lab.routed("b", &["10.0.1.1/24"]));
    lab.dp
        .ip_table_add_del(Family::V4, 10, "red", true)
        .unwrap();
    lab.dp.set_table(a, Family::V4, 10).unwrap();
    lab.dp
        .add_del_address(a, true, prefix("10.0.0.1/24"))
        .unwrap();
    lab.neighbor(b, "10.0.1.9", host(2));
    let frame = |dst: &str| eth(own_mac(a), host(1), &udp("10.0.0.9", dst, (1, 2), 4));
    assert_eq!(lab.text(a, &frame("10.0.1.9")), "");
    // VRF 10 leaks everything to table 0, where 10.60/16 is reached through a next hop that is itself routed.
    let leak = RoutePath {
        table_id: 0,
        ..RoutePath::of_kind(PathKind::Normal, Family::V4)
    };
    lab.dp
        .ip_route_add_del(10, prefix("0.0.0.0/0"), &[leak], true, false)
        .unwrap();
    assert!(
        lab.text(a, &frame("10.0.1.9"))
            .contains("02:aa:00:00:00:02")
    );
    let via = |hop: &str| RoutePath {
        next_hop: addr(hop),
        ..RoutePath::of_kind(PathKind::Normal, Family::V4)
    };
    lab.dp
        .ip_route_add_del(0, prefix("10.60.0.0/16"), &[via("10.70.0.1")], true, false)
        .unwrap();
    lab.dp
        .ip_route_add_del(0, prefix("10.70.0.0/16"), &[via("10.0.1.9")], true, false)
        .unwrap();
    assert!(
        lab.text(a, &frame("10.60.3.4"))
            .contains("02:aa:00:00:00:02 10.0.0.9 > 10.60.3.4 ttl 63")
    );
    // A next hop on the link that nobody has answered for yet is asked for, not the destination.
    lab.dp
        .ip_route_add_del(0, prefix("10.70.0.0/16"), &[via("10.0.1.77")], true, false)
        .unwrap();
    assert!(lab.text(a, &frame("10.60.3.4")).contains("for 10.0.1.77"));
    lab.dp
        .ip_route_add_del(0, prefix("10.70.0.0/16"), &[via("10.60.0.1")], true, false)
        .unwrap();
    assert_eq!(lab.text(a, &frame("10.60.3.4")), "");
    assert!(
        lab.drops()
            .contains(&"ip4-lookup: too many recursive lookups = 1".to_owned())
    );
}

#[test]
fn unnumbered_pod_interface_with_a_host_route_works_both_ways() {
    let mut lab = Lab::new();
    let (pod, uplink) = (
        lab.device("tap0"),
        lab.routed("uplink", &["192.168.16.1/24"]),
    );
    let loopback = lab.dp.create_loopback(MacAddr::ZERO, None).unwrap();
    lab.dp.set_flags(loopback, true).unwrap();
    lab.dp
        .add_del_address(loopback, true, prefix("10.1.1.1/32"))
        .unwrap();
    lab.dp.set_unnumbered(pod, Some(loopback)).unwrap();
    lab.dp
        .ip_route_add_del(
            0,
            prefix("10.1.1.7/32"),
            &[RoutePath::via(addr("10.1.1.7"), pod)],
            true,
            false,
        )
        .unwrap();
    lab.neighbor(uplink, "192.168.16.9", host(2));
    let down = eth(
        own_mac(uplink),
        host(2),
        &udp("192.168.16.9", "10.1.1.7", (1, 2), 4),
    );
    assert!(
        lab.text(uplink, &down)
            .contains("arp Request 10.1.1.1 is-at 02:00:00:00:00:01 for 10.1.1.7")
    );
    lab.send(
        pod,
        &arp(
            Operation::Reply,
            (host(7), "10.1.1.7"),
            (own_mac(pod), "10.1.1.1"),
        ),
    );
    assert!(
        lab.text(uplink, &down)
            .contains("> 02:aa:00:00:00:07 192.168.16.9 > 10.1.1.7 ttl 63")
    );
    let up = eth(
        own_mac(pod),
        host(7),
        &udp("10.1.1.7", "192.168.16.9", (1, 2), 4),
    );
    assert!(
        lab.text(pod, &up)
            .contains("02:aa:00:00:00:02 10.1.1.7 > 192.168.16.9")
    );
}

#[test]
fn a_new_interface_with_a_used_index_inherits_nothing() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.9", host(2));
    lab.dp
        .ip_route_add_del(
            0,
            prefix("10.50.0.0/16"),
            &[RoutePath::via(addr("10.0.1.9"), b)],
            true,
            false,
        )
        .unwrap();
    lab.dp.delete_interface(b).unwrap();
    assert_eq!(lab.device("fresh"), b);
    for dst in ["10.0.1.9", "10.50.0.1"] {
        assert_eq!(
            lab.text(
                a,
                &eth(own_mac(a), host(1), &udp("10.0.0.9", dst, (1, 2), 4))
            ),
            ""
        );
    }
    assert!(lab.dp.ip_neighbors(Family::V4, None).is_empty());
}

#[test]
fn trace_tells_the_way_of_a_packet() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.9", host(2));
    lab.worker.trace_start(crate::trace::TraceSpec {
        max: 1,
        only: vec![a],
        filter: None,
    });
    let frame = eth(own_mac(a), host(1), &udp("10.0.0.9", "10.0.1.9", (1, 2), 4));
    lab.send(a, &frame);
    lab.send(a, &frame);
    let text = lab.worker.trace().to_string();
    let nodes: Vec<_> = text
        .lines()
        .filter_map(|l| l.strip_prefix("00:00:01:000000: "))
        .collect();
    assert_eq!(
        nodes,
        [
            "ethernet-input",
            "ip4-input",
            "ip4-lookup",
            "ip4-rewrite",
            "interface-output",
            "interface-tx"
        ]
    );
    assert!(
        text.starts_with("Packet 1\n")
            && text.contains("  UDP: 10.0.0.9 -> 10.0.1.9 ports 1 -> 2\n")
            && text.contains("  transmit on 2\n"),
        "{text}"
    );
    assert_eq!(lab.worker.trace().packets().count(), 1);
}
