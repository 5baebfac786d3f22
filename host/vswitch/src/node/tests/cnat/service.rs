//! Virtual endpoints.

use packet::tcp::{ACK, FIN, SYN};

use super::*;
use crate::Gso;
use crate::cnat::{NO_RETURN_SESSION, PATH_NO_NAT};

const V4: (&str, &str, &str) = ("10.96.0.1", "10.0.0.2", "10.0.1.2");
const V6: (&str, &str, &str) = ("fd00::1", "2001:db8::2", "2001:db8:1::2");

#[test]
fn a_virtual_endpoint_leads_to_its_backend_and_answers_come_from_it() {
    for mode in MODES {
        for (vip, client, backend) in [V4, V6] {
            for protocol in [proto::TCP, proto::UDP, proto::SCTP] {
                let mut net = Net::new(mode);
                let spec = service(protocol, vip, 80, &[(backend, 8080)]);
                net.lab.dp.cnat_translation_update(&spec).unwrap();
                for _ in 0..2 {
                    let there = packet(protocol, (client, 1234), (vip, 80), ACK);
                    let want = format!("{client}#1234 > {backend}#8080");
                    assert_eq!(
                        net.flow(net.client, &there),
                        (net.server, want),
                        "{mode:?} {protocol}"
                    );
                    let back = packet(protocol, (backend, 8080), (client, 1234), ACK);
                    let want = format!("{vip}#80 > {client}#1234");
                    assert_eq!(
                        net.flow(net.server, &back),
                        (net.client, want),
                        "{mode:?} {protocol}"
                    );
                }
                assert_eq!(net.sessions(), 2);
            }
        }
    }
}

#[test]
fn the_checksum_left_to_a_device_follows_the_addresses_only() {
    for (vip, client, backend) in [V4, V6] {
        let is_v6 = client.contains(':');
        for gso in [Gso::None, if is_v6 { Gso::Tcp6 } else { Gso::Tcp4 }] {
            let mut net = Net::new(Mode::Feature);
            net.lab
                .dp
                .cnat_translation_update(&service(proto::TCP, vip, 80, &[(backend, 8080)]))
                .unwrap();
            let mut there = packet(proto::TCP, (client, 1234), (vip, 80), ACK);
            there.extend([7; 3000]);
            let l4 = if is_v6 { 40 } else { 20 };
            if is_v6 {
                packet::ipv6::set_payload_len(&mut there, 3047);
            } else {
                packet::ipv4::set_word(&mut there, 2, 3067);
            }
            let partial = checksum::fold(pseudo(&there, l4, proto::TCP));
            there[l4 + 16..l4 + 18].copy_from_slice(&partial.to_be_bytes());
            let offload = Offload {
                gso,
                ..super_frame(is_v6, gso)
            };
            let frame = Net::frame(net.client, &there);
            if gso == Gso::None {
                net.lab.dp.set_mtu(net.server, [9000; 4]).unwrap();
            }
            let sent = net.lab.send_with(net.client, &frame, offload);
            let (_, bytes) = out(&sent);
            assert_eq!(named(&bytes), format!("{client}#1234 > {backend}#8080"));
            let want = checksum::fold(pseudo(&bytes, l4, proto::TCP));
            assert_eq!(bytes[l4 + 16..l4 + 18], want.to_be_bytes());
            let mut segments = 0;
            crate::offload::segment(&sent[0].1, &sent[0].2, &mut [0; 4000], |frame| {
                flow(Ethernet::new_checked(frame).unwrap().payload());
                segments += 1;
            })
            .unwrap();
            assert_eq!(segments, if gso == Gso::None { 1 } else { 3 });
        }
    }
}

#[test]
fn a_datagram_without_checksum_stays_without() {
    let mut net = Net::new(Mode::Feature);
    net.lab
        .dp
        .cnat_translation_update(&service(proto::UDP, V4.0, 53, &[(V4.2, 5353)]))
        .unwrap();
    let mut query = packet(proto::UDP, (V4.1, 1234), (V4.0, 53), 0);
    query[26..28].fill(0);
    let (_, bytes) = net.cross(net.client, &query);
    assert_eq!(
        (named(&bytes).as_str(), &bytes[26..28]),
        ("10.0.0.2#1234 > 10.0.1.2#5353", &[0, 0][..])
    );
}

