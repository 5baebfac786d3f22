//! Source NAT by policy.

use packet::tcp::{ACK, SYN};

use super::*;

#[test]
fn outgoing_flows_get_the_address_of_the_node_and_answers_find_back() {
    for (client, server, own) in [
        ("10.0.0.2", "192.0.2.9", "192.0.2.1"),
        ("2001:db8::2", "2001:db8:2::9", "2001:db8:2::1"),
    ] {
        for protocol in [proto::TCP, proto::UDP, proto::SCTP] {
            let mut net = Net::new(Mode::Feature);
            hide(
                &mut net.lab,
                SnatKind::IfPfx,
                &[net.client],
                &["10.0.0.0/8"],
            );
            let there = packet(protocol, (client, 1234), (server, 80), SYN);
            let want = format!("{own}#1234 > {server}#80");
            assert_eq!(net.flow(net.client, &there), (net.world, want));
            let back = packet(protocol, (server, 80), (own, 1234), SYN | ACK);
            let want = format!("{server}#80 > {client}#1234");
            assert_eq!(net.flow(net.world, &back), (net.client, want));
        }
    }
}

#[test]
fn excluded_destinations_and_flows_from_outside_keep_their_source() {
    let mut net = Net::new(Mode::Feature);
    hide(
        &mut net.lab,
        SnatKind::IfPfx,
        &[net.client],
        &["10.0.0.0/8"],
    );
    let inside = packet(proto::TCP, ("10.0.0.2", 1234), ("10.0.1.2", 80), SYN);
    assert_eq!(
        net.flow(net.client, &inside).1,
        "10.0.0.2#1234 > 10.0.1.2#80"
    );
    let from_outside = packet(proto::TCP, ("192.0.2.9", 999), ("10.0.0.2", 80), SYN);
    assert_eq!(
        net.flow(net.world, &from_outside).1,
        "192.0.2.9#999 > 10.0.0.2#80"
    );
    let answer = packet(proto::TCP, ("10.0.0.2", 80), ("192.0.2.9", 999), SYN | ACK);
    assert_eq!(
        net.flow(net.client, &answer).1,
        "10.0.0.2#80 > 192.0.2.9#999",
        "an answer, not an outgoing flow"
    );
}

#[test]
fn clients_with_one_port_get_different_ones() {
    let mut net = Net::new(Mode::Feature);
    hide(&mut net.lab, SnatKind::IfPfx, &[net.client], &[]);
    let mut seen = std::collections::BTreeSet::new();
    for client in ["10.0.0.2", "10.0.0.3"] {
        let (_, bytes) = net.cross(
            net.client,
            &packet(proto::UDP, (client, 1234), ("192.0.2.9", 53), 0),
        );
        let port = packet::FlowKey::of_ip(&bytes).unwrap().src_port;
        assert!(seen.insert(port));
        let answer = packet(proto::UDP, ("192.0.2.9", 53), ("192.0.2.1", port), 0);
        assert_eq!(
            net.flow(net.world, &answer).1,
            format!("192.0.2.9#53 > {client}#1234")
        );
    }
    assert!(
        seen.contains(&1234) && seen.iter().all(|p| *p == 1234 || *p >= 0xc000),
        "{seen:?}"
    );
}

#[test]
fn an_echo_is_told_apart_by_its_identifier() {
    for (protocol, request, reply, clients, server, own) in [
        (
            proto::ICMP,
            8,
            0,
            ["10.0.0.2", "10.0.0.3"],
            "192.0.2.9",
            "192.0.2.1",
        ),
        (
            proto::ICMPV6,
            128,
            129,
            ["2001:db8::2", "2001:db8::2"],
            "2001:db8:2::9",
            "2001:db8:2::1",
        ),
    ] {
        let mut net = Net::new(Mode::Feature);
        hide(&mut net.lab, SnatKind::None, &[], &[]);
        for client in clients {
            for _ in 0..2 {
                let (_, bytes) = net.cross(
                    net.client,
                    &packet(protocol, (client, 77), (server, 77), request),
                );
                let text = flow(&bytes);
                let ident: u16 = text.rsplit('#').next().unwrap().parse().unwrap();
                assert!(
                    text.starts_with(&format!("{own}#{ident} > {server}")),
                    "{text}"
                );
                let answer = packet(protocol, (server, ident), (own, ident), reply);
                assert_eq!(
                    net.flow(net.world, &answer).1,
                    format!("{server}#77 > {client}#77")
                );
            }
        }
    }
}

