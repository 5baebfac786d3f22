//! Policies and steering: encapsulation, insertion, spreading, spraying.

use std::collections::BTreeMap;

use super::*;
use crate::offload::segment;
use crate::sr::{PolicyChange, SrError};
use crate::{Gso, Offload, Tunnel};

const V4: (&str, &str) = ("10.0.0.2", "10.9.0.5");
const V6: (&str, &str) = ("2001:db8:1::2", "2001:db8:f::5");

fn steered(is_encap: bool, path: &[&str]) -> (Lab, SwIfIndex, SwIfIndex) {
    let (mut lab, inside, out) = lab();
    lab.dp
        .sr_policy_add(&policy("fc01::b", is_encap, path))
        .unwrap();
    for to in ["10.9.0.0/24", "2001:db8:f::/64"] {
        let _ = lab.dp.sr_steering_add(l3(to), sid("fc01::b"));
    }
    (lab, inside, out)
}

#[test]
fn steered_packets_are_encapsulated_along_the_path() {
    let (mut lab, inside, _) = steered(true, &["fc00::1", "fc00::2", "fc00::3"]);
    let mut v4 = udp(V4.0, V4.1, (1, 2), 30);
    v4[1] = 0xb8;
    let tos_sum = packet::checksum::of(&{
        let mut header = v4[..20].to_vec();
        header[10..12].fill(0);
        header
    });
    v4[10..12].copy_from_slice(&tos_sum.to_be_bytes());
    assert_eq!(
        lab.route(inside, &v4),
        "out: to 02:aa:00:00:00:02 2001:db8:2::1 > fc00::1 hops 63 [2 left of fc00::1 fc00::2 fc00::3] \
         ( 10.0.0.2 > 10.9.0.5 ttl 63 proto 17 )\n"
    );
    let outer = lab.packet_out(inside, &v4);
    let outer = Ipv6::new_checked(&outer).unwrap();
    assert_eq!(outer.traffic_class(), 0xb8);
    assert_ne!(outer.flow_label(), 0, "the label follows the inner flow");
    assert_eq!(
        lab.route(inside, &udp(V6.0, V6.1, (1, 2), 400)),
        "out: to 02:aa:00:00:00:02 2001:db8:2::1 > fc00::1 hops 63 [2 left of fc00::1 fc00::2 fc00::3] \
         ( 2001:db8:1::2 > 2001:db8:f::5 hops 63 proto 17 )\n"
    );
}

#[test]
fn one_segment_needs_no_routing_header_and_sixteen_fit() {
    let (mut lab, inside, _) = steered(true, &["fc00::1"]);
    assert_eq!(
        lab.route(inside, &udp(V4.0, V4.1, (1, 2), 30)),
        "out: to 02:aa:00:00:00:02 2001:db8:2::1 > fc00::1 hops 63 ( 10.0.0.2 > 10.9.0.5 ttl 63 proto 17 )\n"
    );
    let path: Vec<String> = (1..=16).map(|n| format!("fc00::{n:x}")).collect();
    let path: Vec<&str> = path.iter().map(String::as_str).collect();
    let (mut lab, inside, _) = steered(true, &path);
    let packet = lab.packet_out(inside, &udp(V6.0, V6.1, (1, 2), 900));
    assert_eq!(packet.len(), 40 + 8 + 16 * 16 + 40 + 8 + 900);
    let (mut lab, inside, _) = steered(false, &path);
    let packet = lab.packet_out(inside, &udp(V6.0, V6.1, (1, 2), 900));
    assert_eq!(packet.len(), 40 + 8 + 16 * 17 + 8 + 900);
}

#[test]
fn source_and_hop_limit_are_those_of_the_time_a_list_is_made() {
    let (mut lab, inside, _) = lab();
    lab.dp.sr_set_encap_hop_limit(9).unwrap();
    assert_eq!(lab.dp.sr_set_encap_hop_limit(0), Err(SrError::InvalidValue));
    let own = PolicySpec {
        encap_src: sid("2001:db8:2::77"),
        ..policy("fc01::b", true, &["fc00::1"])
    };
    lab.dp.sr_policy_add(&own).unwrap();
    lab.dp.sr_set_encap_hop_limit(99).unwrap();
    lab.dp
        .sr_steering_add(l3("10.9.0.0/24"), sid("fc01::b"))
        .unwrap();
    assert_eq!(
        lab.route(inside, &udp(V4.0, V4.1, (1, 2), 30)),
        "out: to 02:aa:00:00:00:02 2001:db8:2::77 > fc00::1 hops 8 ( 10.0.0.2 > 10.9.0.5 ttl 63 proto 17 )\n"
    );
}

