//! Bridge domains and the L2 FIB.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use packet::MacAddr;

use crate::id::SwIfIndex;

/// Learned addresses of all bridge domains together.
pub const MACS_MAX: usize = 1 << 18;

/// Learned addresses of one bridge domain, unless it is told otherwise: VPP's default.
pub const LEARN_LIMIT_DEFAULT: u32 = 1 << 24;

/// Parameters of a new bridge domain; the default is VPP's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeSpec {
    pub flood: bool,
    pub uu_flood: bool,
    pub forward: bool,
    pub learn: bool,
    pub arp_term: bool,
    pub arp_ufwd: bool,
    /// Minutes; 0 = no ageing.
    pub mac_age: u8,
    /// Learned addresses at once; frames from others are still forwarded. [`None`] = as new domains have it.
    pub learn_limit: Option<u32>,
    pub tag: String,
}

impl Default for BridgeSpec {
    fn default() -> Self {
        Self {
            flood: true,
            uu_flood: true,
            forward: true,
            learn: true,
            arp_term: false,
            arp_ufwd: false,
            mac_age: 0,
            learn_limit: None,
            tag: String::new(),
        }
    }
}

/// Flags that `bridge_flags` sets and clears.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct BridgeFlags {
    pub learn: bool,
    pub forward: bool,
    pub flood: bool,
    pub uu_flood: bool,
    pub arp_term: bool,
    pub arp_ufwd: bool,
}

/// Role of a port in its bridge domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PortType {
    #[default]
    Normal,
    Bvi,
    /// Takes frames for unknown addresses instead of flooding.
    UuFwd,
}

/// A port of a bridge domain.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Member {
    pub sw_if_index: SwIfIndex,
    /// Split-horizon group; 0 = none.
    pub shg: u8,
    pub port_type: PortType,
}

/// A bridge domain as the data path sees it.
#[derive(Debug, Clone, Default)]
pub struct Bridge {
    pub bd_id: u32,
    pub spec: BridgeSpec,
    pub bvi: Option<SwIfIndex>,
    pub uu_fwd: Option<SwIfIndex>,
    pub members: Arc<[Member]>,
}

/// Properties of an L2 FIB entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct L2FibFlags {
    pub static_mac: bool,
    /// Drop frames for this address.
    pub filter_mac: bool,
    pub bvi_mac: bool,
}

/// Where an address is; `last_seen` (seconds) is touched by workers, so that ageing needs no events.
#[derive(Debug, Clone)]
pub struct MacEntry {
    pub sw_if_index: SwIfIndex,
    pub flags: L2FibFlags,
    pub last_seen: Arc<AtomicU32>,
}

impl MacEntry {
    pub(crate) fn touch(&self, secs: u32) {
        if self.last_seen.load(Ordering::Relaxed) != secs {
            self.last_seen.store(secs, Ordering::Relaxed);
        }
    }
}

/// An L2 FIB entry in a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct L2FibEntry {
    pub bd_id: u32,
    pub mac: MacAddr,
    pub sw_if_index: SwIfIndex,
    pub flags: L2FibFlags,
}

/// A bridge domain in a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BridgeInfo {
    pub bd_id: u32,
    pub spec: BridgeSpec,
    pub bvi: Option<SwIfIndex>,
    pub uu_fwd: Option<SwIfIndex>,
    pub members: Vec<(SwIfIndex, u8)>,
}
