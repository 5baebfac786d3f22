//! The memif contract: our endpoints against DPDK's memif driver (`dpdk-testpmd`), in both roles.
//!
//! DPDK is an independent implementation of the protocol. Frames are checked byte by byte, counts against testpmd's own.
#![expect(clippy::unwrap_used, reason = "the helpers below serve tests only")]
#![expect(clippy::print_stderr, reason = "a skipped contract must be loud")]

use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use memif_rs::{
    Address, ArenaConfig, BufferArena, BufferDesc, Client, ClientConfig, DisconnectReason, Event,
    Limits, Link, Listener, Memory, ProtocolError, RxQueue, Secret, ServerConfig, TxQueue,
};

/// Frames per direction and test.
const FRAMES: usize = 5000;
const ROLES: [Role; 2] = [Role::Server, Role::Client];

#[test]
fn frames_that_dpdk_makes_arrive_whole() {
    let Some(lab) = Lab::new() else { return };
    for role in ROLES {
        let mut end = lab.end(role);
        let peer = lab.testpmd(role.other(), "", &["--forward-mode=txonly", "--txpkts=300"]);
        let (mut rx, _tx) = end.link().into_copy().unwrap();
        for frame in take(&mut rx[0], FRAMES) {
            check_generated(&frame.bytes, 300);
            assert_eq!(frame.segments, 1);
        }
        assert!(peer.stop().sent >= FRAMES, "{role:?}");
    }
}

#[test]
fn frames_larger_than_a_buffer_are_chained_both_ways() {
    let Some(lab) = Lab::new() else { return };
    for role in ROLES {
        let mut end = lab.end_with(
            role,
            Wanted {
                buffer_size: 1024,
                ..Wanted::default()
            },
        );
        let args = ["--forward-mode=txonly", "--txpkts=1600"];
        let peer = lab.testpmd(role.other(), ",bsize=1024", &args);
        let (mut rx, _tx) = end.link().into_copy().unwrap();
        for frame in take(&mut rx[0], FRAMES) {
            check_generated(&frame.bytes, 1600);
            assert_eq!(frame.segments, 2, "{role:?}");
        }
        drop((peer, end));

        let mut end = lab.end_with(
            role,
            Wanted {
                buffer_size: 512,
                ..Wanted::default()
            },
        );
        let peer = lab.testpmd(role.other(), ",bsize=512", &["--forward-mode=rxonly"]);
        let (_rx, mut tx) = end.link().into_copy().unwrap();
        for number in 0..FRAMES {
            send(&mut tx[0], &frame(number));
        }
        wait_for("DPDK to take all frames", || {
            drained(&mut tx[0]).then_some(())
        });
        let counted = peer.stop();
        assert_eq!(
            (counted.received, counted.bytes),
            (FRAMES, bytes_of(FRAMES)),
            "{role:?}"
        );
    }
}

#[test]
fn dpdk_counts_every_frame_sent_to_it() {
    let Some(lab) = Lab::new() else { return };
    for role in ROLES {
        let mut end = lab.end(role);
        let peer = lab.testpmd(role.other(), "", &["--forward-mode=rxonly"]);
        let (_rx, mut tx) = end.link().into_copy().unwrap();
        for number in 0..FRAMES {
            send(&mut tx[0], &frame(number));
        }
        wait_for("DPDK to take all frames", || {
            drained(&mut tx[0]).then_some(())
        });
        let counted = peer.stop();
        assert_eq!(
            (counted.received, counted.bytes),
            (FRAMES, bytes_of(FRAMES)),
            "{role:?}"
        );
    }
}

#[test]
fn frames_forwarded_by_dpdk_come_back_in_order_with_swapped_addresses() {
    let Some(lab) = Lab::new() else { return };
    for role in ROLES {
        let mut end = lab.end(role);
        let peer = lab.testpmd(role.other(), "", &["--forward-mode=macswap"]);
        let (mut rx, mut tx) = end.link().into_copy().unwrap();
        bounce(&mut rx[0], &mut tx[0]);
        let counted = peer.stop();
        assert_eq!(
            (counted.received, counted.sent),
            (FRAMES, FRAMES),
            "{role:?}"
        );
    }
}

#[test]
fn two_queues_are_two_wires() {
    let Some(lab) = Lab::new() else { return };
    for role in ROLES {
        let mut end = lab.end_with(
            role,
            Wanted {
                queues: 2,
                ..Wanted::default()
            },
        );
        let args = ["--forward-mode=macswap", "--rxq=2", "--txq=2"];
        let _peer = lab.testpmd(role.other(), "", &args);
        let (mut rx, mut tx) = end.link().into_copy().unwrap();
        assert_eq!((rx.len(), tx.len()), (2, 2));
        for queue in 0..2 {
            bounce(&mut rx[queue], &mut tx[queue]);
            assert_eq!(rx[1 - queue].peek(1), Ok(0), "a frame changed wires");
        }
    }
}

