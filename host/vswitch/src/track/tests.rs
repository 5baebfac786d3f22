use ::packet::tcp::{ACK, FIN, RST, SYN};

use super::*;
use crate::id::Family;
use crate::session::Scope;

const SECOND: u64 = 1_000_000_000;

fn packet(kind: Kind, protocol: u8, reply: bool) -> Packet {
    let tuple = Tuple {
        family: Family::V4,
        src: 1,
        dst: 2,
        src_port: 1000,
        dst_port: 80,
        protocol,
        fragments: false,
        scope: Scope::new(7),
    };
    Packet {
        tuple: if reply { tuple.reversed() } else { tuple },
        kind,
        first_fragment: None,
    }
}

/// Plays packets of one flow that was begun at `Rx`: `>` goes with the first packet, `<` against it. Each
/// line says what is known of the packet and how many seconds the flow then lives.
fn play(protocol: u8, kind: fn(u8) -> Kind, steps: &[(char, u8)]) -> Vec<String> {
    let flows = Flows::new(100, 0, &NPOL);
    flows.table.reserve();
    let mut now = Nanos(SECOND);
    let mut lines = Vec::new();
    for (at, (way, byte)) in steps.iter().enumerate() {
        let (reply, hook) = (*way == '<', if *way == '<' { Hook::Tx } else { Hook::Rx });
        let packet = packet(kind(*byte), protocol, reply);
        let known = flows.look(&packet, hook, 1, now);
        if at == 0 {
            assert_eq!(known, Known::Nothing);
            flows.admit(&packet, hook, 1, now).unwrap();
        }
        let own = packet_key(protocol);
        let timeout = flows.table.get(&own, now).map_or(0, |f| {
            (0..100_000)
                .find(|s| f.timeout() <= Timeout::secs(*s))
                .unwrap()
        });
        lines.push(format!("{way}{byte} {known:?} {timeout}"));
        now.0 += SECOND;
    }
    lines
}

fn packet_key(protocol: u8) -> FlowWords {
    packet(Kind::Datagram, protocol, false).tuple.words()
}

#[test]
fn tcp_opens_closes_and_resets() {
    let tcp = |steps: &[(char, u8)]| play(6, |flags| Kind::Tcp { flags }, steps);
    let lines = tcp(&[
        ('>', SYN),
        ('>', SYN),
        ('<', SYN | ACK),
        ('>', ACK),
        ('<', ACK),
        ('<', SYN),
        ('>', FIN | ACK),
        ('<', ACK),
        ('<', FIN | ACK),
        ('>', ACK),
        ('<', SYN),
        ('>', SYN),
    ]);
    let want = [
        ">2 Nothing 30",
        ">2 Allowed 30",
        "<18 Allowed 30",
        ">16 Allowed 3600",
        "<16 Allowed 3600",
        // The other side may not open a connection over an allowed one.
        "<2 Nothing 3600",
        ">17 Allowed 120",
        "<16 Allowed 120",
        "<17 Allowed 5",
        ">16 Allowed 5",
        "<2 Nothing 5",
        ">2 Allowed 30",
    ];
    assert_eq!(lines, want);
    let reset = tcp(&[('>', SYN), ('<', RST | ACK), ('>', ACK), ('>', SYN)]);
    assert_eq!(
        reset,
        [
            ">2 Nothing 30",
            "<20 Allowed 5",
            ">16 Allowed 5",
            ">2 Allowed 30"
        ]
    );
    // Taken up in the middle, as after a restart: open once the other side is heard.
    let middle = tcp(&[('>', ACK), ('<', ACK)]);
    assert_eq!(middle, [">16 Nothing 30", "<16 Allowed 3600"]);
    // A reset begins nothing.
    assert_eq!(tcp(&[('>', RST)]), [">4 Nothing 0"]);
}

#[test]
fn a_closed_connection_is_not_kept_alive_by_its_tail() {
    let flows = Flows::new(100, 0, &NPOL);
    flows.table.reserve();
    let at = |secs: u64| Nanos(secs * SECOND);
    let tcp = |flags, reply| packet(Kind::Tcp { flags }, 6, reply);
    flows.admit(&tcp(SYN, false), Hook::Rx, 1, at(0)).unwrap();
    let look = |flags, reply, secs| {
        let hook = if reply { Hook::Tx } else { Hook::Rx };
        flows.look(&tcp(flags, reply), hook, 1, at(secs))
    };
    assert_eq!(look(RST, true, 1), Known::Allowed);
    assert_eq!(look(ACK, true, 4), Known::Allowed);
    assert_eq!(look(ACK, true, 7), Known::Nothing);
}

