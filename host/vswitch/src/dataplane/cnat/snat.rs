//! Source NAT: addresses per table, and the policy of table 0.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use super::super::route::{Choice, Source};
use super::super::{Dataplane, Result};
use crate::cnat::snat::Snat;
use crate::cnat::{SNAT_NO_CLIENT, SNAT_USE_AS_DEFAULT, SnatInfo, SnatKind, SnatSet};
use crate::dpo::Dpo;
use crate::error::ApiError;
use crate::id::{Family, SwIfIndex};
use crate::prefix::Prefix;

const FAMILIES: [Family; 2] = [Family::V4, Family::V6];

/// Source NAT of one table.
#[derive(Debug)]
struct Entry {
    /// FIBs that flows come from and that answers come from, per family; `None` while the family has no address.
    fibs: [Option<(u32, u32)>; 2],
    on: SwIfIndex,
    flags: u8,
    snat: Snat,
    /// Routes that keep answers without a session from going anywhere: FIB and address.
    routes: [Option<(u32, IpAddr)>; 2],
}

/// Entries by VPP's index of the table that flows come from.
#[derive(Debug, Default)]
pub(super) struct SnatState {
    entries: BTreeMap<u32, Entry>,
    default: Option<u32>,
}

impl SnatState {
    /// The entry of a table, or the one that serves all others.
    fn find(&self, index: u32) -> Option<u32> {
        self.entries.get(&index).map(|_| index).or(self.default)
    }
}

impl Dataplane {
    /// Sets the addresses that flows of a table get, or with nothing set, ends its source NAT. Tables are named as
    /// VPP indexes them: per family in the order of their creation, table 0 first.
    ///
    /// # Errors
    /// [`ApiError::FeatureDisabled`] when there is nothing to end; [`ApiError::NoSuchFib`];
    /// [`ApiError::InvalidSwIfIndex`].
    pub fn cnat_set_snat_addresses(
        &mut self,
        (fwd, ret): (u32, u32),
        ip4: Ipv4Addr,
        ip6: Ipv6Addr,
        on: SwIfIndex,
        flags: u8,
    ) -> Result<()> {
        if !on.is_none() {
            self.interface(on)?;
        }
        let found = self.cnat.snat.find(fwd);
        if on.is_none() && ip4.is_unspecified() && ip6.is_unspecified() {
            let index = found.ok_or(ApiError::FeatureDisabled)?;
            self.forget_snat(index);
            return Ok(());
        }
        let set = [
            !on.is_none() || !ip4.is_unspecified(),
            !on.is_none() || !ip6.is_unspecified(),
        ];
        let mut fibs = [None; 2];
        for ((family, set), fibs) in FAMILIES.into_iter().zip(set).zip(&mut fibs) {
            if set {
                *fibs = Some((
                    self.fib_by_vpp_index(family, fwd)?,
                    self.fib_by_vpp_index(family, ret)?,
                ));
            }
        }
        self.tables.cnat.sessions.reserve();
        let index = found.unwrap_or(fwd);
        if found.is_none() {
            let entry = Entry {
                fibs,
                on,
                flags,
                snat: Snat::default(),
                routes: [None; 2],
            };
            self.cnat.snat.entries.insert(index, entry);
            if flags & SNAT_USE_AS_DEFAULT != 0 {
                self.cnat.snat.default = Some(index);
            }
        }
        if let Some(entry) = self.cnat.snat.entries.get_mut(&index) {
            entry.on = on;
            for (old, new) in entry.fibs.iter_mut().zip(fibs) {
                *old = new.or(*old);
            }
            if set[0] {
                entry.snat.ip4 = (!ip4.is_unspecified()).then_some(ip4);
            }
            if set[1] {
                entry.snat.ip6 = (!ip6.is_unspecified()).then_some(ip6);
            }
        }
        self.resolve_snat(index);
        Ok(())
    }

