//! The control messages of memif 2.0: 128 bytes each, in the byte order of the host, one per packet of the socket.

use crate::{error::ProtocolError, text::Text};

/// Size of every message.
pub const MESSAGE_SIZE: usize = 128;
/// The one version spoken: 2.0.
pub const VERSION: u16 = 0x0200;
/// First word of every ring.
pub const RING_COOKIE: u32 = 0x03E3_1F20;

/// The type of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub enum MessageKind {
    Ack,
    Hello,
    Init,
    AddRegion,
    AddRing,
    Connect,
    Connected,
    Disconnect,
}

/// HELLO, from the server: what it allows. Counts are given as the highest index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub struct Hello {
    pub name: Text<32>,
    pub min_version: u16,
    pub max_version: u16,
    pub max_region: u16,
    pub max_m2s_ring: u16,
    pub max_s2m_ring: u16,
    pub max_log2_ring_size: u8,
}

/// INIT, from the client: which interface it wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub struct Init {
    pub version: u16,
    pub id: u32,
    pub mode: u8,
    pub secret: Text<24>,
    pub name: Text<32>,
}

/// ADD_REGION, from the client, with the memory's file descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub struct AddRegion {
    pub index: u16,
    pub size: u64,
}

/// ADD_RING, from the client, with the ring's eventfd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub struct AddRing {
    pub direction: Direction,
    pub index: u16,
    pub region: u16,
    pub offset: u32,
    pub log2_ring_size: u8,
    pub private_header_size: u16,
}

/// Which way the packets of a ring go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Client to server (S2M in the protocol's words).
    ToServer,
    /// Server to client (M2S).
    ToClient,
}

/// DISCONNECT, from either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub struct Disconnect {
    pub code: u32,
    pub text: Text<96>,
}

/// A control message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those of the protocol")]
pub enum Message {
    Ack,
    Hello(Hello),
    Init(Init),
    AddRegion(AddRegion),
    AddRing(AddRing),
    Connect { interface: Text<32> },
    Connected { interface: Text<32> },
    Disconnect(Disconnect),
}

const FLAG_TO_SERVER: u16 = 1;

impl Message {
    /// The type of this message.
    #[must_use]
    pub const fn kind(&self) -> MessageKind {
        match self {
            Self::Ack => MessageKind::Ack,
            Self::Hello(_) => MessageKind::Hello,
            Self::Init(_) => MessageKind::Init,
            Self::AddRegion(_) => MessageKind::AddRegion,
            Self::AddRing(_) => MessageKind::AddRing,
            Self::Connect { .. } => MessageKind::Connect,
            Self::Connected { .. } => MessageKind::Connected,
            Self::Disconnect(_) => MessageKind::Disconnect,
        }
    }

    /// Writes the message as it goes over the socket.
    #[must_use]
    pub fn encode(&self) -> [u8; MESSAGE_SIZE] {
        let mut out = Writer {
            bytes: [0; MESSAGE_SIZE],
            at: 0,
        };
        out.put(&(self.kind() as u16 + 1).to_ne_bytes());
        match self {
            Self::Ack => {}
            Self::Hello(hello) => {
                out.put(hello.name.raw());
                for field in [
                    hello.min_version,
                    hello.max_version,
                    hello.max_region,
                    hello.max_m2s_ring,
                    hello.max_s2m_ring,
                ] {
                    out.put(&field.to_ne_bytes());
                }
                out.put(&[hello.max_log2_ring_size]);
            }
            Self::Init(init) => {
                out.put(&init.version.to_ne_bytes());
                out.put(&init.id.to_ne_bytes());
                out.put(&[init.mode]);
                out.put(init.secret.raw());
                out.put(init.name.raw());
            }
            Self::AddRegion(region) => {
                out.put(&region.index.to_ne_bytes());
                out.put(&region.size.to_ne_bytes());
            }
            Self::AddRing(ring) => {
                let flags = match ring.direction {
                    Direction::ToServer => FLAG_TO_SERVER,
                    Direction::ToClient => 0,
                };
                out.put(&flags.to_ne_bytes());
                out.put(&ring.index.to_ne_bytes());
                out.put(&ring.region.to_ne_bytes());
                out.put(&ring.offset.to_ne_bytes());
                out.put(&[ring.log2_ring_size]);
                out.put(&ring.private_header_size.to_ne_bytes());
            }
            Self::Connect { interface } | Self::Connected { interface } => out.put(interface.raw()),
            Self::Disconnect(disconnect) => {
                out.put(&disconnect.code.to_ne_bytes());
                out.put(disconnect.text.raw());
            }
        }
        out.bytes
    }

    /// Reads a message.
    ///
    /// # Errors
    /// [`ProtocolError::MessageSize`] and [`ProtocolError::UnknownMessage`]; the fields are not judged here.
    pub fn decode(bytes: &[u8]) -> Result<Self, ProtocolError> {
        if bytes.len() != MESSAGE_SIZE {
            return Err(ProtocolError::MessageSize(bytes.len()));
        }
        let mut from = Reader(bytes);
        Ok(match from.u16() {
            1 => Self::Ack,
            2 => Self::Hello(Hello {
                name: Text::from_bytes(from.take()),
                min_version: from.u16(),
                max_version: from.u16(),
                max_region: from.u16(),
                max_m2s_ring: from.u16(),
                max_s2m_ring: from.u16(),
                max_log2_ring_size: from.u8(),
            }),
            3 => Self::Init(Init {
                version: from.u16(),
                id: from.u32(),
                mode: from.u8(),
                secret: Text::from_bytes(from.take()),
                name: Text::from_bytes(from.take()),
            }),
            4 => Self::AddRegion(AddRegion {
                index: from.u16(),
                size: u64::from_ne_bytes(from.take()),
            }),
            5 => Self::AddRing(AddRing {
                direction: if from.u16() & FLAG_TO_SERVER == 0 {
                    Direction::ToClient
                } else {
                    Direction::ToServer
                },
                index: from.u16(),
                region: from.u16(),
                offset: from.u32(),
                log2_ring_size: from.u8(),
                private_header_size: from.u16(),
            }),
            6 => Self::Connect {
                interface: Text::from_bytes(from.take()),
            },
            7 => Self::Connected {
                interface: Text::from_bytes(from.take()),
            },
            8 => Self::Disconnect(Disconnect {
                code: from.u32(),
                text: Text::from_bytes(from.take()),
            }),
            other => return Err(ProtocolError::UnknownMessage(other)),
        })
    }
}

struct Writer {
    bytes: [u8; MESSAGE_SIZE],
    at: usize,
}

impl Writer {
    fn put(&mut self, field: &[u8]) {
        for (to, from) in self.bytes.iter_mut().skip(self.at).zip(field) {
            *to = *from;
        }
        self.at += field.len();
    }
}

struct Reader<'a>(&'a [u8]);

impl Reader<'_> {
    /// The next field; the size of the message was checked, and every layout is shorter than it.
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let Some((field, rest)) = self.0.split_first_chunk() else {
            return [0; N];
        };
        self.0 = rest;
        *field
    }

    fn u8(&mut self) -> u8 {
        u8::from_ne_bytes(self.take())
    }

    fn u16(&mut self) -> u16 {
        u16::from_ne_bytes(self.take())
    }

    fn u32(&mut self) -> u32 {
        u32::from_ne_bytes(self.take())
    }
}

#[cfg(test)]
mod tests;
