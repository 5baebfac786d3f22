//! What the express lane (`node/express.rs`) needs of the tables, asked once per run of frames and kept, and what it has
//! counted since.

use packet::ethernet;

use super::names::NodeId;
use super::recent::{Counted, Passed, Tally};
use super::settle;
use crate::counters::{IfCounter, WorkerCounters};
use crate::dpo::{Adjacency, Dpo, LoadBalance, Rewrite};
use crate::feature::{Feature, Features, InputFeature, OutputFeature};
use crate::fib::Fib;
use crate::frame::ETHERNET_LEN;
use crate::id::{Family, SwIfIndex};
use crate::interface::{Interface, InterfaceKind, L2Config, LINK_HEADER_MAX};
use crate::tables::Tables;

/// State of the lane during one run of the graph.
#[derive(Default)]
pub(crate) struct Express<'a> {
    entry: Entry<'a>,
    hop: Hop,
    /// Frames on their way from this entry: switched, IPv4, IPv6, and those of each that policies looked at.
    pub(crate) frames: Frames,
}

/// Counts of an entry.
#[derive(Default)]
pub(crate) struct Frames {
    pub(crate) crossed: u32,
    pub(crate) routed4: Routed,
    pub(crate) routed6: Routed,
}

/// Counts of a family.
#[derive(Default)]
pub(crate) struct Routed {
    /// Packets that came by the lane.
    pub(crate) taken: u32,
    /// Those that policies let in.
    pub(crate) let_in: u32,
    /// Those that policies let out.
    pub(crate) let_out: u32,
    /// Those that the lane gave to policies, rewritten.
    pub(crate) held: u32,
    /// Those that were taken out of a tunnel.
    pub(crate) opened: u32,
    /// Others that left from their lookup.
    pub(crate) sent: u32,
}

/// What frames of an interface meet.
#[derive(Clone, Copy)]
struct Entry<'a> {
    rx: SwIfIndex,
    way: Way<'a>,
}

impl Default for Entry<'_> {
    fn default() -> Self {
        Self {
            rx: SwIfIndex::NONE,
            way: Way::Long,
        }
    }
}

/// Where an interface leads.
#[derive(Clone, Copy)]
pub(crate) enum Way<'a> {
    /// Something is to be done that only the graph knows.
    Long,
    /// Frames of up to `max` bytes go to a device, or into a VXLAN tunnel.
    Cross {
        to: SwIfIndex,
        max: u32,
        is_tunnel: bool,
    },
    /// Packets to its MAC address, in the low 48 bits, are routed.
    Routed {
        mac: u64,
        v4: Option<Table<'a>>,
        v6: Option<Table<'a>>,
    },
}

/// The table of a family.
#[derive(Clone, Copy)]
pub(crate) struct Table<'a> {
    pub(crate) fib: &'a Fib,
    pub(crate) index: u32,
    /// Policies look at packets before the lookup.
    pub(crate) is_guarded: bool,
}

/// What a load balance leads to, and how often it did.
#[derive(Clone, Copy)]
struct Hop {
    /// The load balance.
    index: u32,
    route: Option<Route>,
    packets: u32,
    bytes: u64,
}

impl Default for Hop {
    fn default() -> Self {
        Self {
            index: u32::MAX,
            route: None,
            packets: 0,
            bytes: 0,
        }
    }
}

/// A single neighbour, with nothing but policies in the way.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Route {
    /// Row of the counters of routes.
    counter: Option<u32>,
    /// The adjacency.
    pub(crate) object: u32,
    pub(crate) way: WayOut,
}

/// The way to a neighbour, for one family.
#[derive(Debug, Clone, Copy)]
pub(crate) struct WayOut {
    pub(crate) to: SwIfIndex,
    /// What is put in front of a packet.
    pub(crate) link: [u8; ethernet::HEADER_LEN],
    /// Most bytes of a packet.
    pub(crate) max: u32,
    /// Policies look at packets behind the rewrite.
    pub(crate) is_guarded: bool,
}

/// What a worker remembers of where load balances lead, each in a place of its own: one cache line instead of the way
/// through the tables. A publication makes all of it old.
#[derive(Debug)]
pub(crate) struct Hops(Box<[Place]>);

/// A load balance that was asked for.
#[derive(Debug, Clone, Copy)]
#[repr(align(64))]
struct Place {
    /// Publication that it was true for.
    generation: u64,
    index: u32,
    family: Family,
    route: Option<Route>,
}

const _: () = assert!(size_of::<Place>() == 64);

/// Places of [`Hops`]; as many as there are routes with counters of their own.
const PLACES: usize = 4096;

impl Hops {
    pub(super) fn new() -> Self {
        let nothing = Place {
            generation: 0,
            index: u32::MAX,
            family: Family::V4,
            route: None,
        };
        Self(vec![nothing; PLACES].into())
    }

