use proptest::prelude::*;

use super::*;
use crate::{
    config::{ClientConfig, Mode, Secret},
    limits::Limits,
    proto::{AddRegion, AddRing, Direction, Hello, Init, MESSAGE_SIZE, MessageKind, VERSION},
};

type Fd = &'static str;
type Sent = (Message, Option<Fd>);

fn server() -> ServerHandshake<Fd> {
    ServerHandshake::new(Limits::default(), "test").0
}

fn init() -> Message {
    Message::Init(Init {
        version: VERSION,
        id: 7,
        mode: 0,
        secret: Text::default(),
        name: Text::truncated("peer"),
    })
}

fn region(index: u16) -> Message {
    Message::AddRegion(AddRegion { index, size: 4096 })
}

fn ring(index: u16) -> AddRing {
    AddRing {
        direction: Direction::ToServer,
        index,
        region: 0,
        offset: 0,
        log2_ring_size: 4,
        private_header_size: 0,
    }
}

/// Feeds messages; the last one must fail with the given reason, all others must pass.
fn check(messages: &[Sent], expected: &DisconnectReason) {
    let mut server = server();
    let (last, before) = messages.split_last().unwrap();
    for (message, fd) in before {
        server.receive(&message.encode(), *fd, |_| Ok(())).unwrap();
    }
    let reason = server
        .receive(&last.0.encode(), last.1, |_| Ok(()))
        .unwrap_err();
    assert_eq!(&reason, expected);
}

#[test]
fn client_and_server_agree_on_what_the_client_declares() {
    let limits = Limits {
        queues: 2,
        log2_ring_size: 9,
        ..Limits::default()
    };
    let (mut server, hello) = ServerHandshake::<Fd>::new(limits, "the server");
    let config = ClientConfig {
        name: "eth0".into(),
        queues: 4,
        ..ClientConfig::default()
    };
    let mut client = ClientHandshake::<Fd>::new(&config);
    let ClientStep::Build(negotiated) = client.receive(&hello.encode(), false).unwrap() else {
        panic!("no memory asked for");
    };
    assert_eq!(
        (
            negotiated.to_server,
            negotiated.to_client,
            negotiated.log2_ring_size
        ),
        (2, 2, 9)
    );
    assert_eq!(negotiated.app.to_printable(), "the server");

    let spec = |offset, interrupt| RingSpec {
        region: 0,
        offset,
        log2_ring_size: 9,
        interrupt,
    };
    let layout = Layout {
        regions: vec![RegionSpec {
            size: 1 << 20,
            fd: "r0",
        }],
        to_server: vec![spec(0, "a"), spec(64, "b")],
        to_client: vec![spec(128, "c"), spec(192, "d")],
    };
    let mut to_server = Some((client.declare(5, &config, "the client", layout), None));
    while let Some((message, fd)) = to_server.take() {
        let reply = answer(&mut server, &message, fd);
        match client.receive(&reply.encode(), false).unwrap() {
            ClientStep::Send(message, fd) => to_server = Some((message, fd)),
            ClientStep::Connected { interface } => assert_eq!(interface.to_printable(), "memif0"),
            ClientStep::Nothing | ClientStep::Build(_) => panic!("the server waits for a message"),
        }
    }
    assert!(client.is_connected() && server.is_connected());
}

/// What the server says to each message of the conversation above.
fn answer(server: &mut ServerHandshake<Fd>, message: &Message, fd: Option<Fd>) -> Message {
    let step = server.receive(&message.encode(), fd, |init| {
        assert_eq!(
            (init.id, init.name.to_printable()),
            (5, "the client".into())
        );
        Ok(())
    });
    match step.unwrap_or_else(|reason| panic!("{reason}")) {
        ServerStep::Nothing => panic!("the client waits for an answer"),
        ServerStep::Reply(reply) | ServerStep::Admitted { reply, .. } => reply,
        ServerStep::Connect { layout, interface } => {
            assert_eq!(interface.to_printable(), "eth0");
            assert_eq!(layout.regions[0].fd, "r0");
            let fds = |rings: &[RingSpec<Fd>]| {
                rings
                    .iter()
                    .map(|ring| (ring.offset, ring.interrupt))
                    .collect::<Vec<_>>()
            };
            assert_eq!(fds(&layout.to_server), [(0, "a"), (64, "b")]);
            assert_eq!(fds(&layout.to_client), [(128, "c"), (192, "d")]);
            Message::Connected {
                interface: Text::truncated("memif0"),
            }
        }
    }
}