#[test]
fn a_flow_that_is_over_does_not_live_on_with_another_that_shows_the_same_ends() {
    for (vip, client, backend) in [V4, V6] {
        let mut net = Net::new(Mode::Feature);
        let spec = service(proto::UDP, vip, 80, &[(backend, 8080)]);
        net.lab.dp.cnat_translation_update(&spec).unwrap();
        let there = packet(proto::UDP, (client, 1234), (vip, 80), 0);
        net.cross(net.client, &there);
        net.lab.now.0 += 41_000_000_000;
        let direct = packet(proto::UDP, (client, 1234), (backend, 8080), 0);
        net.cross(net.client, &direct);
        let (_, bytes) = net.cross(net.client, &there);
        let port = packet::FlowKey::of_ip(&bytes).unwrap().src_port;
        assert_ne!(port, 1234, "the answers to that one go to the direct flow");
        let answer = packet(proto::UDP, (backend, 8080), (client, port), 0);
        let want = format!("{vip}#80 > {client}#1234");
        assert_eq!(net.flow(net.server, &answer).1, want);
    }
}

#[test]
fn flows_keep_their_backend_when_others_come_and_go() {
    for mode in MODES {
        let mut net = Net::new(mode);
        let two = service(proto::TCP, V4.0, 80, &[("10.0.1.2", 1), ("10.0.1.3", 2)]);
        let id = net.lab.dp.cnat_translation_update(&two).unwrap();
        let packets: Vec<_> = (2000..2040)
            .map(|p| packet(proto::TCP, (V4.1, p), (V4.0, 80), ACK))
            .collect();
        let chosen: Vec<_> = packets.iter().map(|p| net.flow(net.client, p).1).collect();
        assert!((5..35).contains(&chosen.iter().filter(|c| c.contains("10.0.1.2")).count()));
        let three = service(
            proto::TCP,
            V4.0,
            80,
            &[("10.0.1.7", 9), ("10.0.1.2", 1), ("10.0.1.3", 2)],
        );
        assert_eq!(net.lab.dp.cnat_translation_update(&three), Ok(id));
        let again: Vec<_> = packets.iter().map(|p| net.flow(net.client, p).1).collect();
        assert_eq!(chosen, again, "{mode:?}");
        let one = service(proto::TCP, V4.0, 80, &[("10.0.1.3", 2)]);
        net.lab.dp.cnat_translation_update(&one).unwrap();
        let left = again.iter().filter(|c| c.contains("10.0.1.3")).count();
        assert_eq!(
            net.sessions(),
            2 * left,
            "sessions of a removed back-end end"
        );
        for (packet, before) in packets.iter().zip(&again) {
            let now = net.flow(net.client, packet).1;
            assert!(now.contains("10.0.1.3"), "{now}");
            assert!(!before.contains("10.0.1.3") || *before == now);
        }
        net.lab.dp.cnat_translation_del(id).unwrap();
        assert_eq!(net.sessions(), 0);
    }
}

#[test]
fn what_no_translation_of_a_virtual_address_takes_is_dropped() {
    for mode in MODES {
        let mut net = Net::new(mode);
        net.lab
            .dp
            .cnat_translation_update(&service(proto::TCP, V4.0, 80, &[(V4.2, 80)]))
            .unwrap();
        let wrong = packet(proto::TCP, (V4.1, 1234), (V4.0, 81), SYN);
        assert_eq!(
            net.dropped(net.client, &wrong),
            "ip4-lookup: route says drop = 1"
        );
    }
    let mut net = Net::new(Mode::Feature);
    let mut spec = service(proto::TCP, V4.0, 80, &[(V4.2, 80)]);
    spec.paths[0].dst.place = crate::cnat::Place::Interface(SwIfIndex(0), crate::Family::V4);
    net.lab.dp.cnat_translation_update(&spec).unwrap();
    let syn = packet(proto::TCP, (V4.1, 1234), (V4.0, 80), SYN);
    assert_eq!(
        net.dropped(net.client, &syn),
        "cnat-input-ip4: no active backend = 1"
    );
}

#[test]
fn an_own_address_serves_its_translations_and_itself() {
    let mut net = Net::new(Mode::Feature);
    let mut spec = service(proto::TCP, "10.0.0.1", 30080, &[(V4.2, 80)]);
    spec.exclusive = false;
    net.lab.dp.cnat_translation_update(&spec).unwrap();
    let port = packet(proto::TCP, (V4.1, 1234), ("10.0.0.1", 30080), SYN);
    assert_eq!(net.flow(net.client, &port).1, "10.0.0.2#1234 > 10.0.1.2#80");
    let ping = packet(proto::ICMP, (V4.1, 7), ("10.0.0.1", 7), 8);
    assert_eq!(
        net.flow(net.client, &ping),
        (net.client, "10.0.0.1#7 > 10.0.0.2#7".to_owned())
    );
}

