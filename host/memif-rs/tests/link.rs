//! Both ends of real sockets in one process: every way to connect, to be refused, and to part.
#![expect(clippy::unwrap_used, reason = "the helpers below serve tests only")]

use std::{
    collections::BTreeMap,
    io::IoSlice,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

use memif_rs::{
    Address, ArenaConfig, BindError, BufferArena, BufferDesc, Client, ClientConfig,
    DisconnectReason, Event, Limits, Link, Listener, Memory, Mode, ProtocolError, Queues,
    RegionError, RingError, RxQueue, SealPolicy, Secret, ServerConfig, TxQueue,
    proto::{AddRegion, AddRing, Direction, Init, MESSAGE_SIZE, Message, VERSION},
};
use proptest::prelude::*;
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create},
    net::{
        AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        SocketAddrUnix, SocketFlags, SocketType, connect, recv, sendmsg, socket_with,
    },
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
    rustix::net::bind(&stale, &SocketAddrUnix::new(&path).unwrap()).unwrap();
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
fn silent_connections_time_out_and_do_not_lock_others_out() {
    let limits = Limits {
        connections_pending: 2,
        ..Limits::default()
    };
    let mut bench = Bench::at_limits(limits.clone());
    bench.serve(0, server("m"));
    let _silent: Vec<Raw> = (0..5).map(|_| Raw::connect(&bench)).collect();
    let start = Instant::now();
    bench.listener.drive(start).unwrap();
    let due = bench.listener.poll_timeout().unwrap();
    assert_eq!(due, start + limits.handshake_timeout);
    let mut now = due;
    for _ in 0..5 {
        let reason = wait_for("a timeout", || {
            now += limits.handshake_timeout;
            bench.listener.drive(now).unwrap();
            bench.listener.poll_event().and_then(refused)
        });
        assert_eq!(reason, DisconnectReason::HandshakeTimeout);
    }
    bench.client(0, client("c"));
    bench.link(0);
}

#[test]
fn unusable_memory_is_refused_by_name() {
    let sealed = SealFlags::SHRINK;
    let none = SealFlags::empty();
    let good = ring_at(0);
    let cases: Vec<(OwnedFd, u64, AddRing, DisconnectReason)> = vec![
        (
            memfd(8192, none),
            8192,
            good,
            RegionError::NotSealed(0).into(),
        ),
        (
            memfd(4096, sealed),
            8192,
            good,
            RegionError::TooShort(0).into(),
        ),
        (event(), 8192, good, RegionError::NotMemory(0).into()),
        (
            memfd(8192, sealed),
            8192,
            ring_at(8192 - 64),
            RegionError::RingOutside(0).into(),
        ),
        (
            memfd(8192, sealed),
            8192,
            ring_at(4),
            RegionError::RingOutside(0).into(),
        ),
        (
            memfd(8192, sealed),
            8192,
            ring_at(u32::MAX - 7),
            RegionError::RingOutside(0).into(),
        ),
        (
            memfd(8192, sealed),
            8192,
            good,
            RegionError::Cookie(0).into(),
        ),
    ];
    for (fd, size, ring, expected) in cases {
        let mut bench = Bench::new();
        bench.serve(0, server("m"));
        assert_eq!(bench.refusal_of(&fd, size, ring, &event()), expected);
    }
    let file = tempfile::tempfile().unwrap();
    file.set_len(8192).unwrap();
    let mut bench = Bench::new();
    bench.serve(0, server("m"));
    let reason = bench.refusal_of(&file.into(), 8192, good, &event());
    assert_eq!(reason, RegionError::NotSealed(0).into());
    let trusting = Limits {
        seals: SealPolicy::TrustPeer,
        ..Limits::default()
    };
    let mut bench = Bench::at_limits(trusting);
    bench.serve(0, server("m"));
    let reason = bench.refusal_of(&memfd(8192, none), 8192, good, &event());
    assert_eq!(reason, RegionError::Cookie(0).into());
}

#[test]
fn wake_up_descriptor_that_is_no_eventfd_is_refused() {
    let memory = memfd(8192, SealFlags::SHRINK);
    rustix::io::pwrite(&memory, &0x03E3_1F20_u32.to_ne_bytes(), 0).unwrap();
    let mut bench = Bench::new();
    bench.serve(0, server("m"));
    let reason = bench.refusal_of(&memory, 8192, ring_at(0), &memfd(8, SealFlags::empty()));
    assert_eq!(reason, ProtocolError::NotEventFd.into());
}