#[test]
fn sctp_opens_shuts_down_and_aborts() {
    let sctp = |steps: &[(char, u8)]| play(132, |chunk| Kind::Sctp { chunk }, steps);
    let lines = sctp(&[
        ('>', 1),
        ('<', 2),
        ('>', 10),
        ('<', 11),
        ('<', 0),
        ('<', 1),
        ('>', 7),
        ('<', 8),
        ('>', 14),
    ]);
    let want = [
        ">1 Nothing 30",
        "<2 Allowed 30",
        ">10 Allowed 30",
        "<11 Allowed 3600",
        "<0 Allowed 3600",
        "<1 Nothing 3600",
        ">7 Allowed 120",
        "<8 Allowed 5",
        ">14 Allowed 5",
    ];
    assert_eq!(lines, want);
    assert_eq!(
        sctp(&[('>', 1), ('<', 6), ('<', 1)]),
        [">1 Nothing 30", "<6 Allowed 5", "<1 Nothing 5"]
    );
}

#[test]
fn datagrams_and_echoes_are_answered_and_only_by_the_other_side() {
    let udp = play(17, |_| Kind::Datagram, &[('>', 0), ('>', 0), ('<', 0)]);
    assert_eq!(udp, [">0 Nothing 30", ">0 Allowed 30", "<0 Allowed 120"]);
    let echo = |byte| {
        if byte == 8 {
            Kind::EchoRequest
        } else {
            Kind::EchoReply
        }
    };
    let lines = play(1, echo, &[('>', 8), ('<', 0), ('<', 8), ('>', 0)]);
    assert_eq!(
        lines,
        [
            ">8 Nothing 30",
            "<0 Allowed 120",
            "<8 Nothing 120",
            ">0 Nothing 120"
        ]
    );
}

#[test]
fn a_flow_that_leaves_where_it_came_in_is_another_one() {
    let flows = Flows::new(100, 0, &NPOL);
    flows.table.reserve();
    let udp = packet(Kind::Datagram, 17, false);
    flows.admit(&udp, Hook::Rx, 1, Nanos(0)).unwrap();
    assert_eq!(flows.look(&udp, Hook::Rx, 1, Nanos(0)), Known::Allowed);
    assert_eq!(flows.look(&udp, Hook::Tx, 1, Nanos(0)), Known::Nothing);
}

#[test]
fn a_stale_flow_is_asked_about_as_it_began() {
    let flows = Flows::new(100, 0, &NPOL);
    flows.table.reserve();
    let syn = packet(Kind::Tcp { flags: SYN }, 6, false);
    flows.admit(&syn, Hook::Tx, 1, Nanos(0)).unwrap();
    let answer = packet(Kind::Tcp { flags: SYN | ACK }, 6, true);
    let Known::Stale(stale) = flows.look(&answer, Hook::Rx, 2, Nanos(0)) else {
        panic!("the flow is not stale");
    };
    assert_eq!(stale.first(), (syn, Hook::Tx));
    flows.confirm(&stale, 2, Nanos(0));
    assert_eq!(flows.look(&answer, Hook::Rx, 2, Nanos(0)), Known::Allowed);
    flows.forget(&stale, Nanos(0));
    assert_eq!(flows.look(&answer, Hook::Rx, 2, Nanos(0)), Known::Nothing);
}

/// The short cut must see what the long way sees, whatever the bytes are.
#[test]
fn a_plain_packet_reads_the_same_by_both_ways() {
    let scope = Scope::new(7);
    let mut read = 0;
    let mut dice = 1u64;
    for _ in 0..20_000 {
        let mut bytes = [0u8; 64];
        for byte in &mut bytes {
            dice = dice.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1);
            *byte = dice.to_be_bytes()[2];
        }
        bytes[0] = [0x45, 0x46, 0x60][usize::from(bytes[63] % 3)];
        let protocol = [6, 17, 132, 1, 44][usize::from(bytes[62] % 5)];
        if bytes[0] == 0x60 {
            bytes[6] = protocol;
            bytes[4..6].copy_from_slice(&24u16.to_be_bytes());
        } else {
            bytes[9] = protocol;
            bytes[2..4].copy_from_slice(&64u16.to_be_bytes());
            let flags = usize::from(bytes[61] % 4);
            bytes[6..8].copy_from_slice(&[[0, 0], [0x40, 0], [0x20, 0], [0, 9]][flags]);
        }
        let cut = bytes
            .get(..if bytes[60] % 8 == 0 { 30 } else { 64 })
            .unwrap();
        for hook in [Hook::Rx, Hook::Tx] {
            let Some((key, kind)) = plain::read(cut, scope, hook) else {
                continue;
            };
            let packet = Packet::parse(cut, scope).unwrap();
            assert_eq!(packet.first_fragment, None);
            assert_eq!((key_of(&packet, hook), packet.kind), (Some(key), kind));
            read += 1;
        }
    }
    assert!(read > 5_000, "{read}");
}
