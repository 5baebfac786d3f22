//! Ring descriptors: 16 bytes each, shared with the peer, so each is copied out once before anyone looks at it.

/// Size of a descriptor in the ring.
pub const DESC_SIZE: usize = 16;
/// The frame goes on in the next descriptor.
pub const FLAG_NEXT: u16 = 1;

/// A private copy of a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Descriptor {
    /// Flag bits, [`FLAG_NEXT`].
    pub flags: u16,
    /// Region that holds the buffer.
    pub region: u16,
    /// Bytes in the buffer: its room while it is offered, the packet's bytes when it is filled.
    pub length: u32,
    /// Start of the buffer in its region.
    pub offset: u32,
    /// Not used.
    pub metadata: u32,
}

impl Descriptor {
    /// The two words of shared memory that hold the descriptor.
    #[must_use]
    pub const fn to_words(self) -> [u64; 2] {
        let [f0, f1] = self.flags.to_ne_bytes();
        let [r0, r1] = self.region.to_ne_bytes();
        let [l0, l1, l2, l3] = self.length.to_ne_bytes();
        let [o0, o1, o2, o3] = self.offset.to_ne_bytes();
        let [m0, m1, m2, m3] = self.metadata.to_ne_bytes();
        [
            u64::from_ne_bytes([f0, f1, r0, r1, l0, l1, l2, l3]),
            u64::from_ne_bytes([o0, o1, o2, o3, m0, m1, m2, m3]),
        ]
    }

    /// Reads the two words.
    #[must_use]
    pub const fn from_words(words: [u64; 2]) -> Self {
        let [first, second] = words;
        let [f0, f1, r0, r1, l0, l1, l2, l3] = first.to_ne_bytes();
        let [o0, o1, o2, o3, m0, m1, m2, m3] = second.to_ne_bytes();
        Self {
            flags: u16::from_ne_bytes([f0, f1]),
            region: u16::from_ne_bytes([r0, r1]),
            length: u32::from_ne_bytes([l0, l1, l2, l3]),
            offset: u32::from_ne_bytes([o0, o1, o2, o3]),
            metadata: u32::from_ne_bytes([m0, m1, m2, m3]),
        }
    }

    /// Whether the frame goes on in the next descriptor.
    #[must_use]
    pub const fn has_next(self) -> bool {
        self.flags & FLAG_NEXT != 0
    }
}
