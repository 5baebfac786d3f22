//! Counters: one writer (a worker), any number of readers, no locks.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::function::FunctionCounters;
use crate::graph::{DropReason, NODES, NodeId};
use crate::id::SwIfIndex;
use crate::sr::LocalsidCounters;

mod rows;

pub(crate) use rows::ROWS_MAX;
use rows::Rows;

/// What is counted per interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IfCounter {
    RxPackets,
    RxBytes,
    TxPackets,
    TxBytes,
    Drops,
    RxErrors,
    TxErrors,
    Ip4,
    Ip6,
    /// Verdicts of npol, by the side on which the packet was seen.
    NpolRxAllow,
    NpolRxDeny,
    NpolTxAllow,
    NpolTxDeny,
}

const IF_COUNTERS: usize = 13;

/// Which counter of a local SID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SidCounter {
    Good,
    Bad,
    Returned,
    NotReturned,
}

/// Packets and bytes of each [`SidCounter`].
const SID_COUNTERS: usize = 8;

/// Which counter of a packet function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FunctionCounter {
    Packets,
    Drops,
    Changed,
    Undecided,
    Faults,
}

const FUNCTION_COUNTERS: usize = 5;

/// Packets and bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Combined {
    pub packets: u64,
    pub bytes: u64,
}

/// The counters of one interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct InterfaceCounters {
    pub rx: Combined,
    pub tx: Combined,
    pub drops: u64,
    pub rx_errors: u64,
    pub tx_errors: u64,
    pub ip4: u64,
    pub ip6: u64,
}

impl std::ops::Add for Combined {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            bytes: self.bytes + other.bytes,
        }
    }
}

impl std::ops::Add for InterfaceCounters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            rx: self.rx + other.rx,
            tx: self.tx + other.tx,
            drops: self.drops + other.drops,
            rx_errors: self.rx_errors + other.rx_errors,
            tx_errors: self.tx_errors + other.tx_errors,
            ip4: self.ip4 + other.ip4,
            ip6: self.ip6 + other.ip6,
        }
    }
}

impl std::ops::Add for FunctionCounters {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            packets: self.packets + other.packets,
            drops: self.drops + other.drops,
            changed: self.changed + other.changed,
            undecided: self.undecided + other.undecided,
            faults: self.faults + other.faults,
        }
    }
}

/// Verdicts of npol on an interface, VPP's `/net/npol/{rx,tx}/flows/{allow,deny}`: one per flow that is allowed,
/// one per packet that is denied.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct NpolVerdicts {
    pub rx_allow: u64,
    pub rx_deny: u64,
    pub tx_allow: u64,
    pub tx_deny: u64,
}

impl std::ops::Add for NpolVerdicts {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self {
            rx_allow: self.rx_allow + other.rx_allow,
            rx_deny: self.rx_deny + other.rx_deny,
            tx_allow: self.tx_allow + other.tx_allow,
            tx_deny: self.tx_deny + other.tx_deny,
        }
    }
}

/// A `(node, reason)` pair that was counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ErrorCounter {
    pub node: &'static str,
    pub reason: &'static str,
    pub count: u64,
}

/// How busy a node was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeCounter {
    pub name: &'static str,
    pub calls: u64,
    pub vectors: u64,
}

/// Routes that packets are counted for, those with the lowest statistics indexes: each costs a load balance of its own,
/// and a table of a million routes had better share.
pub const ROUTES_COUNTED_MAX: u32 = 4096;

/// The counters of one worker. Only that worker (and its devices, on its thread) adds.
pub struct WorkerCounters {
    interfaces: Rows<IF_COUNTERS>,
    localsids: Rows<SID_COUNTERS>,
    /// Packets and bytes to a prefix, and those that came by way of it as a next hop.
    routes: Rows<4>,
    adjacencies: Rows<2>,
    functions: Rows<FUNCTION_COUNTERS>,
    errors: Box<[[AtomicU64; DropReason::COUNT]]>,
    calls: [AtomicU64; NODES],
    vectors: [AtomicU64; NODES],
}

impl std::fmt::Debug for WorkerCounters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WorkerCounters").finish_non_exhaustive()
    }
}

impl Default for WorkerCounters {
    fn default() -> Self {
        Self {
            interfaces: Rows::default(),
            localsids: Rows::default(),
            routes: Rows::default(),
            adjacencies: Rows::default(),
            functions: Rows::default(),
            errors: (0..NODES)
                .map(|_| std::array::from_fn(|_| AtomicU64::new(0)))
                .collect(),
            calls: std::array::from_fn(|_| AtomicU64::new(0)),
            vectors: std::array::from_fn(|_| AtomicU64::new(0)),
        }
    }
}

/// One writer, so a load and a store are enough.
fn bump(counter: Option<&AtomicU64>, by: u64) {
    if let Some(counter) = counter {
        counter.store(
            counter.load(Ordering::Relaxed).wrapping_add(by),
            Ordering::Relaxed,
        );
    }
}

impl WorkerCounters {
    /// Adds to a counter of an interface.
    pub fn add(&self, on: SwIfIndex, which: IfCounter, by: u64) {
        self.interfaces.add(on.0, which as usize, by);
    }

    /// Counts a packet of a local SID.
    pub(crate) fn add_localsid(&self, index: u32, which: SidCounter, bytes: usize) {
        self.localsids.add(index, which as usize * 2, 1);
        self.localsids
            .add(index, which as usize * 2 + 1, bytes as u64);
    }

    pub(crate) fn add_function(&self, index: u32, which: FunctionCounter, by: u64) {
        self.functions.add(index, which as usize, by);
    }

