//! Local SIDs.

use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use super::Result;
use crate::dataplane::Dataplane;
use crate::dataplane::route::{Choice, Source};
use crate::dpo::Dpo;
use crate::id::{Family, SwIfIndex};
use crate::interface::{InterfaceKind, L2Config, LinkMode};
use crate::prefix::Prefix;
use crate::sr::{
    Action, Behavior, Exit, LOCALSIDS_MAX, Localsid, LocalsidCounters, LocalsidInfo, LocalsidSpec,
    Onward, Proxy, ProxyKind, ProxyWay, SEGMENTS_MAX, SrError, encapsulation,
};

const _: () = assert!(LOCALSIDS_MAX as usize <= crate::counters::ROWS_MAX);

#[derive(Debug)]
pub(in crate::dataplane) struct LocalsidEntry {
    pub(super) index: u32,
    pub(super) spec: LocalsidSpec,
    fib: u32,
    /// Adjacency that the data path uses.
    held: Option<(SwIfIndex, IpAddr)>,
}

impl Dataplane {
    /// Adds a local SID; there is no update. A table to look up in that does not exist makes the SID drop.
    ///
    /// # Errors
    /// [`SrError::LocalsidExists`], [`SrError::NoLocalsidTable`], [`SrError::RouteExists`] for a route of anybody
    /// to just this prefix, [`SrError::InvalidSwIfIndex`], [`SrError::InvalidValue`] for lengths that cannot be,
    /// [`SrError::ProxyRefused`], [`SrError::LimitExceeded`].
    pub fn sr_localsid_add(&mut self, spec: LocalsidSpec) -> Result<()> {
        let key = (spec.sid, spec.prefix_len);
        if self.sr.localsids.contains_key(&key) {
            return Err(SrError::LocalsidExists);
        }
        self.check_localsid(&spec)?;
        let fib = self
            .fib_of(Family::V6, spec.fib_table)
            .map_err(|_| SrError::NoLocalsidTable)?;
        let prefix = prefix_of(&spec);
        if self.routes.contains_key(&(fib, prefix)) {
            return Err(SrError::RouteExists);
        }
        if self.sr.localsids.len() >= LOCALSIDS_MAX as usize {
            return Err(SrError::LimitExceeded);
        }
        let index = self.sr.localsid_pool.take();
        let held = adjacency_of(&spec.behavior);
        let adjacency = held.map(|key| self.acquire_adjacency(key));
        let localsid = Localsid {
            psp: spec.psp,
            action: self.action(&spec, adjacency),
        };
        self.counters.iter().for_each(|c| c.clear_localsid(index));
        self.tables.sr.localsids.set(index, Arc::new(localsid));
        if let Some(way) = way_of(&spec.behavior) {
            let back = (way.back, way.family());
            self.sr.proxies.entry(back).or_default().push(index);
            self.refresh_proxy(way);
        }
        let entry = LocalsidEntry {
            index,
            spec,
            fib,
            held,
        };
        self.sr.localsids.insert(key, entry);
        let choice = Choice::fixed(Dpo::SrLocalsid(index), SwIfIndex::NONE);
        self.add_source(fib, prefix, Source::Sr, vec![choice]);
        Ok(())
    }

    /// # Errors
    /// [`SrError::NoLocalsid`].
    pub fn sr_localsid_del(&mut self, sid: Ipv6Addr, prefix_len: u8) -> Result<()> {
        let entry = self
            .sr
            .localsids
            .remove(&(sid, prefix_len))
            .ok_or(SrError::NoLocalsid)?;
        self.remove_source(entry.fib, prefix_of(&entry.spec), Source::Sr);
        self.tables.sr.localsids.remove(entry.index);
        if let Some(key) = entry.held {
            self.release_adjacency(key);
        }
        if let Some(way) = way_of(&entry.spec.behavior) {
            self.forget_proxy(way, entry.index);
        }
        self.sr.localsid_pool.give_back(entry.index);
        self.drop_table_if_unused(Family::V6, entry.spec.fib_table);
        match entry.spec.behavior {
            Behavior::T { table } | Behavior::Dt6 { table } => {
                self.drop_table_if_unused(Family::V6, table);
            }
            Behavior::Dt4 { table } => self.drop_table_if_unused(Family::V4, table),
            Behavior::End
            | Behavior::X { .. }
            | Behavior::Dx2 { .. }
            | Behavior::Dx6 { .. }
            | Behavior::Dx4 { .. }
            | Behavior::UnPerf
            | Behavior::Un
            | Behavior::Ua { .. }
            | Behavior::StaticProxy { .. }
            | Behavior::DynamicProxy(_)
            | Behavior::Masquerading(_) => {}
        }
        self.dirty = true;
        Ok(())
    }

