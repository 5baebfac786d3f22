//! Index allocation: the lowest free number first, as VPP's pools do.

use std::collections::BTreeSet;

#[derive(Debug, Default)]
pub(super) struct Pool {
    free: BTreeSet<u32>,
    next: u32,
}

impl Pool {
    pub(super) fn take(&mut self) -> u32 {
        self.free.pop_first().unwrap_or_else(|| {
            self.next += 1;
            self.next - 1
        })
    }

    /// Numbers given so far: all in use are less.
    pub(super) const fn size(&self) -> u32 {
        self.next
    }

    pub(super) fn give_back(&mut self, index: u32) {
        self.free.insert(index);
    }
}
