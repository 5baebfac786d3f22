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
