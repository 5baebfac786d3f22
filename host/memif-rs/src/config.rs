//! What the user wants of an interface.

use std::{fmt, sync::Arc};

use crate::{arena::ArenaRegion, text::Text};

/// What the frames are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Ethernet frames.
    #[default]
    Ethernet,
    /// IPv4 and IPv6 packets without a link header.
    Ip,
}

/// The shared secret of a link: 1 to 23 bytes without NUL.
#[derive(Clone, Copy)]
pub struct Secret(Text<24>);

/// Why a text cannot be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("secret is not 1 to 23 bytes without NUL")]
pub struct SecretError;

impl Secret {
    /// Checks and takes `secret`.
    ///
    /// # Errors
    /// [`SecretError`] when it is empty, longer than 23 bytes or holds a NUL.
    pub fn new(secret: &str) -> Result<Self, SecretError> {
        if secret.is_empty() || secret.len() > 23 || secret.contains('\0') {
            return Err(SecretError);
        }
        Ok(Self(Text::truncated(secret)))
    }

    pub(crate) const fn text(self) -> Text<24> {
        self.0
    }

    /// Compares in time that does not depend on where the two differ.
    pub(crate) fn matches(self, offered: Text<24>) -> bool {
        // What follows the first NUL is not part of the secret: peers may leave rubbish there.
        let (ours, theirs) = (self.0, offered);
        let mut padded = [0_u8; 24];
        for (to, from) in padded.iter_mut().zip(theirs.as_bytes()) {
            *to = *from;
        }
        let differ = ours
            .raw()
            .iter()
            .zip(padded)
            .fold(0, |acc, (a, b)| acc | (a ^ b));
        differ == 0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// One interface of a listener. The peer decides about queues and ring sizes, within [`Limits`](crate::Limits).
#[derive(Debug, Clone, Default)]
pub struct ServerConfig {
    /// Interface name told to the peer (31 bytes are kept).
    pub name: String,
    /// What the frames are; the peer must agree.
    pub mode: Mode,
    /// Demanded of the peer.
    pub secret: Option<Secret>,
}

/// Where a client's packet buffers are.
#[derive(Debug, Clone)]
pub enum Memory {
    /// In the link's own region; packets are copied in and out.
    Copy {
        /// Bytes per buffer; longer frames are chained.
        buffer_size: u32,
    },
    /// In the caller's arenas, handed over by slot; queue `i` uses arena `i`, all of them region `1 + i`.
    Arenas(Vec<Arc<ArenaRegion>>),
}

/// A client's interface.
#[derive(Debug, Clone)]
pub struct ClientConfig {
    /// Interface name told to the peer (31 bytes are kept).
    pub name: String,
    /// What the frames are; the server must agree.
    pub mode: Mode,
    /// Shown to the server.
    pub secret: Option<Secret>,
    /// Queues per direction wanted; the server may allow fewer.
    pub queues: u16,
    /// Ring size wanted, as a power of two; the server may allow less.
    pub log2_ring_size: u8,
    /// Where the packet buffers are.
    pub memory: Memory,
}

impl Default for ClientConfig {
    fn default() -> Self {
        Self {
            name: String::new(),
            mode: Mode::default(),
            secret: None,
            queues: 1,
            log2_ring_size: 10,
            memory: Memory::Copy { buffer_size: 2048 },
        }
    }
}
