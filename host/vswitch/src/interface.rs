//! Interfaces: what the writer knows of them and what the data path needs.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use packet::MacAddr;

use crate::acl::AbfEntry;
use crate::classify::InputTables;
use crate::feature::{Features, InputFeature, OutputFeature};
use crate::id::{Family, SwIfIndex};
use crate::prefix::Prefix;
use crate::vlan::{RewriteSpec, SubSpec, TagRewrite, Tags};

/// Bytes that a frame may have on top of the L3 MTU: a link header with two tags.
pub(crate) const LINK_HEADER_MAX: u16 = 14 + 2 * 4;

/// What frames look like on a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LinkMode {
    #[default]
    Ethernet,
    /// Bare IP packets.
    Ip,
}

/// A device to be attached; how it moves frames is the device layer's business.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeviceSpec {
    pub name: String,
    pub dev_type: &'static str,
    pub mac: MacAddr,
    /// Biggest L3 packet the device takes.
    pub link_mtu: u16,
    pub mode: LinkMode,
    pub link_up: bool,
}

impl Default for DeviceSpec {
    fn default() -> Self {
        Self {
            name: String::new(),
            dev_type: "device",
            mac: MacAddr::ZERO,
            link_mtu: 9000,
            mode: LinkMode::Ethernet,
            link_up: false,
        }
    }
}

/// What an interface is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum InterfaceKind {
    Local,
    Device,
    Loopback {
        instance: u32,
    },
    Vxlan {
        instance: u32,
    },
    Ipip {
        instance: u32,
    },
    /// VLANs of another interface.
    Sub {
        parent: SwIfIndex,
    },
}

impl InterfaceKind {
    /// The interface that this one is a part of.
    pub const fn parent(self) -> Option<SwIfIndex> {
        match self {
            Self::Sub { parent } => Some(parent),
            Self::Local
            | Self::Device
            | Self::Loopback { .. }
            | Self::Vxlan { .. }
            | Self::Ipip { .. } => None,
        }
    }
}

/// How received frames are treated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum L2Config {
    /// Routed.
    #[default]
    L3,
    Xconnect(SwIfIndex),
    /// Port of the bridge with this index in the tables.
    Bridge {
        bridge: u32,
        shg: u8,
        bvi: bool,
    },
    /// Led into the segment routing policy with this index; `u32::MAX` = it is gone.
    SrPolicy(u32),
    /// What a segment routing proxy's function sends, for the local SID with this index.
    SrProxy(u32),
}

/// A check of source addresses against a table (RFC 3704).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrpfSpec {
    pub strict: bool,
    /// `None` = the interface's own table.
    pub table_id: Option<u32>,
}

/// A check of source addresses on an interface.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UrpfInfo {
    pub family: Family,
    pub is_input: bool,
    pub spec: UrpfSpec,
}

/// A check of source addresses as the data path sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Urpf {
    pub(crate) strict: bool,
    pub(crate) fib: u32,
}

/// Everything the writer knows about an interface.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InterfaceInfo {
    pub sw_if_index: SwIfIndex,
    pub name: String,
    pub dev_type: &'static str,
    pub tag: String,
    pub kind: InterfaceKind,
    pub mode: LinkMode,
    pub mac: MacAddr,
    pub admin_up: bool,
    pub link_up: bool,
    pub link_mtu: u16,
    /// L3, IPv4, IPv6, MPLS; 0 in the last three = use the first.
    pub mtu: [u32; 4],
    /// Own addresses with host bits and prefix length, in the order they were added.
    pub addresses: Vec<Prefix>,
    /// Lender of the addresses, when unnumbered.
    pub unnumbered: Option<SwIfIndex>,
    pub table4: u32,
    pub table6: u32,
    pub ip4_enabled: bool,
    pub ip6_enabled: bool,
    pub link_local: Ipv6Addr,
    pub l2: L2Config,
    pub acl_in: Vec<u32>,
    pub acl_out: Vec<u32>,
    /// Classifier tables that decide on input.
    pub classify_in: InputTables,
    pub proxy_arp: bool,
    /// Cloud NAT is enabled.
    pub cnat: bool,
    /// IPv4 and IPv6 packets are put together before other features see them.
    pub reassembly: [bool; 2],
    /// Packet functions on input and output.
    pub function_in: Option<u32>,
    pub function_out: Option<u32>,
    /// IPv4 before IPv6, input before output.
    pub urpf: Vec<UrpfInfo>,
    /// What it matches, when it is a sub-interface.
    pub sub: Option<SubSpec>,
    pub tag_rewrite: RewriteSpec,
}

