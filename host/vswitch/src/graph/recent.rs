//! What the frame before found: neighbours in a batch mostly want the same objects.

use super::names::{NODES, NodeId};
use crate::counters::IfCounter;
use crate::dpo::{Adjacency, LoadBalance};
use crate::fib::Fib;
use crate::id::SwIfIndex;
use crate::interface::Interface;
use crate::npol::Applied;
use crate::tunnel::VxlanKey;

/// The last object found in each table.
#[derive(Default)]
pub(super) struct Recent<'a> {
    pub(super) interface: Last<&'a Interface>,
    pub(super) load_balance: Last<&'a LoadBalance>,
    pub(super) adjacency: Last<&'a Adjacency>,
    pub(super) fib: Last<&'a Fib>,
    pub(super) tunnel: Option<(VxlanKey, SwIfIndex)>,
    /// Policies of an interface that packets come in by, and of one that they leave by.
    pub(super) npol: [Last<&'a Applied>; 2],
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
    pub(super) const ALL: [Self; 3] = [Self::Tx, Self::Ip4, Self::Ip6];

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
pub(super) struct Tally {
    pub(super) of: SwIfIndex,
    pub(super) packets: u64,
    pub(super) bytes: u64,
}

impl Default for Tally {
    fn default() -> Self {
        Self {
            of: SwIfIndex::NONE,
            packets: 0,
            bytes: 0,
        }
    }
}

/// Frames per node whose work another node did.
pub(super) struct Passed([u32; NODES]);

impl Default for Passed {
    fn default() -> Self {
        Self([0; NODES])
    }
}

impl Passed {
    #[inline(always)]
    pub(super) fn count(&mut self, node: NodeId) {
        self.add(node, 1);
    }

    #[inline(always)]
    pub(super) fn add(&mut self, node: NodeId, by: u32) {
        if let Some(frames) = self.0.get_mut(node as usize) {
            *frames += by;
        }
    }

    pub(super) fn drain(&mut self, mut take: impl FnMut(NodeId, u64)) {
        for (node, frames) in NodeId::ALL.iter().zip(&mut self.0) {
            if *frames > 0 {
                take(*node, u64::from(std::mem::take(frames)));
            }
        }
    }
}