    /// All local SIDs with their counters, in the order of their indexes.
    pub fn sr_localsids(&self) -> Vec<LocalsidInfo> {
        let mut all: Vec<_> = self.sr.localsids.values().collect();
        all.sort_by_key(|entry| entry.index);
        all.into_iter()
            .map(|entry| LocalsidInfo {
                spec: entry.spec.clone(),
                counters: self.localsid_counters(entry.index),
            })
            .collect()
    }

    /// Sets the counters of all local SIDs to zero.
    pub fn sr_clear_localsid_counters(&self) {
        for entry in self.sr.localsids.values() {
            self.counters
                .iter()
                .for_each(|c| c.clear_localsid(entry.index));
        }
    }

    fn localsid_counters(&self, index: u32) -> LocalsidCounters {
        let each = self.counters.iter().map(|c| c.localsid(index));
        each.fold(LocalsidCounters::default(), |sum, c| LocalsidCounters {
            good: sum.good + c.good,
            bad: sum.bad + c.bad,
            returned: sum.returned + c.returned,
            not_returned: sum.not_returned + c.not_returned,
        })
    }

    fn check_localsid(&self, spec: &LocalsidSpec) -> Result<()> {
        if spec.prefix_len > 128 || spec.usid_len > spec.prefix_len {
            return Err(SrError::InvalidValue);
        }
        let is_micro = matches!(
            spec.behavior,
            Behavior::UnPerf | Behavior::Un | Behavior::Ua { .. }
        );
        let aligned = spec.prefix_len.is_multiple_of(8) && matches!(spec.usid_len, 16 | 32);
        if is_micro && !aligned {
            return Err(SrError::InvalidValue);
        }
        let exists = |on| self.interface(on).map_err(|_| SrError::InvalidSwIfIndex);
        match &spec.behavior {
            Behavior::X { on, .. }
            | Behavior::Ua { on, .. }
            | Behavior::Dx2 { on }
            | Behavior::Dx6 { on, .. }
            | Behavior::Dx4 { on, .. } => exists(*on).map(|_| ()),
            Behavior::StaticProxy { way, path, .. } => {
                if path.is_empty() || path.len() > SEGMENTS_MAX {
                    return Err(SrError::ProxyRefused);
                }
                self.check_way(way)
            }
            Behavior::DynamicProxy(way) => self.check_way(way),
            Behavior::Masquerading(way) if way.family() == Some(Family::V6) => self.check_way(way),
            Behavior::Masquerading(_) => Err(SrError::ProxyRefused),
            Behavior::End
            | Behavior::T { .. }
            | Behavior::Dt6 { .. }
            | Behavior::Dt4 { .. }
            | Behavior::UnPerf
            | Behavior::Un => Ok(()),
        }
    }

    fn check_way(&self, way: &ProxyWay) -> Result<()> {
        let known = |on| self.interface(on).map_err(|_| SrError::ProxyRefused);
        let (out, back) = (known(way.out)?, known(way.back)?);
        let is_ethernet = |mode: LinkMode| mode == LinkMode::Ethernet;
        if back.kind == InterfaceKind::Local
            || (way.next_hop.is_none() && !(is_ethernet(out.mode) && is_ethernet(back.mode)))
        {
            return Err(SrError::ProxyRefused);
        }
        Ok(())
    }