#[test]
fn two_services_of_one_backend_do_not_mix_a_client_s_flows() {
    let mut net = Net::new(Mode::Feature);
    for vip in ["10.96.0.1", "10.96.0.2"] {
        net.lab
            .dp
            .cnat_translation_update(&service(proto::UDP, vip, 80, &[(V4.2, 80)]))
            .unwrap();
    }
    let mut ports = Vec::new();
    for vip in ["10.96.0.1", "10.96.0.2"] {
        let (_, bytes) = net.cross(net.client, &packet(proto::UDP, (V4.1, 1234), (vip, 80), 0));
        let port = packet::FlowKey::of_ip(&bytes).unwrap().src_port;
        let answer = packet(proto::UDP, (V4.2, 80), (V4.1, port), 0);
        assert_eq!(
            net.flow(net.server, &answer).1,
            format!("{vip}#80 > 10.0.0.2#1234")
        );
        ports.push(port);
    }
    assert_eq!(ports[0], 1234);
    assert_ne!(ports[1], 1234);
}

#[test]
fn a_path_without_nat_gets_the_packets_as_they_are() {
    let mut net = Net::new(Mode::Feature);
    let mut spec = service(proto::TCP, V4.0, 80, &[("10.0.1.3", 0)]);
    spec.paths[0].flags = PATH_NO_NAT;
    net.lab.dp.cnat_translation_update(&spec).unwrap();
    for _ in 0..2 {
        let there = packet(proto::TCP, (V4.1, 1234), (V4.0, 80), SYN);
        let sent = net.lab.send(net.client, &Net::frame(net.client, &there));
        assert_eq!(flow(&inside(&sent[0])), "10.0.0.2#1234 > 10.96.0.1#80");
        assert_eq!(
            Ethernet::new_checked(&sent[0].1).unwrap().dst(),
            host(13),
            "to the back-end"
        );
    }
    hide(&mut net.lab, SnatKind::None, &[], &[]);
    let answer = packet(proto::TCP, (V4.0, 80), (V4.1, 1234), SYN | ACK);
    assert_eq!(
        net.flow(net.server, &answer).1,
        "10.96.0.1#80 > 10.0.0.2#1234",
        "an answer, not a new flow"
    );
}

#[test]
fn answers_are_left_alone_when_the_translation_says_so() {
    let mut net = Net::new(Mode::Feature);
    let mut spec = service(proto::UDP, V4.0, 80, &[(V4.2, 80)]);
    spec.flags = NO_RETURN_SESSION;
    net.lab.dp.cnat_translation_update(&spec).unwrap();
    net.cross(net.client, &packet(proto::UDP, (V4.1, 1234), (V4.0, 80), 0));
    assert_eq!(net.sessions(), 1);
    let answer = packet(proto::UDP, (V4.2, 80), (V4.1, 1234), 0);
    assert_eq!(
        net.flow(net.server, &answer).1,
        "10.0.1.2#80 > 10.0.0.2#1234"
    );
}

#[test]
fn connections_live_as_long_as_their_state_allows() {
    let mut net = Net::new(Mode::Feature);
    net.lab
        .dp
        .cnat_translation_update(&service(proto::TCP, V4.0, 80, &[(V4.2, 80)]))
        .unwrap();
    let there = |flags| packet(proto::TCP, (V4.1, 1234), (V4.0, 80), flags);
    let back = |flags| packet(proto::TCP, (V4.2, 80), (V4.1, 1234), flags);
    let wait = |net: &mut Net, secs: u64| {
        net.lab.now.0 += secs * 1_000_000_000;
        let now = net.lab.now;
        net.lab.dp.handle_timeout(now);
        net.sessions()
    };
    net.cross(net.client, &there(SYN));
    assert_eq!(wait(&mut net, 32), 0, "a SYN alone");
    net.cross(net.client, &there(SYN));
    net.cross(net.server, &back(SYN | ACK));
    net.cross(net.client, &there(ACK));
    assert_eq!(wait(&mut net, 3500), 2, "an answered connection");
    net.cross(net.client, &there(FIN | ACK));
    assert_eq!(wait(&mut net, 3), 2);
    assert_eq!(wait(&mut net, 4), 0, "a finished one");
}

