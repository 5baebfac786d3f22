//! Routes and their paths, as the API states them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::id::{Family, SwIfIndex};
use crate::prefix::Prefix;

/// What a path does with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PathKind {
    #[default]
    Normal,
    Local,
    Drop,
    IcmpUnreach,
    IcmpProhibit,
}

/// One path of a route.
///
/// A normal path with a next hop and an interface is a neighbour; with an interface only it is attached;
/// with a next hop only it is recursive in `table_id`; with neither it is a lookup in `table_id`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RoutePath {
    pub kind: PathKind,
    pub family: Family,
    pub next_hop: IpAddr,
    pub sw_if_index: SwIfIndex,
    pub table_id: u32,
    /// 0 counts as 1.
    pub weight: u8,
    /// Lower is better; only the best preference forwards.
    pub preference: u8,
}

impl Default for RoutePath {
    fn default() -> Self {
        Self::of_kind(PathKind::Normal, Family::V4)
    }
}

impl RoutePath {
    pub const fn of_kind(kind: PathKind, family: Family) -> Self {
        let next_hop = match family {
            Family::V4 => IpAddr::V4(Ipv4Addr::UNSPECIFIED),
            Family::V6 => IpAddr::V6(Ipv6Addr::UNSPECIFIED),
        };
        Self {
            kind,
            family,
            next_hop,
            sw_if_index: SwIfIndex::NONE,
            table_id: 0,
            weight: 1,
            preference: 0,
        }
    }

    /// A path through a neighbour on a link.
    pub const fn via(next_hop: IpAddr, sw_if_index: SwIfIndex) -> Self {
        let mut path = Self::of_kind(PathKind::Normal, Family::of(next_hop));
        path.next_hop = next_hop;
        path.sw_if_index = sw_if_index;
        path
    }

    /// Tells whether two paths lead to the same place; weight and preference are not compared.
    pub fn same_target(&self, other: &Self) -> bool {
        (self.kind, self.next_hop, self.sw_if_index, self.table_id)
            == (
                other.kind,
                other.next_hop,
                other.sw_if_index,
                other.table_id,
            )
    }
}

/// A route in a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RouteInfo {
    pub table_id: u32,
    pub prefix: Prefix,
    pub paths: Vec<RoutePath>,
    pub stats_index: u32,
}

/// A table in a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableInfo {
    pub family: Family,
    pub table_id: u32,
    pub name: String,
    /// Fields that decide between equal paths.
    pub flow_hash: u32,
}
