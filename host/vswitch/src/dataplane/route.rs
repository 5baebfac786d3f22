//! Routes: several sources may own a prefix; the best one forwards.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use super::paths::{Paths, Sources};
use super::{Dataplane, Result};
use crate::counters::ROUTES_COUNTED_MAX;
use crate::dpo::Dpo;
use crate::error::ApiError;
use crate::id::{Family, SwIfIndex};
use crate::prefix::Prefix;
use crate::route::{PathKind, RouteInfo, RoutePath};

/// A route: FIB index and masked prefix.
pub(super) type RouteUse = (u32, Prefix);

/// Who made a route, best first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Source {
    Cnat,
    Interface,
    Sr,
    Api,
    Neighbor,
    Default,
}

/// One path of a source.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Choice {
    pub(super) target: Target,
    /// Interface that the path needs; it is not used while that is down.
    pub(super) on: SwIfIndex,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Target {
    Fixed(Dpo),
    Path(RoutePath),
}

impl Choice {
    pub(super) const fn fixed(dpo: Dpo, on: SwIfIndex) -> Self {
        Self {
            target: Target::Fixed(dpo),
            on,
        }
    }

    pub(super) const fn path(path: RoutePath) -> Self {
        Self {
            target: Target::Path(path),
            on: path.sw_if_index,
        }
    }

    /// The path as a dump shows it.
    fn shown(&self, family: Family) -> RoutePath {
        let of = |kind| RoutePath::of_kind(kind, family);
        match self.target {
            Target::Path(path) => path,
            Target::Fixed(Dpo::Local) => RoutePath {
                sw_if_index: self.on,
                ..of(PathKind::Local)
            },
            Target::Fixed(Dpo::Glean(on)) => RoutePath {
                sw_if_index: on,
                ..of(PathKind::Normal)
            },
            Target::Fixed(_) => of(PathKind::Drop),
        }
    }
}

/// A route, of which there may be millions: it has no memory of its own elsewhere unless it has several sources.
#[derive(Debug)]
pub(super) struct RouteEntry {
    sources: Sources,
    stats_index: u32,
    /// What the FIB leads to, once the route is installed.
    load_balance: u32,
}

const _: () = assert!(size_of::<RouteEntry>() == 24 && size_of::<RouteUse>() == 24);

/// Stands for no load balance yet.
const NOT_INSTALLED: u32 = u32::MAX;

impl Dataplane {
    /// Adds, replaces or deletes API paths of a prefix, and gives the route's statistics index.
    ///
    /// Adding without `is_multipath` replaces all API paths; with it, paths are added, or their weights
    /// changed. Deleting without it removes the API's whole route. Deleting what is not there succeeds.
    /// Host bits are ignored.
    ///
    /// # Errors
    /// [`ApiError::NoSuchFib`] for the table or that of a next hop, [`ApiError::NoPathsInRoute`],
    /// [`ApiError::InvalidSwIfIndex`] for a path, [`ApiError::InvalidValue`] for a path of the other family.
    pub fn ip_route_add_del(
        &mut self,
        table_id: u32,
        prefix: Prefix,
        paths: &[RoutePath],
        is_add: bool,
        is_multipath: bool,
    ) -> Result<u32> {
        let family = prefix.family();
        let fib = self.fib_of(family, table_id)?;
        let prefix = Prefix::new(prefix.addr, prefix.len)?.masked();
        if is_add && paths.is_empty() {
            return Err(ApiError::NoPathsInRoute);
        }
        if is_add {
            self.check_paths(family, paths)?;
            if let Some(table) = self.ip_tables.get_mut(&(family, table_id))
                && let Some(stale) = &mut table.stale
            {
                stale.remove(&prefix);
            }
        }
        let mut choices = match self
            .routes
            .get(&(fib, prefix))
            .and_then(|e| e.sources.get(Source::Api))
        {
            Some(old) if is_multipath => old.to_vec(),
            _ => Vec::new(),
        };
        for path in paths {
            choices.retain(|c| !matches!(c.target, Target::Path(p) if p.same_target(path)));
            if is_add {
                choices.push(Choice::path(RoutePath {
                    weight: path.weight.max(1),
                    ..*path
                }));
            }
        }
        if !is_add && !is_multipath {
            choices.clear();
        }
        if choices.is_empty() {
            self.remove_source(fib, prefix, Source::Api);
        } else {
            self.add_source(fib, prefix, Source::Api, choices);
        }
        Ok(self
            .routes
            .get(&(fib, prefix))
            .map_or(u32::MAX, |e| e.stats_index))
    }

