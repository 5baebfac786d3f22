//! A listener, clients and raw peers, driven together; waiting is always for a condition.

use std::{
    collections::BTreeMap,
    io::IoSlice,
    mem::MaybeUninit,
    os::fd::{AsFd, OwnedFd},
    path::Path,
    time::{Duration, Instant},
};

use memif_rs::{
    Address, Client, ClientConfig, DisconnectReason, Event, Limits, Link, Listener, Queues,
    RxQueue, ServerConfig, TxQueue,
    proto::{AddRegion, AddRing, Direction, Init, MESSAGE_SIZE, Message, VERSION},
};
use rustix::{
    event::{EventfdFlags, PollFd, PollFlags, Timespec, eventfd, poll},
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create},
    net::{
        AddressFamily, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage, SendFlags,
        SocketAddrUnix, SocketFlags, SocketType, connect, recv, sendmsg, socket_with,
    },
};

pub(crate) fn server(name: &str) -> ServerConfig {
    ServerConfig {
        name: name.into(),
        ..ServerConfig::default()
    }
}

pub(crate) fn client(name: &str) -> ClientConfig {
    ClientConfig {
        name: name.into(),
        log2_ring_size: 6,
        ..ClientConfig::default()
    }
}

pub(crate) fn quick() -> Limits {
    let wait = Duration::from_millis(1);
    Limits {
        reconnect_wait: (wait, wait),
        ..Limits::default()
    }
}

pub(crate) fn init() -> Message {
    Message::Init(Init {
        version: VERSION,
        id: 0,
        mode: 0,
        secret: memif_rs::Text::default(),
        name: memif_rs::Text::truncated("raw"),
    })
}

pub(crate) fn ring_at(offset: u32) -> AddRing {
    AddRing {
        direction: Direction::ToServer,
        index: 0,
        region: 0,
        offset,
        log2_ring_size: 3,
        private_header_size: 0,
    }
}

pub(crate) fn memfd(len: u64, seals: SealFlags) -> OwnedFd {
    let fd = memfd_create("test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).unwrap();
    ftruncate(&fd, len).unwrap();
    fcntl_add_seals(&fd, seals).unwrap();
    fd
}

pub(crate) fn event() -> OwnedFd {
    eventfd(0, EventfdFlags::CLOEXEC).unwrap()
}

pub(crate) fn socket() -> OwnedFd {
    let flags = SocketFlags::CLOEXEC;
    socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None).unwrap()
}

pub(crate) fn refused(event: Event) -> Option<DisconnectReason> {
    match event {
        Event::Refused { reason, .. } => Some(reason),
        Event::Connected { .. } | Event::Disconnected { .. } => None,
    }
}

pub(crate) fn disconnected(event: Event) -> Option<DisconnectReason> {
    match event {
        Event::Disconnected { reason, .. } => Some(reason),
        Event::Connected { .. } | Event::Refused { .. } => None,
    }
}

pub(crate) fn connected(event: Event) -> Option<(u32, Link)> {
    match event {
        Event::Connected { id, link } => Some((id, link)),
        Event::Disconnected { .. } | Event::Refused { .. } => None,
    }
}

pub(crate) fn readable(fd: impl AsFd, wait: Duration) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(&mut fds, Some(&Timespec::try_from(wait).unwrap())).unwrap() == 1
}

pub(crate) fn receive(rx: &mut RxQueue) -> Vec<Vec<u8>> {
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
pub(crate) fn exchange(tx: &mut TxQueue, rx: &mut RxQueue) {
    let longest = if tx.ring_size() < 4 { 60 } else { 150 };
    for round in 0..3 * tx.ring_size() {
        let sent = vec![u8::try_from(round % 251).unwrap(); 14 + round % (longest - 14)];
        assert_eq!(tx.send_burst(&[&sent]).unwrap(), 1);
        assert_eq!(receive(rx), [sent]);
    }
}

pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
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
pub(crate) struct Raw(OwnedFd);

impl Raw {
    pub(crate) fn connect(bench: &Bench) -> Self {
        let Address::Path(path) = &bench.address else {
            panic!("not a path")
        };
        Self::connect_to(path)
    }

    pub(crate) fn connect_to(path: &Path) -> Self {
        let socket = socket();
        connect(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
        Self(socket)
    }

    /// Whether the other side still listens does not matter.
    pub(crate) fn send(&self, bytes: &[u8], fds: &[&OwnedFd]) {
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

    pub(crate) fn expect(&self, bench: &mut Bench) -> Message {
        wait_for("an answer", || {
            bench.step();
            let mut bytes = [0; MESSAGE_SIZE];
            let (_, count) = recv(&self.0, &mut bytes[..], RecvFlags::DONTWAIT).ok()?;
            Some(Message::decode(&bytes[..count]).unwrap())
        })
    }
}

/// A listener and clients, driven together.
pub(crate) struct Bench {
    pub(crate) address: Address,
    pub(crate) listener: Listener,
    pub(crate) clients: Vec<Client>,
    /// Links of the server that nobody asked for yet.
    links: BTreeMap<u32, Link>,
    _dir: Option<tempfile::TempDir>,
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::at_limits(quick())
    }

    pub(crate) fn at_limits(limits: Limits) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut bench = Self::at(Address::path(dir.path().join("memif.sock")), limits);
        bench._dir = Some(dir);
        bench
    }

    pub(crate) fn at(address: Address, limits: Limits) -> Self {
        let listener = Listener::bind(&address, limits).unwrap();
        Self {
            address,
            listener,
            clients: Vec::new(),
            links: BTreeMap::new(),
            _dir: None,
        }
    }

    pub(crate) fn serve(&mut self, id: u32, config: ServerConfig) {
        self.listener.add(id, config).unwrap();
    }

    pub(crate) fn client(&mut self, id: u32, config: ClientConfig) {
        let limits = Limits {
            reconnect_wait: quick().reconnect_wait,
            ..Limits::default()
        };
        let client = Client::new(self.address.clone(), id, config, limits).unwrap();
        self.clients.push(client);
    }

    pub(crate) fn step(&mut self) {
        self.listener.drive(Instant::now()).unwrap();
        for client in &mut self.clients {
            client.drive(Instant::now()).unwrap();
        }
    }

    pub(crate) fn server_event<T>(&mut self, wanted: impl Fn(Event) -> Option<T>) -> T {
        wait_for("the server's event", || {
            self.step();
            self.listener.poll_event().and_then(&wanted)
        })
    }

    pub(crate) fn client_event<T>(
        &mut self,
        client: usize,
        wanted: impl Fn(Event) -> Option<T>,
    ) -> T {
        wait_for("the client's event", || {
            self.step();
            self.clients[client].poll_event().and_then(&wanted)
        })
    }

    /// Both ends of the link of one client.
    pub(crate) fn link(&mut self, client: usize) -> (Link, Link) {
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
    pub(crate) fn refusal_of(
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