    #[inline]
    fn get(&mut self, index: u32, family: Family, tables: &Tables) -> Option<Route> {
        let place = self.0.get_mut(index as usize % PLACES)?;
        let wanted = (tables.generation, index, family);
        if (place.generation, place.index, place.family) != wanted {
            *place = Place {
                generation: tables.generation,
                index,
                family,
                route: Route::of(tables, index, family),
            };
        }
        place.route
    }
}

impl<'a> Express<'a> {
    /// What frames of `rx` meet.
    #[inline]
    pub(super) fn entry(
        &mut self,
        rx: SwIfIndex,
        tables: &'a Tables,
        (passed, counters): (&mut Passed, &WorkerCounters),
    ) -> &Way<'a> {
        if self.entry.rx != rx {
            self.leave_entry(passed, counters);
            self.entry = Entry {
                rx,
                way: Way::of(tables, rx),
            };
        }
        &self.entry.way
    }

    /// Where a load balance leads packets of a family.
    #[inline]
    pub(super) fn hop(
        &mut self,
        index: u32,
        family: Family,
        tables: &'a Tables,
        hops: &mut Hops,
        (counters, tallies): (&WorkerCounters, &mut [Tally; 3]),
    ) -> Option<&Route> {
        if self.hop.index != index {
            self.leave_hop(tables.counts_adjacencies, counters, tallies);
            self.hop = Hop {
                index,
                route: hops.get(index, family, tables),
                packets: 0,
                bytes: 0,
            };
        }
        self.hop.route.as_ref()
    }

    /// Counts a packet on the last hop; `bytes` with its link header.
    #[inline]
    pub(crate) fn count(&mut self, bytes: usize) {
        self.hop.packets += 1;
        self.hop.bytes += bytes as u64;
    }

    /// Counts a packet of the last hop that does not leave yet.
    pub(super) fn hold(&self, counts_adjacencies: bool, bytes: usize, counters: &WorkerCounters) {
        if let Some(route) = &self.hop.route {
            route.count(counts_adjacencies, (1, bytes as u64), counters);
        }
    }

    /// Adds what was counted to what the graph counts.
    pub(super) fn finish(
        &mut self,
        counts_adjacencies: bool,
        passed: &mut Passed,
        counters: &WorkerCounters,
        tallies: &mut [Tally; 3],
    ) {
        self.leave_entry(passed, counters);
        self.leave_hop(counts_adjacencies, counters, tallies);
    }

    fn leave_entry(&mut self, passed: &mut Passed, counters: &WorkerCounters) {
        let Frames {
            crossed,
            routed4,
            routed6,
        } = std::mem::take(&mut self.frames);
        let rx = self.entry.rx;
        let sent = |routed: &Routed| routed.taken - routed.held + routed.sent;
        let all_sent = crossed + sent(&routed4) + sent(&routed6);
        passed.add(NodeId::L2Input, crossed);
        passed.add(NodeId::NpolInput, routed4.let_in + routed6.let_in);
        passed.add(NodeId::NpolOutput, routed4.let_out + routed6.let_out);
        for node in [NodeId::Ip4Input, NodeId::Ip4Lookup] {
            passed.add(node, routed4.taken + routed4.opened);
        }
        passed.add(NodeId::Ip4Local, routed4.opened);
        passed.add(NodeId::VxlanInput, routed4.opened);
        for node in [NodeId::Ip6Input, NodeId::Ip6Lookup] {
            passed.add(node, routed6.taken);
        }
        passed.add(NodeId::Ip4Rewrite, routed4.taken + routed4.sent);
        passed.add(NodeId::Ip6Rewrite, routed6.taken + routed6.sent);
        passed.add(NodeId::InterfaceOutput, all_sent);
        passed.add(NodeId::InterfaceTx, all_sent);
        for (counter, routed) in [(IfCounter::Ip4, routed4), (IfCounter::Ip6, routed6)] {
            let packets = routed.taken + routed.opened;
            if packets > 0 {
                counters.add(rx, counter, u64::from(packets));
            }
        }
    }

    fn leave_hop(
        &mut self,
        counts_adjacencies: bool,
        counters: &WorkerCounters,
        tallies: &mut [Tally; 3],
    ) {
        let Hop {
            route,
            packets,
            bytes,
            ..
        } = std::mem::take(&mut self.hop);
        let Some(route) = route.filter(|_| packets > 0) else {
            return;
        };
        let packets = u64::from(packets);
        route.count(counts_adjacencies, (packets, bytes), counters);
        let [tx, ..] = tallies;
        if tx.of != route.way.to {
            settle(counters, tx, Counted::Tx);
            tx.of = route.way.to;
        }
        tx.packets += packets;
        tx.bytes += bytes;
    }
}

