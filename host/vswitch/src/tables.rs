//! The snapshot that workers read: everything behind an `Arc`, so that a clone is cheap.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use packet::MacAddr;

use crate::acl::{Acl, AclTracking};
use crate::bridge::{Bridge, MacEntry};
use crate::classify;
use crate::cnat::tables::CnatTables;
use crate::dpo::{Adjacency, LoadBalance};
use crate::fib::Fib;
use crate::flow_hash::FLOW_HASH_DEFAULT;
use crate::function::Function;
use crate::id::{Family, SwIfIndex};
use crate::interface::{Interface, LinkMode};
use crate::npol::NpolTables;
use crate::persist::{PMap, PVec};
use crate::reassembly::{Limits, Reassembly};
use crate::sr::SrTables;
use crate::tunnel::{Ipip, IpipKey, Vxlan, VxlanKey};
use crate::vlan::{Seen, SubKey, SubSpec};

/// An immutable view of all configuration and learned state, as workers need it.
#[derive(Debug, Clone, Default)]
pub struct Tables {
    pub(crate) interfaces: PVec<Arc<Interface>>,
    /// FIBs of both families, one index space.
    pub(crate) fibs: PVec<Fib>,
    /// Fields of the flow hash, of FIBs that do not have VPP's default.
    pub(crate) flow_hashes: PMap<u32, u32>,
    /// Biggest packets to addresses of a FIB, where a path takes less than its interface.
    pub(crate) path_mtus: PMap<(u32, IpAddr), u16>,
    /// Mixed into every flow hash.
    pub(crate) router_id: u32,
    pub(crate) load_balances: PVec<Arc<LoadBalance>>,
    pub(crate) adjacencies: PVec<Adjacency>,
    pub(crate) counts_adjacencies: bool,
    pub(crate) adjacency_of: PMap<(SwIfIndex, IpAddr), u32>,
    pub(crate) bridges: PVec<Arc<Bridge>>,
    pub(crate) macs: PMap<(u32, MacAddr), MacEntry>,
    /// What bridges answer ARP for: bridge and address.
    pub(crate) bridge_neighbors: PMap<(u32, IpAddr), MacAddr>,
    pub(crate) functions: PVec<Function>,
    pub(crate) acls: PVec<Arc<Acl>>,
    pub(crate) acl_tracking: AclTracking,
    pub(crate) classify: PVec<Arc<classify::Table>>,
    pub(crate) npol: NpolTables,
    pub(crate) subs: PMap<SubKey, (SwIfIndex, SubSpec)>,
    pub(crate) vxlans: PVec<Vxlan>,
    pub(crate) vxlan_of: PMap<VxlanKey, SwIfIndex>,
    pub(crate) vxlan_ports: Arc<[u16]>,
    pub(crate) ipips: PVec<Ipip>,
    pub(crate) ipip_of: PMap<IpipKey, SwIfIndex>,
    /// IPv4 FIB index, first and last address.
    pub(crate) proxy_arp: Arc<[(u32, Ipv4Addr, Ipv4Addr)]>,
    pub(crate) cnat: CnatTables,
    pub(crate) reassembly: Reassembly,
    pub(crate) sr: SrTables,
    pub(crate) generation: u64,
}

impl Tables {
    /// Counts publications; a worker that sees `n` has everything published before.
    pub const fn generation(&self) -> u64 {
        self.generation
    }

    /// How many objects of each kind are held: what leak tests compare.
    pub fn census(&self) -> impl Iterator<Item = (&'static str, usize)> + use<> {
        [
            ("interfaces", self.interfaces.iter().count()),
            ("fibs", self.fibs.iter().count()),
            ("load balances", self.load_balances.iter().count()),
            ("adjacencies", self.adjacencies.iter().count()),
            ("adjacency keys", self.adjacency_of.len()),
            ("bridges", self.bridges.iter().count()),
            ("macs", self.macs.len()),
            ("acls", self.acls.iter().count()),
            ("path MTUs", self.path_mtus.len()),
            ("classifier tables", self.classify.iter().count()),
            ("functions", self.functions.iter().count()),
            ("vxlans", self.vxlans.iter().count()),
            ("vxlan keys", self.vxlan_of.len()),
            ("vxlan ports", self.vxlan_ports.len()),
            ("sub-interfaces", self.subs.len()),
            ("ipips", self.ipips.iter().count()),
            ("ipip keys", self.ipip_of.len()),
            ("bridge neighbours", self.bridge_neighbors.len()),
            ("proxied ranges", self.proxy_arp.len()),
            ("local SIDs", self.sr.localsids.iter().count()),
            ("SR policies", self.sr.policies.iter().count()),
            ("segment lists", self.sr.lists.iter().count()),
        ]
        .into_iter()
    }

    /// UDP ports that tunnels listen on.
    pub fn vxlan_ports(&self) -> &[u16] {
        &self.vxlan_ports
    }

    /// Whether the packet, received on `rx`, is for a VXLAN tunnel that ends here.
    pub fn ends_vxlan(&self, rx: SwIfIndex, packet: &[u8]) -> bool {
        let fib = self.interface(rx).map(|interface| {
            let is_v6 = packet.first().is_some_and(|b| b >> 4 == 6);
            if is_v6 {
                interface.fib6
            } else {
                interface.fib4
            }
        });
        fib.and_then(|fib| VxlanKey::of(packet, fib))
            .is_some_and(|key| self.vxlan_of.get(&key).is_some())
    }

    /// Limits of reassembly.
    pub fn reassembly(&self, family: Family) -> &Limits {
        self.reassembly.limits(family)
    }

    /// Whether packets of an interface have no link header.
    pub fn is_bare(&self, on: SwIfIndex) -> bool {
        self.interface(on).is_some_and(|i| i.mode == LinkMode::Ip)
    }

    pub(crate) fn interface(&self, index: SwIfIndex) -> Option<&Interface> {
        self.interfaces.get(index.0).map(|i| &**i)
    }

    pub(crate) fn load_balance(&self, index: u32) -> Option<&LoadBalance> {
        self.load_balances.get(index).map(|lb| &**lb)
    }

    pub(crate) fn bridge(&self, index: u32) -> Option<&Bridge> {
        self.bridges.get(index).map(|b| &**b)
    }

    /// The sub-interface of `parent` that takes frames with these tags.
    pub(crate) fn sub_interface(&self, parent: SwIfIndex, seen: &Seen) -> Option<SwIfIndex> {
        let keys = seen.keys(parent);
        let mut found = keys.iter().filter_map(|key| self.subs.get(key));
        found
            .find(|(_, spec)| spec.takes(seen.count))
            .map(|(index, _)| *index)
    }

    /// Fields of the flow hash of a FIB.
    pub(crate) fn flow_hash(&self, fib: u32) -> u32 {
        let fields = self.flow_hashes.get(&fib);
        fields.copied().unwrap_or(FLOW_HASH_DEFAULT)
    }

    /// Longest prefix match; gives the load balance.
    pub(crate) fn route(&self, fib: u32, address: IpAddr) -> Option<&LoadBalance> {
        self.load_balance(self.fibs.get(fib)?.lookup(address)?)
    }
}
