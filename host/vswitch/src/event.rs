//! What workers tell the writer, and what the writer tells its subscribers.

use std::net::IpAddr;

use packet::MacAddr;

use crate::id::SwIfIndex;

/// Something a worker learned from a packet; the main thread gives it to the writer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// A source address was seen on a bridge port.
    MacLearned {
        bridge: u32,
        mac: MacAddr,
        sw_if_index: SwIfIndex,
    },
    /// ARP or neighbour discovery named a neighbour.
    NeighborLearned {
        sw_if_index: SwIfIndex,
        ip: IpAddr,
        mac: MacAddr,
    },
}

/// A change that API clients may have subscribed to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    InterfaceFlags {
        sw_if_index: SwIfIndex,
        admin_up: bool,
        link_up: bool,
    },
    InterfaceDeleted {
        sw_if_index: SwIfIndex,
    },
    NeighborAdded {
        sw_if_index: SwIfIndex,
        ip: IpAddr,
        mac: MacAddr,
    },
    NeighborRemoved {
        sw_if_index: SwIfIndex,
        ip: IpAddr,
        mac: MacAddr,
    },
}
