//! Where packets go: all prefixes in one list, the longest that matches, the best source that made it.

use std::net::{IpAddr, Ipv4Addr};

use vswitch::route::{PathKind, RoutePath};
use vswitch::{Family, Prefix};

use super::{Model, Port};
use crate::world::If;

/// One way on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hop {
    Drop,
    Unreachable,
    Prohibit,
    Local,
    /// The destination, or the next hop so far, is on this link.
    Attached(If),
    Neighbor(If, IpAddr),
    Lookup(u32),
    Recursive(u32, IpAddr),
}

/// Who made a route, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Source {
    Interface,
    Api,
    Neighbor,
    Default,
}

type Candidate = (Prefix, Source, Vec<Hop>);

impl Model {
    /// All hops among which a packet to `address` is spread; never empty.
    pub(super) fn hops(&self, table: u32, address: IpAddr) -> Vec<Hop> {
        let mut all = Vec::new();
        for port in &self.ports {
            if port.table(Family::of(address)) == table {
                self.of_interface(port, &mut all);
            }
        }
        for neighbor in &self.neighbors {
            let port = self.port(neighbor.on);
            if port.table(Family::of(neighbor.ip)) == table {
                let hop = self.if_up(neighbor.on, Hop::Neighbor(neighbor.on, neighbor.ip));
                all.push((Prefix::host(neighbor.ip), Source::Neighbor, vec![hop]));
            }
        }
        for route in self.routes.iter().filter(|r| r.table == table) {
            all.push((route.prefix, Source::Api, self.forwarding(&route.paths)));
        }
        for (bits, len) in [(0, 0), (0, 32), (224, 4), (240, 4)] {
            let addr = Ipv4Addr::new(bits, 0, 0, 0).into();
            all.push((Prefix { addr, len }, Source::Default, vec![Hop::Drop]));
        }
        let broadcast = Prefix::host(Ipv4Addr::BROADCAST.into());
        all.push((broadcast, Source::Default, vec![Hop::Drop]));
        all.push((Prefix::any(Family::V6), Source::Default, vec![Hop::Drop]));
        let best = all
            .into_iter()
            .filter(|(prefix, ..)| covers(*prefix, address))
            .max_by_key(|(prefix, source, _)| (prefix.len, std::cmp::Reverse(*source)));
        best.map_or(vec![Hop::Drop], |(_, _, hops)| hops)
    }

    /// What paths say: only those of the best preference whose link is up.
    pub(super) fn forwarding(&self, paths: &[RoutePath]) -> Vec<Hop> {
        let is_usable = |p: &&RoutePath| {
            p.kind != PathKind::Normal
                || p.sw_if_index.is_none()
                || self.port(p.sw_if_index.0).is_up
        };
        let usable: Vec<_> = paths.iter().filter(is_usable).collect();
        let best = usable.iter().map(|p| p.preference).min();
        let mut hops = Vec::new();
        for path in usable {
            if Some(path.preference) == best && !hops.contains(&hop(path)) {
                hops.push(hop(path));
            }
        }
        if hops.is_empty() {
            hops.push(Hop::Drop);
        }
        hops
    }

    fn of_interface(&self, port: &Port, all: &mut Vec<Candidate>) {
        for own in &port.addresses {
            let mut add = |addr, len, hop| {
                all.push((Prefix { addr, len }, Source::Interface, vec![hop]));
            };
            add(
                own.masked().addr,
                own.len,
                self.if_up(port.index, Hop::Attached(port.index)),
            );
            if let IpAddr::V4(network) = own.masked().addr {
                let last = network.to_bits() | (u32::MAX >> own.len);
                add(network.into(), 32, Hop::Drop);
                add(Ipv4Addr::from_bits(last).into(), 32, Hop::Drop);
            }
            add(own.addr, Family::of(own.addr).bits(), Hop::Local);
        }
    }

    fn if_up(&self, on: If, hop: Hop) -> Hop {
        if self.port(on).is_up { hop } else { Hop::Drop }
    }
}

fn hop(path: &RoutePath) -> Hop {
    match path.kind {
        PathKind::Local => Hop::Local,
        PathKind::Drop => Hop::Drop,
        PathKind::IcmpUnreach => Hop::Unreachable,
        PathKind::IcmpProhibit => Hop::Prohibit,
        PathKind::Normal => match (path.next_hop.is_unspecified(), path.sw_if_index.is_none()) {
            (false, false) => Hop::Neighbor(path.sw_if_index.0, path.next_hop),
            (true, false) => Hop::Attached(path.sw_if_index.0),
            (false, true) => Hop::Recursive(path.table_id, path.next_hop),
            (true, true) => Hop::Lookup(path.table_id),
        },
    }
}

/// Compares bit by bit.
pub(crate) fn covers(prefix: Prefix, address: IpAddr) -> bool {
    let bits = |ip: IpAddr| match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    };
    let (a, b) = (bits(prefix.addr), bits(address));
    let same = |at: usize| (a[at / 8] ^ b[at / 8]) << (at % 8) & 0x80 == 0;
    a.len() == b.len() && (0..usize::from(prefix.len)).all(same)
}
