//! The client's side: wait for HELLO, declare memory one message per ACK, wait for CONNECTED.
//!
//! One message is under way at a time: peers with a short queue (DPDK answers one message per message) keep up.

use std::collections::VecDeque;

use super::{Layout, peer_disconnected, refuse_fd};
use crate::{
    config::{ClientConfig, Mode},
    error::{DisconnectReason, ProtocolError},
    limits::LOG2_RING_SIZE_MAX,
    proto::{AddRegion, AddRing, Direction, Hello, Init, Message, VERSION},
    text::Text,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    AwaitHello,
    Build,
    Declare,
    AwaitConnected,
    Connected,
}

/// One connection as the client sees it.
#[derive(Debug)]
pub struct ClientHandshake<F> {
    state: State,
    wanted_queues: u16,
    wanted_log2: u8,
    outbox: VecDeque<(Message, Option<F>)>,
}

/// What both sides can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Negotiated {
    /// Rings to the server.
    pub to_server: u16,
    /// Rings to the client.
    pub to_client: u16,
    /// Entries per ring, as a power of two.
    pub log2_ring_size: u8,
    /// Regions that the server takes.
    pub regions_max: u32,
    /// Name of the server's program.
    pub app: Text<32>,
}

/// What the shell has to do next.
#[derive(Debug)]
pub enum ClientStep<F> {
    /// Nothing.
    Nothing,
    /// Create the memory, then call [`ClientHandshake::declare`].
    Build(Negotiated),
    /// Send this.
    Send(Message, Option<F>),
    /// The link is up.
    Connected {
        /// The server's name of its interface.
        interface: Text<32>,
    },
}

impl<F> ClientHandshake<F> {
    /// A fresh connection.
    #[must_use]
    pub fn new(config: &ClientConfig) -> Self {
        Self {
            state: State::AwaitHello,
            wanted_queues: config.queues,
            wanted_log2: config.log2_ring_size,
            outbox: VecDeque::new(),
        }
    }

    /// Whether the link is up as far as this side knows.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// Declares the memory made for [`ClientStep::Build`]; what is returned goes out first.
    pub fn declare(
        &mut self,
        id: u32,
        config: &ClientConfig,
        app: &str,
        layout: Layout<F>,
    ) -> Message {
        debug_assert_eq!(self.state, State::Build, "declared twice");
        for (index, region) in (0..).zip(layout.regions) {
            let message = Message::AddRegion(AddRegion {
                index,
                size: region.size,
            });
            self.outbox.push_back((message, Some(region.fd)));
        }
        let to_server = layout
            .to_server
            .into_iter()
            .zip(0..)
            .map(|pair| (Direction::ToServer, pair));
        let to_client = layout
            .to_client
            .into_iter()
            .zip(0..)
            .map(|pair| (Direction::ToClient, pair));
        for (direction, (ring, index)) in to_server.chain(to_client) {
            let message = Message::AddRing(AddRing {
                direction,
                index,
                region: ring.region,
                offset: ring.offset,
                log2_ring_size: ring.log2_ring_size,
                private_header_size: 0,
            });
            self.outbox.push_back((message, Some(ring.interrupt)));
        }
        let interface = Text::truncated(&config.name);
        self.outbox
            .push_back((Message::Connect { interface }, None));
        self.state = State::Declare;
        Message::Init(Init {
            version: VERSION,
            id,
            mode: mode_to_wire(config.mode),
            secret: config
                .secret
                .map_or_else(Text::default, crate::config::Secret::text),
            name: Text::truncated(app),
        })
    }

    /// Takes one message. No message of a server may carry a file descriptor (`with_fd`).
    ///
    /// # Errors
    /// The reason why the connection is over.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        with_fd: bool,
    ) -> Result<ClientStep<F>, DisconnectReason> {
        let message = Message::decode(bytes)?;
        refuse_fd(&message, with_fd)?;
        match (self.state, message) {
            (_, Message::Disconnect(disconnect)) => Err(peer_disconnected(&disconnect)),
            (State::AwaitHello, Message::Hello(hello)) => {
                let negotiated = self.negotiate(&hello)?;
                self.state = State::Build;
                Ok(ClientStep::Build(negotiated))
            }
            (State::Declare, Message::Ack) => {
                let Some((message, fd)) = self.outbox.pop_front() else {
                    return Ok(ClientStep::Nothing);
                };
                if matches!(message, Message::Connect { .. }) {
                    self.state = State::AwaitConnected;
                }
                Ok(ClientStep::Send(message, fd))
            }
            (State::AwaitConnected, Message::Connected { interface }) => {
                self.state = State::Connected;
                Ok(ClientStep::Connected { interface })
            }
            (State::AwaitConnected | State::Connected, Message::Ack) => Ok(ClientStep::Nothing),
            (_, other) => Err(ProtocolError::UnexpectedMessage(other.kind()).into()),
        }
    }

    fn negotiate(&self, hello: &Hello) -> Result<Negotiated, ProtocolError> {
        if hello.min_version > VERSION || hello.max_version < VERSION {
            let (min, max) = (hello.min_version, hello.max_version);
            return Err(ProtocolError::Version { min, max });
        }
        let wanted = self.wanted_queues.max(1);
        Ok(Negotiated {
            to_server: wanted.min(hello.max_s2m_ring.saturating_add(1)),
            to_client: wanted.min(hello.max_m2s_ring.saturating_add(1)),
            log2_ring_size: self
                .wanted_log2
                .min(hello.max_log2_ring_size)
                .min(LOG2_RING_SIZE_MAX),
            regions_max: u32::from(hello.max_region) + 1,
            app: hello.name,
        })
    }
}

const fn mode_to_wire(mode: Mode) -> u8 {
    match mode {
        Mode::Ethernet => 0,
        Mode::Ip => 1,
    }
}

/// Whether the wire's number means this mode.
pub(crate) const fn mode_matches(mode: Mode, wire: u8) -> bool {
    mode_to_wire(mode) == wire
}
