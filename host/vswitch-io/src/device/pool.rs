//! Where a worker keeps the tails of the frames of one batch.

use vswitch::Tail;

/// Slots, which bounds a receive burst from a kernel device.
pub const SLOTS: usize = 64;
/// Bytes of a slot: the largest frame the kernel hands out, 64 KiB of IP behind Ethernet and VLAN headers.
pub const SLOT_LEN: usize = 65_536 + 64;

/// Slot number of bytes that were kept with [`TailPool::keep`].
pub const KEPT: u32 = u32::MAX;
/// Most bytes kept in one batch.
const KEPT_MAX: usize = 16 << 20;

/// Fixed buffers of one worker. Pages that no frame ever touched cost nothing.
#[derive(Debug)]
pub struct TailPool {
    bytes: Vec<u8>,
    /// New bytes of packets that were changed; grows to the high-water mark and stays.
    kept: Vec<u8>,
}

impl Default for TailPool {
    fn default() -> Self {
        Self {
            bytes: vec![0; SLOTS * SLOT_LEN],
            kept: Vec::new(),
        }
    }
}

impl TailPool {
    /// Reserves the slots.
    pub fn new() -> Self {
        Self {
            bytes: vec![0; SLOTS * SLOT_LEN],
            kept: Vec::new(),
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

    /// Keeps bytes until [`TailPool::forget`]; `None` when there is no more room.
    pub fn keep(&mut self, bytes: &[u8]) -> Option<Tail> {
        if self.kept.len() + bytes.len() > KEPT_MAX {
            return None;
        }
        let offset = u32::try_from(self.kept.len()).ok()?;
        self.kept.extend_from_slice(bytes);
        Some(Tail {
            slot: KEPT,
            offset,
            len: u32::try_from(bytes.len()).ok()?,
        })
    }

    /// Forgets what was kept.
    pub fn forget(&mut self) {
        self.kept.clear();
    }

    /// Returns a part of a slot, or of what was kept; empty when there is no such part.
    pub fn bytes(&self, slot: u32, offset: u32, len: u32) -> &[u8] {
        if slot == KEPT {
            let start = offset as usize;
            let kept = self.kept.get(start..start + len as usize);
            return kept.unwrap_or_default();
        }
        let start = slot as usize * SLOT_LEN + offset as usize;
        self.bytes
            .get(start..start + len as usize)
            .unwrap_or_default()
    }
}