    /// Reads the counters of a packet function.
    pub fn function(&self, index: u32) -> FunctionCounters {
        let [packets, drops, changed, undecided, faults] = self.functions.read(index);
        FunctionCounters {
            packets,
            drops,
            changed,
            undecided,
            faults,
        }
    }

    /// Sets the counters of a packet function to zero (an update in flight may survive).
    pub(crate) fn clear_function(&self, index: u32) {
        self.functions.clear(index);
    }

    /// Counts packets to a prefix, or by way of it (`is_via`).
    #[inline]
    pub(crate) fn add_route(&self, row: u32, is_via: bool, packets: u64, bytes: u64) {
        let first = usize::from(is_via) * 2;
        self.routes.add(row, first, packets);
        self.routes.add(row, first + 1, bytes);
    }

    /// Counts a packet to a neighbour.
    pub(crate) fn add_adjacency(&self, row: u32, packets: u64, bytes: u64) {
        self.adjacencies.add(row, 0, packets);
        self.adjacencies.add(row, 1, bytes);
    }

    /// Reads the counters of a route: packets to it, and packets by way of it.
    pub fn route(&self, row: u32) -> [Combined; 2] {
        let [packets, bytes, via_packets, via_bytes] = self.routes.read(row);
        [(packets, bytes), (via_packets, via_bytes)]
            .map(|(packets, bytes)| Combined { packets, bytes })
    }

    /// Reads the counters of an adjacency.
    pub fn adjacency(&self, row: u32) -> Combined {
        let [packets, bytes] = self.adjacencies.read(row);
        Combined { packets, bytes }
    }

    pub(crate) fn clear_route(&self, row: u32) {
        self.routes.clear(row);
    }

    pub(crate) fn clear_adjacency(&self, row: u32) {
        self.adjacencies.clear(row);
    }

    /// Counts receive failures of a device.
    pub fn add_rx_error(&self, on: SwIfIndex, by: u64) {
        self.add(on, IfCounter::RxErrors, by);
    }

    /// Counts transmit failures of a device (ring full, link down).
    pub fn add_tx_error(&self, on: SwIfIndex, by: u64) {
        self.add(on, IfCounter::TxErrors, by);
    }

    /// Counts packets dropped at a node.
    pub fn add_drop(&self, node: NodeId, reason: DropReason, by: u64) {
        bump(
            self.errors
                .get(node as usize)
                .and_then(|row| row.get(reason as usize)),
            by,
        );
    }

    pub(crate) fn add_call(&self, node: NodeId, vectors: u64) {
        bump(self.calls.get(node as usize), 1);
        bump(self.vectors.get(node as usize), vectors);
    }

    /// Reads the counters of an interface.
    pub fn interface(&self, of: SwIfIndex) -> InterfaceCounters {
        let row = self.interfaces.read(of.0);
        let read = |which: IfCounter| row.get(which as usize).copied().unwrap_or(0);
        InterfaceCounters {
            rx: Combined {
                packets: read(IfCounter::RxPackets),
                bytes: read(IfCounter::RxBytes),
            },
            tx: Combined {
                packets: read(IfCounter::TxPackets),
                bytes: read(IfCounter::TxBytes),
            },
            drops: read(IfCounter::Drops),
            rx_errors: read(IfCounter::RxErrors),
            tx_errors: read(IfCounter::TxErrors),
            ip4: read(IfCounter::Ip4),
            ip6: read(IfCounter::Ip6),
        }
    }

    /// Reads the verdicts of npol on an interface.
    pub fn npol(&self, of: SwIfIndex) -> NpolVerdicts {
        let row = self.interfaces.read(of.0);
        let read = |which: IfCounter| row.get(which as usize).copied().unwrap_or(0);
        NpolVerdicts {
            rx_allow: read(IfCounter::NpolRxAllow),
            rx_deny: read(IfCounter::NpolRxDeny),
            tx_allow: read(IfCounter::NpolTxAllow),
            tx_deny: read(IfCounter::NpolTxDeny),
        }
    }

    /// Sets the counters of an interface to zero (an update in flight may survive).
    pub fn clear(&self, of: SwIfIndex) {
        self.interfaces.clear(of.0);
    }

    /// Reads the counters of a local SID.
    pub(crate) fn localsid(&self, index: u32) -> LocalsidCounters {
        let [a, b, c, d, e, f, g, h] = self.localsids.read(index);
        let combined = |packets, bytes| Combined { packets, bytes };
        LocalsidCounters {
            good: combined(a, b),
            bad: combined(c, d),
            returned: combined(e, f),
            not_returned: combined(g, h),
        }
    }

    /// Sets the counters of a local SID to zero (an update in flight may survive).
    pub(crate) fn clear_localsid(&self, index: u32) {
        self.localsids.clear(index);
    }

    /// Sets the drop counters to zero (an update in flight may survive).
    pub fn clear_errors(&self) {
        for counter in self.errors.iter().flatten() {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// Sets the counters of all nodes to zero (an update in flight may survive).
    pub fn clear_nodes(&self) {
        for counter in self.calls.iter().chain(&self.vectors) {
            counter.store(0, Ordering::Relaxed);
        }
    }

    /// Count of one `(node, reason)` pair.
    pub fn error(&self, node: NodeId, reason: DropReason) -> u64 {
        self.errors
            .get(node as usize)
            .and_then(|row| row.get(reason as usize))
            .map_or(0, |c| c.load(Ordering::Relaxed))
    }

    /// Calls and vectors of one node.
    pub fn node(&self, node: NodeId) -> NodeCounter {
        let read = |all: &[AtomicU64; NODES]| {
            all.get(node as usize)
                .map_or(0, |c| c.load(Ordering::Relaxed))
        };
        NodeCounter {
            name: node.name(),
            calls: read(&self.calls),
            vectors: read(&self.vectors),
        }
    }
}
