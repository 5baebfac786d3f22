//! The client's shell: one interface, which connects, and connects again whenever it was disconnected.

use std::{
    collections::VecDeque,
    io,
    os::fd::{AsFd, BorrowedFd, OwnedFd},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use rustix::event::epoll;

use crate::{
    address::Address,
    config::{ClientConfig, Memory},
    error::DisconnectReason,
    handshake::{ClientHandshake, ClientStep, farewell},
    limits::{LOG2_RING_SIZE_MAX, Limits},
    link::{Event, Offer, Peer},
    socket::{MESSAGES_PER_TURN, Socket},
};

const APP: &str = concat!("memif-rs ", env!("CARGO_PKG_VERSION"));

/// Why a client cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The configuration cannot work with any server.
    #[error("client configuration is not possible: {0}")]
    Config(&'static str),
    /// The kernel refused.
    #[error("failed to set up the client: {0}")]
    Io(#[from] io::Error),
}

/// One interface on the client's side.
///
/// Drain rule: call [`drive`](Self::drive) once to start; afterwards when the descriptor is readable or
/// [`poll_timeout`](Self::poll_timeout) has come; then [`poll_event`](Self::poll_event) until it is empty.
#[derive(Debug)]
pub struct Client {
    epoll: OwnedFd,
    address: Address,
    id: u32,
    config: ClientConfig,
    limits: Limits,
    connection: Option<Connection>,
    stopped: bool,
    retry_at: Option<Instant>,
    wait: Duration,
    seen: Option<Instant>,
    events: VecDeque<Event>,
}

#[derive(Debug)]
struct Connection {
    socket: Socket,
    handshake: ClientHandshake<OwnedFd>,
    offer: Option<Offer>,
    peer: Peer,
    deadline: Instant,
    up: Arc<AtomicBool>,
}

impl Client {
    /// A client that will connect to interface `id` at `address`.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn new(
        address: Address,
        id: u32,
        config: ClientConfig,
        limits: Limits,
    ) -> Result<Self, ClientError> {
        address.to_unix()?;
        check(&config, &limits)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC).map_err(io::Error::from)?;
        let wait = limits.reconnect_wait.0;
        Ok(Self {
            epoll,
            address,
            id,
            config,
            limits,
            connection: None,
            stopped: false,
            retry_at: None,
            wait,
            seen: None,
            events: VecDeque::new(),
        })
    }

    /// Does whatever can be done without waiting.
    ///
    /// # Errors
    /// When the poll set fails; all else is an event.
    pub fn drive(&mut self, now: Instant) -> io::Result<()> {
        self.seen = Some(now);
        let due = self.retry_at.is_none_or(|at| at <= now);
        if self.connection.is_none() && !self.stopped && due {
            self.connect(now)?;
        }
        if let Err(reason) = self.receive() {
            self.end(reason);
        }
        let late = self
            .connection
            .as_ref()
            .is_some_and(|connection| !connection.is_up() && connection.deadline <= now);
        if late {
            self.end(DisconnectReason::HandshakeTimeout);
        }
        Ok(())
    }

    /// When to call [`drive`](Self::drive) even if nothing comes in.
    #[must_use]
    pub fn poll_timeout(&self) -> Option<Instant> {
        match &self.connection {
            Some(connection) if connection.is_up() => None,
            Some(connection) => Some(connection.deadline),
            None if self.stopped => None,
            None => self.retry_at,
        }
    }

    /// The next event.
    pub fn poll_event(&mut self) -> Option<Event> {
        self.events.pop_front()
    }

    /// Ends the link, if there is one; the client will connect again.
    pub fn disconnect(&mut self, reason: DisconnectReason) {
        self.end(reason);
    }

    /// Ends the link, if there is one, for good.
    pub fn shutdown(&mut self) {
        self.stopped = true;
        self.end(DisconnectReason::Requested);
    }

    fn connect(&mut self, now: Instant) -> io::Result<()> {
        self.retry_at = None;
        let socket = match Socket::connect(&self.address) {
            Ok(socket) => socket,
            Err(error) => {
                self.schedule();
                self.events.push_back(Event::Refused {
                    id: Some(self.id),
                    reason: error.into(),
                });
                return Ok(());
            }
        };
        epoll::add(
            &self.epoll,
            &socket,
            epoll::EventData::new_u64(0),
            epoll::EventFlags::IN,
        )?;
        self.connection = Some(Connection {
            socket,
            handshake: ClientHandshake::new(&self.config),
            offer: None,
            peer: Peer::default(),
            deadline: now + self.limits.handshake_timeout,
            up: Arc::new(AtomicBool::new(false)),
        });
        Ok(())
    }

    fn receive(&mut self) -> Result<(), DisconnectReason> {
        for _ in 0..MESSAGES_PER_TURN {
            let Some(connection) = &mut self.connection else {
                break;
            };
            let Some(received) = connection.socket.receive()? else {
                break;
            };
            match connection
                .handshake
                .receive(&received.bytes, received.fd.is_some())?
            {
                ClientStep::Nothing => {}
                ClientStep::Build(negotiated) => {
                    connection.peer.app = negotiated.app.to_printable();
                    let (offer, layout) = Offer::new(&negotiated, &self.config)?;
                    connection.offer = Some(offer);
                    let init = connection
                        .handshake
                        .declare(self.id, &self.config, APP, layout);
                    connection.socket.send(&init, None)?;
                }
                ClientStep::Send(message, fd) => connection.socket.send(&message, fd.as_ref())?,
                ClientStep::Connected { interface } => {
                    let Some(offer) = connection.offer.take() else {
                        continue;
                    };
                    connection.peer.interface = interface.to_printable();
                    let link = offer.accept(connection.peer.clone(), &connection.up)?;
                    connection.up.store(true, Ordering::Release);
                    self.wait = self.limits.reconnect_wait.0;
                    tracing::debug!(id = self.id, peer = %connection.peer.app, "memif link is up");
                    self.events
                        .push_back(Event::Connected { id: self.id, link });
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, reason: DisconnectReason) {
        let Some(connection) = self.connection.take() else {
            return;
        };
        if let Some(message) = farewell(&reason) {
            // Best effort: the peer may be gone or deaf.
            let _unsent = connection.socket.send(&message, None);
        }
        let was_up = connection.up.swap(false, Ordering::AcqRel);
        tracing::debug!(id = self.id, %reason, was_up, "memif connection ended");
        self.events.push_back(if was_up {
            Event::Disconnected {
                id: self.id,
                reason,
            }
        } else {
            Event::Refused {
                id: Some(self.id),
                reason,
            }
        });
        self.schedule();
    }

    fn schedule(&mut self) {
        self.retry_at = self.seen.map(|now| now + self.wait);
        self.wait = (self.wait * 2).min(self.limits.reconnect_wait.1);
    }
}

impl AsFd for Client {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        self.shutdown();
    }
}

impl Connection {
    fn is_up(&self) -> bool {
        self.up.load(Ordering::Relaxed)
    }
}

fn check(config: &ClientConfig, limits: &Limits) -> Result<(), ClientError> {
    if config.queues == 0 || config.queues > limits.queues {
        return Err(ClientError::Config("`queues` is 0 or above the limit"));
    }
    if config.log2_ring_size > limits.log2_ring_size.min(LOG2_RING_SIZE_MAX) {
        return Err(ClientError::Config("`log2_ring_size` is above the limit"));
    }
    match &config.memory {
        Memory::Copy { buffer_size: 0 } => Err(ClientError::Config("`buffer_size` is 0")),
        Memory::Copy { .. } => Ok(()),
        Memory::Arenas(arenas) if arenas.len() < usize::from(config.queues) => {
            Err(ClientError::Config("fewer arenas than queues"))
        }
        Memory::Arenas(arenas) if arenas.len() >= usize::from(limits.regions) => {
            Err(ClientError::Config("more arenas than regions allowed"))
        }
        Memory::Arenas(_) => Ok(()),
    }
}