    fn action(&self, spec: &LocalsidSpec, adjacency: Option<u32>) -> Action {
        let through = adjacency.map_or(Onward::Gone, Onward::Adjacency);
        let over = |family| adjacency.map_or(Exit::Gone, |index| Exit::Adjacency(family, index));
        let table = |family, id| self.fib_of(family, id).ok();
        let exit =
            |family, id| table(family, id).map_or(Exit::Gone, |fib| Exit::Table(family, fib));
        let micro = |onward| Action::Micro {
            at: (spec.prefix_len - spec.usid_len) / 8,
            len: spec.usid_len / 8,
            onward,
        };
        let proxy = |way: &ProxyWay, kind| {
            Action::Proxy(Proxy {
                kind,
                exit: way.family().map_or(Exit::Interface(way.out), over),
            })
        };
        match &spec.behavior {
            Behavior::End => Action::End(Onward::Same),
            Behavior::X { .. } => Action::End(through),
            Behavior::T { table: id } => {
                Action::End(table(Family::V6, *id).map_or(Onward::Gone, Onward::Table))
            }
            Behavior::Dx2 { on } => Action::Decap(Exit::Interface(*on)),
            Behavior::Dx6 { .. } => Action::Decap(over(Family::V6)),
            Behavior::Dx4 { .. } => Action::Decap(over(Family::V4)),
            Behavior::Dt6 { table } => Action::Decap(exit(Family::V6, *table)),
            Behavior::Dt4 { table } => Action::Decap(exit(Family::V4, *table)),
            Behavior::UnPerf | Behavior::Un => micro(Onward::Same),
            Behavior::Ua { .. } => micro(through),
            Behavior::StaticProxy { way, src, path } => {
                proxy(way, ProxyKind::Static(static_headers(way, path, *src)))
            }
            Behavior::DynamicProxy(way) => proxy(way, ProxyKind::Dynamic(Arc::default())),
            Behavior::Masquerading(way) => proxy(way, ProxyKind::Masquerading),
        }
    }

    /// The local SID of the proxy whose function is behind `on`.
    pub(in crate::dataplane) fn sr_proxy_on(&self, on: SwIfIndex, family: Family) -> Option<u32> {
        self.sr.proxies.get(&(on, Some(family)))?.last().copied()
    }

    fn forget_proxy(&mut self, way: ProxyWay, index: u32) {
        let key = (way.back, way.family());
        if let Some(indexes) = self.sr.proxies.get_mut(&key) {
            indexes.retain(|of| *of != index);
            if indexes.is_empty() {
                self.sr.proxies.remove(&key);
            }
        }
        self.refresh_proxy(way);
    }

    /// Makes the interface that a function sends on do as its proxies want.
    fn refresh_proxy(&mut self, way: ProxyWay) {
        if way.next_hop.is_some() {
            return self.refresh(way.back);
        }
        let last = self.sr.proxies.get(&(way.back, None));
        let wanted = last.and_then(|indexes| indexes.last().copied());
        let is_proxy = |l2| matches!(l2, L2Config::SrProxy(_));
        let now = self.interfaces.get(&way.back).map(|info| info.l2);
        // The interface may be gone already, or be used otherwise since.
        let _ = match (wanted, now) {
            (Some(index), Some(_)) => self.set_l2_sr(way.back, L2Config::SrProxy(index)),
            (None, Some(l2)) if is_proxy(l2) => self.leave_l2(way.back),
            (_, Some(_) | None) => Ok(()),
        };
    }

    /// Puts an interface that is switched or routed otherwise under segment routing.
    pub(in crate::dataplane) fn set_l2_sr(
        &mut self,
        on: SwIfIndex,
        l2: L2Config,
    ) -> crate::dataplane::Result<()> {
        self.leave_l2(on)?;
        self.info_mut(on)?.l2 = l2;
        self.refresh(on);
        Ok(())
    }

