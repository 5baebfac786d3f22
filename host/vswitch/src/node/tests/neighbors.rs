use packet::MacAddr;
use packet::arp::{Arp, Operation};
use packet::ethernet;

use super::*;
use crate::neighbor::{NeighborFlags, NeighborLimits};
use crate::{ApiError, Family, Nanos, SwIfIndex};

const SECOND: u64 = 1_000_000_000;

fn reply(lab: &mut Lab, on: SwIfIndex, sender: u8) {
    let mut out = ethernet::header(own_mac(on), host(sender), ethernet::ARP).to_vec();
    out.resize(60, 0);
    Arp {
        operation: Operation::Reply,
        sender_mac: host(sender),
        sender_ip: [10, 0, 0, sender].into(),
        target_mac: own_mac(on),
        target_ip: [10, 0, 0, 1].into(),
    }
    .emit(&mut out[14..]);
    lab.send(on, &out);
}

fn known(lab: &Lab) -> Vec<String> {
    let all = lab.dp.ip_neighbors(Family::V4, None);
    all.iter().map(|n| n.ip.to_string()).collect()
}

fn limits(max_number: u32, max_age: u32, recycle: bool) -> NeighborLimits {
    NeighborLimits {
        max_number,
        max_age,
        recycle,
    }
}

#[test]
fn an_old_neighbour_is_asked_three_times_and_then_forgotten() {
    let mut lab = Lab::new();
    let a = lab.routed("a", &["10.0.0.1/24"]);
    lab.dp.ip_neighbor_config(Family::V4, limits(0, 10, false));
    reply(&mut lab, a, 7);
    reply(&mut lab, a, 8);
    lab.neighbor(a, "10.0.0.9", host(9));
    let start = lab.now.0;
    let mut asked = Vec::new();
    for second in 1..=20 {
        lab.now = Nanos(start + second * SECOND);
        // One of them answers, or asks something itself, now and then.
        if second % 5 == 0 {
            reply(&mut lab, a, 8);
        }
        lab.dp.handle_timeout(Nanos(start + second * SECOND));
        while let Some((on, ip)) = lab.dp.poll_probe() {
            assert_eq!(on, a);
            asked.push((second, ip.to_string()));
        }
    }
    let times: Vec<_> = asked.iter().map(|(_, ip)| ip.as_str()).collect();
    assert_eq!(times, ["10.0.0.7"; 3], "{asked:?}");
    assert_eq!(
        known(&lab),
        ["10.0.0.8", "10.0.0.9"],
        "configured ones stay"
    );
    // The question itself.
    let tables = lab.dp.publish();
    lab.worker
        .ask(&tables, &mut lab.batch, (a, addr("10.0.0.8")), lab.now);
    let (on, ids) = lab.batch.tx_lists().next().unwrap();
    assert_eq!(on, a);
    let text = decode(lab.batch.frame(ids[0]).head());
    assert_eq!(
        text,
        "02:00:00:00:00:01 > ff:ff:ff:ff:ff:ff arp Request 10.0.0.1 is-at 02:00:00:00:00:01 for 10.0.0.8"
    );
}

#[test]
fn the_number_of_neighbours_is_limited_and_the_oldest_may_make_room() {
    let mut lab = Lab::new();
    let a = lab.routed("a", &["10.0.0.1/24"]);
    lab.dp.ip_neighbor_config(Family::V4, limits(2, 0, false));
    for n in [7, 8, 9] {
        reply(&mut lab, a, n);
    }
    assert_eq!(known(&lab), ["10.0.0.7", "10.0.0.8"]);
    let add = |lab: &mut Lab, ip: &str, is_static| {
        let flags = NeighborFlags {
            is_static,
            no_fib_entry: false,
        };
        lab.dp
            .ip_neighbor_add_del(a, addr(ip), host(1), flags, true, Nanos(0))
    };
    assert_eq!(
        add(&mut lab, "10.0.0.9", true),
        Err(ApiError::LimitExceeded)
    );
    assert!(
        add(&mut lab, "fe80::9", true).is_ok(),
        "the other family has its own limit"
    );
    lab.dp.ip_neighbor_config(Family::V4, limits(2, 0, true));
    add(&mut lab, "10.0.0.9", true).unwrap();
    assert_eq!(known(&lab), ["10.0.0.8", "10.0.0.9"]);
    reply(&mut lab, a, 5);
    assert_eq!(known(&lab), ["10.0.0.5", "10.0.0.9"]);
    let other = lab.dp.ip_neighbor_add_del(
        a,
        addr("10.0.0.9"),
        MacAddr([2, 1, 1, 1, 1, 1]),
        NeighborFlags::default(),
        true,
        Nanos(0),
    );
    assert_eq!(other, Err(ApiError::InvalidSwIfIndex));
    lab.dp.ip_neighbor_flush(Family::V4, None);
    assert!(known(&lab).is_empty());
    reply(&mut lab, a, 5);
    assert_eq!(known(&lab), ["10.0.0.5"]);
}
