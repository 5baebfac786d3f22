//! Paths that take smaller packets than their interface.

use super::routing::two_subnets;
use super::*;
use crate::SwIfIndex;
use crate::route::RoutePath;

/// What becomes of a packet: lengths of those that leave, or the error that its sender hears of.
fn fate(lab: &mut Lab, a: SwIfIndex, mut packet: Vec<u8>, may_cut: bool) -> Vec<String> {
    if may_cut && packet[0] >> 4 == 4 {
        let len = u16::try_from(packet.len()).unwrap();
        packet::ipv4::finish_header(&mut packet, len, 0);
    }
    let sent = lab.send(a, &eth(own_mac(a), host(1), &packet));
    let say = |(on, bytes, _): &Sent| {
        if *on == a {
            decode(bytes)
                .split(' ')
                .skip(8)
                .collect::<Vec<_>>()
                .join(" ")
        } else {
            (bytes.len() - 14).to_string()
        }
    };
    sent.iter().map(say).collect()
}

#[test]
fn packets_longer_than_their_path_are_cut_or_refused() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(a, "10.0.0.9", host(1));
    for to in ["10.0.1.9", "10.0.1.8"] {
        lab.neighbor(b, to, host(2));
    }
    let path = RoutePath::via(addr("10.0.1.8"), b);
    lab.dp
        .ip_route_add_del(0, prefix("10.9.0.0/16"), &[path], true, false)
        .unwrap();
    // A neighbour, and somebody far away behind another one.
    lab.dp
        .ip_path_mtu_update(0, addr("10.0.1.9"), 1000)
        .unwrap();
    lab.dp.ip_path_mtu_update(0, addr("10.9.0.1"), 600).unwrap();
    let of = |dst: &str, len: usize| udp("10.0.0.9", dst, (1, 2), len - 28);
    assert_eq!(fate(&mut lab, a, of("10.0.1.9", 1000), false), ["1000"]);
    assert_eq!(fate(&mut lab, a, of("10.0.1.9", 1001), true), ["996", "25"]);
    let refused = fate(&mut lab, a, of("10.0.1.9", 1001), false);
    assert_eq!(refused, ["icmp 3/4 rest [0, 0, 3, 232]"]);
    assert_eq!(fate(&mut lab, a, of("10.9.0.1", 601), true), ["596", "25"]);
    assert_eq!(fate(&mut lab, a, of("10.9.0.2", 1500), false), ["1500"]);
    // What stands for the next hop counts for what goes through it.
    lab.dp.ip_path_mtu_update(0, addr("10.0.1.8"), 800).unwrap();
    assert_eq!(fate(&mut lab, a, of("10.9.0.2", 801), true), ["796", "25"]);
    // A replacement keeps what is set again.
    lab.dp.ip_path_mtu_replace_begin();
    lab.dp.ip_path_mtu_update(0, addr("10.9.0.1"), 700).unwrap();
    lab.dp.ip_path_mtu_replace_end();
    let left: Vec<_> = lab.dp.ip_path_mtus().collect();
    assert_eq!(left, [(0, addr("10.9.0.1"), 700)]);
    assert_eq!(fate(&mut lab, a, of("10.0.1.9", 1500), false), ["1500"]);
    lab.dp.ip_path_mtu_update(0, addr("10.9.0.1"), 0).unwrap();
    assert_eq!(lab.dp.ip_path_mtus().count(), 0);
}

#[test]
fn ip6_packets_longer_than_their_path_are_refused() {
    let mut lab = Lab::new();
    let a = lab.routed("a", &["fd00::1/64"]);
    let b = lab.routed("b", &["fd01::1/64"]);
    lab.neighbor(a, "fd00::9", host(1));
    lab.neighbor(b, "fd01::9", host(2));
    lab.dp.ip_path_mtu_update(0, addr("fd01::9"), 1300).unwrap();
    let of = |len: usize| udp("fd00::9", "fd01::9", (1, 2), len - 48);
    assert_eq!(fate(&mut lab, a, of(1300), false), ["1300"]);
    assert_eq!(fate(&mut lab, a, of(1301), false), ["icmp6 2/0"]);
    let gone = lab.dp.ip_path_mtu_update(77, addr("fd01::9"), 1300);
    assert_eq!(gone, Err(crate::error::ApiError::NoSuchTable));
}
