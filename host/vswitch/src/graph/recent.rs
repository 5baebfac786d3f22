//! What the frame before found: neighbours in a batch mostly want the same objects.

use super::names::{NODES, NodeId};
use crate::counters::IfCounter;
use crate::dpo::{Adjacency, LoadBalance};
use crate::fib::Fib;
use crate::id::SwIfIndex;
use crate::interface::Interface;
use crate::npol::Applied;

/// The last object found in each table.
#[derive(Default)]
pub(super) struct Recent<'a> {
    pub(super) interface: Last<&'a Interface>,
    pub(super) load_balance: Last<&'a LoadBalance>,
    pub(super) adjacency: Last<&'a Adjacency>,
    pub(super) fib: Last<&'a Fib>,
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

/// Frames per node whose work another node did.
pub(super) struct Passed {
    frames: [u32; NODES],
    /// Nodes with frames, as a set of bits.
    nodes: u64,
}

impl Default for Passed {
    fn default() -> Self {
        Self {
            frames: [0; NODES],
            nodes: 0,
        }
    }
}

impl Passed {
    #[inline(always)]
    pub(super) fn count(&mut self, node: NodeId) {
        if let Some(frames) = self.frames.get_mut(node as usize) {
            *frames += 1;
            self.nodes |= 1 << node as u32;
        }
    }

    pub(super) fn drain(&mut self, mut take: impl FnMut(NodeId, u64)) {
        while self.nodes != 0 {
            let at = self.nodes.trailing_zeros() as usize;
            self.nodes &= self.nodes - 1;
            if let (Some(node), Some(frames)) = (NodeId::ALL.get(at), self.frames.get_mut(at)) {
                take(*node, u64::from(std::mem::take(frames)));
            }
        }
    }
}
