//! Translations of cloud NAT: virtual endpoints, their paths, and the sessions that hang on them.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use super::pool::Pool;
use super::route::{Choice, Source};
use super::{Dataplane, Result};
use crate::cnat::service::{Backend, Hits, Service, Vip};
use crate::cnat::session::TRACKER_MAX;
use crate::cnat::{
    Balance, Endpoint, NO_CLIENT, PATH_ACTIVE, PATH_NO_NAT, PATHS_MAX, Path, PathInfo, Place,
    Resolved, SessionInfo, TranslationInfo, TranslationSpec,
};
use crate::dpo::Dpo;
use crate::error::ApiError;
use crate::id::{Family, Nanos, SwIfIndex};
use crate::prefix::Prefix;

mod snat;

use snat::SnatState;

/// Sessions up to which those of a removed path end at once; of more, at the next call of `handle_timeout`.
const EAGER_MAX: usize = 65_536;

#[derive(Debug)]
struct TrackedPath {
    dst: Resolved,
    src: Resolved,
    no_nat: bool,
    tracker: u32,
}

impl TrackedPath {
    fn backend(&self) -> Option<Backend> {
        Some(Backend {
            dst: self.dst.address?,
            dst_port: self.dst.endpoint.port,
            src: self.src.address?,
            src_port: self.src.endpoint.port,
            no_nat: self.no_nat,
            tracker: self.tracker,
        })
    }

    fn info(&self) -> PathInfo {
        let active = self.backend().is_some();
        PathInfo {
            dst: self.dst,
            src: self.src,
            flags: if self.no_nat { PATH_NO_NAT } else { 0 } | if active { PATH_ACTIVE } else { 0 },
        }
    }
}

#[derive(Debug)]
struct Translation {
    vip: Resolved,
    protocol: u8,
    flags: u8,
    exclusive: bool,
    balance: Balance,
    flow_hash: u32,
    paths: Vec<TrackedPath>,
    hits: Arc<Hits>,
}

impl Translation {
    fn key(&self) -> Key {
        Key::of(&self.vip, self.protocol)
    }

    fn vip(&self) -> Option<Vip> {
        Some((self.vip.address?, self.vip.endpoint.port, self.protocol))
    }

    fn names(&self, on: SwIfIndex) -> bool {
        let is_on = |r: &Resolved| matches!(r.endpoint.place, Place::Interface(i, _) if i == on);
        is_on(&self.vip) || self.paths.iter().any(|p| is_on(&p.dst) || is_on(&p.src))
    }
}

/// What a translation is found by: its address, or its interface while that has none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Key(Place, u16, u8);

impl Key {
    fn of(vip: &Resolved, protocol: u8) -> Self {
        let place = vip.address.map_or(vip.endpoint.place, Place::Address);
        Self(place, vip.endpoint.port, protocol)
    }
}

/// A virtual address: its route is that of the first translation.
#[derive(Debug)]
struct Client {
    translations: u32,
    has_route: bool,
    exclusive: bool,
}

/// Everything of cloud NAT that only the writer knows.
#[derive(Debug, Default)]
pub(super) struct CnatState {
    translations: BTreeMap<u32, Translation>,
    ids: BTreeMap<Key, u32>,
    pool: Pool,
    clients: BTreeMap<IpAddr, Client>,
    trackers: Pool,
    /// Trackers of removed paths whose sessions have not ended yet.
    ending: BTreeSet<u32>,
    snat: SnatState,
    everywhere: bool,
}

impl CnatState {
    /// Tells whether interfaces without the feature translate, too.
    pub(super) const fn is_everywhere(&self) -> bool {
        self.everywhere
    }
}

