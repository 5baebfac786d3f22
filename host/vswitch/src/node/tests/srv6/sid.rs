//! Local SIDs: each behaviour, and what each refuses.

use std::net::Ipv4Addr;

use super::*;
use crate::interface::DeviceSpec;
use crate::sr::SrError;
use crate::{Gso, Offload, Tunnel};

const INNER6: (&str, &str) = ("2001:db8:1::2", "2001:db8:2::2");

fn inner4() -> Vec<u8> {
    udp("10.7.0.2", "10.0.1.2", (1, 2), 300)
}

fn inner6() -> Vec<u8> {
    udp(INNER6.0, INNER6.1, (1, 2), 300)
}

#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the others name no interface"
)]
fn with(behavior: Behavior) -> (Lab, SwIfIndex, SwIfIndex) {
    let (mut lab, inside, out) = lab();
    let behavior = match behavior {
        Behavior::X { next_hop, .. } => Behavior::X {
            on: inside,
            next_hop,
        },
        Behavior::Ua { next_hop, .. } => Behavior::Ua {
            on: inside,
            next_hop,
        },
        Behavior::Dx4 { next_hop, .. } => Behavior::Dx4 {
            on: inside,
            next_hop,
        },
        Behavior::Dx6 { next_hop, .. } => Behavior::Dx6 {
            on: inside,
            next_hop,
        },
        other => other,
    };
    lab.dp
        .sr_localsid_add(localsid("fc02::1", behavior))
        .unwrap();
    (lab, inside, out)
}

const ANY: SwIfIndex = SwIfIndex::NONE;

#[test]
fn end_makes_the_next_segment_the_destination() {
    let (mut lab, inside, _) = with(Behavior::End);
    let packet = routed(
        &["fc02::1", "fc00::2", "fc00::3"],
        2,
        (proto::UDP, &[0; 400]),
    );
    assert_eq!(
        lab.route(inside, &packet),
        "out: to 02:aa:00:00:00:02 2001:db8:9::9 > fc00::2 hops 63 [1 left of fc02::1 fc00::2 fc00::3] proto 17\n"
    );
}

#[test]
fn end_drops_what_has_no_next_segment() {
    let (mut lab, inside, _) = with(Behavior::End);
    assert_eq!(
        lab.route(inside, &routed(&["fc00::9", "fc02::1"], 0, (17, &[0; 20]))),
        ""
    );
    assert_eq!(lab.route(inside, &bare("fc02::1", (17, &[0; 20]))), "");
    assert_eq!(
        lab.drops(),
        [
            "sr-localsid: (SR-Error) No more segments = 1",
            "sr-localsid: (SR-Error) No SR header = 1"
        ]
    );
    let counters = lab.dp.sr_localsids()[0].counters;
    assert_eq!((counters.good.packets, counters.bad.packets), (0, 2));
    assert!(counters.bad.bytes > 100);
}

#[test]
fn a_malformed_header_is_answered_with_a_parameter_problem() {
    let (mut lab, inside, _) = with(Behavior::End);
    let mut packet = routed(&["fc02::1", "fc00::2"], 1, (proto::UDP, &[0; 20]));
    packet[8..24].copy_from_slice(&sid("2001:db8:1::2").octets());
    packet[43] = 9;
    let sent = lab.send(inside, &eth(own_mac(inside), host(1), &packet));
    assert_eq!(sent.len(), 1, "{:?}", lab.drops());
    let (on, answer) = (sent[0].0, &sent[0].1[14..]);
    assert_eq!(on, inside);
    assert_eq!(
        answer[40..42],
        [4, 0],
        "parameter problem, erroneous header field"
    );
    assert_eq!(answer[44..48], [0, 0, 0, 43], "points at segments left");
    assert_eq!(
        lab.drops(),
        ["ip6-icmp-error: segment routing header malformed = 1"]
    );
}

#[test]
fn the_header_leaves_with_the_last_segment_under_psp() {
    let (mut lab, inside, _) = lab();
    let spec = LocalsidSpec {
        psp: true,
        ..localsid("fc02::1", Behavior::End)
    };
    lab.dp.sr_localsid_add(spec).unwrap();
    let two = routed(
        &["fc02::1", "fc00::2", "fc00::3"],
        2,
        (proto::UDP, &[0; 400]),
    );
    assert!(lab.route(inside, &two).contains("[1 left of"));
    let last = routed(&["fc02::1", "fc00::2"], 1, (proto::UDP, &[0; 400]));
    assert_eq!(
        lab.route(inside, &last),
        "out: to 02:aa:00:00:00:02 2001:db8:9::9 > fc00::2 hops 63 proto 17\n"
    );
    let mut options = vec![proto::ROUTING, 0, 1, 4, 0, 0, 0, 0];
    options.extend(&last[40..]);
    let packet = ip("2001:db8:9::9", "fc02::1", proto::HOPOPT, 64, &options);
    assert_eq!(
        lab.route(inside, &packet),
        "out: to 02:aa:00:00:00:02 2001:db8:9::9 > fc00::2 hops 63 options proto 17\n"
    );
}

