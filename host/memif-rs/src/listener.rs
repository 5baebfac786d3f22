//! The server's shell: one listening socket, many interfaces told apart by id.

mod bound;

use std::{
    collections::{BTreeMap, VecDeque},
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use rustix::{
    event::epoll,
    io::Errno,
    net::{SocketFlags, accept_with},
};

pub use self::bound::BindError;
use self::bound::BoundSocket;
use crate::{
    address::Address,
    config::ServerConfig,
    error::{DisconnectReason, ProtocolError},
    handshake::{Layout, ServerHandshake, ServerStep, farewell, mode_matches},
    limits::Limits,
    link::{self, Event, Peer},
    proto::{Init, Message},
    socket::{MESSAGES_PER_TURN, Socket},
    text::Text,
};

const LISTENING: u64 = 0;
const APP: &str = concat!("memif-rs ", env!("CARGO_PKG_VERSION"));

/// Why an interface cannot be added.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum AddError {
    /// The id is taken on this socket.
    #[error("interface {0} exists on this socket")]
    Exists(u32),
}

/// A listening socket and its interfaces.
///
/// Drain rule: when the descriptor is readable or [`poll_timeout`](Self::poll_timeout) has come, call
/// [`drive`](Self::drive), then [`poll_event`](Self::poll_event) until it is empty.
#[derive(Debug)]
pub struct Listener {
    epoll: OwnedFd,
    socket: BoundSocket,
    accepting: bool,
    limits: Limits,
    served: BTreeMap<u32, Served>,
    connections: BTreeMap<u64, Connection>,
    next_token: u64,
    events: VecDeque<Event>,
}

#[derive(Debug)]
struct Served {
    config: ServerConfig,
    connection: Option<u64>,
}

#[derive(Debug)]
struct Connection {
    socket: Socket,
    handshake: ServerHandshake<OwnedFd>,
    id: Option<u32>,
    peer: Peer,
    deadline: Instant,
    up: Arc<AtomicBool>,
}

impl Listener {
    /// Listens at `address`. A socket file that nobody listens on any more is replaced.
    ///
    /// # Errors
    /// [`BindError`]; a socket that somebody listens on is left alone.
    pub fn bind(address: &Address, limits: Limits) -> Result<Self, BindError> {
        let socket = BoundSocket::bind(address)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(io::Error::from)?;
        let data = epoll::EventData::new_u64(LISTENING);
        epoll::add(&epoll, &socket, data, epoll::EventFlags::IN).map_err(io::Error::from)?;
        Ok(Self {
            epoll,
            socket,
            accepting: true,
            limits,
            served: BTreeMap::new(),
            connections: BTreeMap::new(),
            next_token: LISTENING + 1,
            events: VecDeque::new(),
        })
    }

    /// Serves interface `id`.
    ///
    /// # Errors
    /// [`AddError::Exists`].
    pub fn add(&mut self, id: u32, config: ServerConfig) -> Result<(), AddError> {
        if self.served.contains_key(&id) {
            return Err(AddError::Exists(id));
        }
        self.served.insert(
            id,
            Served {
                config,
                connection: None,
            },
        );
        Ok(())
    }

    /// Stops to serve interface `id`; its peer is told. `false`: there was none.
    pub fn remove(&mut self, id: u32) -> bool {
        self.disconnect(id, DisconnectReason::Removed);
        self.served.remove(&id).is_some()
    }

    /// Disconnects the peer of interface `id`, which may connect again. `false`: there was none.
    pub fn disconnect(&mut self, id: u32, reason: DisconnectReason) -> bool {
        let Some(token) = self.served.get(&id).and_then(|served| served.connection) else {
            return false;
        };
        self.end(token, reason);
        true
    }

    /// Interfaces served.
    #[must_use]
    pub fn len(&self) -> usize {
        self.served.len()
    }

