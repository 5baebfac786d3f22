//! Classifier tables and access lists on source addresses.

use packet::MacAddr;

use super::routing::two_subnets;
use super::*;
use crate::acl::AclAction;
use crate::bridge::PortType;
use crate::classify::{Action, InputTables, NEXT_DENY, NONE, SessionSpec, TableSpec};
use crate::macip::MacipRule;
use crate::route::RoutePath;
use crate::{Family, SwIfIndex};

/// Compares the source address of IPv4 packets, whose header starts 14 bytes into the frame.
fn by_source(next_table: u32, miss_next: u32) -> TableSpec {
    let mut mask = vec![0; 16];
    mask[10..14].fill(0xff);
    TableSpec {
        buckets: 2,
        skip: 1,
        next_table,
        miss_next,
        from_current: None,
        mask,
    }
}

fn from(source: [u8; 4], hit_next: u16, action: Action) -> SessionSpec {
    let mut matched = vec![0xee; 32];
    matched[26..30].copy_from_slice(&source);
    SessionSpec {
        hit_next,
        opaque: 7,
        action,
        matched,
    }
}

fn only_ip4(table: u32) -> InputTables {
    InputTables {
        ip4: Some(table),
        ..InputTables::default()
    }
}

fn passes(lab: &mut Lab, rx: SwIfIndex, src: &str) -> bool {
    let packet = udp(src, "10.0.1.9", (1, 2), 64);
    !lab.send(rx, &eth(own_mac(rx), host(1), &packet)).is_empty()
}

#[test]
fn a_chain_of_tables_decides_and_counts() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.9", host(2));
    let last = by_source(NONE, NEXT_DENY);
    let last = lab.dp.classify_add_table(None, last).unwrap();
    let first = by_source(last, NONE);
    let first = lab.dp.classify_add_table(None, first).unwrap();
    let permit = from([10, 0, 0, 8], u16::MAX, Action::None);
    lab.dp.classify_add_session(last, &permit).unwrap();
    let deny = from([10, 0, 0, 7], 0, Action::None);
    lab.dp.classify_add_session(first, &deny).unwrap();
    lab.dp
        .input_acl_set_interface(a, only_ip4(first), true)
        .unwrap();
    let got = ["10.0.0.7", "10.0.0.8", "10.0.0.9"].map(|src| passes(&mut lab, a, src));
    assert_eq!(got, [false, true, false]);
    assert_eq!(
        lab.drops(),
        [
            "ip4-inacl: input ACL session deny drops = 1",
            "ip4-inacl: input ACL table-miss drops = 1"
        ]
    );
    let sessions = lab.dp.classify_sessions(last);
    assert_eq!((sessions.len(), sessions[0].hits), (1, 1));
    // The skipped vector and what the mask leaves out are no part of a session.
    assert_eq!(sessions[0].matched[..10], [0; 10]);
    lab.dp.classify_del_session(last, &permit.matched).unwrap();
    assert!(!passes(&mut lab, a, "10.0.0.8"));
    // Whoever lets the table go without its interface gets no packets through.
    lab.dp.classify_del_table(first, true).unwrap();
    assert!(!passes(&mut lab, a, "10.0.0.9"));
    lab.dp
        .input_acl_set_interface(a, only_ip4(first), false)
        .unwrap();
    assert!(passes(&mut lab, a, "10.0.0.7"));
    assert_eq!(lab.dp.classify_tables().count(), 0);
}

#[test]
fn a_session_chooses_the_table_that_routes() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.8", host(2));
    lab.neighbor(b, "10.0.1.9", host(3));
    let table = by_source(NONE, NONE);
    let table = lab.dp.classify_add_table(None, table).unwrap();
    let to_nine = Action::SetFib {
        family: Family::V4,
        table_id: 9,
    };
    let session = from([10, 0, 0, 9], u16::MAX, to_nine);
    lab.dp.classify_add_session(table, &session).unwrap();
    let path = RoutePath::via(addr("10.0.1.8"), b);
    lab.dp
        .ip_route_add_del(9, prefix("0.0.0.0/0"), &[path], true, false)
        .unwrap();
    lab.dp
        .input_acl_set_interface(a, only_ip4(table), true)
        .unwrap();
    let hop = |lab: &mut Lab, src: &str| {
        let packet = udp(src, "10.0.1.9", (1, 2), 64);
        let text = lab.text(a, &eth(own_mac(a), host(1), &packet));
        text.split(' ').nth(3).unwrap_or("").to_owned()
    };
    assert_eq!(hop(&mut lab, "10.0.0.9"), host(2).to_string());
    assert_eq!(hop(&mut lab, "10.0.0.8"), host(3).to_string());
    // The table that the session made goes with it.
    let tables = |lab: &Lab| lab.dp.ip_tables().len();
    let before = tables(&lab);
    lab.dp
        .ip_route_add_del(9, prefix("0.0.0.0/0"), &[path], false, false)
        .unwrap();
    lab.dp.classify_del_table(table, false).unwrap();
    assert_eq!(tables(&lab), before - 1);
}

#[test]
fn a_chain_that_leads_back_is_refused() {
    let mut lab = Lab::new();
    let first = lab.dp.classify_add_table(None, by_source(NONE, 0)).unwrap();
    let second = lab
        .dp
        .classify_add_table(None, by_source(first, 0))
        .unwrap();
    let back = lab.dp.classify_add_table(Some(first), by_source(second, 0));
    assert_eq!(back, Err(crate::error::ApiError::InvalidValue));
    let to_itself = lab.dp.classify_add_table(None, by_source(2, 0));
    assert_eq!(to_itself, Err(crate::error::ApiError::InvalidValue));
    let mut deep = by_source(NONE, 0);
    deep.skip = 12;
    assert!(lab.dp.classify_add_table(None, deep).is_err());
}

