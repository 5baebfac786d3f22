//! The reference model: lists, and what VPP's API says of them. Slow and plain on purpose.

use std::net::IpAddr;

use vswitch::acl::AclRule;
use vswitch::bridge::{BridgeFlags, PortType};
use vswitch::route::RoutePath;
use vswitch::{Family, Prefix};

use crate::step::Change;
use crate::wire::Mac;
use crate::world::{self, If};

mod bridge;
mod filter;
mod local;
mod report;
mod route;
mod walk;

pub use report::{Counter, Report};
pub(crate) use route::covers;

/// Everything that was configured or learned.
#[derive(Debug, Clone)]
pub struct Model {
    ports: Vec<Port>,
    neighbors: Vec<Neighbor>,
    routes: Vec<Route>,
    bridges: Vec<Bridge>,
    macs: Vec<MacEntry>,
    acls: Vec<Option<Vec<AclRule>>>,
    policies: Vec<Policy>,
    attachments: Vec<Attachment>,
}

#[derive(Debug, Clone)]
struct Port {
    index: If,
    kind: Kind,
    mac: Mac,
    is_up: bool,
    mtu: u32,
    /// Enabled without an address: IPv4, IPv6.
    enabled: [bool; 2],
    tables: [u32; 2],
    addresses: Vec<Prefix>,
    lender: Option<If>,
    l2: L2,
    acl_in: Vec<usize>,
    acl_out: Vec<usize>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Device,
    Loopback,
    Tunnel(usize),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum L2 {
    Routed,
    Xconnect(If),
    Bridged {
        bd_id: u32,
        group: u8,
        kind: PortType,
    },
}

#[derive(Debug, Clone)]
struct Neighbor {
    on: If,
    ip: IpAddr,
    mac: Mac,
    is_static: bool,
}

#[derive(Debug, Clone)]
struct Route {
    table: u32,
    prefix: Prefix,
    paths: Vec<RoutePath>,
}

#[derive(Debug, Clone)]
struct Bridge {
    bd_id: u32,
    flags: BridgeFlags,
    /// In the order in which they joined.
    members: Vec<If>,
}

#[derive(Debug, Clone)]
struct MacEntry {
    bd_id: u32,
    mac: Mac,
    /// `None` = filter.
    on: Option<If>,
    is_static: bool,
}

#[derive(Debug, Clone)]
struct Policy {
    id: u32,
    acl: usize,
    paths: Vec<RoutePath>,
}

#[derive(Debug, Clone)]
struct Attachment {
    id: u32,
    on: If,
    priority: u32,
    family: Family,
}

const fn column(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}

impl Model {
    /// The world before its first change; see [`crate::world`].
    pub fn new() -> Self {
        let ports = world::INTERFACES.map(|index| Port {
            index,
            kind: match world::TUNNELS.iter().position(|t| *t == index) {
                Some(tunnel) => Kind::Tunnel(tunnel),
                None if world::LOOPBACKS.contains(&index) => Kind::Loopback,
                None => Kind::Device,
            },
            mac: world::mac_of(index),
            // VPP makes tunnels that are up.
            is_up: world::TUNNELS.contains(&index),
            mtu: if world::DEVICES.contains(&index) {
                u32::from(world::DEVICE_MTU)
            } else {
                9000
            },
            enabled: [false; 2],
            tables: [0; 2],
            addresses: Vec::new(),
            lender: None,
            l2: L2::Routed,
            acl_in: Vec::new(),
            acl_out: Vec::new(),
        });
        let bridges = world::BRIDGES.map(|bd_id| Bridge {
            bd_id,
            flags: BridgeFlags {
                learn: true,
                forward: true,
                flood: true,
                uu_flood: true,
                arp_term: false,
                arp_ufwd: false,
            },
            members: Vec::new(),
        });
        Self {
            ports: ports.collect(),
            neighbors: Vec::new(),
            routes: Vec::new(),
            bridges: bridges.to_vec(),
            macs: Vec::new(),
            acls: vec![None; 4],
            policies: Vec::new(),
            attachments: Vec::new(),
        }
    }

    /// Makes a change, or refuses it: then nothing is changed.
    pub fn change(&mut self, change: &Change) -> bool {
        match change {
            Change::Up(on, up) => self.port_mut(*on).is_up = *up,
            Change::Mtu(on, mtu) => self.port_mut(*on).mtu = *mtu,
            Change::EnableIp(on, family, enabled) => {
                self.port_mut(*on).enabled[column(*family)] = *enabled;
            }
            Change::Address(on, prefix, is_add) => return self.address(*on, *prefix, *is_add),
            Change::Unnumbered(on, lender) => {
                if *lender == Some(*on) {
                    return false;
                }
                self.port_mut(*on).lender = *lender;
            }
            Change::Table(on, family, table) => return self.bind(*on, *family, *table),
            Change::Neighbor(on, ip, mac, is_add) => {
                let before = self.neighbors.len();
                self.neighbors.retain(|n| (n.on, n.ip) != (*on, *ip));
                if !is_add {
                    return self.neighbors.len() < before;
                }
                self.neighbors.push(Neighbor {
                    on: *on,
                    ip: *ip,
                    mac: *mac,
                    is_static: true,
                });
            }
            Change::Route {
                table,
                prefix,
                paths,
                is_add,
                is_multipath,
            } => return self.route(*table, *prefix, paths, *is_add, *is_multipath),
            Change::Bridge { .. }
            | Change::BridgeFlags(..)
            | Change::Xconnect(..)
            | Change::LeaveL2(_)
            | Change::L2Fib { .. } => return self.change_l2(change),
            Change::Acl(place, rules) => self.acls[*place] = Some(rules.clone()),
            Change::AclDelete(_) | Change::AclApply(..) => return self.change_acl(change),
            Change::AbfPolicy {
                id,
                acl,
                paths,
                is_add,
            } => return self.policy(*id, *acl, paths, *is_add),
            Change::AbfAttach {
                id,
                on,
                priority,
                family,
                is_add,
            } => return self.attach(*id, *on, *priority, *family, *is_add),
        }
        true
    }

