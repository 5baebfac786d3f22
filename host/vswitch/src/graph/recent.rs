//! What the frame before found: neighbours in a batch mostly want the same objects.

use crate::counters::IfCounter;
use crate::dpo::{Adjacency, LoadBalance};
use crate::fib::Fib;
use crate::id::SwIfIndex;
use crate::interface::Interface;

/// The last object found in each table.
#[derive(Default)]
pub(super) struct Recent<'a> {
    pub(super) interface: Last<&'a Interface>,
    pub(super) load_balance: Last<&'a LoadBalance>,
    pub(super) adjacency: Last<&'a Adjacency>,
    pub(super) fib: Last<&'a Fib>,
}

/// The answer to the last question.
pub(super) struct Last<T> {
    index: u32,
    found: Option<T>,
}

impl<T> Default for Last<T> {
    /// No table has anything at the highest index.
    fn default() -> Self {
        Self {
            index: u32::MAX,
            found: None,
        }
    }
}

impl<T: Copy> Last<T> {
    #[inline(always)]
    pub(super) fn get(&mut self, index: u32, find: impl FnOnce(u32) -> Option<T>) -> Option<T> {
        if index != self.index {
            (self.index, self.found) = (index, find(index));
        }
        self.found
    }
}

/// What packets are counted as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Counted {
    Tx,
    Ip4,
    Ip6,
}

impl Counted {
    /// The counters of packets and, if there is one, of bytes.
    pub(super) const fn counters(self) -> (IfCounter, Option<IfCounter>) {
        match self {
            Self::Tx => (IfCounter::TxPackets, Some(IfCounter::TxBytes)),
            Self::Ip4 => (IfCounter::Ip4, None),
            Self::Ip6 => (IfCounter::Ip6, None),
        }
    }
}

/// Packets of one interface that are not in the counters yet.
#[derive(Default)]
pub(super) struct Tally {
    pub(super) of: Option<(SwIfIndex, Counted)>,
    pub(super) packets: u64,
    pub(super) bytes: u64,
}
