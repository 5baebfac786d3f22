//! The writer: all configuration changes, with the effects and error codes of the VPP API.
//!
//! Every method leaves the tables complete, so [`Dataplane::publish`] may be called at any time; callers
//! publish once after a burst. The cost of a change follows the objects it names: tables are persistent,
//! and an interface or route is rebuilt alone.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use packet::MacAddr;

use crate::counters::{ErrorCounter, InterfaceCounters, NodeCounter, NpolVerdicts, WorkerCounters};
use crate::dpo::LoadBalance;
use crate::error::ApiError;
use crate::event::Notice;
use crate::graph::{DropReason, NodeId};
use crate::id::{Family, SwIfIndex};
use crate::interface::InterfaceInfo;
use crate::tables::Tables;
use crate::tunnel::{IpipSpec, VxlanSpec};
use crate::worker::Worker;

mod abf;
mod acl;
mod address;
mod arp_term;
mod classify;
mod cnat;
pub mod flows;
mod forwarding;
mod function;
mod interface;
mod ipip;
mod l2;
mod learn;
mod macip;
mod neighbor;
pub mod npol;
mod path_mtu;
mod paths;
mod pool;
mod proxy;
mod reassembly;
mod route;
mod sr;
mod subif;
mod table;
mod urpf;
mod vxlan;

use abf::AbfState;
use classify::ClassifyState;
use cnat::CnatState;
use forwarding::SharedLoadBalance;
use function::FunctionState;
use learn::LearnState;
use macip::MacipState;
use neighbor::NeighborState;
use npol::NpolState;
use path_mtu::PathMtuState;
use paths::PathLists;
use pool::Pool;
use route::{RouteEntry, RouteUse};
use sr::SrState;
use table::TableEntry;

type Result<T, E = ApiError> = std::result::Result<T, E>;

/// Notices kept for a caller that does not poll.
const NOTICES_MAX: usize = 4096;

/// The only writer of the tables.
#[derive(Debug)]
pub struct Dataplane {
    tables: Tables,
    dirty: bool,
    interfaces: BTreeMap<SwIfIndex, InterfaceInfo>,
    interface_pool: Pool,
    names: BTreeMap<String, SwIfIndex>,
    /// Lender to borrowers of unnumbered interfaces.
    borrowers: BTreeMap<SwIfIndex, BTreeSet<SwIfIndex>>,
    stale_addresses: Option<BTreeSet<(SwIfIndex, crate::prefix::Prefix)>>,
    bridges: BTreeMap<u32, u32>,
    bridge_pool: Pool,
    macs: BTreeMap<(u32, MacAddr), SwIfIndex>,
    learning: LearnState,
    path_mtus: PathMtuState,
    bridge_neighbors: BTreeMap<(u32, std::net::IpAddr), MacAddr>,
    /// Parent and sub-interface.
    subs: BTreeSet<(SwIfIndex, SwIfIndex)>,
    vxlans: BTreeMap<SwIfIndex, VxlanSpec>,
    ipips: BTreeMap<SwIfIndex, IpipSpec>,
    ip_tables: BTreeMap<(Family, u32), TableEntry>,
    fib_pool: Pool,
    routes: BTreeMap<RouteUse, RouteEntry>,
    /// Which routes have a path on an interface.
    routes_on: BTreeSet<(SwIfIndex, RouteUse)>,
    route_stats_pool: Pool,
    load_balance_pool: Pool,
    path_lists: PathLists,
    /// Load balances of routes.
    shared_load_balances: HashMap<Arc<LoadBalance>, SharedLoadBalance>,
    neighbors: NeighborState,
    acl_pool: Pool,
    /// How often an ACL is used: on input, on output, by policies.
    acl_uses: BTreeMap<u32, [u32; 3]>,
    /// Lists with a rule that reflects.
    acl_reflecting: usize,
    classify: ClassifyState,
    macip: MacipState,
    npol: NpolState,
    abf: AbfState,
    cnat: CnatState,
    functions: FunctionState,
    nd_proxies: BTreeSet<(SwIfIndex, std::net::Ipv6Addr)>,
    sr: SrState,
    counters: Vec<Arc<WorkerCounters>>,
    notices: VecDeque<Notice>,
    generated_macs: u32,
}

impl Default for Dataplane {
    fn default() -> Self {
        Self::new()
    }
}