impl Dataplane {
    /// Creates the translation of a virtual endpoint, or replaces the paths of the one there is, and gives its id.
    ///
    /// As in VPP, an update leaves balance, flow hash and the flags of known paths as they were created. Sessions
    /// of paths that are gone end; all others stay with their back-end.
    ///
    /// # Errors
    /// [`ApiError::InvalidProtocol`]; [`ApiError::InvalidValue`] without paths (VPP dies of that) or for mixed
    /// families; [`ApiError::InvalidSwIfIndex`]; [`ApiError::LimitExceeded`].
    pub fn cnat_translation_update(&mut self, spec: &TranslationSpec) -> Result<u32> {
        self.check_translation(spec)?;
        self.tables.cnat.sessions.reserve();
        let vip = self.resolve_endpoint(spec.vip);
        let key = Key::of(&vip, spec.protocol);
        let id = match self.cnat.ids.get(&key) {
            Some(id) => *id,
            None => self.add_translation(key, vip, spec),
        };
        let paths = spec.paths.clone();
        let mut old = match self.cnat.translations.get_mut(&id) {
            Some(translation) => {
                translation.flags = spec.flags;
                std::mem::take(&mut translation.paths)
            }
            None => Vec::new(),
        };
        let mut new = Vec::with_capacity(paths.len());
        for path in &paths {
            let same = |t: &TrackedPath| t.dst.endpoint == path.dst && t.src.endpoint == path.src;
            let kept = old.iter().position(same).map(|at| old.swap_remove(at));
            let tracked = match kept {
                Some(tracked) => tracked,
                None => self.track(path)?,
            };
            new.push(tracked);
        }
        if let Some(translation) = self.cnat.translations.get_mut(&id) {
            translation.paths = new;
        }
        self.publish_translation(id);
        self.end_paths(&old);
        Ok(id)
    }

    /// Deletes a translation; its sessions end.
    ///
    /// # Errors
    /// [`ApiError::NoSuchEntry`].
    pub fn cnat_translation_del(&mut self, id: u32) -> Result<()> {
        let translation = self
            .cnat
            .translations
            .remove(&id)
            .ok_or(ApiError::NoSuchEntry)?;
        self.cnat.ids.remove(&translation.key());
        self.cnat.pool.give_back(id);
        if let Some(vip) = translation.vip() {
            self.tables.cnat.services.remove(&vip);
            self.release_client(vip.0);
        }
        self.dirty = true;
        self.end_paths(&translation.paths);
        Ok(())
    }

    /// All translations in the order of their ids.
    pub fn cnat_translations(&self) -> Vec<TranslationInfo> {
        let info = |(id, t): (&u32, &Translation)| TranslationInfo {
            id: *id,
            vip: t.vip,
            protocol: t.protocol,
            balance: t.balance,
            flow_hash: t.flow_hash,
            paths: t.paths.iter().map(TrackedPath::info).collect(),
            chosen: t.hits.read(),
        };
        self.cnat.translations.iter().map(info).collect()
    }

    /// Visits every session, both directions of each flow.
    pub fn cnat_sessions(&self, now: Nanos, visit: impl FnMut(SessionInfo)) {
        self.tables.cnat.sessions.for_each(now, visit);
    }

    /// Number of sessions and bytes of address space of their tables.
    pub fn cnat_session_memory(&self) -> (usize, usize) {
        let sessions = &self.tables.cnat.sessions;
        (sessions.len(), sessions.bytes())
    }

    /// Deletes all sessions and all translations.
    pub fn cnat_purge(&mut self) {
        let ids: Vec<_> = self.cnat.translations.keys().copied().collect();
        for id in ids {
            // Cannot fail: the id was just listed.
            let _ = self.cnat_translation_del(id);
        }
        self.tables.cnat.sessions.clear();
        self.free_trackers();
    }

    /// Keeps sessions for all flows of an interface and translates them, or stops.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`].
    pub fn feature_cnat_enable_disable(&mut self, on: SwIfIndex, enable: bool) -> Result<()> {
        self.info_mut(on)?.cnat = enable;
        if enable {
            self.tables.cnat.sessions.reserve();
        }
        self.refresh(on);
        Ok(())
    }