#[test]
fn abstract_sockets_meet() {
    let Some(mut lab) = Lab::new() else { return };
    lab.abstract_name = Some(format!("weft-contract-{}", std::process::id()));
    for role in ROLES {
        let mut end = lab.end(role);
        let _peer = lab.testpmd(role.other(), "", &["--forward-mode=macswap"]);
        let (mut rx, mut tx) = end.link().into_copy().unwrap();
        bounce(&mut rx[0], &mut tx[0]);
    }
}

#[test]
fn zero_copy_client_bounces_the_buffers_of_a_dpdk_server() {
    let Some(lab) = Lab::new() else { return };
    let mut arena = BufferArena::new(ArenaConfig::default()).unwrap();
    let _peer = lab.testpmd(Role::Server, "", &["--forward-mode=txonly", "--txpkts=200"]);
    let config = ClientConfig {
        memory: Memory::Arenas(vec![arena.region()]),
        ..ClientConfig::default()
    };
    let mut client = Client::new(lab.address(), 0, config, Limits::default()).unwrap();
    let link = wait_for("the link", || {
        client.drive(Instant::now()).unwrap();
        client.poll_event().and_then(connected)
    });
    let (mut rx, mut tx) = link.into_zero_copy().unwrap();
    let mut burst = [BufferDesc::default(); 64];
    let mut taken = 0;
    wait_for("the frames", || {
        let count = rx[0].take_burst(&mut arena, &mut burst).unwrap();
        for buffer in &burst[..count] {
            let mut bytes = vec![0; buffer.len as usize];
            arena.read(buffer, &mut bytes).unwrap();
            check_generated(&bytes, 200);
        }
        let given = tx[0].give_burst(&mut arena, &burst[..count]).unwrap();
        for buffer in &burst[given..count] {
            arena.free(buffer.slot).unwrap();
        }
        taken += count;
        (taken >= FRAMES).then_some(())
    });
    client.shutdown();
    let back =
        rx.remove(0).recover(&mut arena).unwrap() + tx.remove(0).recover(&mut arena).unwrap();
    assert!(back > 0);
    assert_eq!(arena.free_slots(), 4096);
}

#[test]
fn secrets_open_and_close_the_door_on_both_sides() {
    let Some(lab) = Lab::new() else { return };
    let secret = |text: &str| Wanted {
        secret: Some(Secret::new(text).unwrap()),
        ..Wanted::default()
    };
    let forward = ["--forward-mode=macswap"];
    for role in ROLES {
        let mut end = lab.end_with(role, secret("sesame"));
        let _peer = lab.testpmd(role.other(), ",secret=sesame", &forward);
        let (mut rx, mut tx) = end.link().into_copy().unwrap();
        bounce(&mut rx[0], &mut tx[0]);
    }

    for (ours, text) in [
        (secret("wrong"), "Incorrect secret"),
        (Wanted::default(), "Secret required"),
    ] {
        let mut end = lab.end_with(Role::Client, ours);
        let _peer = lab.testpmd(Role::Server, ",secret=sesame", &forward);
        let reason = end.refusal();
        assert_eq!(
            reason,
            DisconnectReason::PeerDisconnected {
                code: 0,
                text: text.into()
            }
        );
    }

    let refusals = [
        (",secret=wrong", ProtocolError::SecretIncorrect),
        ("", ProtocolError::SecretRequired),
    ];
    for (theirs, error) in refusals {
        let mut end = lab.end_with(Role::Server, secret("sesame"));
        let _peer = lab.testpmd(Role::Client, theirs, &forward);
        assert_eq!(end.refusal(), error.into());
    }
}

