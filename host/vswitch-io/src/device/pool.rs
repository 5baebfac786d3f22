//! Where a worker keeps the tails of the frames of one batch.

/// Slots, which bounds a receive burst from a kernel device.
pub const SLOTS: usize = 64;
/// Bytes of a slot: the largest frame the kernel hands out, 64 KiB of IP behind Ethernet and VLAN headers.
pub const SLOT_LEN: usize = 65_536 + 64;

/// Fixed buffers of one worker. Pages that no frame ever touched cost nothing.
#[derive(Debug)]
pub struct TailPool {
    bytes: Vec<u8>,
}

impl Default for TailPool {
    fn default() -> Self {
        Self {
            bytes: vec![0; SLOTS * SLOT_LEN],
        }
    }
}

impl TailPool {
    /// Reserves the slots.
    pub fn new() -> Self {
        Self {
            bytes: vec![0; SLOTS * SLOT_LEN],
        }
    }

    /// Returns all slots, to be written by the kernel.
    pub fn slots_mut(&mut self) -> std::slice::ChunksExactMut<'_, u8> {
        self.bytes.chunks_exact_mut(SLOT_LEN)
    }

    /// Returns one slot, to be written.
    pub fn slot_mut(&mut self, slot: usize) -> &mut [u8] {
        self.bytes
            .chunks_exact_mut(SLOT_LEN)
            .nth(slot)
            .unwrap_or_default()
    }

    /// Returns a part of a slot; empty when there is no such part.
    pub fn bytes(&self, slot: u32, offset: u32, len: u32) -> &[u8] {
        let start = slot as usize * SLOT_LEN + offset as usize;
        self.bytes
            .get(start..start + len as usize)
            .unwrap_or_default()
    }
}