    /// Whether no interface is served.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.served.is_empty()
    }

    /// Does whatever can be done without waiting.
    ///
    /// # Errors
    /// When the listening socket or the poll set fails; peers' failures are events.
    pub fn drive(&mut self, now: Instant) -> io::Result<()> {
        self.expire(now);
        let mut ready = [epoll::Event {
            flags: epoll::EventFlags::empty(),
            data: epoll::EventData::new_u64(0),
        }; 32];
        let zero = rustix::event::Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        let count = match epoll::wait(&self.epoll, &mut ready[..], Some(&zero)) {
            Ok(count) => count,
            Err(Errno::INTR) => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        for event in ready.iter().take(count) {
            let event = *event;
            match event.data.u64() {
                LISTENING => self.accept(now)?,
                token => {
                    if let Err(reason) = self.receive(token) {
                        self.end(token, reason);
                    }
                }
            }
        }
        self.set_accepting(self.pending() < self.limits.connections_pending)
    }

    /// When to call [`drive`](Self::drive) even if nothing comes in.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        let pending = self
            .connections
            .values()
            .filter(|connection| !connection.is_up());
        pending.map(|connection| connection.deadline).min()
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    fn pending(&self) -> usize {
        self.connections
            .values()
            .filter(|connection| !connection.is_up())
            .count()
    }

    fn expire(&mut self, now: Instant) {
        let late: Vec<u64> = self
            .connections
            .iter()
            .filter(|(_, connection)| !connection.is_up() && connection.deadline <= now)
            .map(|(token, _)| *token)
            .collect();
        for token in late {
            self.end(token, DisconnectReason::HandshakeTimeout);
        }
    }

    fn accept(&mut self, now: Instant) -> io::Result<()> {
        while self.pending() < self.limits.connections_pending {
            let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
            match accept_with(&self.socket, flags) {
                Ok(fd) => self.greet(Socket::accepted(fd), now)?,
                Err(Errno::AGAIN) => break,
                Err(Errno::INTR | Errno::CONNABORTED) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn greet(&mut self, socket: Socket, now: Instant) -> io::Result<()> {
        let (handshake, hello) = ServerHandshake::new(self.limits.clone(), APP);
        if let Err(error) = socket.send(&hello, None) {
            self.events.push_back(Event::Refused {
                id: None,
                reason: error.into(),
            });
            return Ok(());
        }
        let token = self.next_token;
        self.next_token += 1;
        let data = epoll::EventData::new_u64(token);
        epoll::add(&self.epoll, &socket, data, epoll::EventFlags::IN)?;
        let connection = Connection {
            socket,
            handshake,
            id: None,
            peer: Peer::default(),
            deadline: now + self.limits.handshake_timeout,
            up: Arc::new(AtomicBool::new(false)),
        };
        self.connections.insert(token, connection);
        Ok(())
    }

    /// While too many connections are unfinished the rest waits in the kernel's backlog.
    fn set_accepting(&mut self, accepting: bool) -> io::Result<()> {
        if self.accepting != accepting {
            let flags = if accepting {
                epoll::EventFlags::IN
            } else {
                epoll::EventFlags::empty()
            };
            let data = epoll::EventData::new_u64(LISTENING);
            epoll::modify(&self.epoll, &self.socket, data, flags)?;
            self.accepting = accepting;
        }
        Ok(())
    }

    fn receive(&mut self, token: u64) -> Result<(), DisconnectReason> {
        for _ in 0..MESSAGES_PER_TURN {
            let Some(connection) = self.connections.get_mut(&token) else {
                break;
            };
            let Some(received) = connection.socket.receive()? else {
                break;
            };
            let served = &self.served;
            let admit = |init: &Init| admit(served, init);
            match connection
                .handshake
                .receive(&received.bytes, received.fd, admit)?
            {
                ServerStep::Nothing => {}
                ServerStep::Reply(reply) => connection.socket.send(&reply, None)?,
                ServerStep::Admitted { id, app, reply } => {
                    connection.id = Some(id);
                    connection.peer.app = app.to_printable();
                    connection.socket.send(&reply, None)?;
                    if let Some(served) = self.served.get_mut(&id) {
                        served.connection = Some(token);
                    }
                }
                ServerStep::Connect { layout, interface } => {
                    connection.peer.interface = interface.to_printable();
                    self.connect(token, layout)?;
                }
            }
        }
        Ok(())
    }

    fn connect(&mut self, token: u64, layout: Layout<OwnedFd>) -> Result<(), DisconnectReason> {
        let Some(connection) = self.connections.get_mut(&token) else {
            return Ok(());
        };
        let Some(id) = connection.id else {
            return Ok(());
        };
        let link = link::open(
            layout,
            &self.limits,
            connection.peer.clone(),
            &connection.up,
        )?;
        let name = self
            .served
            .get(&id)
            .map_or("", |served| served.config.name.as_str());
        let interface = Text::truncated(name);
        connection
            .socket
            .send(&Message::Connected { interface }, None)?;
        connection.up.store(true, Ordering::Release);
        tracing::debug!(id, peer = %connection.peer.app, "memif link is up");
        self.events.push_back(Event::Connected { id, link });
        Ok(())
    }

    fn end(&mut self, token: u64, reason: DisconnectReason) {
        let Some(connection) = self.connections.remove(&token) else {
            return;
        };
        if let Some(message) = farewell(&reason) {
            // Best effort: the peer may be gone or deaf.
            let _unsent = connection.socket.send(&message, None);
        }
        if let Some(served) = connection.id.and_then(|id| self.served.get_mut(&id)) {
            served.connection = None;
        }
        let was_up = connection.up.swap(false, Ordering::AcqRel);
        tracing::debug!(id = connection.id, %reason, was_up, "memif connection ended");
        self.events.push_back(match connection.id {
            Some(id) if was_up => Event::Disconnected { id, reason },
            id => Event::Refused { id, reason },
        });
    }
}

impl AsFd for Listener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        let tokens: Vec<u64> = self.connections.keys().copied().collect();
        for token in tokens {
            self.end(token, DisconnectReason::Requested);
        }
    }
}

impl Connection {
    fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }
}

/// Judges an INIT against the interfaces of the socket.
fn admit(served: &BTreeMap<u32, Served>, init: &Init) -> Result<(), ProtocolError> {
    let served = served
        .get(&init.id)
        .ok_or(ProtocolError::UnknownInterface(init.id))?;
    if served.connection.is_some() {
        return Err(ProtocolError::AlreadyConnected);
    }
    if !mode_matches(served.config.mode, init.mode) {
        return Err(ProtocolError::ModeMismatch(served.config.mode));
    }
    match served.config.secret {
        None => Ok(()),
        Some(_) if init.secret.as_bytes().is_empty() => Err(ProtocolError::SecretRequired),
        Some(secret) if secret.matches(init.secret) => Ok(()),
        Some(_) => Err(ProtocolError::SecretIncorrect),
    }
}
