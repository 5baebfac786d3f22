use std::collections::BTreeMap;

use packet::arp::{Arp, Operation};
use packet::ndisc::Ndisc;
use packet::{MacAddr, ethernet, ipv4, ipv6, proto};

use super::*;
use crate::route::{PathKind, RoutePath};
use crate::{Family, SwIfIndex};

fn arp(operation: Operation, sender: (MacAddr, &str), target: (MacAddr, &str)) -> Vec<u8> {
    let ip = |text: &str| text.parse().unwrap();
    let packet = Arp {
        operation,
        sender_mac: sender.0,
        sender_ip: ip(sender.1),
        target_mac: target.0,
        target_ip: ip(target.1),
    };
    let dst = if operation == Operation::Request {
        MacAddr::BROADCAST
    } else {
        target.0
    };
    let mut out = ethernet::header(dst, sender.0, ethernet::ARP).to_vec();
    out.resize(60, 0);
    packet.emit(&mut out[14..]);
    out
}

pub(super) fn two_subnets() -> (Lab, SwIfIndex, SwIfIndex) {
    let mut lab = Lab::new();
    let a = lab.routed("a", &["10.0.0.1/24", "2001:db8:a::1/64"]);
    let b = lab.routed("b", &["10.0.1.1/24", "2001:db8:b::1/64"]);
    (lab, a, b)
}

#[test]
fn ip4_packet_waits_for_arp_and_then_flows() {
    let (mut lab, a, b) = two_subnets();
    let packet = eth(
        own_mac(a),
        host(1),
        &udp("10.0.0.9", "10.0.1.9", (1, 2), 400),
    );
    assert_eq!(
        lab.text(a, &packet),
        "b: 02:00:00:00:00:02 > ff:ff:ff:ff:ff:ff arp Request 10.0.1.1 is-at 02:00:00:00:00:02 for 10.0.1.9\n"
    );
    assert_eq!(
        lab.text(
            b,
            &arp(
                Operation::Reply,
                (host(2), "10.0.1.9"),
                (own_mac(b), "10.0.1.1")
            )
        ),
        ""
    );
    assert_eq!(
        lab.text(a, &packet),
        "b: 02:00:00:00:00:02 > 02:aa:00:00:00:02 10.0.0.9 > 10.0.1.9 ttl 63 udp 1 > 2 length 408\n"
    );
    assert_eq!(
        lab.drops(),
        [
            "arp-input: ARP replies received = 1",
            "ip4-arp: ARP requests sent = 1"
        ]
    );
}

#[test]
fn arp_requests_are_answered_for_own_and_proxied_addresses_only() {
    let (mut lab, a, _) = two_subnets();
    let ask = |target| {
        arp(
            Operation::Request,
            (host(1), "10.0.0.9"),
            (MacAddr::ZERO, target),
        )
    };
    assert_eq!(
        lab.text(a, &ask("10.0.0.1")),
        "a: 02:00:00:00:00:01 > 02:aa:00:00:00:01 arp Reply 10.0.0.1 is-at 02:00:00:00:00:01 for 10.0.0.9\n"
    );
    assert_eq!(lab.text(a, &ask("169.254.1.1")), "");
    lab.dp
        .proxy_arp_add_del(0, [169, 254, 1, 1].into(), [169, 254, 1, 1].into(), true)
        .unwrap();
    lab.dp.proxy_arp_enable_disable(a, true).unwrap();
    assert_eq!(
        lab.text(a, &ask("169.254.1.1")),
        "a: 02:00:00:00:00:01 > 02:aa:00:00:00:01 arp Reply 169.254.1.1 is-at 02:00:00:00:00:01 for 10.0.0.9\n"
    );
    // The asker is on the subnet and was learned; a stranger is not.
    assert_eq!(lab.dp.ip_neighbors(Family::V4, Some(a)).len(), 1);
    lab.send(
        a,
        &arp(
            Operation::Request,
            (host(6), "10.9.9.9"),
            (MacAddr::ZERO, "10.0.0.1"),
        ),
    );
    assert_eq!(lab.dp.ip_neighbors(Family::V4, Some(a)).len(), 1);
}

