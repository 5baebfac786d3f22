//! The control channel as two state machines: bytes in, steps out. No socket, no clock, no memory.
//!
//! Both are generic over `F`, what stands for a file descriptor: `OwnedFd` in the shell, anything in tests. Drain rule:
//! each call to `receive` yields exactly one step, to be carried out before the next call. After an error the
//! connection is over; what it held is dropped with it.

mod client;
mod server;

pub(crate) use client::mode_matches;
pub use client::{ClientHandshake, ClientStep, Negotiated};
pub use server::{ServerHandshake, ServerStep};

use crate::{
    error::{DisconnectReason, ProtocolError},
    proto::{Disconnect, Message},
    text::Text,
};

/// A region of shared memory as the client declares it.
#[derive(Debug)]
pub struct RegionSpec<F> {
    /// Bytes that will be mapped.
    pub size: u64,
    /// The file.
    pub fd: F,
}

/// A ring as the client declares it.
#[derive(Debug)]
pub struct RingSpec<F> {
    /// Region that holds the ring.
    pub region: u16,
    /// Start of the ring in the region.
    pub offset: u32,
    /// Entries, as a power of two.
    pub log2_ring_size: u8,
    /// The eventfd that wakes the receiver.
    pub interrupt: F,
}

/// All memory of a link.
#[derive(Debug)]
pub struct Layout<F> {
    /// Regions by index.
    pub regions: Vec<RegionSpec<F>>,
    /// Rings that carry packets to the server, by index.
    pub to_server: Vec<RingSpec<F>>,
    /// Rings that carry packets to the client, by index.
    pub to_client: Vec<RingSpec<F>>,
}

impl<F> Default for Layout<F> {
    fn default() -> Self {
        Self {
            regions: Vec::new(),
            to_server: Vec::new(),
            to_client: Vec::new(),
        }
    }
}

/// The message that tells the peer why this side leaves; nothing when the peer cannot hear it.
#[must_use]
pub fn farewell(reason: &DisconnectReason) -> Option<Message> {
    match reason {
        DisconnectReason::PeerClosed
        | DisconnectReason::PeerDisconnected { .. }
        | DisconnectReason::Transport(_) => None,
        DisconnectReason::Requested
        | DisconnectReason::Removed
        | DisconnectReason::HandshakeTimeout
        | DisconnectReason::Protocol(_)
        | DisconnectReason::Region(_)
        | DisconnectReason::Ring(_) => Some(Message::Disconnect(Disconnect {
            code: reason.code(),
            text: Text::truncated(&reason.to_string()),
        })),
    }
}

fn refuse_fd(message: &Message, with_fd: bool) -> Result<(), ProtocolError> {
    if with_fd {
        Err(ProtocolError::UnexpectedFd(message.kind()))
    } else {
        Ok(())
    }
}

fn peer_disconnected(disconnect: &Disconnect) -> DisconnectReason {
    DisconnectReason::PeerDisconnected {
        code: disconnect.code,
        text: disconnect.text.to_printable(),
    }
}

#[cfg(test)]
mod tests;