#[test]
fn a_packet_at_the_end_of_its_life_is_answered_not_encapsulated() {
    let (mut lab, inside, _) = steered(true, &["fc00::1"]);
    let told = lab.route(inside, &ip(V4.0, V4.1, 17, 1, &[0; 20]));
    assert_eq!(
        told,
        "in: to 02:aa:00:00:00:01 10.0.0.1 > 10.0.0.2 ttl 255 proto 1\n"
    );
    let told = lab.route(inside, &ip(V6.0, V6.1, 17, 1, &[0; 20]));
    assert_eq!(
        told,
        "in: to 02:aa:00:00:00:01 2001:db8:1::1 > 2001:db8:1::2 hops 255 proto 58\n"
    );
}

#[test]
fn insertion_keeps_the_destination_as_last_segment() {
    let (mut lab, inside, _) = steered(false, &["fc00::1", "fc00::2"]);
    assert_eq!(
        lab.route(inside, &udp(V6.0, V6.1, (1, 2), 400)),
        "out: to 02:aa:00:00:00:02 2001:db8:1::2 > fc00::1 hops 62 [2 left of fc00::1 fc00::2 2001:db8:f::5] proto 17\n"
    );
    let options = [17, 0, 1, 4, 0, 0, 0, 0, 0, 1, 0, 2, 0, 8, 0, 0];
    assert_eq!(
        lab.route(inside, &ip(V6.0, V6.1, proto::HOPOPT, 64, &options)),
        "out: to 02:aa:00:00:00:02 2001:db8:1::2 > fc00::1 hops 62 options [2 left of fc00::1 fc00::2 2001:db8:f::5] proto 17\n"
    );
    assert_eq!(
        lab.dp.sr_steering_add(l3("10.9.0.0/24"), sid("fc01::b")),
        Err(SrError::CannotSteer)
    );
}

#[test]
fn a_packet_to_the_binding_sid_takes_the_path_before_its_next_segment() {
    let (mut lab, inside, _) = steered(true, &["fc00::1", "fc00::2"]);
    let inner = udp("2001:db8:9::9", "2001:db8:8::8", (1, 2), 10);
    let packet = routed(&["fc01::b", "fc00::9"], 1, (proto::IPV6, &inner));
    assert_eq!(
        lab.route(inside, &packet),
        "out: to 02:aa:00:00:00:02 2001:db8:2::1 > fc00::1 hops 63 [1 left of fc00::1 fc00::2] \
         ( 2001:db8:9::9 > fc00::9 hops 63 [0 left of fc01::b fc00::9] \
         ( 2001:db8:9::9 > 2001:db8:8::8 hops 64 proto 17 ) )\n"
    );
    lab.route(
        inside,
        &routed(&["fc00::9", "fc01::b"], 0, (proto::IPV6, &inner)),
    );
    lab.route(inside, &bare("fc01::b", (proto::IPV6, &inner)));
    assert_eq!(lab.drops(), ["sr-pl-rewrite-encaps: BSID with SL = 0 = 2"]);
    let (mut lab, inside, _) = steered(false, &["fc00::1", "fc00::2"]);
    assert_eq!(
        lab.route(inside, &bare("fc01::b", (proto::UDP, &[0; 20]))),
        "out: to 02:aa:00:00:00:02 2001:db8:9::9 > fc00::1 hops 62 [1 left of fc00::1 fc00::2] proto 17\n"
    );
}

/// Which first segment each of many flows takes.
fn shares(lab: &mut Lab, inside: SwIfIndex) -> BTreeMap<Ipv6Addr, usize> {
    let mut shares = BTreeMap::new();
    for port in 0..400 {
        let out = lab.packet_out(inside, &udp(V4.0, V4.1, (port, 80), 10));
        *shares
            .entry(Ipv6::new_checked(&out).unwrap().dst())
            .or_default() += 1;
    }
    shares
}