#[test]
fn server_names_what_is_wrong_with_a_message() {
    use MessageKind as Kind;
    use ProtocolError as E;
    let ring_of = |ring| (Message::AddRing(ring), Some("e"));
    let (hi, mem) = ((init(), None), (region(0), Some("r")));
    let connect = (
        Message::Connect {
            interface: Text::default(),
        },
        None,
    );
    let sized = |size| (Message::AddRegion(AddRegion { index: 0, size }), Some("r"));
    let deaf = (Message::AddRing(ring(0)), None);
    let huge = ring_of(AddRing {
        log2_ring_size: 15,
        ..ring(0)
    });
    let headed = ring_of(AddRing {
        private_header_size: 1,
        ..ring(0)
    });
    let cases: Vec<(Vec<Sent>, E)> = vec![
        (vec![connect], E::UnexpectedMessage(Kind::Connect)),
        (vec![mem], E::UnexpectedMessage(Kind::AddRegion)),
        (vec![hi, hi], E::UnexpectedMessage(Kind::Init)),
        (vec![(init(), Some("x"))], E::UnexpectedFd(Kind::Init)),
        (vec![hi, (region(0), None)], E::MissingFd(Kind::AddRegion)),
        (vec![hi, (region(1), Some("r"))], E::RegionIndex(1)),
        (vec![hi, mem, mem], E::RegionIndex(0)),
        (vec![hi, ring_of(ring(0))], E::RingRegion(0)),
        (vec![hi, mem, ring_of(ring(1))], E::RingIndex(1)),
        (vec![hi, mem, deaf], E::MissingFd(Kind::AddRing)),
        (vec![hi, mem, huge], E::RingSize(15)),
        (vec![hi, mem, headed], E::PrivateHeader),
        (vec![hi, mem, connect], E::NoRings),
        (vec![hi, sized(0)], E::RegionSize(0)),
        (vec![hi, sized(u64::MAX)], E::RegionSize(u64::MAX)),
    ];
    for (messages, error) in cases {
        check(&messages, &error.into());
    }
}

#[test]
fn region_and_ring_counts_are_limited() {
    let limits = Limits::default();
    let mut messages = vec![(init(), None)];
    messages.extend((0..limits.regions).map(|index| (region(index), Some("r"))));
    messages.push((region(limits.regions), Some("r")));
    check(&messages, &ProtocolError::TooManyRegions.into());

    let mut messages = vec![(init(), None), (region(0), Some("r"))];
    messages.extend((0..=limits.queues).map(|index| (Message::AddRing(ring(index)), Some("e"))));
    check(&messages, &ProtocolError::TooManyRings.into());
}

#[test]
fn other_versions_are_refused_by_both_sides() {
    let old = Message::Init(Init {
        version: 0x0100,
        id: 0,
        mode: 0,
        secret: Text::default(),
        name: Text::default(),
    });
    check(
        &[(old, None)],
        &ProtocolError::Version {
            min: 0x0100,
            max: 0x0100,
        }
        .into(),
    );

    let hello = Message::Hello(Hello {
        name: Text::default(),
        min_version: 0x0300,
        max_version: 0x0301,
        max_region: 0,
        max_m2s_ring: 0,
        max_s2m_ring: 0,
        max_log2_ring_size: 10,
    });
    let mut client = ClientHandshake::<Fd>::new(&ClientConfig::default());
    let reason = client.receive(&hello.encode(), false).unwrap_err();
    assert_eq!(
        reason,
        ProtocolError::Version {
            min: 0x0300,
            max: 0x0301
        }
        .into()
    );
}