    /// Local SIDs that used an interface drop once it is gone; steering on it ends.
    pub(in crate::dataplane) fn forget_sr_on(&mut self, on: SwIfIndex) {
        self.forget_steering_on(on);
        let uses = |behavior: &Behavior| match behavior {
            Behavior::X { on, .. }
            | Behavior::Ua { on, .. }
            | Behavior::Dx2 { on }
            | Behavior::Dx6 { on, .. }
            | Behavior::Dx4 { on, .. } => *on,
            Behavior::StaticProxy { way, .. }
            | Behavior::DynamicProxy(way)
            | Behavior::Masquerading(way) => way.out,
            Behavior::End
            | Behavior::T { .. }
            | Behavior::Dt6 { .. }
            | Behavior::Dt4 { .. }
            | Behavior::UnPerf
            | Behavior::Un => SwIfIndex::NONE,
        };
        let mut released = Vec::new();
        for entry in self.sr.localsids.values_mut() {
            if uses(&entry.spec.behavior) != on {
                continue;
            }
            released.extend(entry.held.take());
            let action = if matches!(entry.spec.behavior, Behavior::X { .. }) {
                Action::End(Onward::Gone)
            } else {
                Action::Decap(Exit::Gone)
            };
            let localsid = Localsid {
                psp: entry.spec.psp,
                action,
            };
            self.tables
                .sr
                .localsids
                .set(entry.index, Arc::new(localsid));
        }
        released
            .into_iter()
            .for_each(|key| self.release_adjacency(key));
        self.sr.proxies.retain(|(back, _), _| *back != on);
        self.dirty = true;
    }
}

fn prefix_of(spec: &LocalsidSpec) -> Prefix {
    Prefix {
        addr: spec.sid.into(),
        len: spec.prefix_len,
    }
    .masked()
}

const fn way_of(behavior: &Behavior) -> Option<ProxyWay> {
    match behavior {
        Behavior::StaticProxy { way, .. }
        | Behavior::DynamicProxy(way)
        | Behavior::Masquerading(way) => Some(*way),
        Behavior::End
        | Behavior::X { .. }
        | Behavior::T { .. }
        | Behavior::Dx2 { .. }
        | Behavior::Dx6 { .. }
        | Behavior::Dx4 { .. }
        | Behavior::Dt6 { .. }
        | Behavior::Dt4 { .. }
        | Behavior::UnPerf
        | Behavior::Un
        | Behavior::Ua { .. } => None,
    }
}

fn adjacency_of(behavior: &Behavior) -> Option<(SwIfIndex, IpAddr)> {
    match behavior {
        Behavior::X { on, next_hop }
        | Behavior::Ua { on, next_hop }
        | Behavior::Dx6 { on, next_hop } => Some((*on, (*next_hop).into())),
        Behavior::Dx4 { on, next_hop } => Some((*on, (*next_hop).into())),
        Behavior::StaticProxy { way, .. }
        | Behavior::DynamicProxy(way)
        | Behavior::Masquerading(way) => Some((way.out, way.next_hop?)),
        Behavior::End
        | Behavior::T { .. }
        | Behavior::Dx2 { .. }
        | Behavior::Dt6 { .. }
        | Behavior::Dt4 { .. }
        | Behavior::UnPerf
        | Behavior::Un => None,
    }
}

/// Headers for what comes back to a static proxy; VPP takes its default hop limit.
fn static_headers(way: &ProxyWay, path: &[Ipv6Addr], src: Ipv6Addr) -> Box<[u8]> {
    use packet::{ipv6, proto, srh};
    let protocol = match way.family() {
        Some(Family::V4) => proto::IPIP,
        Some(Family::V6) => proto::IPV6,
        None => proto::ETHERNET,
    };
    let mut headers = encapsulation(path, src, crate::sr::HOP_LIMIT_DEFAULT);
    if path.len() > 1 {
        srh::set_next_header(
            headers.get_mut(ipv6::HEADER_LEN..).unwrap_or(&mut []),
            protocol,
        );
    } else {
        ipv6::set_next_header(&mut headers, protocol);
    }
    headers
}