impl<'a> Way<'a> {
    fn of(tables: &'a Tables, rx: SwIfIndex) -> Self {
        let Some(interface) = tables.interface(rx) else {
            return Self::Long;
        };
        if !interface.admin_up || !interface.is_ethernet() {
            return Self::Long;
        }
        match interface.l2 {
            L2Config::Xconnect(to) => Self::across(tables, interface, to).unwrap_or(Self::Long),
            L2Config::L3 => Self::Routed {
                mac: mac_bits(interface.mac.0),
                v4: interface
                    .ip4_enabled
                    .then(|| Table::of(tables, interface.fib4, interface.input4))
                    .flatten(),
                v6: interface
                    .ip6_enabled
                    .then(|| Table::of(tables, interface.fib6, interface.input6))
                    .flatten(),
            },
            L2Config::Bridge { .. } | L2Config::SrPolicy(_) | L2Config::SrProxy(_) => Self::Long,
        }
    }

    fn across(tables: &Tables, interface: &Interface, to: SwIfIndex) -> Option<Self> {
        let out = tables.interface(to)?;
        let is_plain = interface.acl_in.is_empty()
            && interface.classify_in.l2.is_none()
            && interface.tag_rewrite.is_none()
            && out.tag_rewrite.is_none()
            && is_plain_output(out);
        let is_tunnel = matches!(out.kind, InterfaceKind::Vxlan { .. });
        (is_plain && (is_tunnel || out.kind == InterfaceKind::Device)).then(|| Self::Cross {
            to,
            is_tunnel,
            max: out.mtu_link.saturating_add(u32::from(LINK_HEADER_MAX)),
        })
    }
}

impl<'a> Table<'a> {
    fn of(tables: &'a Tables, fib: u32, features: Features<InputFeature>) -> Option<Self> {
        let is_guarded = is_only_guarded(features, InputFeature::Npol)?;
        Some(Self {
            fib: tables.fibs.get(fib)?,
            index: fib,
            is_guarded,
        })
    }
}

impl Route {
    fn count(
        &self,
        counts_adjacencies: bool,
        (packets, bytes): (u64, u64),
        counters: &WorkerCounters,
    ) {
        if let Some(row) = self.counter {
            let l3_bytes = bytes - packets * u64::from(ETHERNET_LEN);
            counters.add_route(row, false, packets, l3_bytes);
        }
        if counts_adjacencies {
            counters.add_adjacency(self.object, packets, bytes);
        }
    }

    #[inline(never)]
    fn of(tables: &Tables, choices: u32, family: Family) -> Option<Self> {
        // The biggest packet depends on its destination.
        if !tables.path_mtus.is_empty() {
            return None;
        }
        let choices: &LoadBalance = tables.load_balance(choices)?;
        let Dpo::Adjacency(object) = choices.only()? else {
            return None;
        };
        Some(Self {
            counter: choices.counter(),
            object,
            way: WayOut::of(tables, object, family)?,
        })
    }
}

impl WayOut {
    fn of(tables: &Tables, adjacency: u32, family: Family) -> Option<Self> {
        let adjacency: &Adjacency = tables.adjacencies.get(adjacency)?;
        let out = tables.interface(adjacency.sw_if_index)?;
        let Some(Rewrite::Ethernet { dst, src }) = adjacency.rewrite else {
            return None;
        };
        let (mtu, ethertype, features) = match family {
            Family::V4 => (out.mtu4, ethernet::IPV4, out.output4),
            Family::V6 => (out.mtu6, ethernet::IPV6, out.output6),
        };
        let most = out
            .mtu_link
            .saturating_add(u32::from(LINK_HEADER_MAX - ETHERNET_LEN));
        let is_guarded = is_only_guarded(features, OutputFeature::Npol)?;
        (is_plain_output(out) && out.kind == InterfaceKind::Device).then(|| Self {
            to: adjacency.sw_if_index,
            link: ethernet::header(dst, src, ethertype),
            max: most.min(mtu),
            is_guarded,
        })
    }
}

/// Whether policies are the only feature; `None` when there are others.
fn is_only_guarded<F: Feature>(features: Features<F>, policies: F) -> Option<bool> {
    if features.is_empty() {
        return Some(false);
    }
    features.is_only(policies).then_some(true)
}

/// Whether what is behind an interface gets frames as they are.
fn is_plain_output(out: &Interface) -> bool {
    out.admin_up && out.is_ethernet() && out.acl_out.is_empty()
}

/// An address in the low 48 bits.
#[inline]
pub(crate) const fn mac_bits([a, b, c, d, e, f]: [u8; 6]) -> u64 {
    u64::from_be_bytes([0, 0, a, b, c, d, e, f])
}