#[test]
fn ip6_packet_waits_for_neighbor_discovery_and_then_flows() {
    let (mut lab, a, b) = two_subnets();
    let packet = eth(
        own_mac(a),
        host(1),
        &udp("2001:db8:a::9", "2001:db8:b::9", (1, 2), 400),
    );
    assert_eq!(
        lab.text(a, &packet),
        "b: 02:00:00:00:00:02 > 33:33:ff:00:00:09 2001:db8:b::1 > ff02::1:ff00:9 ttl 255 icmp6 135/0\n"
    );
    let (target, us) = (
        "2001:db8:b::9".parse().unwrap(),
        "2001:db8:b::1".parse().unwrap(),
    );
    let mut message = [0; 32];
    Ndisc::Advert {
        target,
        target_mac: Some(host(2)),
        router: false,
        solicited: true,
        override_cache: true,
    }
    .emit(&mut message, target, us);
    assert_eq!(
        lab.text(
            b,
            &eth(
                own_mac(b),
                host(2),
                &ip(
                    "2001:db8:b::9",
                    "2001:db8:b::1",
                    proto::ICMPV6,
                    255,
                    &message
                )
            )
        ),
        ""
    );
    assert_eq!(
        lab.text(a, &packet),
        "b: 02:00:00:00:00:02 > 02:aa:00:00:00:02 2001:db8:a::9 > 2001:db8:b::9 ttl 63 udp 1 > 2 length 408\n"
    );
}

#[test]
fn neighbor_solicitations_are_answered_also_for_the_link_local_address() {
    let (mut lab, a, _) = two_subnets();
    let link_local = own_mac(a).to_link_local().to_string();
    for (target, want) in [
        ("2001:db8:a::1", true),
        (&*link_local, true),
        ("2001:db8:a::77", false),
    ] {
        let target_ip = target.parse().unwrap();
        let group = ipv6::solicited_node(target_ip);
        let mut message = [0; 32];
        Ndisc::Solicit {
            target: target_ip,
            source_mac: Some(host(1)),
        }
        .emit(&mut message, "fe80::9".parse().unwrap(), group);
        let frame = eth(
            MacAddr::from_ipv6_multicast(group),
            host(1),
            &ip("fe80::9", &group.to_string(), proto::ICMPV6, 255, &message),
        );
        let answer = format!(
            "a: 02:00:00:00:00:01 > 02:aa:00:00:00:01 {target} > fe80::9 ttl 255 icmp6 136/0\n"
        );
        assert_eq!(
            lab.text(a, &frame),
            if want { answer } else { String::new() }
        );
        // From off-link (hop limit below 255) it is refused.
        let far = eth(
            MacAddr::from_ipv6_multicast(group),
            host(1),
            &ip("fe80::9", &group.to_string(), proto::ICMPV6, 254, &message),
        );
        assert_eq!(lab.text(a, &far), "");
    }
}