    /// Ends sessions whose time is over, some at a time.
    pub(super) fn cnat_handle_timeout(&mut self, now: Nanos) {
        self.tables.cnat.sessions.age(now);
        self.end_trackers();
    }

    /// Follows an interface that has other addresses now.
    pub(super) fn cnat_addresses_changed(&mut self, on: SwIfIndex) {
        let named = |(id, t): (&u32, &Translation)| t.names(on).then_some(*id);
        let ids: Vec<_> = self.cnat.translations.iter().filter_map(named).collect();
        for id in ids {
            self.resolve_translation(id);
        }
        self.snat_addresses_changed(on);
    }

    pub(super) fn cnat_forget_interface(&mut self, on: SwIfIndex) {
        self.snat_forget_interface(on);
        self.cnat_addresses_changed(on);
    }

    fn check_translation(&self, spec: &TranslationSpec) -> Result<()> {
        if matches!(spec.protocol, 61 | 63 | 68 | 99 | 114 | 144..=252) {
            return Err(ApiError::InvalidProtocol);
        }
        if spec.paths.is_empty() {
            return Err(ApiError::InvalidValue);
        }
        if spec.paths.len() > PATHS_MAX {
            return Err(ApiError::LimitExceeded);
        }
        let family = family_of(spec.vip);
        for endpoint in spec.paths.iter().map(|p| p.dst).chain([spec.vip]) {
            if family_of(endpoint) != family {
                return Err(ApiError::InvalidValue);
            }
        }
        let all = spec
            .paths
            .iter()
            .flat_map(|p| [p.dst, p.src])
            .chain([spec.vip]);
        for endpoint in all {
            if let Place::Interface(on, _) = endpoint.place {
                self.interface(on)?;
            }
        }
        let no_other_source = |p: &Path| match p.src.place {
            Place::Address(ip) => ip.is_unspecified() || Family::of(ip) == family,
            Place::Interface(_, of) => of == family,
        };
        if spec.paths.iter().all(no_other_source) {
            Ok(())
        } else {
            Err(ApiError::InvalidValue)
        }
    }

    fn resolve_endpoint(&self, endpoint: Endpoint) -> Resolved {
        let address = match endpoint.place {
            Place::Address(ip) => Some(ip),
            Place::Interface(on, family) => self.addresses(on, family).first().map(|p| p.addr),
        };
        Resolved { endpoint, address }
    }

    fn add_translation(&mut self, key: Key, vip: Resolved, spec: &TranslationSpec) -> u32 {
        let id = self.cnat.pool.take();
        self.cnat.ids.insert(key, id);
        let translation = Translation {
            vip,
            protocol: spec.protocol,
            flags: spec.flags,
            exclusive: spec.exclusive,
            balance: spec.balance,
            flow_hash: spec.flow_hash,
            paths: Vec::new(),
            hits: Arc::default(),
        };
        if let Some(address) = vip.address {
            self.hold_client(address, spec.flags, spec.exclusive);
        }
        self.cnat.translations.insert(id, translation);
        id
    }

    fn track(&mut self, path: &Path) -> Result<TrackedPath> {
        // Tracker 0 stands for none.
        let tracker = self.cnat.trackers.take() + 1;
        if tracker > TRACKER_MAX {
            self.cnat.trackers.give_back(tracker - 1);
            return Err(ApiError::LimitExceeded);
        }
        Ok(TrackedPath {
            dst: self.resolve_endpoint(path.dst),
            src: self.resolve_endpoint(path.src),
            no_nat: path.flags & PATH_NO_NAT != 0,
            tracker,
        })
    }

    /// Lets the data path see a translation as it is now. Nothing else is rebuilt.
    fn publish_translation(&mut self, id: u32) {
        let Some(translation) = self.cnat.translations.get(&id) else {
            return;
        };
        let Some(vip) = translation.vip() else {
            return;
        };
        let active: Vec<_> = translation
            .paths
            .iter()
            .filter_map(TrackedPath::backend)
            .collect();
        let has_route = self.cnat.clients.get(&vip.0).is_some_and(|c| c.has_route);
        let service = Service::new(
            &active,
            translation.balance,
            translation.flow_hash,
            translation.flags,
            has_route,
            Arc::clone(&translation.hits),
        );
        self.tables.cnat.services.insert(vip, Arc::new(service));
        self.dirty = true;
    }