    /// Routes of all sources with the paths that forward; empty for an unknown table.
    pub fn ip_routes(&self, family: Family, table_id: u32) -> Vec<RouteInfo> {
        let Ok(fib) = self.fib_of(family, table_id) else {
            return Vec::new();
        };
        let all = self
            .routes
            .range((fib, FIRST)..)
            .take_while(|((f, _), _)| *f == fib);
        all.map(|((_, prefix), entry)| info(table_id, *prefix, entry))
            .collect()
    }

    /// # Errors
    /// [`ApiError::NoSuchFib`], [`ApiError::NoSuchEntry`].
    pub fn ip_route_lookup(&self, table_id: u32, prefix: Prefix, exact: bool) -> Result<RouteInfo> {
        let fib = self.fib_of(prefix.family(), table_id)?;
        let lengths = if exact {
            prefix.len..=prefix.len
        } else {
            0..=prefix.len
        };
        let found = lengths.rev().find_map(|len| {
            let key = Prefix {
                addr: prefix.addr,
                len,
            }
            .masked();
            Some((key, self.routes.get(&(fib, key))?))
        });
        found
            .map(|(key, entry)| info(table_id, key, entry))
            .ok_or(ApiError::NoSuchEntry)
    }

    pub(super) fn check_paths(&self, family: Family, paths: &[RoutePath]) -> Result<()> {
        for path in paths {
            if path.family != family || Family::of(path.next_hop) != family {
                return Err(ApiError::InvalidValue);
            }
            if path.sw_if_index.is_none() {
                self.fib_of(family, path.table_id)?;
            } else {
                self.interface(path.sw_if_index)?;
            }
        }
        Ok(())
    }

    pub(super) fn add_special_routes(&mut self, family: Family, fib: u32) {
        let v4: [(u32, u8); 5] = [
            (0, 0),
            (0, 32),
            (0xe000_0000, 4),
            (0xf000_0000, 4),
            (u32::MAX, 32),
        ];
        let prefixes = match family {
            Family::V4 => v4
                .map(|(bits, len)| Prefix {
                    addr: std::net::Ipv4Addr::from_bits(bits).into(),
                    len,
                })
                .to_vec(),
            Family::V6 => vec![Prefix::any(Family::V6)],
        };
        for prefix in prefixes {
            self.add_source(
                fib,
                prefix,
                Source::Default,
                vec![Choice::fixed(Dpo::Drop, SwIfIndex::NONE)],
            );
        }
    }

    /// Number of rows in the counters of routes.
    pub fn route_rows(&self) -> u32 {
        self.route_stats_pool.size().min(ROUTES_COUNTED_MAX)
    }

    pub(super) fn add_source(
        &mut self,
        fib: u32,
        prefix: Prefix,
        source: Source,
        choices: Vec<Choice>,
    ) {
        let key = (fib, prefix);
        self.index_interfaces(key, false);
        let paths = self.path_lists.share(choices);
        if let Some(entry) = self.routes.get_mut(&key) {
            let old = entry.sources.set(source, paths);
            self.release_paths(old);
        } else {
            let stats_index = self.route_stats_pool.take();
            self.counters
                .iter()
                .for_each(|c| c.clear_route(stats_index));
            let entry = RouteEntry {
                sources: Sources::One(source, paths),
                stats_index,
                load_balance: NOT_INSTALLED,
            };
            self.routes.insert(key, entry);
        }
        self.install(key);
    }

    pub(super) fn remove_source(&mut self, fib: u32, prefix: Prefix, source: Source) {
        let key = (fib, prefix);
        self.index_interfaces(key, false);
        let Some(entry) = self.routes.get_mut(&key) else {
            return;
        };
        if matches!(entry.sources, Sources::One(only, _) if only == source) {
            return self.withdraw(key);
        }
        let old = entry.sources.remove(source);
        self.release_paths(old);
        self.install(key);
    }

    fn release_paths(&mut self, all: impl IntoIterator<Item = Paths>) {
        for paths in all {
            self.path_lists.release(paths);
        }
    }

    /// Removes a route whatever its sources.
    pub(super) fn withdraw(&mut self, key: RouteUse) {
        self.index_interfaces(key, false);
        let Some(entry) = self.routes.remove(&key) else {
            return;
        };
        if let Some(fib) = self.tables.fibs.get_mut(key.0) {
            fib.remove(key.1);
        }
        if entry.load_balance != NOT_INSTALLED {
            self.unshare_load_balance(entry.load_balance);
        }
        self.release_paths(entry.sources.into_paths());
        self.route_stats_pool.give_back(entry.stats_index);
        self.dirty = true;
    }

    pub(super) fn forget_routes_of(&mut self, fib: u32) {
        let keys: Vec<_> = self
            .routes
            .range((fib, FIRST)..)
            .take_while(|((f, _), _)| *f == fib)
            .map(|(k, _)| *k)
            .collect();
        for key in keys {
            self.withdraw(key);
        }
    }

