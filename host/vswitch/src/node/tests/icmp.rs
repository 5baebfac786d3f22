//! What the switch answers itself, and what it drops unanswered.

use packet::{ipv4, proto};

use super::routing::two_subnets;
use super::*;
use crate::route::{PathKind, RoutePath};
use crate::{Family, SwIfIndex};

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