    fn resolve_translation(&mut self, id: u32) {
        let Some(mut translation) = self.cnat.translations.remove(&id) else {
            return;
        };
        self.cnat.ids.remove(&translation.key());
        let vip = self.resolve_endpoint(translation.vip.endpoint);
        if vip.address != translation.vip.address {
            if let Some(old) = translation.vip() {
                self.tables.cnat.services.remove(&old);
                self.release_client(old.0);
            }
            translation.vip = vip;
            if let Some(address) = vip.address {
                self.hold_client(address, translation.flags, translation.exclusive);
            }
        }
        for path in &mut translation.paths {
            path.dst = self.resolve_endpoint(path.dst.endpoint);
            path.src = self.resolve_endpoint(path.src.endpoint);
        }
        self.cnat.ids.entry(translation.key()).or_insert(id);
        self.cnat.translations.insert(id, translation);
        self.publish_translation(id);
    }

    fn hold_client(&mut self, address: IpAddr, flags: u8, exclusive: bool) {
        if let Some(client) = self.cnat.clients.get_mut(&address) {
            client.translations += 1;
            return;
        }
        let client = Client {
            translations: 1,
            has_route: flags & NO_CLIENT == 0,
            exclusive,
        };
        if client.has_route && client.exclusive {
            let fib = self.tables.cnat.fib(Family::of(address));
            let drop = vec![Choice::fixed(Dpo::Drop, SwIfIndex::NONE)];
            self.add_source(fib, Prefix::host(address), Source::Cnat, drop);
        }
        self.cnat.clients.insert(address, client);
        self.refresh_everywhere();
    }

    fn release_client(&mut self, address: IpAddr) {
        let Some(client) = self.cnat.clients.get_mut(&address) else {
            return;
        };
        client.translations = client.translations.saturating_sub(1);
        if client.translations > 0 {
            return;
        }
        if client.has_route && client.exclusive {
            let fib = self.tables.cnat.fib(Family::of(address));
            self.remove_source(fib, Prefix::host(address), Source::Cnat);
        }
        self.cnat.clients.remove(&address);
        self.refresh_everywhere();
    }

    /// Lets all interfaces translate while there is a virtual address with a route.
    fn refresh_everywhere(&mut self) {
        let everywhere = self.cnat.clients.values().any(|c| c.has_route);
        if std::mem::replace(&mut self.cnat.everywhere, everywhere) != everywhere {
            let all: Vec<_> = self.interfaces.keys().copied().collect();
            all.into_iter().for_each(|index| self.refresh(index));
        }
    }

    fn end_paths(&mut self, paths: &[TrackedPath]) {
        self.cnat.ending.extend(paths.iter().map(|p| p.tracker));
        if self.tables.cnat.sessions.len() <= EAGER_MAX {
            self.end_trackers();
        }
    }

    /// Ends the sessions of removed paths; then their numbers may be given to others.
    fn end_trackers(&mut self) {
        if self.cnat.ending.is_empty() {
            return;
        }
        let ending = &self.cnat.ending;
        self.tables
            .cnat
            .sessions
            .end(|tracker| ending.contains(&tracker));
        self.free_trackers();
    }

    fn free_trackers(&mut self) {
        for tracker in std::mem::take(&mut self.cnat.ending) {
            self.cnat.trackers.give_back(tracker - 1);
        }
    }
}

const fn family_of(endpoint: Endpoint) -> Family {
    match endpoint.place {
        Place::Address(ip) => Family::of(ip),
        Place::Interface(_, family) => family,
    }
}

#[cfg(test)]
mod tests;