    /// Rebuilds the routes with a path on an interface: it went up or down.
    pub(super) fn reinstall_routes_on(&mut self, index: SwIfIndex) {
        for key in self.routes_with(index) {
            self.install(key);
        }
        self.rebuild_abf_on(index);
    }

    /// Removes all paths on an interface that goes away.
    pub(super) fn forget_paths_on(&mut self, index: SwIfIndex) {
        for key in self.routes_with(index) {
            self.index_interfaces(key, false);
            let Some(entry) = self.routes.get_mut(&key) else {
                continue;
            };
            let mut kept = BTreeMap::new();
            for (source, paths) in entry.sources.iter() {
                let others = paths.iter().filter(|c| c.on != index).copied();
                let others: Vec<_> = others.collect();
                if !others.is_empty() {
                    kept.insert(source, self.path_lists.share(others));
                }
            }
            let Some(kept) = Sources::of(kept) else {
                self.withdraw(key);
                continue;
            };
            let old = std::mem::replace(&mut entry.sources, kept);
            self.release_paths(old.into_paths());
            self.install(key);
        }
        self.forget_abf_paths_on(index);
    }

    pub(super) fn api_prefixes(&self, family: Family, table_id: u32) -> BTreeSet<Prefix> {
        let Ok(fib) = self.fib_of(family, table_id) else {
            return BTreeSet::new();
        };
        let all = self
            .routes
            .range((fib, FIRST)..)
            .take_while(|((f, _), _)| *f == fib);
        all.filter(|(_, e)| e.sources.get(Source::Api).is_some())
            .map(|((_, p), _)| *p)
            .collect()
    }

    /// Tells whether a route, tunnel or policy refers to a table. Asked only when a table is deleted.
    pub(super) fn is_table_named(&self, family: Family, table_id: u32) -> bool {
        let names = |path: &RoutePath| {
            path.family == family
                && path.table_id == table_id
                && path.sw_if_index.is_none()
                && path.kind == PathKind::Normal
        };
        let by_route = self
            .routes
            .values()
            .flat_map(|e| e.sources.choices())
            .any(|c| matches!(&c.target, Target::Path(p) if names(p)));
        by_route
            || self.abf.paths().any(names)
            || self.sr.names_table(family, table_id)
            || self.classify.names_table(family, table_id)
            || self.path_mtus.names_table(family, table_id)
            || self
                .vxlans
                .values()
                .any(|v| Family::of(v.dst) == family && v.encap_table == table_id)
            || self
                .ipips
                .values()
                .any(|t| Family::of(t.dst) == family && t.table_id == table_id)
    }

    fn routes_with(&self, index: SwIfIndex) -> Vec<RouteUse> {
        let all = self
            .routes_on
            .range((index, (0, FIRST))..)
            .take_while(|(on, _)| *on == index);
        all.map(|(_, key)| *key).collect()
    }

    /// Keeps the index from interfaces to routes; call with `false` before, with `true` after a change.
    fn index_interfaces(&mut self, key: RouteUse, on: bool) {
        let Some(entry) = self.routes.get(&key) else {
            return;
        };
        for choice in entry.sources.choices().filter(|c| !c.on.is_none()) {
            if on {
                self.routes_on.insert((choice.on, key));
            } else {
                self.routes_on.remove(&(choice.on, key));
            }
        }
    }

    /// Makes the data path follow the best source of a route.
    fn install(&mut self, key: RouteUse) {
        self.index_interfaces(key, true);
        let Some(entry) = self.routes.get_mut(&key) else {
            return;
        };
        let choices = entry.sources.best().to_vec();
        let (old, stats_index) = (entry.load_balance, entry.stats_index);
        let index = self.share_load_balance(&choices, stats_index);
        if let Some(entry) = self.routes.get_mut(&key) {
            entry.load_balance = index;
        }
        if old != index
            && let Some(fib) = self.tables.fibs.get_mut(key.0)
        {
            fib.insert(key.1, index);
        }
        if old != NOT_INSTALLED {
            self.unshare_load_balance(old);
        }
        self.dirty = true;
    }
}

/// The smallest prefix.
const FIRST: Prefix = Prefix {
    addr: IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
    len: 0,
};

fn info(table_id: u32, prefix: Prefix, entry: &RouteEntry) -> RouteInfo {
    let paths = entry
        .sources
        .best()
        .iter()
        .map(|c| c.shown(prefix.family()))
        .collect();
    RouteInfo {
        table_id,
        prefix,
        paths,
        stats_index: entry.stats_index,
    }
}