#[test]
fn wrong_sizes_and_surplus_descriptors_end_the_connection() {
    let init = init().encode();
    let cases: [(&[u8], usize, ProtocolError); 4] = [
        (&init[..100], 0, ProtocolError::MessageSize(100)),
        (&[3; 4000], 1, ProtocolError::MessageSize(4000)),
        (&init, 2, ProtocolError::TooManyFds),
        (&init, 20, ProtocolError::TooManyFds),
    ];
    for (bytes, fds, error) in cases {
        let mut bench = Bench::new();
        bench.serve(0, server("m"));
        let (kept, sent) = std::os::unix::net::UnixStream::pair().unwrap();
        let sent = OwnedFd::from(sent);
        let raw = Raw::connect(&bench);
        raw.send(bytes, &vec![&sent; fds]);
        assert_eq!(bench.server_event(refused), error.into());
        drop(sent);
        assert!(
            readable(&kept, Duration::from_secs(10)),
            "the listener keeps descriptors"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn garbage_on_one_connection_does_not_disturb_another(
        messages in proptest::collection::vec(
            (0_u16..10, proptest::collection::vec(0_u8..4, MESSAGE_SIZE - 2), any::<bool>()),
            1..20,
        ),
    ) {
        let mut bench = Bench::new();
        bench.serve(1000, server("m"));
        bench.client(1000, client("c"));
        let (server, client) = bench.link(0);
        let raw = Raw::connect(&bench);
        let fd = memfd(4096, SealFlags::SHRINK);
        for (kind, rest, with_fd) in messages {
            let bytes = [kind.to_ne_bytes().to_vec(), rest].concat();
            raw.send(&bytes, &[&fd][..usize::from(with_fd)]);
            bench.step();
        }
        drop(raw);
        bench.server_event(refused);
        exchange(&mut client.into_copy().unwrap().1[0], &mut server.into_copy().unwrap().0[0]);
    }
}

fn server(name: &str) -> ServerConfig {
    ServerConfig {
        name: name.into(),
        ..ServerConfig::default()
    }
}

fn client(name: &str) -> ClientConfig {
    ClientConfig {
        name: name.into(),
        log2_ring_size: 6,
        ..ClientConfig::default()
    }
}

fn quick() -> Limits {
    let wait = Duration::from_millis(1);
    Limits {
        reconnect_wait: (wait, wait),
        ..Limits::default()
    }
}

fn init() -> Message {
    Message::Init(Init {
        version: VERSION,
        id: 0,
        mode: 0,
        secret: memif_rs::Text::default(),
        name: memif_rs::Text::truncated("raw"),
    })
}

fn ring_at(offset: u32) -> AddRing {
    AddRing {
        direction: Direction::ToServer,
        index: 0,
        region: 0,
        offset,
        log2_ring_size: 3,
        private_header_size: 0,
    }
}

fn memfd(len: u64, seals: SealFlags) -> OwnedFd {
    let fd = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&fd, len).unwrap();
    fcntl_add_seals(&fd, seals).unwrap();
    fd
}

fn event() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC).unwrap()
}

fn socket() -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
}

fn refused(event: Event) -> Option<DisconnectReason> {
    match event {
        Event::Refused { reason, .. } => Some(reason),
        Event::Connected { .. } | Event::Disconnected { .. } => None,
    }
}

fn disconnected(event: Event) -> Option<DisconnectReason> {
    match event {
        Event::Disconnected { reason, .. } => Some(reason),
        Event::Connected { .. } | Event::Refused { .. } => None,
    }
}

fn connected(event: Event) -> Option<(u32, Link)> {
    match event {
        Event::Connected { id, link } => Some((id, link)),
        Event::Disconnected { .. } | Event::Refused { .. } => None,
    }
}

fn readable(fd: impl AsFd, wait: Duration) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::try_from(wait).unwrap())).unwrap() == 1
}

fn receive(rx: &mut RxQueue) -> Vec<Vec<u8>> {
    rx.peek(usize::MAX).unwrap();
    let copy = |packet: memif_rs::RxPacket<'_>| {
        let mut bytes = vec![0; packet.len()];
        packet.copy_out(0, &mut bytes);
        bytes
    };
    let packets = rx.packets().map(copy).collect();
    rx.release_all();
    packets
}

/// Three rings' worth of frames, of one to three buffers if the ring can hold them.
fn exchange(tx: &mut TxQueue, rx: &mut RxQueue) {
    let longest = if tx.ring_size() < 4 { 60 } else { 150 };
    for round in 0..3 * tx.ring_size() {
        let sent = vec![u8::try_from(round % 251).unwrap(); 14 + round % (longest - 14)];
        assert_eq!(tx.send_burst(&[&sent]).unwrap(), 1);
        assert_eq!(receive(rx), [sent]);
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(20);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::yield_now();
    }
}

/// A peer that sends what it likes.
struct Raw(OwnedFd);

