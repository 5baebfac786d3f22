use packet::MacAddr;

use super::*;
use crate::bridge::{BridgeFlags, L2FibFlags, PortType};
use crate::{Nanos, SwIfIndex};

fn frame(dst: MacAddr, src: MacAddr) -> Vec<u8> {
    eth(dst, src, &udp("10.0.0.1", "10.0.0.2", (1, 2), 300))
}

fn ports(sent: &[Sent]) -> Vec<SwIfIndex> {
    sent.iter().map(|(on, ..)| *on).collect()
}

#[test]
fn cross_connect_passes_every_frame_unchanged_in_one_direction() {
    let mut lab = Lab::new();
    let (a, b) = (lab.device("a"), lab.device("b"));
    lab.dp.set_l2_xconnect(a, b, true).unwrap();
    let bytes = frame(host(1), host(2));
    let sent = lab.send(a, &bytes);
    assert_eq!((ports(&sent), &sent[0].1), (vec![b], &bytes));
    assert!(lab.send(b, &bytes).is_empty());
    let counters = lab.dp.interface_counters(a);
    assert_eq!(
        (counters.rx.packets, counters.rx.bytes),
        (1, bytes.len() as u64)
    );
    assert_eq!(lab.dp.interface_counters(b).tx.packets, 1);
    assert_eq!(lab.drops(), ["ethernet-input: l3 mac mismatch = 1"]);
}

#[test]
fn bridge_floods_unknown_learns_and_then_forwards() {
    let mut lab = Lab::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| lab.device(name));
    for port in [a, b, c] {
        lab.dp
            .set_l2_bridge(port, 5, PortType::Normal, 0, true)
            .unwrap();
    }
    let sent = lab.send(a, &frame(host(2), host(1)));
    assert_eq!(ports(&sent), [b, c]);
    assert_eq!(sent[0].1, sent[1].1);
    assert_eq!(ports(&lab.send(b, &frame(host(1), host(2)))), [a]);
    assert_eq!(
        ports(&lab.send(c, &frame(MacAddr::BROADCAST, host(3)))),
        [a, b]
    );
    assert!(lab.send(a, &frame(host(1), host(9))).is_empty());
    assert_eq!(
        lab.drops(),
        ["l2-fwd: l2 reflection: output is the input interface = 1"]
    );
    let mut known: Vec<_> = lab
        .dp
        .l2fib(5)
        .iter()
        .map(|e| (e.mac, e.sw_if_index))
        .collect();
    known.sort();
    assert_eq!(
        known,
        [(host(1), a), (host(2), b), (host(3), c), (host(9), a)]
    );
}

#[test]
fn a_host_that_moves_is_found_at_its_new_port() {
    let mut lab = Lab::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| lab.device(name));
    for port in [a, b, c] {
        lab.dp
            .set_l2_bridge(port, 5, PortType::Normal, 0, true)
            .unwrap();
    }
    lab.send(a, &frame(host(2), host(1)));
    lab.send(b, &frame(host(2), host(1)));
    assert_eq!(ports(&lab.send(c, &frame(host(1), host(3)))), [b]);
}

#[test]
fn split_horizon_group_keeps_tunnels_apart() {
    let mut lab = Lab::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| lab.device(name));
    for (port, shg) in [(a, 1), (b, 1), (c, 0)] {
        lab.dp
            .set_l2_bridge(port, 5, PortType::Normal, shg, true)
            .unwrap();
    }
    assert_eq!(
        ports(&lab.send(a, &frame(MacAddr::BROADCAST, host(1)))),
        [c]
    );
    lab.send(b, &frame(MacAddr::BROADCAST, host(2)));
    assert!(lab.send(a, &frame(host(2), host(1))).is_empty());
    assert_eq!(lab.drops(), ["l2-fwd: l2 split horizon = 1"]);
}

#[test]
fn flags_filters_and_uu_forward_rule_the_bridge() {
    let mut lab = Lab::new();
    let [a, b, c] = ["a", "b", "c"].map(|name| lab.device(name));
    for (port, kind) in [
        (a, PortType::Normal),
        (b, PortType::Normal),
        (c, PortType::UuFwd),
    ] {
        lab.dp.set_l2_bridge(port, 5, kind, 0, true).unwrap();
    }
    assert_eq!(ports(&lab.send(a, &frame(host(7), host(1)))), [c]);
    let filter = L2FibFlags {
        filter_mac: true,
        ..L2FibFlags::default()
    };
    lab.dp
        .l2fib_add_del(host(7), 5, SwIfIndex::NONE, filter, true)
        .unwrap();
    assert!(lab.send(a, &frame(host(7), host(1))).is_empty());
    lab.dp
        .bridge_flags(
            5,
            false,
            BridgeFlags {
                learn: true,
                flood: true,
                ..BridgeFlags::default()
            },
        )
        .unwrap();
    assert!(lab.send(a, &frame(MacAddr::BROADCAST, host(8))).is_empty());
    assert!(!lab.dp.l2fib(5).iter().any(|e| e.mac == host(8)));
}

