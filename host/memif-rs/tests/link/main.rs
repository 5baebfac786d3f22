//! Both ends of real sockets in one process: every way to connect, to be refused, and to part.
#![expect(clippy::unwrap_used, reason = "the helpers below serve tests only")]

mod hostile;
mod support;

use std::time::{Duration, Instant};

use memif_rs::{
    Address, ArenaConfig, BindError, BufferArena, BufferDesc, Client, ClientConfig,
    DisconnectReason, Event, Limits, Listener, Memory, Mode, ProtocolError, RingError, Secret,
    ServerConfig,
};

use self::support::{
    Bench, client, disconnected, exchange, quick, readable, receive, refused, server, socket,
    wait_for,
};

#[test]
fn every_mode_queue_count_and_buffer_size_connects_and_carries_frames() {
    let mut cases = 0;
    for mode in [Mode::Ethernet, Mode::Ip] {
        for queues in [1, 2, 4] {
            for (log2, buffer_size) in [(0, 2048), (4, 64), (10, 2048)] {
                let mut bench = Bench::new();
                bench.serve(
                    3,
                    ServerConfig {
                        mode,
                        ..server("m")
                    },
                );
                let config = ClientConfig {
                    mode,
                    queues,
                    log2_ring_size: log2,
                    memory: Memory::Copy { buffer_size },
                    ..client("c")
                };
                bench.client(3, config);
                let (server, client) = bench.link(0);
                assert_eq!(
                    (
                        server.peer.interface.as_str(),
                        client.peer.interface.as_str()
                    ),
                    ("c", "m")
                );
                assert_eq!((server.log2_ring_size, client.log2_ring_size), (log2, log2));
                let (mut from, mut to) = (client.into_copy().unwrap(), server.into_copy().unwrap());
                assert_eq!(
                    (to.0.len(), to.1.len()),
                    (usize::from(queues), usize::from(queues))
                );
                for queue in 0..usize::from(queues) {
                    exchange(&mut from.1[queue], &mut to.0[queue]);
                    exchange(&mut to.1[queue], &mut from.0[queue]);
                }
                cases += 1;
            }
        }
    }
    assert_eq!(cases, 18);
}

#[test]
fn abstract_socket_connects() {
    let name = format!("@memif-rs-test-{}", std::process::id());
    let mut bench = Bench::at(Address::parse(&name).unwrap(), Limits::default());
    bench.serve(0, server("m"));
    bench.client(0, client("c"));
    let (server, client) = bench.link(0);
    exchange(
        &mut client.into_copy().unwrap().1[0],
        &mut server.into_copy().unwrap().0[0],
    );
}

#[test]
fn many_interfaces_share_a_socket_and_do_not_mix() {
    let mut bench = Bench::new();
    for id in [5, 0, u32::MAX] {
        bench.serve(id, server(&format!("if{id}")));
        bench.client(id, client("c"));
    }
    for (place, id) in [5, 0, u32::MAX].into_iter().enumerate() {
        let (server, client) = bench.link(place);
        assert_eq!(client.peer.interface, format!("if{id}"));
        exchange(
            &mut client.into_copy().unwrap().1[0],
            &mut server.into_copy().unwrap().0[0],
        );
    }
}

#[test]
fn listener_limits_queues_and_ring_size() {
    let limits = Limits {
        queues: 2,
        log2_ring_size: 5,
        ..Limits::default()
    };
    let mut bench = Bench::at_limits(limits);
    bench.serve(0, server("m"));
    bench.client(
        0,
        ClientConfig {
            queues: 8,
            ..client("c")
        },
    );
    let (server, client) = bench.link(0);
    assert_eq!(client.log2_ring_size, 5);
    assert_eq!(server.into_copy().unwrap().0.len(), 2);
}

#[test]
fn zero_copy_client_talks_to_a_copying_server() {
    let mut arena = BufferArena::new(ArenaConfig {
        slots: 64,
        slot_size: 512,
        headroom: 64,
    })
    .unwrap();
    let mut bench = Bench::new();
    for id in 0..2 {
        bench.serve(id, server("m"));
        let memory = Memory::Arenas(vec![arena.region()]);
        bench.client(
            id,
            ClientConfig {
                log2_ring_size: 4,
                memory,
                ..client("c")
            },
        );
    }
    let (left, left_client) = bench.link(0);
    let (right, right_client) = bench.link(1);
    let (mut rx, _) = left_client.into_zero_copy().unwrap();
    let (_, mut tx) = right_client.into_zero_copy().unwrap();
    let mut burst = [BufferDesc::default(); 64];
    assert_eq!(rx[0].take_burst(&mut arena, &mut burst), Ok(0));
    let mut in_tx = left.into_copy().unwrap().1;
    in_tx[0].send_burst(&[b"through", &[7; 1000]]).unwrap();
    let taken = rx[0].take_burst(&mut arena, &mut burst).unwrap();
    assert_eq!(taken, 1 + 3);
    assert_eq!(tx[0].give_burst(&mut arena, &burst[..taken]), Ok(taken));
    let mut out_rx = right.into_copy().unwrap().0;
    assert_eq!(
        receive(&mut out_rx[0]),
        [b"through".to_vec(), vec![7; 1000]]
    );
}

