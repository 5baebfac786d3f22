//! Who has an address: asking, answering, and packets that wait meanwhile.

use packet::arp::{Arp, Operation};
use packet::ndisc::Ndisc;
use packet::{MacAddr, ethernet, ipv6, proto};

use super::routing::two_subnets;
use super::*;
use crate::Family;

pub(super) fn arp(
    operation: Operation,
    sender: (MacAddr, &str),
    target: (MacAddr, &str),
) -> Vec<u8> {
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