#[test]
fn x_goes_to_its_neighbour_and_t_to_its_table() {
    let packet = routed(&["fc02::1", "fc00::2"], 1, (proto::UDP, &[0; 40]));
    let next_hop = sid("2001:db8:1::2");
    let (mut lab, inside, _) = with(Behavior::X { on: ANY, next_hop });
    assert_eq!(
        lab.route(inside, &packet),
        "in: to 02:aa:00:00:00:01 2001:db8:9::9 > fc00::2 hops 63 [0 left of fc02::1 fc00::2] proto 17\n"
    );
    let (mut lab, inside, _) = lab_with_table();
    lab.dp
        .sr_localsid_add(localsid("fc02::1", Behavior::T { table: 7 }))
        .unwrap();
    assert!(
        lab.route(inside, &packet)
            .starts_with("in: to 02:aa:00:00:00:01")
    );
    lab.dp
        .sr_localsid_add(localsid("fc02::2", Behavior::T { table: 9 }))
        .unwrap();
    let packet = routed(&["fc02::2", "fc00::2"], 1, (proto::UDP, &[0; 40]));
    assert_eq!(lab.route(inside, &packet), "");
    assert_eq!(
        lab.drops(),
        ["sr-localsid: segment routing policy, table or interface is gone = 1"],
        "a table that does not exist is not the table of the interface"
    );
}

