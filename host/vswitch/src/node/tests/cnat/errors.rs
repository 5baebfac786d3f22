//! ICMP errors about translated packets.

use packet::tcp::SYN;

use super::*;

/// An ICMP error about `quoted`, from and to.
fn error(src: &str, dst: &str, quoted: &[u8]) -> Vec<u8> {
    let is_v6 = src.contains(':');
    let (protocol, kind) = if is_v6 {
        (proto::ICMPV6, 1)
    } else {
        (proto::ICMP, 3)
    };
    let upper = [&[kind, 1, 0, 0, 0, 0, 0, 0][..], quoted].concat();
    let mut bytes = ip(src, dst, protocol, 64, &upper);
    let at = bytes.len() - upper.len();
    fill(&mut bytes, at, protocol);
    bytes
}

/// The packet that an ICMP error quotes; the error's own checksums are right.
fn quoted(bytes: &[u8]) -> Vec<u8> {
    let at = if bytes[0] >> 4 == 4 { 20 } else { 40 };
    let mut again = bytes.to_vec();
    fill(
        &mut again,
        at,
        if at == 20 { proto::ICMP } else { proto::ICMPV6 },
    );
    assert_eq!(again, bytes, "checksum of the error");
    bytes[at + 8..].to_vec()
}

fn ends(bytes: &[u8]) -> String {
    let key = packet::FlowKey::of_ip(bytes).unwrap();
    format!("{} > {}", key.src, key.dst)
}

#[test]
fn errors_find_back_through_a_service_with_their_inside_translated() {
    for mode in MODES {
        for (vip, client, backend, router) in [
            ("10.96.0.1", "10.0.0.2", "10.0.1.2", "10.0.1.3"),
            ("fd00::1", "2001:db8::2", "2001:db8:1::2", "2001:db8:1::3"),
        ] {
            for protocol in [proto::TCP, proto::UDP] {
                let mut net = Net::new(mode);
                net.lab
                    .dp
                    .cnat_translation_update(&service(protocol, vip, 80, &[(backend, 8080)]))
                    .unwrap();
                let there = packet(protocol, (client, 1234), (vip, 80), SYN);
                let (_, translated) = net.cross(net.client, &there);
                for (from, seen) in [(backend, vip), (router, router)] {
                    let (on, back) = net.cross(net.server, &error(from, client, &translated));
                    assert_eq!(
                        (on, ends(&back)),
                        (net.client, format!("{seen} > {client}"))
                    );
                    let mut inner = quoted(&back);
                    // The time to live was lowered on the way; nothing else differs from what was sent.
                    let ttl = if client.contains(':') { 7 } else { 8 };
                    assert_eq!(inner[ttl], there[ttl] - 1);
                    if ttl == 8 {
                        packet::ipv4::set_word(
                            &mut inner,
                            8,
                            u16::from_be_bytes([there[8], there[9]]),
                        );
                    } else {
                        inner[ttl] = there[ttl];
                    }
                    assert_eq!(inner, there, "{mode:?} {protocol}");
                }
            }
        }
    }
}

#[test]
fn errors_find_back_through_source_nat() {
    for (client, server, own, router) in [
        ("10.0.0.2", "192.0.2.9", "192.0.2.1", "192.0.2.66"),
        (
            "2001:db8::2",
            "2001:db8:2::9",
            "2001:db8:2::1",
            "2001:db8:2::66",
        ),
    ] {
        let echo = if client.contains(':') {
            (proto::ICMPV6, 128)
        } else {
            (proto::ICMP, 8)
        };
        for (protocol, flags) in [(proto::TCP, SYN), (proto::UDP, 0), echo] {
            let mut net = Net::new(Mode::Feature);
            hide(&mut net.lab, SnatKind::None, &[], &[]);
            // Somebody else has the port, so that another one is taken.
            net.cross(
                net.client,
                &packet(
                    protocol,
                    (
                        if client.contains(':') {
                            "2001:db8::7"
                        } else {
                            "10.0.0.3"
                        },
                        1234,
                    ),
                    (server, if protocol == echo.0 { 1234 } else { 80 }),
                    flags,
                ),
            );
            let there = packet(
                protocol,
                (client, 1234),
                (server, if protocol == echo.0 { 1234 } else { 80 }),
                flags,
            );
            let (_, translated) = net.cross(net.client, &there);
            assert!(
                !named(&translated).starts_with(&format!("{own}#1234 ")),
                "{}",
                named(&translated)
            );
            let (on, back) = net.cross(net.world, &error(router, own, &translated));
            assert_eq!(
                (on, ends(&back)),
                (net.client, format!("{router} > {client}"))
            );
            assert_eq!(named(&quoted(&back)), named(&there));
        }
    }
}

#[test]
fn an_error_of_the_switch_itself_shows_what_the_client_sent() {
    for mode in MODES {
        for (vip, client, backend, own) in [
            ("10.96.0.1", "10.0.0.2", "10.0.1.2", "10.0.0.1"),
            ("fd00::1", "2001:db8::2", "2001:db8:1::2", "2001:db8::1"),
        ] {
            let mut net = Net::new(mode);
            net.lab
                .dp
                .cnat_translation_update(&service(proto::UDP, vip, 80, &[(backend, 8080)]))
                .unwrap();
            let mut there = packet(proto::UDP, (client, 1234), (vip, 80), 0);
            if client.contains(':') {
                there[7] = 1;
            } else {
                packet::ipv4::set_word(&mut there, 8, 0x0111);
            }
            let (on, back) = net.cross(net.client, &there);
            assert_eq!((on, ends(&back)), (net.client, format!("{own} > {client}")));
            assert_eq!(quoted(&back), there, "{mode:?}");
        }
    }
}

#[test]
fn an_error_about_no_session_is_left_alone() {
    let mut net = Net::new(Mode::Feature);
    let about = packet(proto::TCP, ("10.0.0.2", 1234), ("10.0.1.2", 80), SYN);
    let stray = error("10.0.1.2", "10.0.0.2", &about);
    let (_, back) = net.cross(net.server, &stray);
    assert_eq!(quoted(&back), about);
    assert_eq!(net.sessions(), 0);
}
