use std::net::{IpAddr, Ipv4Addr};

use weft_sdk::packet::checksum;
use weft_sdk::packet::tcp::{ACK, SYN};
use weft_sdk::test::{Fate, Frames, ports, run};

use super::*;

const SECOND: u64 = 1_000_000_000;

const WEB: &str = r#"{"rules": [
    {"name": "guests", "action": "deny", "src": "10.9.0.0/16"},
    {"name": "web", "action": "allow", "from": "left", "protocol": "tcp", "ports": [80, "8000-8080"]},
    {"name": "ping", "action": "allow", "protocol": "icmp"}]}"#;

fn firewall(config: &str) -> Firewall {
    let mut firewall = Firewall::default();
    firewall
        .configure(config, &ports())
        .expect("a good configuration");
    firewall
}

/// An Ethernet frame with a TCP segment from `10.0.0.1` or the address given.
fn tcp(src: [u8; 4], src_port: u16, dst: [u8; 4], dst_port: u16, flags: u8) -> Vec<u8> {
    let mut segment = vec![0; 20];
    segment[0..2].copy_from_slice(&src_port.to_be_bytes());
    segment[2..4].copy_from_slice(&dst_port.to_be_bytes());
    segment[12] = 0x50;
    segment[13] = flags;
    ipv4(src, dst, 6, &segment)
}

fn ipv4(src: [u8; 4], dst: [u8; 4], protocol: u8, upper: &[u8]) -> Vec<u8> {
    let total = u16::try_from(20 + upper.len()).expect("short");
    let mut ip = vec![0x45, 0, 0, 0, 0, 0, 0, 0, 64, protocol, 0, 0];
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    ip.extend(src.into_iter().chain(dst));
    let sum = checksum::of(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00];
    frame.extend(ip);
    frame.extend(upper);
    frame
}

const CLIENT: [u8; 4] = [10, 0, 0, 1];
const SERVER: [u8; 4] = [10, 1, 0, 1];

fn request(src_port: u16, dst_port: u16) -> Vec<u8> {
    tcp(CLIENT, src_port, SERVER, dst_port, SYN)
}

fn reply(src_port: u16, dst_port: u16, flags: u8) -> Vec<u8> {
    tcp(SERVER, src_port, CLIENT, dst_port, flags)
}

fn passes(firewall: &mut Firewall, port: u8, at: u64, frame: Vec<u8>) -> bool {
    run(firewall, Frames::from_port(port).at(Nanos(at)).frame(frame))[0].is_forwarded()
}

fn counter(firewall: &Firewall, name: &str) -> u64 {
    let counters = firewall.counters();
    counters
        .iter()
        .find(|(n, _)| n == name)
        .unwrap_or_else(|| panic!("{name}"))
        .1
}

#[test]
fn a_packet_passes_unchanged_to_the_other_side_if_a_rule_allows_it() {
    let mut firewall = firewall(WEB);
    let frame = request(1000, 80);
    let fates = run(&mut firewall, Frames::from_port(0).frame(frame.clone()));
    assert_eq!(
        fates,
        [Fate::Forwarded {
            port: PortId(1),
            bytes: frame
        }]
    );
}

#[test]
fn the_first_rule_that_matches_decides() {
    for (port, frame, passes_it) in [
        (0, request(1, 80), true),
        (0, request(1, 8040), true),
        (0, request(1, 8081), false),
        (1, request(1, 80), false),
        (0, tcp([10, 9, 1, 1], 1, SERVER, 80, SYN), false),
        (1, ipv4(CLIENT, SERVER, 1, &[8, 0, 0, 0]), true),
        (0, ipv4(CLIENT, SERVER, 47, &[]), false),
    ] {
        assert_eq!(
            passes(&mut firewall(WEB), port, 0, frame.clone()),
            passes_it,
            "{frame:?}"
        );
    }
}

#[test]
fn answers_to_an_allowed_flow_pass_until_it_falls_silent() {
    let mut firewall = firewall(
        r#"{"rules":[{"name":"web","action":"allow","from":"left"}],"connections":{"max":8,"idleSeconds":60}}"#,
    );
    assert!(
        !passes(&mut firewall, 1, 0, reply(80, 1000, ACK)),
        "nobody asked"
    );
    assert!(passes(&mut firewall, 0, 0, request(1000, 80)));
    assert!(passes(&mut firewall, 1, 59 * SECOND, reply(80, 1000, ACK)));
    assert!(
        passes(&mut firewall, 1, 118 * SECOND, reply(80, 1000, ACK)),
        "each packet keeps it alive"
    );
    assert!(!passes(
        &mut firewall,
        1,
        178 * SECOND,
        reply(80, 1000, ACK)
    ));
    assert!(
        !passes(&mut firewall, 1, 178 * SECOND, reply(80, 1001, ACK)),
        "another flow"
    );
}

#[test]
fn a_closed_flow_is_forgotten_sooner() {
    let mut firewall = firewall(WEB);
    assert!(passes(&mut firewall, 0, 0, request(1000, 80)));
    assert!(passes(&mut firewall, 1, 0, reply(80, 1000, FIN | ACK)));
    assert!(passes(&mut firewall, 1, 9 * SECOND, reply(80, 1000, ACK)));
    assert!(!passes(&mut firewall, 1, 19 * SECOND, reply(80, 1000, ACK)));
}