#[test]
fn own_addresses_answer_pings_of_any_size() {
    let (mut lab, a, _) = two_subnets();
    lab.neighbor(a, "10.0.0.9", host(1));
    lab.neighbor(a, "2001:db8:a::9", host(1));
    for size in [0, 56, 1400] {
        let frame = eth(own_mac(a), host(1), &echo("10.0.0.9", "10.0.0.1", size));
        assert_eq!(
            lab.text(a, &frame),
            "a: 02:00:00:00:00:01 > 02:aa:00:00:00:01 10.0.0.1 > 10.0.0.9 ttl 64 icmp 0/0 rest [0, 1, 0, 2]\n"
        );
        let frame = eth(
            own_mac(a),
            host(1),
            &echo("2001:db8:a::9", "2001:db8:a::1", size),
        );
        assert_eq!(
            lab.text(a, &frame),
            "a: 02:00:00:00:00:01 > 02:aa:00:00:00:01 2001:db8:a::1 > 2001:db8:a::9 ttl 64 icmp6 129/0\n"
        );
    }
    // The far address of the switch answers too.
    let frame = eth(own_mac(a), host(1), &echo("10.0.0.9", "10.0.1.1", 8));
    assert!(lab.text(a, &frame).contains("10.0.1.1 > 10.0.0.9"));
    let link_local = own_mac(a).to_link_local().to_string();
    let frame = eth(own_mac(a), host(1), &echo("fe80::9", &link_local, 8));
    assert!(
        lab.text(a, &frame)
            .contains(&format!("02:aa:00:00:00:01 {link_local} > fe80::9"))
    );
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn packets_that_cannot_go_on_are_answered_with_icmp() {
    let (mut lab, a, b) = two_subnets();
    for (on, ip, mac) in [
        (a, "10.0.0.9", 1),
        (b, "10.0.1.9", 2),
        (a, "2001:db8:a::9", 1),
        (b, "2001:db8:b::9", 2),
    ] {
        lab.neighbor(on, ip, host(mac));
    }
    lab.dp.set_mtu(b, [1300, 0, 0, 0]).unwrap();
    lab.dp
        .ip_route_add_del(
            0,
            prefix("10.7.0.0/16"),
            &[RoutePath::of_kind(PathKind::IcmpUnreach, Family::V4)],
            true,
            false,
        )
        .unwrap();
    lab.dp
        .ip_route_add_del(
            0,
            prefix("10.8.0.0/16"),
            &[RoutePath::of_kind(PathKind::IcmpProhibit, Family::V4)],
            true,
            false,
        )
        .unwrap();
    let back4 = "a: 02:00:00:00:00:01 > 02:aa:00:00:00:01 10.0.0.1 > 10.0.0.9 ttl 255 icmp";
    let back6 =
        "a: 02:00:00:00:00:01 > 02:aa:00:00:00:01 2001:db8:a::1 > 2001:db8:a::9 ttl 255 icmp6";
    let cases = [
        (
            ip("10.0.0.9", "10.0.1.9", proto::TCP, 1, &[0; 40]),
            format!("{back4} 11/0 rest [0, 0, 0, 0]\n"),
        ),
        (
            udp("10.0.0.9", "10.0.1.9", (1, 2), 1400),
            format!("{back4} 3/4 rest [0, 0, 5, 20]\n"),
        ),
        (
            udp("10.0.0.9", "10.7.1.9", (1, 2), 10),
            format!("{back4} 3/1 rest [0, 0, 0, 0]\n"),
        ),
        (
            udp("10.0.0.9", "10.8.1.9", (1, 2), 10),
            format!("{back4} 3/13 rest [0, 0, 0, 0]\n"),
        ),
        (
            udp("10.0.0.9", "10.0.0.1", (1, 2), 10),
            format!("{back4} 3/3 rest [0, 0, 0, 0]\n"),
        ),
        (
            ip("10.0.0.9", "10.0.0.1", proto::TCP, 64, &[0; 20]),
            format!("{back4} 3/2 rest [0, 0, 0, 0]\n"),
        ),
        (
            ip("2001:db8:a::9", "2001:db8:b::9", proto::TCP, 1, &[0; 40]),
            format!("{back6} 3/0\n"),
        ),
        (
            udp("2001:db8:a::9", "2001:db8:b::9", (1, 2), 1400),
            format!("{back6} 2/0\n"),
        ),
        (
            udp("2001:db8:a::9", "2001:db8:a::1", (1, 2), 10),
            format!("{back6} 1/4\n"),
        ),
        (udp("10.0.0.9", "10.99.0.1", (1, 2), 10), String::new()),
    ];
    for (packet, want) in cases {
        assert_eq!(lab.text(a, &eth(own_mac(a), host(1), &packet)), want);
    }
    // An error is never answered with an error.
    let mut error = vec![11, 0, 0, 0, 0, 0, 0, 0];
    packet::icmp::fill_checksum(&mut error);
    assert_eq!(
        lab.text(
            a,
            &eth(
                own_mac(a),
                host(1),
                &ip("10.0.0.9", "10.0.1.9", proto::ICMP, 1, &error)
            )
        ),
        ""
    );
    assert!(
        lab.drops()
            .contains(&"ip4-icmp-error: icmp error not allowed for this packet = 1".to_owned())
    );
}

#[test]
fn icmp_errors_are_rate_limited() {
    let (mut lab, a, _) = two_subnets();
    lab.neighbor(a, "10.0.0.9", host(1));
    let packet = eth(
        own_mac(a),
        host(1),
        &ip("10.0.0.9", "10.0.1.9", proto::TCP, 1, &[0; 40]),
    );
    lab.neighbor(SwIfIndex(2), "10.0.1.9", host(2));
    let tables = lab.dp.publish();
    for _ in 0..250 {
        lab.batch
            .push(a, &packet, None, crate::Offload::default())
            .unwrap();
    }
    lab.worker.run(&tables, &mut lab.batch, lab.now);
    assert_eq!(
        lab.batch
            .tx_lists()
            .map(|(_, ids)| ids.len())
            .sum::<usize>(),
        100
    );
}

#[test]
fn damaged_headers_are_dropped_with_a_reason() {
    let (mut lab, a, _) = two_subnets();
    let good = eth(
        own_mac(a),
        host(1),
        &udp("10.0.0.9", "10.0.1.9", (1, 2), 10),
    );
    let edit = |at: usize, value: u8| {
        let mut bad = good.clone();
        bad[at] = value;
        bad
    };
    for bad in [
        edit(14, 0x46),
        edit(24, 0xff),
        edit(0, 6),
        good[..20].to_vec(),
        good[..30].to_vec(),
    ] {
        assert_eq!(lab.text(a, &bad), "");
    }
    let mut long = good.clone();
    ipv4::set_word(&mut long[14..], 2, 500);
    assert_eq!(lab.text(a, &long), "");
    assert_eq!(
        lab.drops(),
        [
            "ethernet-input: l3 mac mismatch = 1",
            "ip4-input: ip header malformed = 2",
            "ip4-input: bad ip checksum = 2",
            "ip4-input: ip length > l2 length = 1"
        ]
    );
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
