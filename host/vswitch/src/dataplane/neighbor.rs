//! Neighbours, configured and learned, and the adjacencies that rewrite packets to them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, Ipv4Addr};

use packet::MacAddr;

use super::pool::Pool;
use super::route::{Choice, Source};
use super::{Dataplane, Result};
use crate::dpo::{Adjacency, Rewrite};
use crate::error::ApiError;
use crate::event::{Event, Notice};
use crate::id::{Family, Nanos, SwIfIndex};
use crate::interface::LinkMode;
use crate::neighbor::{NeighborFlags, NeighborInfo, NeighborLimits};
use crate::prefix::Prefix;
use crate::route::RoutePath;

/// Questions to a neighbour that does not answer, one a second, before it is forgotten.
const PROBES_MAX: u8 = 3;
/// Questions of one second.
const PROBES_PER_TURN: usize = 256;

type Key = (SwIfIndex, IpAddr);

#[derive(Debug, Clone, Copy)]
struct Neighbor {
    mac: MacAddr,
    flags: NeighborFlags,
    updated: Nanos,
    probes: u8,
}

/// Neighbours and adjacencies.
#[derive(Debug, Default)]
pub(super) struct NeighborState {
    known: BTreeMap<Key, Neighbor>,
    /// Index and number of holders.
    adjacencies: BTreeMap<Key, (u32, u32)>,
    pool: Pool,
    stale: Option<BTreeSet<Key>>,
    /// Learned ones, the oldest first.
    by_age: BTreeSet<(Nanos, Key)>,
    /// IPv4 and IPv6.
    counts: [usize; 2],
    limits: [NeighborLimits; 2],
    probes: Vec<Key>,
}

const FIRST: IpAddr = IpAddr::V4(Ipv4Addr::UNSPECIFIED);

