//! Packets by route and by neighbour.

use super::routing::two_subnets;
use crate::SwIfIndex;
use crate::counters::{Combined, ROUTES_COUNTED_MAX};
use crate::id::Family;
use crate::lab::*;
use crate::route::{PathKind, RoutePath};

/// Bytes of the IP packets sent here.
const LEN: u64 = 20 + 8 + 4;

fn send(lab: &mut Lab, on: SwIfIndex, dst: &str) {
    let frame = eth(own_mac(on), host(1), &udp("10.0.0.9", dst, (1, 2), 4));
    lab.send(on, &frame);
}

fn packets(packets: u64) -> Combined {
    Combined {
        packets,
        bytes: packets * LEN,
    }
}

#[test]
fn a_route_counts_what_goes_to_it_and_by_way_of_it() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.9", host(2));
    let mut route = |to: &str, path| {
        let (to, path) = (prefix(to), [path]);
        lab.dp.ip_route_add_del(0, to, &path, true, false).unwrap()
    };
    let direct = RoutePath::via(addr("10.0.1.9"), b);
    let first = route("10.7.0.0/16", direct);
    // The same path: the load balance is not shared.
    let second = route("10.8.0.0/16", direct);
    let recursive = RoutePath {
        next_hop: addr("10.7.0.1"),
        ..RoutePath::of_kind(PathKind::Normal, Family::V4)
    };
    let third = route("10.9.0.0/16", recursive);
    for dst in ["10.7.0.5", "10.8.0.5", "10.8.0.6", "10.9.0.5"] {
        send(&mut lab, a, dst);
    }
    let counters = lab.worker.counters();
    assert_eq!(counters.route(first), [packets(1), packets(1)]);
    assert_eq!(counters.route(second), [packets(2), packets(0)]);
    assert_eq!(counters.route(third), [packets(1), packets(0)]);
    let gone = prefix("10.8.0.0/16");
    lab.dp.ip_route_add_del(0, gone, &[], false, false).unwrap();
    let path = [direct];
    let heir = lab
        .dp
        .ip_route_add_del(0, prefix("10.6.0.0/16"), &path, true, false);
    assert_eq!(heir.unwrap(), second, "the lowest free index");
    assert_eq!(counters.route(second), [packets(0), packets(0)]);
}

#[test]
fn the_fields_of_a_table_decide_between_equal_paths() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.8", host(2));
    lab.neighbor(b, "10.0.1.9", host(3));
    let paths = ["10.0.1.8", "10.0.1.9"].map(|to| RoutePath::via(addr(to), b));
    let to = prefix("10.7.0.0/16");
    lab.dp.ip_route_add_del(0, to, &paths, true, false).unwrap();
    // The neighbours that flows of 64 ports take, there and back.
    let spread = |lab: &mut Lab, src: &str, dst: &str, swap: bool| {
        let way = |port| {
            let ports = if swap { (53, port) } else { (port, 53) };
            let frame = eth(own_mac(a), host(1), &udp(src, dst, ports, 4));
            lab.send(a, &frame)[0].1[..6].to_vec()
        };
        (1000..1064).map(way).collect::<Vec<_>>()
    };
    let is_one = |ways: &[Vec<u8>]| ways.iter().all(|way| *way == ways[0]);
    let (here, there) = ("10.7.0.1", "10.7.0.2");
    assert!(
        !is_one(&spread(&mut lab, here, there, false)),
        "ports count"
    );
    lab.dp.set_ip_flow_hash(Family::V4, 0, 1 | 2).unwrap();
    assert!(
        is_one(&spread(&mut lab, here, there, false)),
        "addresses only"
    );
    lab.dp
        .set_ip_flow_hash(Family::V4, 0, 1 | 2 | 4 | 8 | 16 | 64)
        .unwrap();
    let out = spread(&mut lab, here, there, false);
    assert!(!is_one(&out));
    assert_eq!(out, spread(&mut lab, there, here, true), "symmetric");
    lab.dp.set_ip_flow_hash(Family::V4, 0, 0x9f).unwrap();
    let out = spread(&mut lab, here, there, false);
    assert_ne!(out, spread(&mut lab, there, here, true), "not symmetric");
    let none = lab.dp.set_ip_flow_hash(Family::V4, 9, 1);
    assert_eq!(none, Err(crate::ApiError::NoSuchFib));
}

#[test]
fn routes_beyond_the_limit_share_and_are_not_counted() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.9", host(2));
    let path = [RoutePath::via(addr("10.0.1.9"), b)];
    let mut last = 0;
    for n in 0..ROUTES_COUNTED_MAX + 8 {
        let to = prefix(&format!("20.{}.{}.0/24", n >> 8, n & 0xff));
        last = lab.dp.ip_route_add_del(0, to, &path, true, false).unwrap();
    }
    assert!(last >= ROUTES_COUNTED_MAX);
    let n = ROUTES_COUNTED_MAX + 7;
    send(&mut lab, a, &format!("20.{}.{}.1", n >> 8, n & 0xff));
    assert_eq!(lab.worker.counters().route(last), [packets(0), packets(0)]);
    assert_eq!(lab.dp.route_rows(), ROUTES_COUNTED_MAX);
}

#[test]
fn neighbours_are_counted_while_asked_for() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.9", host(2));
    let sum = |lab: &Lab| {
        let counters = lab.worker.counters();
        let all = (0..lab.dp.adjacency_rows()).map(|at| counters.adjacency(at));
        all.fold((0, 0), |(p, b), c| (p + c.packets, b + c.bytes))
    };
    send(&mut lab, a, "10.0.1.9");
    assert_eq!(sum(&lab), (0, 0));
    lab.dp.count_adjacencies(true);
    send(&mut lab, a, "10.0.1.9");
    // With its link header, as in VPP.
    assert_eq!(sum(&lab), (1, 14 + LEN));
    lab.dp.count_adjacencies(false);
    send(&mut lab, a, "10.0.1.9");
    assert_eq!(sum(&lab), (1, 14 + LEN));
}