#[test]
fn what_answers_no_flow_ends_at_the_address() {
    let mut net = Net::new(Mode::Feature);
    hide(&mut net.lab, SnatKind::None, &[], &[]);
    let stray = packet(proto::TCP, ("192.0.2.9", 80), ("192.0.2.1", 1234), ACK);
    assert_eq!(
        net.dropped(net.world, &stray),
        "ip4-cnat-return: unknown session = 1"
    );
}

#[test]
fn without_an_address_of_the_family_hidden_flows_are_dropped() {
    let mut net = Net::new(Mode::Feature);
    let ip4 = std::net::Ipv4Addr::UNSPECIFIED;
    net.lab
        .dp
        .cnat_set_snat_addresses(
            (0, 0),
            ip4,
            "2001:db8:2::1".parse().unwrap(),
            SwIfIndex::NONE,
            4,
        )
        .unwrap();
    let there = packet(proto::TCP, ("10.0.0.2", 1234), ("192.0.2.9", 80), SYN);
    assert_eq!(
        net.dropped(net.client, &there),
        "cnat-output-ip4: no source address for translation = 1"
    );
}

#[test]
fn a_pod_reaches_itself_through_its_service() {
    let mut net = Net::new(Mode::Feature);
    hide(
        &mut net.lab,
        SnatKind::K8s,
        &[net.client, net.server],
        &["10.0.0.0/8"],
    );
    net.lab
        .dp
        .cnat_translation_update(&service(proto::TCP, "10.96.0.1", 80, &[("10.0.0.2", 8080)]))
        .unwrap();
    let there = packet(proto::TCP, ("10.0.0.2", 1234), ("10.96.0.1", 80), SYN);
    assert_eq!(
        net.flow(net.client, &there),
        (net.client, "192.0.2.1#1234 > 10.0.0.2#8080".to_owned())
    );
    let back = packet(
        proto::TCP,
        ("10.0.0.2", 8080),
        ("192.0.2.1", 1234),
        SYN | ACK,
    );
    assert_eq!(
        net.flow(net.client, &back),
        (net.client, "10.96.0.1#80 > 10.0.0.2#1234".to_owned())
    );
}

#[test]
fn a_service_on_another_node_sees_the_node_and_not_the_client_outside() {
    let mut net = Net::new(Mode::Feature);
    let other = net.lab.routed("uplink", &["198.51.100.1/24"]);
    net.lab.neighbor(other, "198.51.100.7", host(40));
    net.lab.dp.feature_cnat_enable_disable(other, true).unwrap();
    hide(
        &mut net.lab,
        SnatKind::K8s,
        &[net.client, net.server],
        &["10.0.0.0/8"],
    );
    let mut node_port = service(proto::TCP, "192.0.2.254", 30080, &[("198.51.100.7", 80)]);
    node_port.exclusive = false;
    net.lab.dp.cnat_translation_update(&node_port).unwrap();
    let there = packet(proto::TCP, ("192.0.2.9", 1234), ("192.0.2.254", 30080), SYN);
    assert_eq!(
        net.flow(net.world, &there),
        (other, "192.0.2.1#1234 > 198.51.100.7#80".to_owned())
    );
    let back = packet(
        proto::TCP,
        ("198.51.100.7", 80),
        ("192.0.2.1", 1234),
        SYN | ACK,
    );
    assert_eq!(
        net.flow(other, &back),
        (net.world, "192.0.2.254#30080 > 192.0.2.9#1234".to_owned())
    );
}

#[test]
fn a_path_with_a_source_hides_the_client_where_no_interface_has_the_feature() {
    let mut net = Net::new(Mode::Route);
    let mut spec = service(proto::TCP, "10.96.0.1", 80, &[("10.0.1.2", 8080)]);
    spec.paths[0].src = Endpoint::new(addr("192.0.2.77"), 0);
    spec.flags = crate::cnat::ALLOC_PORT;
    net.lab.dp.cnat_translation_update(&spec).unwrap();
    for client in ["10.0.0.2", "10.0.0.3"] {
        let (_, bytes) = net.cross(
            net.client,
            &packet(proto::TCP, (client, 1234), ("10.96.0.1", 80), SYN),
        );
        let text = flow(&bytes);
        assert!(
            text.starts_with("192.0.2.77#") && text.ends_with("> 10.0.1.2#8080"),
            "{text}"
        );
        let port = packet::FlowKey::of_ip(&bytes).unwrap().src_port;
        let back = packet(
            proto::TCP,
            ("10.0.1.2", 8080),
            ("192.0.2.77", port),
            SYN | ACK,
        );
        assert_eq!(
            net.flow(net.server, &back).1,
            format!("10.96.0.1#80 > {client}#1234")
        );
    }
}