impl Raw {
    fn connect(bench: &Bench) -> Self {
        let Address::Path(path) = &bench.address else {
            panic!("not a path")
        };
        Self::connect_to(path)
    }

    fn connect_to(path: &Path) -> Self {
        let socket = socket();
        connect(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
        Self(socket)
    }

    /// Whether the other side still listens does not matter.
    fn send(&self, bytes: &[u8], fds: &[&OwnedFd]) {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(20))];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fds: Vec<_> = fds.iter().map(AsFd::as_fd).collect();
        if !fds.is_empty() {
            assert!(control.push(SendAncillaryMessage::ScmRights(&fds)));
        }
        let _gone = sendmsg(
            &self.0,
            &[IoSlice::new(bytes)],
            &mut control,
            SendFlags::NOSIGNAL,
        );
    }

    fn expect(&self, bench: &mut Bench) -> Message {
        wait_for("an answer", || {
            bench.step();
            let mut bytes = [0; MESSAGE_SIZE];
            let (_, count) = recv(&self.0, &mut bytes[..], RecvFlags::DONTWAIT).ok()?;
            Some(Message::decode(&bytes[..count]).unwrap())
        })
    }
}

/// A listener and clients, driven together.
struct Bench {
    address: Address,
    listener: Listener,
    clients: Vec<Client>,
    /// Links of the server that nobody asked for yet.
    links: BTreeMap<u32, Link>,
    _dir: Option<tempfile::TempDir>,
}

impl Bench {
    fn new() -> Self {
        Self::at_limits(quick())
    }

    fn at_limits(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = Self::at(Address::path(dir.path().join("memif.sock")), limits);
        bench._dir = Some(dir);
        bench
    }

    fn at(address: Address, limits: Limits) -> Self {
        let listener = Listener::bind(&address, limits).unwrap();
        Self {
            address,
            listener,
            clients: Vec::new(),
            links: BTreeMap::new(),
            _dir: None,
        }
    }

    fn serve(&mut self, id: u32, config: ServerConfig) {
        self.listener.add(id, config).unwrap();
    }

    fn client(&mut self, id: u32, config: ClientConfig) {
        let limits = Limits {
            reconnect_wait: quick().reconnect_wait,
            ..Limits::default()
        };
        let client = Client::new(self.address.clone(), id, config, limits).unwrap();
        self.clients.push(client);
    }

    fn step(&mut self) {
        self.listener.drive(Instant::now()).unwrap();
        for client in &mut self.clients {
            client.drive(Instant::now()).unwrap();
        }
    }

    fn server_event<T>(&mut self, wanted: impl Fn(Event) -> Option<T>) -> T {
        wait_for("the server's event", || {
            self.step();
            self.listener.poll_event().and_then(&wanted)
        })
    }

    fn client_event<T>(&mut self, client: usize, wanted: impl Fn(Event) -> Option<T>) -> T {
        wait_for("the client's event", || {
            self.step();
            self.clients[client].poll_event().and_then(&wanted)
        })
    }

    /// Both ends of the link of one client.
    fn link(&mut self, client: usize) -> (Link, Link) {
        let (id, link) = self.client_event(client, connected);
        let server = wait_for("the server's link", || {
            self.step();
            while let Some((id, link)) = self.listener.poll_event().and_then(connected) {
                self.links.insert(id, link);
            }
            self.links.remove(&id)
        });
        assert!(matches!(server.queues, Queues::Copy { .. }));
        assert_eq!(
            server.peer.app,
            format!("memif-rs {}", env!("CARGO_PKG_VERSION"))
        );
        (server, link)
    }

    /// How the listener ends a connection that declares this memory.
    fn refusal_of(
        &mut self,
        memory: &OwnedFd,
        size: u64,
        ring: AddRing,
        bell: &OwnedFd,
    ) -> DisconnectReason {
        let raw = Raw::connect(self);
        let connect = Message::Connect {
            interface: memif_rs::Text::default(),
        };
        let steps: [(Message, &[&OwnedFd]); 4] = [
            (init(), &[]),
            (Message::AddRegion(AddRegion { index: 0, size }), &[memory]),
            (Message::AddRing(ring), &[bell]),
            (connect, &[]),
        ];
        assert!(matches!(raw.expect(self), Message::Hello(_)));
        for (place, (message, fds)) in steps.into_iter().enumerate() {
            raw.send(&message.encode(), fds);
            let answer = raw.expect(self);
            if place < 3 {
                assert_eq!(answer, Message::Ack);
            } else {
                assert!(matches!(answer, Message::Disconnect(_)), "{answer:?}");
            }
        }
        self.server_event(refused)
    }
}