impl Dataplane {
    /// Starts with `local0` (index 0) and table 0 of both families.
    pub fn new() -> Self {
        let mut dataplane = Self {
            tables: Tables::default(),
            dirty: true,
            interfaces: BTreeMap::new(),
            interface_pool: Pool::default(),
            names: BTreeMap::new(),
            borrowers: BTreeMap::new(),
            stale_addresses: None,
            bridges: BTreeMap::new(),
            bridge_pool: Pool::default(),
            macs: BTreeMap::new(),
            learning: LearnState::default(),
            path_mtus: PathMtuState::default(),
            bridge_neighbors: BTreeMap::new(),
            subs: BTreeSet::new(),
            vxlans: BTreeMap::new(),
            ipips: BTreeMap::new(),
            ip_tables: BTreeMap::new(),
            fib_pool: Pool::default(),
            routes: BTreeMap::new(),
            routes_on: BTreeSet::new(),
            route_stats_pool: Pool::default(),
            load_balance_pool: Pool::default(),
            path_lists: PathLists::default(),
            shared_load_balances: HashMap::new(),
            neighbors: NeighborState::default(),
            acl_pool: Pool::default(),
            acl_uses: BTreeMap::new(),
            acl_reflecting: 0,
            classify: ClassifyState::default(),
            macip: MacipState::default(),
            npol: NpolState::default(),
            abf: AbfState::default(),
            cnat: CnatState::default(),
            functions: FunctionState::default(),
            nd_proxies: BTreeSet::new(),
            sr: SrState::default(),
            counters: Vec::new(),
            notices: VecDeque::new(),
            generated_macs: 0,
        };
        dataplane.make_table(Family::V4, 0, "ipv4-VRF:0");
        dataplane.make_table(Family::V6, 0, "ipv6-VRF:0");
        dataplane.tables.cnat.fib4 = dataplane.fib_index(Family::V4, 0);
        dataplane.tables.cnat.fib6 = dataplane.fib_index(Family::V6, 0);
        dataplane.make_local0();
        dataplane
    }

    /// Gives the tables as they are now; workers use them from their next batch on.
    pub fn publish(&mut self) -> Arc<Tables> {
        self.tables.generation += 1;
        self.dirty = false;
        Arc::new(self.tables.clone())
    }

    /// Tells whether anything changed since the last [`Dataplane::publish`].
    pub const fn is_dirty(&self) -> bool {
        self.dirty
    }

    /// Makes a worker whose counters are part of this dataplane's.
    pub fn new_worker(&mut self) -> Worker {
        let counters = Arc::new(WorkerCounters::default());
        self.counters.push(Arc::clone(&counters));
        Worker::new(counters)
    }

    /// Takes the next thing that subscribers should know.
    pub fn poll_notice(&mut self) -> Option<Notice> {
        self.notices.pop_front()
    }

    fn notify(&mut self, notice: Notice) {
        if self.notices.len() == NOTICES_MAX {
            self.notices.pop_front();
        }
        self.notices.push_back(notice);
    }

    /// Counters of an interface, summed over the workers.
    pub fn interface_counters(&self, of: SwIfIndex) -> InterfaceCounters {
        self.counters
            .iter()
            .fold(InterfaceCounters::default(), |sum, c| sum + c.interface(of))
    }

    /// Verdicts of npol on an interface, summed over the workers.
    pub fn npol_verdicts(&self, of: SwIfIndex) -> NpolVerdicts {
        self.counters
            .iter()
            .fold(NpolVerdicts::default(), |sum, c| sum + c.npol(of))
    }

    /// Sets the counters of an interface to zero.
    pub fn clear_counters(&self, of: SwIfIndex) {
        self.counters.iter().for_each(|c| c.clear(of));
    }

    /// All drop counters that are not zero, summed over the workers.
    pub fn error_counters(&self) -> Vec<ErrorCounter> {
        let pairs = NodeId::ALL
            .iter()
            .flat_map(|node| DropReason::ALL.iter().map(move |reason| (*node, *reason)));
        pairs
            .map(|(node, reason)| ErrorCounter {
                node: node.name(),
                reason: reason.name(),
                count: self.counters.iter().map(|c| c.error(node, reason)).sum(),
            })
            .filter(|c| c.count > 0)
            .collect()
    }

    /// Calls and vectors of every node, summed over the workers.
    pub fn node_counters(&self) -> Vec<NodeCounter> {
        let sum = |node: &NodeId| {
            let each = self.counters.iter().map(|c| c.node(*node));
            let (calls, vectors) = each.fold((0, 0), |(a, b), c| (a + c.calls, b + c.vectors));
            NodeCounter {
                name: node.name(),
                calls,
                vectors,
            }
        };
        NodeId::ALL.iter().map(sum).collect()
    }

    /// The counters of each worker.
    pub fn worker_counters(&self) -> &[Arc<WorkerCounters>] {
        &self.counters
    }
}

#[cfg(test)]
mod tests;