#[test]
fn flows_are_spread_over_segment_lists_by_weight() {
    let (mut lab, inside, _) = steered(true, &["fc00::1"]);
    let bsid = sid("fc01::b");
    let add = |path: &str, weight| PolicyChange::Add {
        segments: vec![sid(path)],
        encap_src: Ipv6Addr::UNSPECIFIED,
        weight,
    };
    lab.dp.sr_policy_mod(bsid, &add("fc00::3", 3)).unwrap();
    let split = shares(&mut lab, inside);
    assert!((60..140).contains(&split[&sid("fc00::1")]), "{split:?}");
    let lists = lab.dp.sr_policies()[0].lists.clone();
    let weigh = PolicyChange::Weigh {
        list: lists[0].index,
        weight: 300,
    };
    lab.dp.sr_policy_mod(bsid, &weigh).unwrap();
    let split = shares(&mut lab, inside);
    assert!(split[&sid("fc00::1")] > 380, "{split:?}");
    let del = |list| PolicyChange::Del { list };
    assert_eq!(
        lab.dp.sr_policy_mod(bsid, &del(77)),
        Err(SrError::NoListToRemove)
    );
    lab.dp.sr_policy_mod(bsid, &del(lists[0].index)).unwrap();
    assert_eq!(shares(&mut lab, inside), [(sid("fc00::3"), 400)].into());
    assert_eq!(
        lab.dp.sr_policy_mod(bsid, &del(lists[1].index)),
        Err(SrError::LastList)
    );
}

#[test]
fn a_spray_policy_sends_a_copy_along_each_list() {
    let (mut lab, inside, _) = lab();
    let spray = PolicySpec {
        kind: PolicyKind::Spray,
        ..policy("fc01::b", true, &["fc00::1"])
    };
    lab.dp.sr_policy_add(&spray).unwrap();
    for (path, encap_src) in [("fc00::2", "2001:db8:2::a"), ("fc00::3", "2001:db8:2::b")] {
        let change = PolicyChange::Add {
            segments: vec![sid(path)],
            encap_src: sid(encap_src),
            weight: 1,
        };
        lab.dp.sr_policy_mod(sid("fc01::b"), &change).unwrap();
    }
    lab.dp
        .sr_steering_add(l3("10.9.0.0/24"), sid("fc01::b"))
        .unwrap();
    let mut copies: Vec<_> = lab
        .route(inside, &udp(V4.0, V4.1, (1, 2), 300))
        .lines()
        .map(str::to_owned)
        .collect();
    copies.sort();
    let copy = |src, to| {
        format!(
            "out: to 02:aa:00:00:00:02 {src} > {to} hops 63 ( 10.0.0.2 > 10.9.0.5 ttl 63 proto 17 )"
        )
    };
    let expected = [
        copy("2001:db8:2::1", "fc00::1"),
        copy("2001:db8:2::a", "fc00::2"),
        copy("2001:db8:2::b", "fc00::3"),
    ];
    assert_eq!(copies, expected);
}

#[test]
fn steering_survives_its_policy_and_drops_meanwhile() {
    let (mut lab, inside, _) = steered(true, &["fc00::1"]);
    let packet = udp(V4.0, V4.1, (1, 2), 30);
    assert_eq!(
        lab.dp.sr_policy_add(&policy("fc01::b", true, &["fc00::1"])),
        Err(SrError::BsidTaken)
    );
    lab.dp.sr_policy_del(sid("fc01::b")).unwrap();
    assert_eq!(lab.dp.sr_policy_del(sid("fc01::b")), Err(SrError::NoPolicy));
    assert_eq!(lab.route(inside, &packet), "");
    assert_eq!(lab.drops(), ["ip4-lookup: route says drop = 1"]);
    lab.dp
        .sr_policy_add(&policy("fc01::b", false, &["fc00::7"]))
        .unwrap();
    assert_eq!(
        lab.route(inside, &packet),
        "",
        "a policy that inserts takes no IPv4"
    );
    lab.dp.sr_policy_del(sid("fc01::b")).unwrap();
    lab.dp
        .sr_policy_add(&policy("fc01::b", true, &["fc00::7"]))
        .unwrap();
    assert!(lab.route(inside, &packet).contains("fc00::7"));
    lab.dp.sr_steering_del(l3("10.9.0.0/24")).unwrap();
    assert_eq!(
        lab.dp.sr_steering_del(l3("10.9.0.0/24")),
        Err(SrError::NoSteering)
    );
    assert_eq!(lab.route(inside, &packet), "");
}