#[test]
fn sleeping_receiver_is_woken_through_its_eventfd() {
    let mut bench = Bench::new();
    bench.serve(0, server("m"));
    bench.client(0, client("c"));
    let (server, client) = bench.link(0);
    let (server, client) = (server.into_copy().unwrap(), client.into_copy().unwrap());
    for (mut rx, mut tx) in [(server.0, client.1), (client.0, server.1)] {
        let (mut rx, mut tx) = (rx.remove(0), tx.remove(0));
        assert!(!rx.arm().unwrap());
        let sender = std::thread::spawn(move || tx.send_burst(&[b"wake"]).unwrap());
        assert!(readable(&rx, Duration::from_secs(10)), "no wake-up came");
        rx.acknowledge();
        assert_eq!(receive(&mut rx), [b"wake".to_vec()]);
        assert_eq!(sender.join().unwrap(), 1);
    }
}

#[test]
fn refusals_name_their_reason_on_both_sides() {
    let secret = |text| Some(Secret::new(text).unwrap());
    let cases = [
        (
            ServerConfig {
                mode: Mode::Ip,
                ..server("m")
            },
            client("c"),
            0,
            ProtocolError::ModeMismatch(Mode::Ip),
        ),
        (
            ServerConfig {
                secret: secret("a"),
                ..server("m")
            },
            client("c"),
            0,
            ProtocolError::SecretRequired,
        ),
        (
            ServerConfig {
                secret: secret("a"),
                ..server("m")
            },
            ClientConfig {
                secret: secret("b"),
                ..client("c")
            },
            0,
            ProtocolError::SecretIncorrect,
        ),
        (
            server("m"),
            client("c"),
            9,
            ProtocolError::UnknownInterface(9),
        ),
    ];
    for (server, client, id, error) in cases {
        let mut bench = Bench::new();
        bench.serve(0, server);
        bench.client(id, client);
        let reason = bench.server_event(refused);
        assert_eq!(reason, error.into());
        let heard = bench.client_event(0, refused);
        let said = DisconnectReason::PeerDisconnected {
            code: 3,
            text: error.to_string(),
        };
        assert_eq!(heard, said);
    }
}

#[test]
fn right_secret_connects() {
    let secret = Some(Secret::new("open sesame").unwrap());
    let mut bench = Bench::new();
    bench.serve(
        0,
        ServerConfig {
            secret,
            ..server("m")
        },
    );
    bench.client(
        0,
        ClientConfig {
            secret,
            ..client("c")
        },
    );
    bench.link(0);
}

#[test]
fn second_client_is_refused_while_the_first_is_there() {
    let mut bench = Bench::new();
    bench.serve(0, server("m"));
    bench.client(0, client("first"));
    let (first, _kept) = bench.link(0);
    bench.client(0, client("second"));
    assert_eq!(
        bench.server_event(refused),
        ProtocolError::AlreadyConnected.into()
    );
    assert!(first.into_copy().unwrap().0[0].is_up());
}

#[test]
fn client_waits_for_the_server_and_connects_again_after_its_death() {
    let dir = tempfile::tempdir().unwrap();
    let address = Address::path(dir.path().join("memif.sock"));
    let mut client = Client::new(address.clone(), 0, self::client("c"), quick()).unwrap();
    client.drive(Instant::now()).unwrap();
    assert!(matches!(
        client.poll_event(),
        Some(Event::Refused {
            id: Some(0),
            reason: DisconnectReason::Transport(_)
        })
    ));
    for _round in 0..3 {
        let mut bench = Bench::at(address.clone(), quick());
        bench.serve(0, server("m"));
        bench.clients.push(client);
        let (server, link) = bench.link(0);
        let (mut rx, mut tx) = (server.into_copy().unwrap().0, link.into_copy().unwrap().1);
        exchange(&mut tx[0], &mut rx[0]);
        client = bench.clients.remove(0);
        drop(bench);
        let reason = wait_for("the disconnect", || {
            client.drive(Instant::now()).unwrap();
            client.poll_event().and_then(disconnected)
        });
        let text = DisconnectReason::Requested.to_string();
        assert_eq!(reason, DisconnectReason::PeerDisconnected { code: 0, text });
        assert!(!tx[0].is_up());
        // The memory is still there: late senders do no harm.
        tx[0].send_burst(&[b"into the void"]).unwrap();
    }
}