fn macip(action: AclAction, mac: MacAddr, mask: [u8; 6], src: &str) -> MacipRule {
    MacipRule {
        action,
        mac,
        mac_mask: MacAddr(mask),
        src: prefix(src),
    }
}

#[test]
fn lists_on_source_addresses_guard_routed_interfaces() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.9", host(2));
    let rules = vec![
        macip(AclAction::Permit, host(1), [0xff; 6], "10.0.0.8/31"),
        macip(AclAction::Deny, host(1), [0xff; 6], "10.0.0.9/32"),
        macip(
            AclAction::Permit,
            host(0),
            [0xff, 0xff, 0, 0, 0, 0],
            "10.0.0.64/26",
        ),
    ];
    let list = lab.dp.macip_acl_add_replace(None, "pods", rules).unwrap();
    lab.dp.macip_acl_interface_add(a, list).unwrap();
    let send = |lab: &mut Lab, from: MacAddr, src: &str| {
        let packet = udp(src, "10.0.1.9", (1, 2), 64);
        !lab.send(a, &eth(own_mac(a), from, &packet)).is_empty()
    };
    let got = [
        (host(1), "10.0.0.8"),
        (host(1), "10.0.0.9"),
        (host(2), "10.0.0.8"),
        (host(2), "10.0.0.70"),
        (host(1), "10.0.0.70"),
        (MacAddr([6; 6]), "10.0.0.70"),
    ]
    .map(|(mac, src)| send(&mut lab, mac, src));
    assert_eq!(got, [true, false, false, true, true, false]);
    // In place, while it is applied; a list without rules lets everything pass, as in VPP.
    let one = vec![macip(AclAction::Permit, host(2), [0xff; 6], "0.0.0.0/0")];
    lab.dp
        .macip_acl_add_replace(Some(list), "pods", one)
        .unwrap();
    assert!(send(&mut lab, host(2), "10.0.0.8"));
    assert!(!send(&mut lab, host(1), "10.0.0.8"));
    lab.dp
        .macip_acl_add_replace(Some(list), "pods", Vec::new())
        .unwrap();
    assert!(send(&mut lab, host(1), "10.0.0.8"));
    lab.dp.macip_acl_del(list).unwrap();
    assert_eq!(lab.dp.macip_acl_interfaces().count(), 0);
    assert_eq!(lab.dp.classify_tables().count(), 0);
}

#[test]
fn lists_on_source_addresses_guard_ports_of_bridges() {
    let mut lab = Lab::new();
    let (a, b) = (lab.device("a"), lab.device("b"));
    for port in [a, b] {
        lab.dp
            .set_l2_bridge(port, 5, PortType::Normal, 0, true)
            .unwrap();
    }
    let rules = vec![
        macip(AclAction::Permit, host(1), [0xff; 6], "10.0.0.1/32"),
        macip(AclAction::Permit, host(1), [0xff; 6], "fd00::1/128"),
    ];
    let list = lab.dp.macip_acl_add_replace(None, "", rules).unwrap();
    lab.dp.macip_acl_interface_add(a, list).unwrap();
    let arp = |sender: &str| {
        let std::net::IpAddr::V4(ip) = addr(sender) else {
            unreachable!()
        };
        let request = packet::arp::Arp {
            operation: packet::arp::Operation::Request,
            sender_mac: host(1),
            sender_ip: ip,
            target_mac: MacAddr::ZERO,
            target_ip: [10, 0, 0, 2].into(),
        };
        let kind = packet::ethernet::ARP;
        let mut frame = packet::ethernet::header(MacAddr([0xff; 6]), host(1), kind).to_vec();
        let mut bytes = [0; packet::arp::LEN];
        request.emit(&mut bytes);
        frame.extend(bytes);
        frame
    };
    let tagged = |frame: &[u8]| [&frame[..12], &[0x81, 0, 0, 9], &frame[12..]].concat();
    let v4 = |src: &str| eth(host(2), host(1), &udp(src, "10.0.0.2", (1, 2), 9));
    let v6 = |src: &str| eth(host(2), host(1), &udp(src, "fd00::2", (1, 2), 9));
    let mut passes = |frame: &[u8]| !lab.send(a, frame).is_empty();
    assert!(passes(&v4("10.0.0.1")) && !passes(&v4("10.0.0.3")));
    assert!(passes(&v6("fd00::1")) && !passes(&v6("fd00::3")));
    assert!(passes(&arp("10.0.0.1")) && !passes(&arp("10.0.0.3")));
    // Whatever VLAN they are in.
    assert!(passes(&tagged(&v4("10.0.0.1"))) && !passes(&tagged(&v4("10.0.0.3"))));
    assert!(lab.drops()[0].starts_with("l2-input-acl: input ACL table-miss drops = "));
}

#[test]
fn lists_on_source_addresses_guard_cross_connects() {
    let mut lab = Lab::new();
    let (a, b) = (lab.device("a"), lab.device("b"));
    lab.dp.set_l2_xconnect(a, b, true).unwrap();
    let rules = vec![macip(AclAction::Permit, host(1), [0xff; 6], "10.0.0.1/32")];
    let list = lab.dp.macip_acl_add_replace(None, "", rules).unwrap();
    lab.dp.macip_acl_interface_add(a, list).unwrap();
    let mut passes = |src: &str| {
        let frame = eth(host(2), host(1), &udp(src, "10.0.0.2", (1, 2), 9));
        !lab.send(a, &frame).is_empty()
    };
    assert!(passes("10.0.0.1") && !passes("10.0.0.3"));
}
