use packet::arp::{Arp, Operation};
use packet::ndisc::Ndisc;
use packet::{MacAddr, ethernet, ipv6, proto};

use super::*;
use crate::ApiError;
use crate::bridge::{BridgeFlags, PortType};

fn question(sender: u8, target: &str) -> Vec<u8> {
    let mut out = ethernet::header(MacAddr::BROADCAST, host(sender), ethernet::ARP).to_vec();
    out.resize(60, 0);
    Arp {
        operation: Operation::Request,
        sender_mac: host(sender),
        sender_ip: [10, 0, 0, sender].into(),
        target_mac: MacAddr::ZERO,
        target_ip: target.parse().unwrap(),
    }
    .emit(&mut out[14..]);
    out
}

fn solicitation(target: &str) -> Vec<u8> {
    let (src, target): (std::net::Ipv6Addr, std::net::Ipv6Addr) =
        ("fd00::1".parse().unwrap(), target.parse().unwrap());
    let group = ipv6::solicited_node(target);
    let mut message = vec![0; 32];
    let ask = Ndisc::Solicit {
        target,
        source_mac: Some(host(1)),
    };
    let len = ask.emit(&mut message, src, group);
    let mut packet = ip(
        "fd00::1",
        &group.to_string(),
        proto::ICMPV6,
        255,
        &message[..len],
    );
    packet.splice(
        0..0,
        ethernet::header(MacAddr::from_ipv6_multicast(group), host(1), ethernet::IPV6),
    );
    packet
}

#[test]
fn a_bridge_answers_for_the_addresses_of_its_table_and_floods_the_rest() {
    let mut lab = Lab::new();
    let [a, b, far] = ["a", "b", "far"].map(|name| lab.device(name));
    for (port, shg) in [(a, 0), (b, 0), (far, 1)] {
        lab.dp
            .set_l2_bridge(port, 5, PortType::Normal, shg, true)
            .unwrap();
    }
    let term = BridgeFlags {
        arp_term: true,
        ..BridgeFlags::default()
    };
    let entries = [("10.0.0.9", host(9)), ("fd00::9", host(9))];
    for (ip, mac) in entries {
        lab.dp.bd_ip_mac_add_del(5, addr(ip), mac, true).unwrap();
    }
    // Off by default.
    assert_eq!(lab.send(a, &question(1, "10.0.0.9")).len(), 2);
    assert!(lab.dp.bridge_flags(5, true, term).unwrap().arp_term);
    assert_eq!(
        lab.text(a, &question(1, "10.0.0.9")),
        "a: 02:aa:00:00:00:09 > 02:aa:00:00:00:01 arp Reply 10.0.0.9 is-at 02:aa:00:00:00:09 for 10.0.0.1\n"
    );
    let text = lab.text(a, &solicitation("fd00::9"));
    assert_eq!(
        text,
        "a: 02:aa:00:00:00:09 > 02:aa:00:00:00:01 fd00::9 > fd00::1 ttl 255 icmp6 136/0\n"
    );
    assert_eq!(lab.send(a, &question(1, "10.0.0.8")).len(), 2);
    assert_eq!(lab.send(a, &solicitation("fd00::8")).len(), 2);
    // Other nodes ask their own table; announcements and forgeries are not questions.
    assert_eq!(lab.send(far, &question(3, "10.0.0.9")).len(), 2);
    assert_eq!(lab.send(a, &question(9, "10.0.0.9")).len(), 2);
    let mut forged = question(1, "10.0.0.9");
    forged[11] = 77;
    assert!(lab.send(a, &forged).is_empty());
    assert_eq!(lab.drops(), ["arp-term-l2bd: ARP packet malformed = 1"]);
}

#[test]
fn unanswered_questions_go_to_the_forward_port_when_asked_for() {
    let mut lab = Lab::new();
    let [a, b, up] = ["a", "b", "up"].map(|name| lab.device(name));
    for (port, kind) in [
        (a, PortType::Normal),
        (b, PortType::Normal),
        (up, PortType::UuFwd),
    ] {
        lab.dp.set_l2_bridge(port, 5, kind, 0, true).unwrap();
    }
    let flags = BridgeFlags {
        arp_term: true,
        arp_ufwd: true,
        ..BridgeFlags::default()
    };
    lab.dp.bridge_flags(5, true, flags).unwrap();
    let sent = lab.send(a, &question(1, "10.0.0.9"));
    assert_eq!(sent.iter().map(|s| s.0).collect::<Vec<_>>(), [up]);
}

#[test]
fn the_table_is_refused_as_vpp_refuses_it() {
    let mut lab = Lab::new();
    let dp = &mut lab.dp;
    let ip = addr("10.0.0.9");
    assert_eq!(
        dp.bd_ip_mac_add_del(0, ip, host(1), true),
        Err(ApiError::BdNotModifiable)
    );
    assert_eq!(
        dp.bd_ip_mac_add_del(5, ip, host(1), true),
        Err(ApiError::NoSuchEntry)
    );
    dp.bridge_domain_add_del(Some(5), Some(crate::bridge::BridgeSpec::default()))
        .unwrap();
    dp.bd_ip_mac_add_del(5, ip, host(1), true).unwrap();
    dp.bd_ip_mac_add_del(5, ip, host(2), true).unwrap();
    assert_eq!(dp.bd_ip_macs(Some(5)), [(5, ip, host(2))]);
    assert_eq!(
        dp.bd_ip_mac_add_del(5, ip, host(1), false),
        Err(ApiError::Unspecified)
    );
    dp.bd_ip_mac_flush(5).unwrap();
    assert!(dp.bd_ip_macs(None).is_empty());
}
