//! What a run is made of: changes of the configuration, and frames.

use std::net::IpAddr;

use vswitch::acl::AclRule;
use vswitch::bridge::{BridgeFlags, PortType};
use vswitch::route::RoutePath;
use vswitch::{Family, Prefix};

use crate::wire::{Frame, Mac};
use crate::world::If;

/// One step of a run.
#[derive(Debug, Clone)]
pub enum Step {
    Change(Change),
    /// A frame received on a device.
    Receive(If, Frame),
}

/// A call of the API. The values are the engine's types, which are plain data.
#[derive(Debug, Clone)]
pub enum Change {
    Up(If, bool),
    Mtu(If, u32),
    EnableIp(If, Family, bool),
    Address(If, Prefix, bool),
    Unnumbered(If, Option<If>),
    Table(If, Family, u32),
    Neighbor(If, IpAddr, Mac, bool),
    Route {
        table: u32,
        prefix: Prefix,
        paths: Vec<RoutePath>,
        is_add: bool,
        is_multipath: bool,
    },
    Bridge {
        on: If,
        bd_id: u32,
        kind: PortType,
        group: u8,
    },
    BridgeFlags(u32, bool, BridgeFlags),
    Xconnect(If, If),
    LeaveL2(If),
    L2Fib {
        bd_id: u32,
        mac: Mac,
        on: If,
        is_static: bool,
        is_filter: bool,
        is_add: bool,
    },
    /// Adds or replaces the list in one of four places.
    Acl(usize, Vec<AclRule>),
    /// Deletes the list in a place.
    AclDelete(usize),
    /// Places of the lists for input and output.
    AclApply(If, Vec<usize>, Vec<usize>),
    AbfPolicy {
        id: u32,
        acl: usize,
        paths: Vec<RoutePath>,
        is_add: bool,
    },
    AbfAttach {
        id: u32,
        on: If,
        priority: u32,
        family: Family,
        is_add: bool,
    },
}