#[test]
fn a_full_table_evicts_and_says_why() {
    let mut firewall = firewall(r#"{"default":"allow","connections":{"max":8,"idleSeconds":60}}"#);
    for port in 0..8 {
        assert!(passes(&mut firewall, 0, u64::from(port), request(port, 80)));
    }
    assert!(passes(&mut firewall, 0, 100, request(100, 80)));
    assert_eq!(counter(&firewall, "connections.displaced"), 1);
    assert!(passes(&mut firewall, 0, 1000 * SECOND, request(101, 80)));
    assert_eq!(counter(&firewall, "connections.expired"), 1);
    assert_eq!(counter(&firewall, "connections.opened"), 10);
}

#[test]
fn what_is_not_ip_passes_and_what_is_broken_does_not() {
    let mut firewall = firewall(r#"{"default":"deny"}"#);
    let mut arp = vec![0xff; 42];
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    assert!(passes(&mut firewall, 0, 0, arp));
    let mut short = request(1, 80);
    short.truncate(20);
    assert!(!passes(&mut firewall, 0, 0, short));
    assert!(!passes(&mut firewall, 0, 0, vec![1, 2, 3]));
    assert_eq!(counter(&firewall, "malformed"), 2);
}

#[test]
fn counters_add_up_and_name_the_rule() {
    let mut firewall = firewall(WEB);
    let frames = Frames::from_port(0)
        .frame(request(1, 80))
        .frame(request(1, 22))
        .frame(tcp([10, 9, 0, 1], 1, SERVER, 80, SYN));
    assert_eq!(
        run(&mut firewall, frames)
            .iter()
            .filter(|fate| fate.is_forwarded())
            .count(),
        1
    );
    for (name, count) in [
        ("seen", 3),
        ("passed", 1),
        ("denied", 2),
        ("denied.guests", 1),
        ("denied.default", 1),
    ] {
        assert_eq!(counter(&firewall, name), count, "{name}");
    }
}

#[test]
fn a_successor_knows_the_flows_of_its_predecessor() {
    let mut old = firewall(WEB);
    assert!(passes(&mut old, 0, 5, request(1000, 80)));
    let mut new = firewall(WEB);
    new.restore("0.1.0", &old.save(1 << 20))
        .expect("state fits");
    assert!(passes(&mut new, 1, 6, reply(80, 1000, ACK)));
    assert!(new.restore("0.1.0", b"nonsense").is_err());
}

#[test]
fn a_successor_with_too_little_room_knows_the_youngest_flows() {
    let mut old = firewall(WEB);
    for (now, port) in [(5, 1000), (7, 1001), (6, 1002)] {
        assert!(passes(&mut old, 0, now, request(port, 80)));
    }
    let state = old.save(50);
    let mut new = firewall(WEB);
    new.restore("0.1.0", &state).expect("state fits");
    for (port, known) in [(1000, false), (1001, true), (1002, true)] {
        assert_eq!(
            passes(&mut new, 1, 8, reply(80, port, ACK)),
            known,
            "{port}"
        );
    }
    // A smaller table keeps the youngest, in whatever order they come.
    let size = config::parse(r#"{"max": 8}"#).expect("a size");
    let mut small = Connections::new(&size).expect("a table");
    for last in [9, 5, 8, 7, 1, 2, 3, 4, 6, 0, 10] {
        let key = FlowKey {
            src: IpAddr::from([10, 0, 0, last]),
            dst: IpAddr::from([10, 1, 0, 1]),
            protocol: 17,
            src_port: 1,
            dst_port: 2,
        };
        small.adopt(connections::Connection {
            key,
            last: Nanos(u64::from(last)),
            closing: false,
        });
    }
    let mut kept: Vec<u64> = small.iter().map(|flow| flow.last.0).collect();
    kept.sort_unstable();
    assert_eq!(kept, [3, 4, 5, 6, 7, 8, 9, 10]);
}

#[test]
fn a_bad_configuration_names_the_field() {
    for (config, field) in [
        (
            r#"{"rules":[{"name":"a","action":"allow","from":"up"}]}"#,
            "rules[0].from",
        ),
        (
            r#"{"rules":[{"name":"a","action":"allow","ports":[1]}]}"#,
            "rules[0].ports",
        ),
        (
            r#"{"rules":[{"name":"a","action":"allow","protocol":"tcp","ports":["9-1"]}]}"#,
            "rules[0].ports",
        ),
        (
            r#"{"rules":[{"name":"a","action":"allow","protocol":"x"}]}"#,
            "rules[0].protocol",
        ),
        (
            r#"{"rules":[{"name":"a","action":"allow","src":"10.0.0.1/8"}]}"#,
            "rules[0].src",
        ),
        (
            r#"{"rules":[{"name":"a","action":"allow","dst":"10.0.0.1/33"}]}"#,
            "rules[0].dst",
        ),
        (r#"{"connections":{"max":0}}"#, "connections.max"),
        (
            r#"{"connections":{"idleSeconds":0}}"#,
            "connections.idleSeconds",
        ),
    ] {
        let fault = Firewall::default()
            .configure(config, &ports())
            .expect_err(config);
        assert_eq!(fault.field.as_deref(), Some(field), "{config}");
    }
    let one = &ports()[..1];
    assert!(Firewall::default().configure("{}", one).is_err());
}

#[test]
fn ipv6_flows_are_tracked_too() {
    let key = FlowKey {
        src: IpAddr::V4(Ipv4Addr::LOCALHOST),
        dst: "fd00::1".parse().expect("an address"),
        protocol: 17,
        src_port: 1,
        dst_port: 2,
    };
    let mut connections = Connections::new(&Default::default()).expect("a table");
    connections.open(key, false, Nanos(0));
    assert!(connections.touch(&key.reversed(), false, Nanos(1)));
}