impl InterfaceInfo {
    pub const fn table(&self, family: Family) -> u32 {
        match family {
            Family::V4 => self.table4,
            Family::V6 => self.table6,
        }
    }

    pub fn addresses_of(&self, family: Family) -> impl Iterator<Item = &Prefix> {
        self.addresses.iter().filter(move |p| p.family() == family)
    }
}

/// An interface as the data path sees it.
#[derive(Debug, Clone)]
pub struct Interface {
    pub(crate) kind: InterfaceKind,
    pub(crate) mode: LinkMode,
    pub(crate) admin_up: bool,
    pub(crate) mac: MacAddr,
    /// Biggest IPv4 and IPv6 packets.
    pub(crate) mtu4: u32,
    pub(crate) mtu6: u32,
    /// Biggest L3 packet of any kind.
    pub(crate) mtu_link: u32,
    pub(crate) l2: L2Config,
    pub(crate) fib4: u32,
    pub(crate) fib6: u32,
    pub(crate) ip4_enabled: bool,
    pub(crate) ip6_enabled: bool,
    /// Own addresses, or the lender's.
    pub(crate) addresses: Arc<[Prefix]>,
    pub(crate) link_local: Ipv6Addr,
    /// What the interface does to routed packets, per family.
    pub(crate) input4: Features<InputFeature>,
    pub(crate) input6: Features<InputFeature>,
    pub(crate) output4: Features<OutputFeature>,
    pub(crate) output6: Features<OutputFeature>,
    pub(crate) acl_in: Arc<[u32]>,
    pub(crate) acl_out: Arc<[u32]>,
    pub(crate) classify_in: InputTables,
    pub(crate) abf4: Arc<[AbfEntry]>,
    pub(crate) abf6: Arc<[AbfEntry]>,
    pub(crate) proxy_arp: bool,
    pub(crate) cnat: bool,
    pub(crate) nd_proxy: Arc<[Ipv6Addr]>,
    /// By family: input and output.
    pub(crate) urpf: [[Option<Urpf>; 2]; 2],
    pub(crate) function_in: Option<u32>,
    pub(crate) function_out: Option<u32>,
    pub(crate) has_subs: bool,
    /// Tags of routed packets, when this is a sub-interface that can route.
    pub(crate) tags: Option<Tags>,
    /// Tag rewrite of switched frames on their way in and out.
    pub(crate) tag_rewrite: Option<Arc<(TagRewrite, TagRewrite)>>,
    /// Local SIDs of the proxies whose functions are behind the interface.
    pub(crate) sr_proxy4: Option<u32>,
    pub(crate) sr_proxy6: Option<u32>,
}

impl Interface {
    pub(crate) const fn input(&self, family: Family) -> Features<InputFeature> {
        match family {
            Family::V4 => self.input4,
            Family::V6 => self.input6,
        }
    }

    pub(crate) const fn output(&self, family: Family) -> Features<OutputFeature> {
        match family {
            Family::V4 => self.output4,
            Family::V6 => self.output6,
        }
    }

    pub(crate) const fn urpf_in(&self, family: Family) -> Option<Urpf> {
        let [[v4, _], [v6, _]] = self.urpf;
        match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }

    pub(crate) const fn urpf_out(&self, family: Family) -> Option<Urpf> {
        let [[_, v4], [_, v6]] = self.urpf;
        match family {
            Family::V4 => v4,
            Family::V6 => v6,
        }
    }

    pub(crate) const fn sr_proxy(&self, family: Family) -> Option<u32> {
        match family {
            Family::V4 => self.sr_proxy4,
            Family::V6 => self.sr_proxy6,
        }
    }

    /// Tells whether `ip` is an address of this interface itself.
    pub(crate) fn has_address(&self, ip: IpAddr) -> bool {
        self.addresses.iter().any(|p| p.addr == ip)
            || (self.ip6_enabled && ip == IpAddr::V6(self.link_local))
    }

    /// The best own address to ask for, or answer, `peer` with.
    pub(crate) fn source_for(&self, peer: IpAddr) -> Option<IpAddr> {
        let family = Family::of(peer);
        let mut own = self.addresses.iter().filter(|p| p.family() == family);
        let first = own.clone().next();
        own.find(|p| p.contains(peer)).or(first).map(|p| p.addr)
    }

    pub(crate) fn is_ethernet(&self) -> bool {
        self.mode == LinkMode::Ethernet
    }
}