#[test]
fn server_serves_the_next_client_after_the_last_one_died() {
    let mut bench = Bench::new();
    bench.serve(0, server("m"));
    for _round in 0..3 {
        bench.client(0, client("c"));
        let (server, client) = bench.link(0);
        let (mut rx, mut tx) = (server.into_copy().unwrap().0, client.into_copy().unwrap().1);
        tx[0].send_burst(&[b"last words"]).unwrap();
        bench.clients.clear();
        let reason = bench.server_event(disconnected);
        assert!(
            matches!(reason, DisconnectReason::PeerDisconnected { code: 0, .. }),
            "{reason:?}"
        );
        assert!(!rx[0].is_up());
        assert_eq!(receive(&mut rx[0]), [b"last words".to_vec()]);
    }
}

#[test]
fn removed_interface_tells_its_peer_and_breach_is_reported() {
    let mut bench = Bench::new();
    bench.serve(0, server("m"));
    bench.client(0, client("c"));
    bench.link(0);
    let breach = DisconnectReason::Ring(RingError::IndexJump(99));
    assert!(bench.listener.disconnect(0, breach.clone()));
    let heard = bench.client_event(0, disconnected);
    let said = DisconnectReason::PeerDisconnected {
        code: 5,
        text: breach.to_string(),
    };
    assert_eq!(heard, said);
    assert_eq!(bench.server_event(disconnected), breach);
    bench.link(0);
    assert!(bench.listener.remove(0));
    assert!(!bench.listener.remove(0));
    let heard = bench.client_event(0, disconnected);
    assert!(
        matches!(heard, DisconnectReason::PeerDisconnected { code: 0, .. }),
        "{heard:?}"
    );
}

#[test]
fn stale_socket_file_is_replaced_but_a_live_one_and_other_files_are_not() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("memif.sock");
    let address = Address::path(&path);
    let stale = socket();
    rustix::net::bind(&stale, &rustix::net::SocketAddrUnix::new(&path).unwrap()).unwrap();
    drop(stale);
    let listener = Listener::bind(&address, Limits::default()).unwrap();
    let second = Listener::bind(&address, Limits::default());
    assert!(matches!(second, Err(BindError::InUse(_))), "{second:?}");
    drop(listener);
    assert!(!path.exists(), "the socket file is removed at the end");
    std::fs::write(&path, "precious").unwrap();
    let third = Listener::bind(&address, Limits::default());
    assert!(matches!(third, Err(BindError::NotASocket(_))), "{third:?}");
    assert_eq!(std::fs::read(&path).unwrap(), b"precious");
}

#[test]
fn receiver_that_sleeps_and_wakes_loses_nothing() {
    let mut bench = Bench::new();
    bench.serve(0, server("m"));
    bench.client(0, client("c"));
    let (server, client) = bench.link(0);
    let (server, client) = (server.into_copy().unwrap(), client.into_copy().unwrap());
    for (mut rx, mut tx) in [(server.0, client.1), (client.0, server.1)] {
        let (mut rx, mut tx) = (rx.remove(0), tx.remove(0));
        let count = 50_000_u32;
        let sender = std::thread::spawn(move || {
            for number in 0..count {
                while tx.send_burst(&[&number.to_ne_bytes()]).unwrap() == 0 {
                    std::thread::yield_now();
                }
                if number % 100 == 0 {
                    // Lets the receiver fall asleep now and then.
                    std::thread::yield_now();
                }
            }
        });
        let mut next = 0;
        while next < count {
            let frames = receive(&mut rx);
            if frames.is_empty() && !rx.arm().unwrap() {
                assert!(
                    readable(&rx, Duration::from_secs(20)),
                    "a wake-up was lost at {next}"
                );
                rx.acknowledge();
                rx.disarm();
            }
            for frame in frames {
                assert_eq!(frame, next.to_ne_bytes());
                next += 1;
            }
        }
        sender.join().unwrap();
    }
}