    /// Source NAT of all tables.
    pub fn cnat_snat_addresses(&self) -> Vec<SnatInfo> {
        self.cnat
            .snat
            .entries
            .values()
            .map(|e| self.snat_info(e))
            .collect()
    }

    /// Source NAT of table 0.
    ///
    /// # Errors
    /// [`ApiError::FeatureDisabled`] when there is none.
    pub fn cnat_snat_default(&self) -> Result<SnatInfo> {
        let index = self.cnat.snat.find(0).ok_or(ApiError::FeatureDisabled)?;
        let entry = self.cnat.snat.entries.get(&index);
        entry
            .map(|e| self.snat_info(e))
            .ok_or(ApiError::FeatureDisabled)
    }

    /// Chooses which flows of table 0 get another source.
    ///
    /// # Errors
    /// [`ApiError::FeatureDisabled`] without source NAT of table 0.
    pub fn cnat_set_snat_policy(&mut self, kind: SnatKind) -> Result<()> {
        self.change_policy(|snat| snat.kind = kind)
    }

    /// Lets a prefix see the real sources, or not.
    ///
    /// # Errors
    /// [`ApiError::FeatureDisabled`]; [`ApiError::InvalidPrefixLength`].
    pub fn cnat_snat_policy_exclude(&mut self, is_add: bool, prefix: Prefix) -> Result<()> {
        let prefix = Prefix::new(prefix.addr, prefix.len)?.masked();
        self.change_policy(|snat| {
            if is_add {
                snat.excluded.insert(prefix, 0);
            } else {
                snat.excluded.remove(prefix);
            }
        })
    }

    /// Puts an interface into a set that policies look at, or takes it out.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::FeatureDisabled`].
    pub fn cnat_snat_policy_add_del_if(
        &mut self,
        on: SwIfIndex,
        is_add: bool,
        set: SnatSet,
    ) -> Result<()> {
        self.interface(on)?;
        self.change_policy(|snat| {
            let set = match set {
                SnatSet::IncludeV4 => &mut snat.include4,
                SnatSet::IncludeV6 => &mut snat.include6,
                SnatSet::Pod => &mut snat.pod,
                SnatSet::Host => &mut snat.host,
            };
            if is_add {
                set.set(on.0, ());
            } else {
                set.remove(on.0);
            }
        })
    }

    pub(super) fn snat_addresses_changed(&mut self, on: SwIfIndex) {
        let named = |(index, e): (&u32, &Entry)| (e.on == on).then_some(*index);
        let indexes: Vec<_> = self.cnat.snat.entries.iter().filter_map(named).collect();
        for index in indexes {
            self.resolve_snat(index);
        }
    }

    /// Takes an interface that goes away out of all sets.
    pub(super) fn snat_forget_interface(&mut self, on: SwIfIndex) {
        for Entry { snat, .. } in self.cnat.snat.entries.values_mut() {
            for set in [
                &mut snat.include4,
                &mut snat.include6,
                &mut snat.pod,
                &mut snat.host,
            ] {
                set.remove(on.0);
            }
        }
        self.publish_snat();
    }

    fn change_policy(&mut self, change: impl FnOnce(&mut Snat)) -> Result<()> {
        let index = self.cnat.snat.find(0).ok_or(ApiError::FeatureDisabled)?;
        let entry = self.cnat.snat.entries.get_mut(&index);
        change(&mut entry.ok_or(ApiError::FeatureDisabled)?.snat);
        self.publish_snat();
        Ok(())
    }