    fn port(&self, on: If) -> &Port {
        self.ports
            .iter()
            .find(|p| p.index == on)
            .expect("interfaces of a world exist")
    }

    fn port_mut(&mut self, on: If) -> &mut Port {
        self.ports
            .iter_mut()
            .find(|p| p.index == on)
            .expect("interfaces of a world exist")
    }

    fn address(&mut self, on: If, prefix: Prefix, is_add: bool) -> bool {
        let addresses = &mut self.port_mut(on).addresses;
        let known = addresses.contains(&prefix);
        if is_add && !known {
            addresses.push(prefix);
        } else if !is_add {
            addresses.retain(|p| *p != prefix);
        }
        known != is_add
    }

    fn bind(&mut self, on: If, family: Family, table: u32) -> bool {
        let port = self.port_mut(on);
        if port.tables[column(family)] == table {
            return true;
        }
        if port.lender.is_some() || port.addresses.iter().any(|p| p.family() == family) {
            return false;
        }
        port.tables[column(family)] = table;
        self.neighbors
            .retain(|n| n.on != on || Family::of(n.ip) != family);
        true
    }

    fn route(
        &mut self,
        table: u32,
        prefix: Prefix,
        paths: &[RoutePath],
        is_add: bool,
        is_multipath: bool,
    ) -> bool {
        if is_add && paths.is_empty() {
            return false;
        }
        let is_it = |r: &Route| (r.table, r.prefix) == (table, prefix);
        let old = self.routes.iter().find(|r| is_it(r));
        let mut kept = match old {
            Some(route) if is_multipath => route.paths.clone(),
            _ => Vec::new(),
        };
        for path in paths {
            kept.retain(|p| !p.same_target(path));
            if is_add {
                kept.push(*path);
            }
        }
        self.routes.retain(|r| !is_it(r));
        if is_add || (is_multipath && !kept.is_empty()) {
            self.routes.push(Route {
                table,
                prefix,
                paths: kept,
            });
        }
        true
    }

    fn policy(&mut self, id: u32, acl: usize, paths: &[RoutePath], is_add: bool) -> bool {
        let is_attached = self.attachments.iter().any(|a| a.id == id);
        let has_acl = self.acls[acl].is_some();
        let old = self.policies.iter_mut().find(|p| p.id == id);
        let others = |old: &[RoutePath]| -> Vec<RoutePath> {
            let is_named = |p: &RoutePath| paths.iter().any(|new| new.same_target(p));
            old.iter().filter(|p| !is_named(p)).copied().collect()
        };
        match (old, is_add) {
            _ if paths.is_empty() => return false,
            (None, false) => return false,
            (_, true) if !has_acl => return false,
            (None, true) => self.policies.push(Policy {
                id,
                acl,
                paths: paths.to_vec(),
            }),
            (Some(policy), true) if policy.acl != acl => return false,
            (Some(policy), true) => {
                policy.paths = others(&policy.paths);
                policy.paths.extend(paths);
            }
            (Some(policy), false) => {
                let kept = others(&policy.paths);
                if kept.is_empty() && is_attached {
                    return false;
                }
                policy.paths = kept;
                self.policies.retain(|p| !p.paths.is_empty());
            }
        }
        true
    }

    fn attach(&mut self, id: u32, on: If, priority: u32, family: Family, is_add: bool) -> bool {
        let is_known = self.policies.iter().any(|p| p.id == id);
        let is_attached = self.attachments.iter().any(|a| (a.id, a.on) == (id, on));
        if !is_known || is_attached == is_add {
            return false;
        }
        if is_add {
            self.attachments.push(Attachment {
                id,
                on,
                priority,
                family,
            });
        } else {
            self.attachments.retain(|a| (a.id, a.on) != (id, on));
        }
        true
    }
}

impl Default for Model {
    fn default() -> Self {
        Self::new()
    }
}

impl Port {
    fn is_enabled(&self, family: Family) -> bool {
        self.enabled[column(family)]
            || self.lender.is_some()
            || self.addresses.iter().any(|p| p.family() == family)
    }

    fn is_bvi(&self) -> bool {
        matches!(
            self.l2,
            L2::Bridged {
                kind: PortType::Bvi,
                ..
            }
        )
    }

    fn table(&self, family: Family) -> u32 {
        self.tables[column(family)]
    }
}
