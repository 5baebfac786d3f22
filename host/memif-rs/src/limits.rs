//! Limits on everything a peer can ask for.

use std::time::Duration;

/// Largest ring, as a power of two: indices are 16 bits and a full ring must differ from an empty one.
pub const LOG2_RING_SIZE_MAX: u8 = 14;

/// Most descriptors that one frame may be spread over.
pub const SEGMENTS_MAX: usize = 64;

/// What is demanded of a region that the peer brings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SealPolicy {
    /// The file must carry `F_SEAL_SHRINK`: the peer cannot take mapped pages away, so no access raises `SIGBUS`.
    #[default]
    RequireShrink,
    /// Unsealed files are taken if they are long enough when they are mapped. A peer that truncates one
    /// later kills this process with `SIGBUS`: only for trusted peers (VPP and DPDK on huge pages cannot seal).
    TrustPeer,
}

/// Bounds that hold for each peer of a [`Listener`](crate::Listener) or [`Client`](crate::Client).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Regions per link.
    pub regions: u16,
    /// Size of one region in bytes.
    pub region_bytes: u64,
    /// Queues per direction and link.
    pub queues: u16,
    /// Ring size as a power of two, at most [`LOG2_RING_SIZE_MAX`].
    pub log2_ring_size: u8,
    /// Connections that have not finished the handshake; more wait in the kernel's backlog.
    pub connections_pending: usize,
    /// Time for the whole handshake.
    pub handshake_timeout: Duration,
    /// First and longest wait of a client before it connects again; doubles in between.
    pub reconnect_wait: (Duration, Duration),
    /// Demanded of foreign memory.
    pub seals: SealPolicy,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            regions: 16,
            region_bytes: 1 << 36,
            queues: 16,
            log2_ring_size: LOG2_RING_SIZE_MAX,
            connections_pending: 16,
            handshake_timeout: Duration::from_secs(5),
            reconnect_wait: (Duration::from_millis(50), Duration::from_secs(2)),
            seals: SealPolicy::default(),
        }
    }
}