#[test]
fn disconnect_is_heard_in_any_state_and_made_printable() {
    let bye = Message::Disconnect(Disconnect {
        code: 9,
        text: Text::truncated("so\x1blong"),
    });
    let reason = DisconnectReason::PeerDisconnected {
        code: 9,
        text: "so\u{fffd}long".into(),
    };
    check(&[(bye, None)], &reason);
    check(&[(init(), None), (bye, None)], &reason);
    let mut client = ClientHandshake::<Fd>::new(&ClientConfig::default());
    assert_eq!(client.receive(&bye.encode(), false).unwrap_err(), reason);
}

#[test]
fn farewell_carries_the_reason_unless_the_peer_is_gone() {
    assert_eq!(farewell(&DisconnectReason::PeerClosed), None);
    let Some(Message::Disconnect(sent)) = farewell(&ProtocolError::SecretIncorrect.into()) else {
        panic!("nothing said");
    };
    assert_eq!(
        (sent.code, sent.text.to_printable()),
        (3, "incorrect secret".into())
    );
}

#[test]
fn secret_is_compared_up_to_its_end() {
    let secret = Secret::new("hush").unwrap();
    let mut rubbish_behind = [0xff; 24];
    rubbish_behind[..5].copy_from_slice(b"hush\0");
    assert!(secret.matches(Text::from_bytes(rubbish_behind)));
    for wrong in ["", "hus", "hushh", "HUSH"] {
        assert!(!secret.matches(Text::truncated(wrong)), "{wrong}");
    }
    assert_eq!(format!("{secret:?}"), "Secret(..)");
    assert!(Secret::new("").is_err() && Secret::new(&"x".repeat(24)).is_err());
    assert!(
        mode_matches(Mode::Ip, 1) && !mode_matches(Mode::Ip, 0) && !mode_matches(Mode::Ethernet, 2)
    );
}

fn plausible_bytes() -> impl Strategy<Value = Vec<u8>> {
    let typed = (
        0_u16..10,
        proptest::collection::vec(0_u8..3, MESSAGE_SIZE - 2),
    )
        .prop_map(|(kind, rest)| [kind.to_ne_bytes().to_vec(), rest].concat());
    prop_oneof![4 => typed, 1 => proptest::collection::vec(any::<u8>(), 0..160)]
}

proptest! {
    #[test]
    fn server_survives_any_bytes_within_its_limits(
        messages in proptest::collection::vec((plausible_bytes(), any::<bool>()), 0..40),
    ) {
        let limits = Limits { regions: 2, queues: 2, ..Limits::default() };
        let (mut server, _) = ServerHandshake::<Fd>::new(limits, "");
        server.receive(&init().encode(), None, |_| Ok(())).unwrap();
        for (bytes, with_fd) in messages {
            match server.receive(&bytes, with_fd.then_some("fd"), |_| Ok(())) {
                Ok(ServerStep::Connect { layout, .. }) => {
                    prop_assert!(layout.regions.len() <= 2);
                    prop_assert!(layout.to_server.len() <= 2 && layout.to_client.len() <= 2);
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }

    #[test]
    fn client_survives_any_bytes(
        messages in proptest::collection::vec((plausible_bytes(), any::<bool>()), 0..40),
    ) {
        let config = ClientConfig::default();
        let mut client = ClientHandshake::<Fd>::new(&config);
        for (bytes, with_fd) in messages {
            match client.receive(&bytes, with_fd) {
                Ok(ClientStep::Build(negotiated)) => {
                    prop_assert!(negotiated.log2_ring_size <= 10);
                    prop_assert_eq!((negotiated.to_server, negotiated.to_client), (1, 1));
                    client.declare(0, &config, "", Layout::default());
                }
                Ok(_) => {}
                Err(_) => break,
            }
        }
    }
}
