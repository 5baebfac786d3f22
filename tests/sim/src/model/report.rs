//! What one received frame leads to.

use std::collections::BTreeMap;
use std::net::IpAddr;

use vswitch::graph::DropReason;

use crate::wire::{Frame, Mac};
use crate::world::If;

/// Interface counters that are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Counter {
    RxPackets,
    RxBytes,
    TxPackets,
    TxBytes,
    Drops,
    Ip4,
    Ip6,
}

/// One possible outcome.
#[derive(Debug, Clone, Default)]
pub struct Report {
    pub sent: Vec<(If, Frame)>,
    pub drops: BTreeMap<DropReason, u64>,
    pub counters: BTreeMap<(If, Counter), u64>,
    /// A packet had to be cut, which the model does not do.
    pub is_cut: bool,
    pub(super) learned: Vec<Learned>,
}

#[derive(Debug, Clone, Copy)]
pub(super) enum Learned {
    Mac { bd_id: u32, mac: Mac, on: If },
    Neighbor { on: If, ip: IpAddr, mac: Mac },
}

impl Report {
    pub(super) fn count(&mut self, on: If, what: Counter, by: u64) {
        *self.counters.entry((on, what)).or_default() += by;
    }

    /// A reason that is counted although the frame lives on as something else.
    pub(super) fn note(&mut self, why: DropReason) {
        *self.drops.entry(why).or_default() += 1;
    }

    pub(super) fn drop(&mut self, on: If, why: DropReason) {
        self.note(why);
        self.count(on, Counter::Drops, 1);
    }
}