/// Table 7 of both families leads back to the neighbours on `in`.
fn lab_with_table() -> (Lab, SwIfIndex, SwIfIndex) {
    let (mut lab, inside, out) = lab();
    for (family, to, via) in [
        (crate::Family::V6, "::/0", "2001:db8:1::2"),
        (crate::Family::V4, "0.0.0.0/0", "10.0.0.2"),
    ] {
        lab.dp.ip_table_add_del(family, 7, "", true).unwrap();
        let path = crate::route::RoutePath::via(addr(via), inside);
        lab.dp
            .ip_route_add_del(7, prefix(to), &[path], true, false)
            .unwrap();
    }
    (lab, inside, out)
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn decapsulated_packets_are_looked_up_or_sent_to_the_neighbour() {
    let (mut lab, inside, _) = lab_with_table();
    let v4 = Ipv4Addr::new(10, 0, 0, 2);
    let v6 = sid("2001:db8:1::2");
    for (at, behavior) in [
        ("fc02::1", Behavior::Dt4 { table: 0 }),
        ("fc02::2", Behavior::Dt4 { table: 7 }),
        (
            "fc02::3",
            Behavior::Dx4 {
                on: inside,
                next_hop: v4,
            },
        ),
        ("fc02::4", Behavior::Dt6 { table: 0 }),
        ("fc02::5", Behavior::Dt6 { table: 7 }),
        (
            "fc02::6",
            Behavior::Dx6 {
                on: inside,
                next_hop: v6,
            },
        ),
    ] {
        lab.dp.sr_localsid_add(localsid(at, behavior)).unwrap();
    }
    let out4 = "out: to 02:aa:00:00:00:02 10.7.0.2 > 10.0.1.2 ttl 63 proto 17\n";
    let in4 = "in: to 02:aa:00:00:00:01 10.7.0.2 > 10.0.1.2 ttl 63 proto 17\n";
    let out6 = "out: to 02:aa:00:00:00:02 2001:db8:1::2 > 2001:db8:2::2 hops 63 proto 17\n";
    let in6 = "in: to 02:aa:00:00:00:01 2001:db8:1::2 > 2001:db8:2::2 hops 63 proto 17\n";
    for (at, expected) in [
        ("fc02::1", out4),
        ("fc02::2", in4),
        ("fc02::3", in4),
        ("fc02::4", out6),
        ("fc02::5", in6),
        ("fc02::6", in6),
    ] {
        let (inner4, inner6) = (inner4(), inner6());
        let inner = if expected.contains("ttl") {
            (proto::IPIP, &inner4[..])
        } else {
            (proto::IPV6, &inner6[..])
        };
        assert_eq!(
            lab.route(inside, &bare(at, inner)),
            expected,
            "{at}, no header"
        );
        let last = routed(&["fc00::1", "fc00::2", at], 0, inner);
        assert_eq!(lab.route(inside, &last), expected, "{at}");
        let other = routed(&["fc00::1", at, "fc00::2"], 1, inner);
        assert_eq!(lab.route(inside, &other), "", "{at}, segments left");
        assert_eq!(
            lab.route(inside, &bare(at, (proto::UDP, &[0; 40]))),
            "",
            "{at}, nothing inside"
        );
    }
    assert_eq!(
        lab.drops(),
        [
            "sr-localsid-d: (SR-Error) No inner IP header = 6",
            "sr-localsid-d: (SR-Error) Decaps not available (segments left > 0) = 6"
        ]
    );
    for info in lab.dp.sr_localsids() {
        assert_eq!(
            (info.counters.good.packets, info.counters.bad.packets),
            (2, 2)
        );
    }
}

#[test]
fn what_is_inside_is_checked_like_what_is_received() {
    let (mut lab, inside, _) = with(Behavior::Dt4 { table: 0 });
    let mut bad = inner4();
    bad[10] ^= 1;
    lab.route(inside, &bare("fc02::1", (proto::IPIP, &bad)));
    let mut long = inner4();
    long.truncate(100);
    lab.route(inside, &bare("fc02::1", (proto::IPIP, &long)));
    lab.route(inside, &bare("fc02::1", (proto::IPIP, &[0x60; 40])));
    assert_eq!(
        lab.drops(),
        [
            "sr-localsid-d: ip header malformed = 1",
            "sr-localsid-d: bad ip checksum = 1",
            "sr-localsid-d: ip length > l2 length = 1"
        ]
    );
}

#[test]
fn dx2_sends_the_frame_inside_out_of_its_interface() {
    let (mut lab, inside, out) = lab();
    lab.dp
        .sr_localsid_add(localsid("fc02::1", Behavior::Dx2 { on: out }))
        .unwrap();
    let frame = eth(host(7), host(8), &inner4());
    for packet in [
        bare("fc02::1", (proto::ETHERNET, &frame)),
        routed(&["fc00::1", "fc02::1"], 0, (proto::ETHERNET, &frame)),
    ] {
        let sent = lab.send(inside, &eth(own_mac(inside), host(1), &packet));
        assert_eq!((sent[0].0, &sent[0].1), (out, &frame));
    }
    lab.route(inside, &bare("fc02::1", (proto::ETHERNET, &frame[..9])));
    let spec = DeviceSpec {
        name: "tun".to_owned(),
        mode: crate::interface::LinkMode::Ip,
        ..DeviceSpec::default()
    };
    let tun = lab.dp.create_device_interface(spec).unwrap();
    lab.dp
        .sr_localsid_add(localsid("fc02::2", Behavior::Dx2 { on: tun }))
        .unwrap();
    lab.route(inside, &bare("fc02::2", (proto::ETHERNET, &frame)));
    assert_eq!(
        lab.drops(),
        ["sr-localsid-d: (SR-Error) SRv6 decapsulated a L2 frame without dest = 2"]
    );
}

fn micro(behavior: Behavior, prefix_len: u8, usid_len: u8) -> LocalsidSpec {
    LocalsidSpec {
        prefix_len,
        usid_len,
        ..localsid("fc02:0:1::", behavior)
    }
}

#[test]
fn micro_sids_move_up_until_none_is_left() {
    let (mut lab, inside, _) = lab();
    for to in ["fc02:0:2::/48", "fc02:0:e::/48"] {
        let via = crate::route::RoutePath::via(addr("2001:db8:1::2"), inside);
        lab.dp
            .ip_route_add_del(0, prefix(to), &[via], true, false)
            .unwrap();
    }
    lab.dp.sr_localsid_add(micro(Behavior::Un, 48, 16)).unwrap();
    assert_eq!(
        lab.route(inside, &bare("fc02:0:1:2:3::", (17, &[0; 40]))),
        "in: to 02:aa:00:00:00:01 2001:db8:9::9 > fc02:0:2:3:: hops 63 proto 17\n"
    );
    assert_eq!(
        lab.route(inside, &bare("fc02:0:1:1:1:2:0:5", (17, &[0; 40]))),
        "in: to 02:aa:00:00:00:01 2001:db8:9::9 > fc02:0:2:0:5:: hops 63 proto 17\n",
        "a node may be named several times"
    );
    let container = routed(&["fc02:0:1::", "fc02:0:e:f::"], 1, (17, &[0; 40]));
    assert_eq!(
        lab.route(inside, &container),
        "in: to 02:aa:00:00:00:01 2001:db8:9::9 > fc02:0:e:f:: hops 63 [0 left of fc02:0:1:: fc02:0:e:f::] proto 17\n",
        "an empty container ends as End does"
    );
    assert_eq!(lab.route(inside, &bare("fc02:0:1::", (17, &[0; 40]))), "");
    assert_eq!(lab.drops(), ["sr-localsid-un: (SR-Error) No SR header = 1"]);
}

#[test]
fn ua_moves_up_and_goes_to_its_neighbour() {
    let next_hop = sid("2001:db8:1::2");
    let (mut lab, inside, _) = lab();
    let ua = Behavior::Ua {
        on: inside,
        next_hop,
    };
    lab.dp.sr_localsid_add(micro(ua, 48, 16)).unwrap();
    assert_eq!(
        lab.route(inside, &bare("fc02:0:1:2:3::", (17, &[0; 40]))),
        "in: to 02:aa:00:00:00:01 2001:db8:9::9 > fc02:0:2:3:: hops 63 proto 17\n"
    );
    let container = routed(&["fc02:0:1::", "fc00::5"], 1, (17, &[0; 40]));
    assert!(
        lab.route(inside, &container)
            .starts_with("in: to 02:aa:00:00:00:01 2001:db8:9::9 > fc00::5")
    );
}

#[test]
fn lengths_that_cannot_be_are_refused() {
    let (mut lab, ..) = lab();
    for (prefix_len, usid_len) in [(48, 8), (44, 16), (16, 32), (129, 16)] {
        let refused = lab
            .dp
            .sr_localsid_add(micro(Behavior::Un, prefix_len, usid_len));
        assert_eq!(
            refused,
            Err(SrError::InvalidValue),
            "{prefix_len} {usid_len}"
        );
    }
    lab.dp
        .sr_localsid_add(micro(Behavior::Un, 128, 16))
        .unwrap();
}

#[test]
fn sids_have_one_name_space_and_yield_to_routes() {
    let (mut lab, inside, _) = lab();
    let end = || localsid("fc02::1", Behavior::End);
    lab.dp.sr_localsid_add(end()).unwrap();
    assert_eq!(lab.dp.sr_localsid_add(end()), Err(SrError::LocalsidExists));
    let elsewhere = LocalsidSpec {
        fib_table: 5,
        ..localsid("fc02::5", Behavior::End)
    };
    assert_eq!(
        lab.dp.sr_localsid_add(elsewhere),
        Err(SrError::NoLocalsidTable)
    );
    let via = crate::route::RoutePath::via(addr("2001:db8:1::2"), inside);
    lab.dp
        .ip_route_add_del(0, prefix("fc02::2/128"), &[via], true, false)
        .unwrap();
    assert_eq!(
        lab.dp.sr_localsid_add(localsid("fc02::2", Behavior::End)),
        Err(SrError::RouteExists)
    );
    assert_eq!(
        lab.dp.sr_policy_add(&policy("fc02::2", true, &["fc00::1"])),
        Err(SrError::BsidTaken)
    );
    let nowhere = Behavior::Dx2 { on: SwIfIndex(99) };
    assert_eq!(
        lab.dp.sr_localsid_add(localsid("fc02::3", nowhere)),
        Err(SrError::InvalidSwIfIndex)
    );
    lab.dp.sr_localsid_del(sid("fc02::1"), 128).unwrap();
    assert_eq!(
        lab.dp.sr_localsid_del(sid("fc02::1"), 128),
        Err(SrError::NoLocalsid)
    );
    lab.dp.sr_localsid_add(end()).unwrap();
}

#[test]
fn a_sid_whose_interface_or_table_goes_away_drops() {
    let (mut lab, inside, out) = lab_with_table();
    let next_hop = Ipv4Addr::new(10, 0, 1, 2);
    lab.dp
        .sr_localsid_add(localsid("fc02::1", Behavior::Dx4 { on: out, next_hop }))
        .unwrap();
    lab.dp
        .sr_localsid_add(localsid("fc02::2", Behavior::Dt4 { table: 7 }))
        .unwrap();
    lab.dp
        .ip_table_add_del(crate::Family::V4, 7, "", false)
        .unwrap();
    let packet = bare("fc02::2", (proto::IPIP, &inner4()));
    assert_eq!(lab.route(inside, &packet), "");
    assert_eq!(
        lab.drops(),
        ["ip4-lookup: route says drop = 1"],
        "the table lives on, empty"
    );
    lab.dp.delete_interface(out).unwrap();
    let again = lab.routed("again", &["10.0.1.1/24"]);
    assert_eq!(again, out, "the number is used again");
    lab.neighbor(again, "10.0.1.2", host(9));
    assert_eq!(
        lab.route(inside, &bare("fc02::1", (proto::IPIP, &inner4()))),
        ""
    );
    assert!(lab.drops().contains(
        &"sr-localsid-d: segment routing policy, table or interface is gone = 1".to_owned()
    ));
    lab.dp.sr_localsid_del(sid("fc02::1"), 128).unwrap();
    lab.dp.sr_localsid_del(sid("fc02::2"), 128).unwrap();
    assert!(
        !lab.dp
            .ip_tables()
            .iter()
            .any(|t| t.table_id == 7 && t.family == crate::Family::V4)
    );
}

#[test]
fn a_header_longer_than_the_head_of_a_frame_is_dropped_by_name() {
    let (mut lab, inside, _) = with(Behavior::End);
    let path = |n: usize| {
        let mut path = vec!["fc02::1"];
        path.resize(n, "fc00::2");
        path
    };
    let eight = routed(&path(8), 7, (proto::UDP, &[0; 400]));
    assert!(lab.route(inside, &eight).contains("[6 left of"));
    let nine = routed(&path(9), 8, (proto::UDP, &[0; 400]));
    assert_eq!(lab.route(inside, &nine), "");
    assert_eq!(
        lab.drops(),
        ["sr-localsid: segment routing header cut off or longer than the head of a frame = 1"]
    );
}

#[test]
fn a_packet_that_is_steered_into_its_own_policy_is_dropped() {
    let (mut lab, inside, _) = lab();
    lab.dp
        .sr_policy_add(&policy("fc01::b", true, &["fc00::1"]))
        .unwrap();
    lab.dp
        .sr_steering_add(l3("fc00::/64"), sid("fc01::b"))
        .unwrap();
    assert_eq!(lab.route(inside, &bare("fc00::1", (17, &[0; 40]))), "");
    let drops = lab.drops();
    assert_eq!(
        drops,
        ["sr-pl-rewrite-encaps: no room for encapsulation = 1"]
    );
}

#[test]
fn a_super_frame_is_taken_out_or_sent_on_with_its_segmentation() {
    let (mut lab, inside, _) = lab();
    lab.dp
        .sr_localsid_add(localsid("fc02::1", Behavior::Dt4 { table: 0 }))
        .unwrap();
    lab.dp
        .sr_localsid_add(localsid("fc02::2", Behavior::End))
        .unwrap();
    let inner = ip(
        "10.7.0.2",
        "10.0.1.2",
        proto::TCP,
        64,
        &[&[0; 12][..], &[0x50], &[0; 3007]].concat(),
    );
    let offload = |l4: u16| Offload {
        needs_csum: true,
        csum_start: l4,
        csum_offset: 16,
        gso: Gso::Tcp4,
        gso_size: 1000,
        hdr_len: l4 + 20,
        ..Offload::default()
    };
    let frame = |packet: &[u8]| eth(own_mac(inside), host(1), packet);
    let last = routed(&["fc00::1", "fc02::1"], 0, (proto::IPIP, &inner));
    let sent = lab.send_with(inside, &frame(&last), offload(14 + 80 + 20));
    let [(_, bytes, left)] = &sent[..] else {
        panic!("{:?}", lab.drops())
    };
    assert!(told(bytes).contains("10.7.0.2 > 10.0.1.2 ttl 63"));
    assert_eq!(
        (left.csum_start, left.hdr_len, left.tunnel),
        (34, 54, Tunnel::None)
    );
    let on = routed(&["fc02::2", "fc00::1"], 1, (proto::IPIP, &inner));
    let sent = lab.send_with(inside, &frame(&on), offload(14 + 80 + 20));
    let [(_, bytes, left)] = &sent[..] else {
        panic!("{:?}", lab.drops())
    };
    assert_eq!(
        left.tunnel,
        Tunnel::Ip {
            l3: 14,
            inner_l3: 94
        }
    );
    let mut count = 0;
    crate::offload::segment(bytes, left, &mut [0; 2048], |frame| {
        assert!(told(frame).contains("[0 left of fc02::2 fc00::1] ( 10.7.0.2 > 10.0.1.2 ttl 64"));
        count += 1;
    })
    .unwrap();
    assert_eq!(count, 3);
}