#[test]
fn link_comes_back_when_dpdk_is_killed_and_started_again() {
    let Some(lab) = Lab::new() else { return };
    for role in ROLES {
        let mut end = lab.end(role);
        for _life in 0..2 {
            let peer = lab.testpmd(role.other(), "", &["--forward-mode=macswap"]);
            let (mut rx, mut tx) = end.link().into_copy().unwrap();
            bounce(&mut rx[0], &mut tx[0]);
            peer.kill();
            assert_eq!(end.disconnection(), DisconnectReason::PeerClosed);
            assert!(!rx[0].is_up());
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Role {
    Server,
    Client,
}

impl Role {
    fn other(self) -> Self {
        match self {
            Self::Server => Self::Client,
            Self::Client => Self::Server,
        }
    }
}

/// A place for the socket. One test at a time: each testpmd polls on a core of its own.
struct Lab {
    dir: tempfile::TempDir,
    abstract_name: Option<String>,
    _alone: MutexGuard<'static, ()>,
}

static ALONE: Mutex<()> = Mutex::new(());

/// What a test wants of our end; the last two only of a client.
#[derive(Clone, Copy)]
struct Wanted {
    secret: Option<Secret>,
    queues: u16,
    buffer_size: u32,
}

impl Default for Wanted {
    fn default() -> Self {
        Self {
            secret: None,
            queues: 1,
            buffer_size: 2048,
        }
    }
}

impl Lab {
    fn new() -> Option<Self> {
        let found = Command::new("dpdk-testpmd").arg("--version").output();
        if found.is_err() {
            eprintln!("SKIPPED: dpdk-testpmd is not installed, the memif contract was NOT checked");
            return None;
        }
        let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        Some(Self {
            dir: tempfile::tempdir().unwrap(),
            abstract_name: None,
            _alone: alone,
        })
    }

    fn socket(&self) -> std::path::PathBuf {
        self.dir.path().join("memif.sock")
    }

    fn address(&self) -> Address {
        match &self.abstract_name {
            Some(name) => Address::abstract_name(name.as_bytes()),
            None => Address::path(self.socket()),
        }
    }

    fn end(&self, role: Role) -> End {
        self.end_with(role, Wanted::default())
    }

    fn end_with(&self, role: Role, wanted: Wanted) -> End {
        let Wanted {
            secret,
            queues,
            buffer_size,
        } = wanted;
        let limits = Limits::default();
        let name = String::from("weft0");
        match role {
            Role::Server => {
                let mut listener = Listener::bind(&self.address(), limits).unwrap();
                listener
                    .add(
                        0,
                        ServerConfig {
                            name,
                            secret,
                            ..ServerConfig::default()
                        },
                    )
                    .unwrap();
                End::Server(Box::new(listener))
            }
            Role::Client => {
                let memory = Memory::Copy { buffer_size };
                let config = ClientConfig {
                    name,
                    secret,
                    queues,
                    memory,
                    ..ClientConfig::default()
                };
                End::Client(Box::new(
                    Client::new(self.address(), 0, config, limits).unwrap(),
                ))
            }
        }
    }

    fn testpmd(&self, role: Role, device: &str, args: &[&str]) -> Testpmd {
        let role = match role {
            Role::Server => {
                // A killed DPDK leaves its socket file behind, and does not replace one.
                let _none_the_first_time = std::fs::remove_file(self.socket());
                "server"
            }
            Role::Client => "client",
        };
        let socket = match &self.abstract_name {
            Some(name) => format!("socket={name},socket-abstract=yes"),
            None => format!("socket={},socket-abstract=no", self.socket().display()),
        };
        let vdev = format!("--vdev=net_memif0,role={role},{socket},id=0,rsize=10{device}");
        let mut all = vec![
            "--no-huge",
            "-m",
            "256",
            "--no-pci",
            "--no-shconf",
            "--no-telemetry",
        ];
        all.extend([
            vdev.as_str(),
            "--",
            "-i",
            "--auto-start",
            "--disable-link-check",
        ]);
        // Else it throws away what comes in before it forwards.
        all.extend(["--no-flush-rx"]);
        all.extend(["--total-num-mbufs=4096", "--no-mlockall"]);
        all.extend(args);
        Testpmd::spawn(&all, self.dir.path())
    }
}

/// Our end.
enum End {
    Server(Box<Listener>),
    Client(Box<Client>),
}

impl End {
    fn event<T>(&mut self, what: &str, wanted: impl Fn(Event) -> Option<T>) -> T {
        wait_for(what, || {
            let event = match self {
                Self::Server(listener) => {
                    listener.drive(Instant::now()).unwrap();
                    listener.poll_event()
                }
                Self::Client(client) => {
                    client.drive(Instant::now()).unwrap();
                    client.poll_event()
                }
            };
            event.and_then(&wanted)
        })
    }

    fn link(&mut self) -> Link {
        self.event("the link", connected)
    }

    fn disconnection(&mut self) -> DisconnectReason {
        self.event("the disconnection", |event| match event {
            Event::Disconnected { reason, .. } => Some(reason),
            Event::Connected { .. } | Event::Refused { .. } => None,
        })
    }

    /// A refusal by the peer. Nobody listening yet does not count, nor does DPDK listening before its port is up.
    fn refusal(&mut self) -> DisconnectReason {
        self.event("the refusal", |event| match event {
            Event::Refused {
                reason: DisconnectReason::Transport(_),
                ..
            } => None,
            Event::Refused {
                reason: DisconnectReason::PeerDisconnected { text, .. },
                ..
            } if text == "ID not found" => None,
            Event::Refused { reason, .. } => Some(reason),
            Event::Connected { .. } | Event::Disconnected { .. } => None,
        })
    }
}

fn connected(event: Event) -> Option<Link> {
    match event {
        Event::Connected { link, .. } => Some(link),
        Event::Disconnected { .. } | Event::Refused { .. } => None,
    }
}

struct Testpmd {
    child: Child,
    output: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

/// What testpmd says that it did.
struct Counted {
    received: usize,
    sent: usize,
    bytes: usize,
}

impl Testpmd {
    fn spawn(args: &[&str], runtime: &Path) -> Self {
        let mut child = Command::new("dpdk-testpmd")
            .args(args)
            .env("XDG_RUNTIME_DIR", runtime)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let (stdout, into) = (child.stdout.take().unwrap(), Arc::clone(&output));
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let mut text = into.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
        Self {
            child,
            output,
            reader: Some(reader),
        }
    }

    /// Ends it as a user would, and reads its statistics.
    fn stop(mut self) -> Counted {
        // The first command prints the bytes, the second the frames.
        let mut stdin = self.child.stdin.take().unwrap();
        stdin.write_all(b"show port stats 0\nquit\n").unwrap();
        wait_for("testpmd to end", || self.child.try_wait().unwrap());
        self.reader.take().unwrap().join().unwrap();
        let output = self.output.lock().unwrap();
        let count = |label: &str| {
            let found = output
                .rsplit(label)
                .next()
                .unwrap()
                .split_whitespace()
                .next();
            found
                .and_then(|number| number.parse().ok())
                .unwrap_or_else(|| panic!("{output}"))
        };
        Counted {
            received: count("RX-packets:"),
            sent: count("TX-packets:"),
            bytes: count("RX-bytes:"),
        }
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Testpmd {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}

fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::yield_now();
    }
}

struct Taken {
    bytes: Vec<u8>,
    segments: usize,
}

fn poll(rx: &mut RxQueue, into: &mut Vec<Taken>) {
    rx.peek(64).unwrap();
    for packet in rx.packets() {
        let mut bytes = vec![0; packet.len()];
        packet.copy_out(0, &mut bytes);
        into.push(Taken {
            bytes,
            segments: packet.segment_count(),
        });
    }
    rx.release_all();
}

fn take(rx: &mut RxQueue, count: usize) -> Vec<Taken> {
    let mut frames = Vec::new();
    wait_for("the frames", || {
        poll(rx, &mut frames);
        (frames.len() >= count).then_some(())
    });
    frames
}

fn send(tx: &mut TxQueue, frame: &[u8]) {
    wait_for("room in the ring", || {
        let sent = tx.push(&[frame]).unwrap();
        tx.commit();
        sent.then_some(())
    });
}

/// Whether the peer has taken everything.
fn drained(tx: &mut TxQueue) -> bool {
    let size = tx.ring_size();
    tx.reserve(size).unwrap() == size
}

/// Frames of all sizes, each different.
fn frame(number: usize) -> Vec<u8> {
    let len = 60 + number % 1441;
    let mut bytes: Vec<u8> = (0..len)
        .map(|at| (number * 13 + at * 7).to_le_bytes()[0])
        .collect();
    bytes[..6].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    bytes[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    bytes[14..22].copy_from_slice(&(number as u64).to_be_bytes());
    bytes
}

/// Bytes of the first `count` frames.
fn bytes_of(count: usize) -> usize {
    (0..count).map(|number| frame(number).len()).sum()
}

/// Sends frames through a peer that swaps the addresses; a window keeps the rings from overflowing.
fn bounce(rx: &mut RxQueue, tx: &mut TxQueue) {
    let mut back = Vec::new();
    for number in 0..FRAMES {
        send(tx, &frame(number));
        wait_for("frames to come back", || {
            poll(rx, &mut back);
            (back.len() + 256 > number).then_some(())
        });
    }
    wait_for("the last frames", || {
        poll(rx, &mut back);
        (back.len() == FRAMES).then_some(())
    });
    for (number, got) in back.iter().enumerate() {
        let mut expected = frame(number);
        let (destination, rest) = expected.split_at_mut(6);
        destination.swap_with_slice(&mut rest[..6]);
        assert!(got.bytes == expected, "frame {number} was changed");
    }
}

/// A frame as testpmd generates it: UDP in IPv4, with a valid header checksum.
fn check_generated(bytes: &[u8], len: usize) {
    assert_eq!(bytes.len(), len);
    assert_eq!(bytes[12..14], [0x08, 0x00]);
    assert_eq!(bytes[14], 0x45);
    assert_eq!(
        usize::from(u16::from_be_bytes([bytes[16], bytes[17]])),
        len - 14
    );
    assert_eq!(bytes[23], 17);
    let sum: u32 = bytes[14..34]
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "header checksum");
}