#[test]
fn one_direction_alone_keeps_both() {
    let mut net = Net::new(Mode::Feature);
    net.lab
        .dp
        .cnat_translation_update(&service(proto::UDP, V4.0, 80, &[(V4.2, 80)]))
        .unwrap();
    for _ in 0..10 {
        net.cross(net.client, &packet(proto::UDP, (V4.1, 1234), (V4.0, 80), 0));
        net.lab.now.0 += 20_000_000_000;
    }
    assert_eq!(net.sessions(), 2);
    let answer = packet(proto::UDP, (V4.2, 80), (V4.1, 1234), 0);
    assert_eq!(
        net.flow(net.server, &answer).1,
        "10.96.0.1#80 > 10.0.0.2#1234"
    );
}

#[test]
fn a_direction_without_packets_lives_as_long_as_its_opposite_and_no_longer() {
    for (vip, client, backend) in [(V4.0, V4.1, V4.2), (V6.0, V6.1, V6.2)] {
        let mut net = Net::new(Mode::Feature);
        net.lab
            .dp
            .cnat_translation_update(&service(proto::UDP, vip, 80, &[(backend, 80)]))
            .unwrap();
        let wait = |net: &mut Net, secs: u64| {
            for _ in 0..secs {
                net.lab.now.0 += 1_000_000_000;
                let now = net.lab.now;
                net.lab.dp.handle_timeout(now);
            }
            net.sessions()
        };
        for _ in 0..10 {
            net.cross(
                net.client,
                &packet(proto::UDP, (client, 1234), (vip, 80), 0),
            );
            assert_eq!(wait(&mut net, 10), 2);
        }
        // The answer that nobody had seen so far, and with it the other way round.
        for _ in 0..10 {
            net.cross(
                net.server,
                &packet(proto::UDP, (backend, 80), (client, 1234), 0),
            );
            assert_eq!(wait(&mut net, 10), 2);
        }
        assert_eq!(wait(&mut net, 15), 2);
        assert_eq!(wait(&mut net, 10), 0);
    }
}

#[test]
fn a_full_table_refuses_new_flows_by_name() {
    let mut net = Net::new(Mode::Feature);
    net::limit(&mut net.lab, 20);
    net.lab
        .dp
        .cnat_translation_update(&service(proto::UDP, V4.0, 80, &[(V4.2, 80)]))
        .unwrap();
    let packets: Vec<_> = (1..=40)
        .map(|p| packet(proto::UDP, (V4.1, p), (V4.0, 80), 0))
        .collect();
    let passed = packets.iter().filter(|p| {
        let frame = Net::frame(net.client, p);
        !net.lab.send(net.client, &frame).is_empty()
    });
    assert!((15..=20).contains(&passed.count()));
    let drops = net.lab.drops().join("\n");
    assert!(drops.contains("session allocation failure"), "{drops}");
}

#[test]
fn fragments_follow_their_first() {
    for mode in MODES {
        let mut net = Net::new(mode);
        net.lab
            .dp
            .cnat_translation_update(&service(proto::UDP, V4.0, 80, &[(V4.2, 8080)]))
            .unwrap();
        let whole = packet(proto::UDP, (V4.1, 1234), (V4.0, 80), 0);
        let piece = |from: usize, to: usize, word: u16, ident: u16| {
            let mut piece = [&whole[..20], &whole[from..to]].concat();
            packet::ipv4::set_word(&mut piece, 2, short(20 + to - from));
            packet::ipv4::set_word(&mut piece, 4, ident);
            packet::ipv4::set_word(&mut piece, 6, word);
            piece
        };
        let (first, last) = (piece(20, 44, 0x2000, 5), piece(44, whole.len(), 3, 5));
        let (_, one) = net.cross(net.client, &first);
        let (on, two) = net.cross(net.client, &last);
        assert_eq!(on, net.server);
        let mut joined = [&one[..], &two[20..]].concat();
        packet::ipv4::set_word(&mut joined, 2, short(whole.len()));
        packet::ipv4::set_word(&mut joined, 6, 0);
        assert_eq!(flow(&joined), "10.0.0.2#1234 > 10.0.1.2#8080");
        let orphan = net.dropped(net.client, &piece(44, whole.len(), 3, 6));
        let want = match mode {
            Mode::Feature => "cnat-input-ip4: fragment cannot be translated = 1",
            Mode::Route => "ip4-lookup: route says drop = 1",
        };
        assert_eq!(orphan, want);
    }
}
