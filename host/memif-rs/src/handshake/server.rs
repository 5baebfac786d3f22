//! The server's side: greet, let the client declare its memory, then say yes or no.

use super::{Layout, RegionSpec, RingSpec, peer_disconnected, refuse_fd};
use crate::{
    error::{DisconnectReason, ProtocolError},
    limits::Limits,
    proto::{AddRegion, AddRing, Direction, Hello, Init, Message, VERSION},
    text::Text,
};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    AwaitInit,
    Declare,
    Connected,
}

/// One connection as the server sees it.
#[derive(Debug)]
pub struct ServerHandshake<F> {
    state: State,
    limits: Limits,
    layout: Layout<F>,
}

/// What the shell has to do next.
#[derive(Debug)]
pub enum ServerStep<F> {
    /// Nothing.
    Nothing,
    /// Send this.
    Reply(Message),
    /// The client is admitted to interface `id`: remember it, send the reply.
    Admitted {
        /// The interface it asked for.
        id: u32,
        /// Name of the peer's program.
        app: Text<32>,
        /// To be sent.
        reply: Message,
    },
    /// Map the memory, then send CONNECTED or leave.
    Connect {
        /// Everything the client declared, within the limits, not yet opened.
        layout: Layout<F>,
        /// The peer's name of its interface.
        interface: Text<32>,
    },
}

impl<F> ServerHandshake<F> {
    /// A fresh connection and the HELLO to send on it.
    #[must_use]
    pub fn new(limits: Limits, app: &str) -> (Self, Message) {
        let hello = Message::Hello(Hello {
            name: Text::truncated(app),
            min_version: VERSION,
            max_version: VERSION,
            max_region: limits.regions.saturating_sub(1),
            max_m2s_ring: limits.queues.saturating_sub(1),
            max_s2m_ring: limits.queues.saturating_sub(1),
            max_log2_ring_size: limits.log2_ring_size,
        });
        (
            Self {
                state: State::AwaitInit,
                limits,
                layout: Layout::default(),
            },
            hello,
        )
    }

    /// Whether the link is up as far as this side knows.
    #[must_use]
    pub fn is_connected(&self) -> bool {
        self.state == State::Connected
    }

    /// Takes one message; `admit` judges the INIT against the interfaces of the listener.
    ///
    /// # Errors
    /// The reason why the connection is over.
    pub fn receive(
        &mut self,
        bytes: &[u8],
        fd: Option<F>,
        admit: impl FnOnce(&Init) -> Result<(), ProtocolError>,
    ) -> Result<ServerStep<F>, DisconnectReason> {
        let message = Message::decode(bytes)?;
        match (self.state, message) {
            (_, Message::Disconnect(disconnect)) => Err(peer_disconnected(&disconnect)),
            (State::AwaitInit, Message::Init(init)) => {
                refuse_fd(&message, fd.is_some())?;
                if init.version != VERSION {
                    let (min, max) = (init.version, init.version);
                    return Err(ProtocolError::Version { min, max }.into());
                }
                admit(&init)?;
                self.state = State::Declare;
                Ok(ServerStep::Admitted {
                    id: init.id,
                    app: init.name,
                    reply: Message::Ack,
                })
            }
            (State::Declare, Message::AddRegion(region)) => {
                let fd = fd.ok_or(ProtocolError::MissingFd(message.kind()))?;
                self.add_region(region, fd)?;
                Ok(ServerStep::Reply(Message::Ack))
            }
            (State::Declare, Message::AddRing(ring)) => {
                let fd = fd.ok_or(ProtocolError::MissingFd(message.kind()))?;
                self.add_ring(ring, fd)?;
                Ok(ServerStep::Reply(Message::Ack))
            }
            (State::Declare, Message::Connect { interface }) => {
                refuse_fd(&message, fd.is_some())?;
                let layout = std::mem::take(&mut self.layout);
                if layout.to_server.is_empty() && layout.to_client.is_empty() {
                    return Err(ProtocolError::NoRings.into());
                }
                self.state = State::Connected;
                Ok(ServerStep::Connect { layout, interface })
            }
            (State::Declare | State::Connected, Message::Ack) => {
                refuse_fd(&message, fd.is_some())?;
                Ok(ServerStep::Nothing)
            }
            (_, other) => Err(ProtocolError::UnexpectedMessage(other.kind()).into()),
        }
    }

    fn add_region(&mut self, region: AddRegion, fd: F) -> Result<(), ProtocolError> {
        if usize::from(region.index) != self.layout.regions.len() {
            return Err(ProtocolError::RegionIndex(region.index));
        }
        if region.index >= self.limits.regions {
            return Err(ProtocolError::TooManyRegions);
        }
        if region.size == 0 || region.size > self.limits.region_bytes {
            return Err(ProtocolError::RegionSize(region.size));
        }
        self.layout.regions.push(RegionSpec {
            size: region.size,
            fd,
        });
        Ok(())
    }

    fn add_ring(&mut self, ring: AddRing, fd: F) -> Result<(), ProtocolError> {
        let rings = match ring.direction {
            Direction::ToServer => &mut self.layout.to_server,
            Direction::ToClient => &mut self.layout.to_client,
        };
        if usize::from(ring.index) != rings.len() {
            return Err(ProtocolError::RingIndex(ring.index));
        }
        if ring.index >= self.limits.queues {
            return Err(ProtocolError::TooManyRings);
        }
        if ring.log2_ring_size > self.limits.log2_ring_size {
            return Err(ProtocolError::RingSize(ring.log2_ring_size));
        }
        if ring.private_header_size != 0 {
            return Err(ProtocolError::PrivateHeader);
        }
        if usize::from(ring.region) >= self.layout.regions.len() {
            return Err(ProtocolError::RingRegion(ring.region));
        }
        rings.push(RingSpec {
            region: ring.region,
            offset: ring.offset,
            log2_ring_size: ring.log2_ring_size,
            interrupt: fd,
        });
        Ok(())
    }
}