#[test]
fn steered_frames_of_an_interface_are_encapsulated_whole() {
    let (mut lab, inside, _) = lab();
    lab.dp
        .sr_policy_add(&policy("fc01::b", true, &["fc00::1", "fc00::2"]))
        .unwrap();
    lab.dp
        .sr_steering_add(Steered::L2(inside), sid("fc01::b"))
        .unwrap();
    let frame = eth(host(7), host(8), &udp("1.2.3.4", "5.6.7.8", (1, 2), 300));
    assert_eq!(
        lab.tell(inside, &frame),
        "out: to 02:aa:00:00:00:02 2001:db8:2::1 > fc00::1 hops 63 [1 left of fc00::1 fc00::2] \
         ( to 02:aa:00:00:00:07 1.2.3.4 > 5.6.7.8 ttl 64 proto 17 )\n"
    );
    lab.dp.sr_policy_del(sid("fc01::b")).unwrap();
    assert_eq!(lab.tell(inside, &frame), "");
    assert_eq!(
        lab.drops(),
        ["l2-input: segment routing policy, table or interface is gone = 1"]
    );
    lab.dp.sr_steering_del(Steered::L2(inside)).unwrap();
    let routed = lab.route(inside, &udp("10.0.0.2", "10.0.1.2", (1, 2), 30));
    assert!(
        routed.starts_with("out: "),
        "the interface is routed again: {routed}"
    );
    assert_eq!(
        lab.dp
            .sr_steering_add(Steered::L2(SwIfIndex(77)), sid("fc01::b")),
        Err(SrError::InvalidSwIfIndex)
    );
}

#[test]
fn a_super_frame_keeps_its_segmentation_through_a_path() {
    for is_encap in [true, false] {
        let (mut lab, inside, _) = steered(is_encap, &["fc00::1", "fc00::2"]);
        let mut tcp = vec![0; 20];
        let header = packet::tcp::Header {
            src_port: 1000,
            dst_port: 80,
            seq: 7,
            ack: 0,
            flags: packet::tcp::ACK,
            window: 100,
            checksum: 0,
        };
        header.emit(&mut tcp);
        tcp.extend((0..3000u32).map(|at| at as u8));
        let packet = ip(V6.0, V6.1, proto::TCP, 64, &tcp);
        let offload = Offload {
            needs_csum: true,
            csum_start: 54,
            csum_offset: 16,
            gso: Gso::Tcp6,
            gso_size: 1000,
            hdr_len: 74,
            ..Offload::default()
        };
        let frame = eth(own_mac(inside), host(1), &packet);
        let sent = lab.send_with(inside, &frame, offload);
        let [(_, bytes, offload)] = &sent[..] else {
            panic!("{:?}", lab.drops());
        };
        assert_eq!(offload.tunnel != Tunnel::None, is_encap);
        let mut segments = Vec::new();
        segment(bytes, offload, &mut [0; 2048], |frame| {
            segments.push(frame.to_vec());
        })
        .unwrap();
        assert_eq!(segments.len(), 3);
        for frame in segments {
            let told = told(&frame);
            assert!(told.contains("left of fc00::1"), "{told}");
            let inner = &frame[if is_encap { 14 + 80 } else { 14 }..];
            let ip = Ipv6::new_checked(inner).unwrap();
            let upper = ip.upper_layer().unwrap();
            assert_eq!(upper.protocol, proto::TCP);
            let segment = &inner[upper.offset..];
            let dst = sid(V6.1);
            let pseudo = packet::checksum::pseudo6(ip.src(), dst, proto::TCP, segment.len() as u32);
            let sum = packet::checksum::fold(packet::checksum::add(pseudo, segment));
            assert_eq!(sum, 0xffff, "the checksum is over the final destination");
        }
    }
}