impl Dataplane {
    /// Adds, replaces or deletes a neighbour. Deleting one that is not there gives
    /// [`ApiError::NoSuchEntry`].
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`], [`ApiError::NoSuchEntry`], [`ApiError::LimitExceeded`].
    pub fn ip_neighbor_add_del(
        &mut self,
        on: SwIfIndex,
        ip: IpAddr,
        mac: MacAddr,
        flags: NeighborFlags,
        is_add: bool,
        now: Nanos,
    ) -> Result<u32> {
        self.interface(on)?;
        if is_add {
            match self.neighbors.known.get(&(on, ip)).copied() {
                // A configured neighbour is only replaced by a configured one; the code is VPP's.
                Some(old) if old.flags.is_static && !flags.is_static && old.mac != mac => {
                    return Err(ApiError::InvalidSwIfIndex);
                }
                Some(_) => {}
                None if !self.make_room(Family::of(ip)) => return Err(ApiError::LimitExceeded),
                None => {}
            }
            Ok(self.set_neighbor(
                (on, ip),
                Neighbor {
                    mac,
                    flags,
                    updated: now,
                    probes: 0,
                },
            ))
        } else if self.neighbors.known.contains_key(&(on, ip)) {
            self.remove_neighbor((on, ip));
            Ok(u32::MAX)
        } else {
            Err(ApiError::NoSuchEntry)
        }
    }

    /// Deletes the learned and configured neighbours of a family, on one interface or all.
    pub fn ip_neighbor_flush(&mut self, family: Family, on: Option<SwIfIndex>) {
        let matches = |key: &Key| Family::of(key.1) == family && on.is_none_or(|on| on == key.0);
        let keys: Vec<_> = self
            .neighbors
            .known
            .keys()
            .filter(|k| matches(k))
            .copied()
            .collect();
        keys.into_iter().for_each(|key| self.remove_neighbor(key));
    }

    /// Marks all neighbours; [`Dataplane::ip_neighbor_replace_end`] deletes those not added again.
    pub fn ip_neighbor_replace_begin(&mut self) {
        self.neighbors.stale = Some(self.neighbors.known.keys().copied().collect());
    }

    pub fn ip_neighbor_replace_end(&mut self) {
        let stale = self.neighbors.stale.take().unwrap_or_default();
        stale.into_iter().for_each(|key| self.remove_neighbor(key));
    }

    /// Neighbours of a family, on one interface or all.
    pub fn ip_neighbors(&self, family: Family, on: Option<SwIfIndex>) -> Vec<NeighborInfo> {
        let all = self.neighbors.known.iter();
        all.filter(|((index, ip), _)| Family::of(*ip) == family && on.is_none_or(|on| on == *index))
            .map(|(&(sw_if_index, ip), n)| NeighborInfo {
                sw_if_index,
                ip,
                mac: n.mac,
                flags: n.flags,
                updated: n.updated,
            })
            .collect()
    }

    /// Takes what a worker learned. Stale events (about interfaces or bridges that are gone) are ignored.
    pub fn handle_event(&mut self, event: Event, now: Nanos) {
        match event {
            Event::MacLearned {
                bridge,
                mac,
                sw_if_index,
            } => self.learn_mac(bridge, mac, sw_if_index, now),
            Event::NeighborLearned {
                sw_if_index,
                ip,
                mac,
            } => self.learn_neighbor((sw_if_index, ip), mac, now),
        }
    }

    fn learn_neighbor(&mut self, key: Key, mac: MacAddr, now: Nanos) {
        if !self.interfaces.contains_key(&key.0) {
            return;
        }
        match self.neighbors.known.get_mut(&key) {
            Some(known) if known.flags.is_static => return,
            Some(known) if known.mac == mac => {
                self.neighbors.by_age.remove(&(known.updated, key));
                self.neighbors.by_age.insert((now, key));
                (known.updated, known.probes) = (now, 0);
                return;
            }
            Some(_) => {}
            None => {
                if !self.make_room(Family::of(key.1)) {
                    return;
                }
            }
        }
        self.set_neighbor(
            key,
            Neighbor {
                mac,
                flags: NeighborFlags::default(),
                updated: now,
                probes: 0,
            },
        );
    }

    /// Sets the limits of a family.
    pub fn ip_neighbor_config(&mut self, family: Family, limits: NeighborLimits) {
        if let Some(place) = self.neighbors.limits.get_mut(at(family)) {
            *place = limits;
        }
    }

    pub fn ip_neighbor_limits(&self, family: Family) -> NeighborLimits {
        let all = &self.neighbors.limits;
        all.get(at(family)).copied().unwrap_or_default()
    }

    /// Takes the next neighbour that is to be asked whether it is still there.
    pub fn poll_probe(&mut self) -> Option<(SwIfIndex, IpAddr)> {
        self.neighbors.probes.pop()
    }

    /// Asks neighbours that are too old, and forgets those that do not answer. Call about once a second.
    pub(super) fn age_neighbors(&mut self, now: Nanos) {
        let is_old = |(updated, key): &&(Nanos, Key)| {
            let age = u64::from(self.ip_neighbor_limits(Family::of(key.1)).max_age);
            age > 0 && now.0.saturating_sub(updated.0) > age * 1_000_000_000
        };
        let old: Vec<Key> = self
            .neighbors
            .by_age
            .iter()
            .filter(is_old)
            .take(PROBES_PER_TURN)
            .map(|(_, key)| *key)
            .collect();
        self.neighbors.probes.clear();
        for key in old {
            match self.neighbors.known.get_mut(&key) {
                Some(known) if known.probes < PROBES_MAX => {
                    known.probes += 1;
                    self.neighbors.probes.push(key);
                }
                _ => self.remove_neighbor(key),
            }
        }
    }

    /// Tells whether there is room for another neighbour, and makes it if that is allowed.
    fn make_room(&mut self, family: Family) -> bool {
        let limits = self.ip_neighbor_limits(family);
        let count = self.neighbors.counts.get(at(family)).copied().unwrap_or(0);
        if limits.max_number == 0 || count < limits.max_number as usize {
            return true;
        }
        let mut all = self.neighbors.by_age.iter();
        let oldest = all.find(|(_, (_, ip))| Family::of(*ip) == family);
        match oldest.map(|(_, key)| *key).filter(|_| limits.recycle) {
            Some(key) => {
                self.remove_neighbor(key);
                true
            }
            None => false,
        }
    }

    fn set_neighbor(&mut self, key: Key, neighbor: Neighbor) -> u32 {
        if let Some(stale) = &mut self.neighbors.stale {
            stale.remove(&key);
        }
        let old = self.neighbors.known.insert(key, neighbor);
        let is_new = old.is_none();
        if let Some(old) = old {
            self.neighbors.by_age.remove(&(old.updated, key));
        } else if let Some(count) = self.neighbors.counts.get_mut(at(Family::of(key.1))) {
            *count += 1;
        }
        if !neighbor.flags.is_static {
            self.neighbors.by_age.insert((neighbor.updated, key));
        }
        // The neighbour itself holds its adjacency once.
        let index = if is_new {
            self.acquire_adjacency(key)
        } else {
            self.neighbors
                .adjacencies
                .get(&key)
                .map_or(u32::MAX, |a| a.0)
        };
        self.rewrite_adjacency(key);
        let (on, ip) = key;
        if makes_route(ip) && !neighbor.flags.no_fib_entry {
            let fib = self.interfaces.get(&on).map_or(0, |i| {
                self.fib_index(Family::of(ip), i.table(Family::of(ip)))
            });
            self.add_source(
                fib,
                Prefix::host(ip),
                Source::Neighbor,
                vec![Choice::path(RoutePath::via(ip, on))],
            );
        }
        self.notify(Notice::NeighborAdded {
            sw_if_index: on,
            ip,
            mac: neighbor.mac,
        });
        index
    }

    fn remove_neighbor(&mut self, key: Key) {
        let Some(neighbor) = self.neighbors.known.remove(&key) else {
            return;
        };
        self.neighbors.by_age.remove(&(neighbor.updated, key));
        if let Some(count) = self.neighbors.counts.get_mut(at(Family::of(key.1))) {
            *count -= 1;
        }
        let (on, ip) = key;
        if let Some(interface) = self.interfaces.get(&on) {
            let family = Family::of(ip);
            let fib = self.fib_index(family, interface.table(family));
            self.remove_source(fib, Prefix::host(ip), Source::Neighbor);
        }
        self.rewrite_adjacency(key);
        self.release_adjacency(key);
        self.notify(Notice::NeighborRemoved {
            sw_if_index: on,
            ip,
            mac: neighbor.mac,
        });
    }

    pub(super) fn remove_neighbors_on(&mut self, on: SwIfIndex) {
        self.remove_neighbors_where(on, |_| true);
    }

    pub(super) fn remove_neighbors_of_family(&mut self, on: SwIfIndex, family: Family) {
        self.remove_neighbors_where(on, |ip| Family::of(ip) == family);
    }

    fn remove_neighbors_where(&mut self, on: SwIfIndex, matches: impl Fn(IpAddr) -> bool) {
        let all = self
            .neighbors
            .known
            .range((on, FIRST)..)
            .take_while(|((index, _), _)| *index == on);
        let keys: Vec<_> = all
            .map(|(key, _)| *key)
            .filter(|key| matches(key.1))
            .collect();
        keys.into_iter().for_each(|key| self.remove_neighbor(key));
    }

    pub(super) fn rewrite_adjacencies_on(&mut self, on: SwIfIndex) {
        let all = self
            .neighbors
            .adjacencies
            .range((on, FIRST)..)
            .take_while(|((index, _), _)| *index == on);
        let keys: Vec<_> = all.map(|(key, _)| *key).collect();
        keys.into_iter().for_each(|key| self.rewrite_adjacency(key));
    }

    /// Counts packets by adjacency, or no more; as in VPP they are not counted at first.
    pub fn count_adjacencies(&mut self, on: bool) {
        self.tables.counts_adjacencies = on;
        self.dirty = true;
    }

    /// Number of rows in the counters of adjacencies.
    pub fn adjacency_rows(&self) -> u32 {
        let used = self
            .neighbors
            .adjacencies
            .values()
            .map(|(index, _)| index + 1);
        used.max().unwrap_or(0)
    }

    pub(super) fn acquire_adjacency(&mut self, key: Key) -> u32 {
        if let Some((index, holders)) = self.neighbors.adjacencies.get_mut(&key) {
            *holders += 1;
            return *index;
        }
        let index = self.neighbors.pool.take();
        self.counters.iter().for_each(|c| c.clear_adjacency(index));
        self.neighbors.adjacencies.insert(key, (index, 1));
        self.tables.adjacency_of.insert(key, index);
        self.rewrite_adjacency(key);
        index
    }

    pub(super) fn release_adjacency(&mut self, key: Key) {
        let Some((index, holders)) = self.neighbors.adjacencies.get_mut(&key) else {
            return;
        };
        *holders -= 1;
        if *holders > 0 {
            return;
        }
        let index = *index;
        self.neighbors.adjacencies.remove(&key);
        self.tables.adjacency_of.remove(&key);
        self.tables.adjacencies.remove(index);
        self.neighbors.pool.give_back(index);
        self.dirty = true;
    }

    /// Makes an adjacency say what is known about its neighbour.
    fn rewrite_adjacency(&mut self, key: Key) {
        let Some((index, _)) = self.neighbors.adjacencies.get(&key).copied() else {
            return;
        };
        let (sw_if_index, next_hop) = key;
        let rewrite =
            self.interfaces
                .get(&sw_if_index)
                .and_then(|interface| match interface.mode {
                    LinkMode::Ip => Some(Rewrite::None),
                    LinkMode::Ethernet => {
                        self.neighbors.known.get(&key).map(|n| Rewrite::Ethernet {
                            dst: n.mac,
                            src: interface.mac,
                        })
                    }
                });
        self.tables.adjacencies.set(
            index,
            Adjacency {
                sw_if_index,
                next_hop,
                rewrite,
            },
        );
        self.dirty = true;
    }
}

/// Link-local addresses are of a link, not of a table.
const fn makes_route(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => !v4.is_unspecified(),
        IpAddr::V6(v6) => !v6.is_unicast_link_local() && !v6.is_unspecified(),
    }
}

/// Place of a family in pairs.
const fn at(family: Family) -> usize {
    match family {
        Family::V4 => 0,
        Family::V6 => 1,
    }
}