#[test]
fn learned_addresses_age_and_static_ones_stay() {
    let mut lab = Lab::new();
    let [a, b] = ["a", "b"].map(|name| lab.device(name));
    for port in [a, b] {
        lab.dp
            .set_l2_bridge(port, 5, PortType::Normal, 0, true)
            .unwrap();
    }
    lab.dp.bridge_domain_set_mac_age(5, 1).unwrap();
    let is_static = L2FibFlags {
        static_mac: true,
        ..L2FibFlags::default()
    };
    lab.dp
        .l2fib_add_del(host(9), 5, b, is_static, true)
        .unwrap();
    lab.send(a, &frame(host(9), host(1)));
    lab.now.0 += 50_000_000_000;
    lab.send(a, &frame(host(9), host(1)));
    lab.dp.handle_timeout(Nanos(lab.now.0 + 30_000_000_000));
    assert_eq!(lab.dp.l2fib(5).len(), 2);
    lab.dp.handle_timeout(Nanos(lab.now.0 + 70_000_000_000));
    assert_eq!(
        lab.dp.l2fib(5).iter().map(|e| e.mac).collect::<Vec<_>>(),
        [host(9)]
    );
}

#[test]
fn bvi_joins_bridge_and_router() {
    let mut lab = Lab::new();
    let (port, out) = (lab.device("port"), lab.routed("out", &["10.1.0.1/24"]));
    let bvi = lab
        .dp
        .create_loopback(MacAddr([2, 0xbb, 0, 0, 0, 1]), Some(0))
        .unwrap();
    lab.dp.set_flags(bvi, true).unwrap();
    lab.dp
        .set_l2_bridge(port, 5, PortType::Normal, 0, true)
        .unwrap();
    lab.dp
        .set_l2_bridge(bvi, 5, PortType::Bvi, 0, true)
        .unwrap();
    lab.dp
        .add_del_address(bvi, true, prefix("10.0.0.1/24"))
        .unwrap();
    lab.neighbor(out, "10.1.0.2", host(2));
    let up = eth(
        MacAddr([2, 0xbb, 0, 0, 0, 1]),
        host(1),
        &udp("10.0.0.5", "10.1.0.2", (1, 2), 20),
    );
    assert_eq!(
        lab.text(port, &up),
        "out: 02:00:00:00:00:02 > 02:aa:00:00:00:02 10.0.0.5 > 10.1.0.2 ttl 63 udp 1 > 2 length 28\n"
    );
    // Down: the unknown neighbour is asked for through the bridge, then reached at its port.
    let down = eth(
        own_mac(out),
        host(2),
        &udp("10.1.0.2", "10.0.0.5", (2, 1), 20),
    );
    assert_eq!(
        lab.text(out, &down),
        "port: 02:bb:00:00:00:01 > ff:ff:ff:ff:ff:ff arp Request 10.0.0.1 is-at 02:bb:00:00:00:01 for 10.0.0.5\n"
    );
    lab.neighbor(bvi, "10.0.0.5", host(1));
    assert_eq!(
        lab.text(out, &down),
        "port: 02:bb:00:00:00:01 > 02:aa:00:00:00:01 10.1.0.2 > 10.0.0.5 ttl 63 udp 2 > 1 length 28\n"
    );
}

#[test]
fn a_bridge_learns_as_many_addresses_as_it_may() {
    let mut lab = Lab::new();
    let [a, b] = ["a", "b"].map(|name| lab.device(name));
    lab.dp.bridge_domain_set_default_learn_limit(2);
    for port in [a, b] {
        lab.dp
            .set_l2_bridge(port, 5, PortType::Normal, 0, true)
            .unwrap();
    }
    for n in 1..=4 {
        assert_eq!(ports(&lab.send(a, &frame(host(9), host(n)))), [b]);
    }
    let known = |lab: &Lab| {
        lab.dp
            .l2fib(5)
            .iter()
            .map(|e| (e.mac, e.sw_if_index))
            .collect::<Vec<_>>()
    };
    assert_eq!(known(&lab), [(host(1), a), (host(2), a)]);
    // Moves are followed at the limit, and not beyond it.
    lab.send(b, &frame(host(9), host(1)));
    assert_eq!(known(&lab), [(host(1), b), (host(2), a)]);
    lab.dp.bridge_domain_set_learn_limit(5, 1).unwrap();
    lab.send(b, &frame(host(9), host(2)));
    assert_eq!(known(&lab), [(host(1), b), (host(2), a)]);
    lab.dp.l2fib_flush_all();
    lab.send(a, &frame(host(9), host(3)));
    assert_eq!(known(&lab), [(host(3), a)]);
}