    /// Takes the addresses of an entry's interface, and gives its addresses their routes.
    fn resolve_snat(&mut self, index: u32) {
        let Some(entry) = self.cnat.snat.entries.get(&index) else {
            return;
        };
        let on = entry.on;
        let first = |family| self.addresses(on, family).first().map(|p| p.addr);
        let (ip4, ip6) = (first(Family::V4), first(Family::V6));
        let Some(entry) = self.cnat.snat.entries.get_mut(&index) else {
            return;
        };
        if !on.is_none() {
            entry.snat.ip4 = match ip4 {
                Some(IpAddr::V4(ip)) => Some(ip),
                _ => None,
            };
            entry.snat.ip6 = match ip6 {
                Some(IpAddr::V6(ip)) => Some(ip),
                _ => None,
            };
        }
        let addresses = [
            entry.snat.ip4.map(IpAddr::V4),
            entry.snat.ip6.map(IpAddr::V6),
        ];
        let mut routes = [None; 2];
        if entry.flags & SNAT_NO_CLIENT == 0 {
            for ((route, fibs), address) in routes.iter_mut().zip(entry.fibs).zip(addresses) {
                *route = fibs.zip(address).map(|((_, ret), address)| (ret, address));
            }
        }
        let old = std::mem::replace(&mut entry.routes, routes);
        self.replace_snat_routes(old, routes);
        self.publish_snat();
    }

    fn replace_snat_routes(
        &mut self,
        old: [Option<(u32, IpAddr)>; 2],
        new: [Option<(u32, IpAddr)>; 2],
    ) {
        for (old, new) in old.into_iter().zip(new).filter(|(old, new)| old != new) {
            if let Some((fib, address)) = old {
                self.remove_source(fib, Prefix::host(address), Source::Cnat);
            }
            if let Some((fib, address)) = new {
                let end = vec![Choice::fixed(Dpo::CnatReturn, SwIfIndex::NONE)];
                self.add_source(fib, Prefix::host(address), Source::Cnat, end);
            }
        }
    }

    fn forget_snat(&mut self, index: u32) {
        if let Some(entry) = self.cnat.snat.entries.remove(&index) {
            self.replace_snat_routes(entry.routes, [None; 2]);
        }
        if self.cnat.snat.default == Some(index) {
            self.cnat.snat.default = None;
        }
        self.publish_snat();
    }

    fn publish_snat(&mut self) {
        let state = &self.cnat.snat;
        let mut by_fib = Vec::new();
        let mut default = None;
        for (index, entry) in &state.entries {
            let snat = Arc::new(entry.snat.clone());
            for (fwd, _) in entry.fibs.iter().flatten() {
                by_fib.push((*fwd, Arc::clone(&snat)));
            }
            if state.default == Some(*index) {
                default = Some(snat);
            }
        }
        self.tables.cnat.snat = by_fib.into();
        self.tables.cnat.snat_default = default;
        self.dirty = true;
    }

    fn snat_info(&self, entry: &Entry) -> SnatInfo {
        let table_of = |family: Family, fib: Option<u32>| {
            let of = |((f, table_id), t): (&(Family, u32), &super::super::TableEntry)| {
                (*f == family && Some(t.fib) == fib).then_some(*table_id)
            };
            self.ip_tables.iter().find_map(of).unwrap_or(0)
        };
        let [v4, v6] = entry.fibs;
        SnatInfo {
            fwd_tables: [
                table_of(Family::V4, v4.map(|f| f.0)),
                table_of(Family::V6, v6.map(|f| f.0)),
            ],
            ret_tables: [
                table_of(Family::V4, v4.map(|f| f.1)),
                table_of(Family::V6, v6.map(|f| f.1)),
            ],
            ip4: entry.snat.ip4.unwrap_or(Ipv4Addr::UNSPECIFIED),
            ip6: entry.snat.ip6.unwrap_or(Ipv6Addr::UNSPECIFIED),
            sw_if_index: entry.on,
        }
    }

    /// VPP has an index space per family; ours is one. Tables of a family keep their order.
    fn fib_by_vpp_index(&self, family: Family, index: u32) -> Result<u32> {
        let of_family = self.ip_tables.iter().filter(|((f, _), _)| *f == family);
        let mut fibs: Vec<_> = of_family.map(|(_, t)| t.fib).collect();
        fibs.sort_unstable();
        fibs.get(index as usize).copied().ok_or(ApiError::NoSuchFib)
    }
}
