//! Bridge domains, cross-connects and the L2 FIB.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use packet::MacAddr;

use super::{Dataplane, Result};
use crate::bridge::{
    Bridge, BridgeFlags, BridgeInfo, BridgeSpec, L2FibEntry, L2FibFlags, MACS_MAX, MacEntry,
    Member, PortType,
};
use crate::error::ApiError;
use crate::id::{Nanos, SwIfIndex};
use crate::interface::{InterfaceKind, L2Config, LinkMode};

const BD_ID_MAX: u32 = (1 << 24) - 1;

impl Dataplane {
    /// Adds (`Some`) or deletes (`None`) a bridge domain and gives its id; no id, or `u32::MAX`, takes a free one.
    ///
    /// # Errors
    /// [`ApiError::BdAlreadyExists`], [`ApiError::BdNotModifiable`] for 0, [`ApiError::BdIdExceedMax`],
    /// [`ApiError::NoSuchEntry`] and [`ApiError::BdInUse`] on delete.
    pub fn bridge_domain_add_del(
        &mut self,
        bd_id: Option<u32>,
        spec: Option<BridgeSpec>,
    ) -> Result<u32> {
        let bd_id = match bd_id {
            Some(id) if id != u32::MAX => id,
            _ if spec.is_some() => (1..=BD_ID_MAX)
                .find(|id| !self.bridges.contains_key(id))
                .ok_or(ApiError::LimitExceeded)?,
            _ => return Err(ApiError::NoSuchEntry),
        };
        match bd_id {
            0 => return Err(ApiError::BdNotModifiable),
            id if id > BD_ID_MAX => return Err(ApiError::BdIdExceedMax),
            _ => {}
        }
        self.dirty = true;
        let Some(spec) = spec else {
            let index = self.bridge_index(bd_id)?;
            if self
                .tables
                .bridge(index)
                .is_some_and(|b| !b.members.is_empty())
            {
                return Err(ApiError::BdInUse);
            }
            self.l2fib_flush(|(bridge, _), _| bridge == index, true);
            self.forget_bridge_neighbors(index);
            self.bridges.remove(&bd_id);
            self.tables.bridges.remove(index);
            self.bridge_pool.give_back(index);
            return Ok(bd_id);
        };
        if self.bridges.contains_key(&bd_id) {
            return Err(ApiError::BdAlreadyExists);
        }
        self.make_bridge(bd_id, spec);
        Ok(bd_id)
    }

    /// Sets or clears the flags that are true in `flags`, and gives the result.
    ///
    /// # Errors
    /// [`ApiError::NoSuchEntry`].
    pub fn bridge_flags(
        &mut self,
        bd_id: u32,
        is_set: bool,
        flags: BridgeFlags,
    ) -> Result<BridgeFlags> {
        let mut result = BridgeFlags::default();
        self.edit_bridge(bd_id, |bridge| {
            let spec = &mut bridge.spec;
            let pairs = [
                (&mut spec.learn, flags.learn),
                (&mut spec.forward, flags.forward),
                (&mut spec.flood, flags.flood),
                (&mut spec.uu_flood, flags.uu_flood),
                (&mut spec.arp_term, flags.arp_term),
                (&mut spec.arp_ufwd, flags.arp_ufwd),
            ];
            for (value, named) in pairs {
                if named {
                    *value = is_set;
                }
            }
            let BridgeSpec {
                learn,
                forward,
                flood,
                uu_flood,
                arp_term,
                arp_ufwd,
                ..
            } = *spec;
            result = BridgeFlags {
                learn,
                forward,
                flood,
                uu_flood,
                arp_term,
                arp_ufwd,
            };
        })?;
        Ok(result)
    }

    /// Sets the age in minutes after which learned addresses are forgotten; 0 = never.
    ///
    /// # Errors
    /// [`ApiError::NoSuchEntry`].
    pub fn bridge_domain_set_mac_age(&mut self, bd_id: u32, minutes: u8) -> Result<()> {
        self.edit_bridge(bd_id, |bridge| bridge.spec.mac_age = minutes)
    }

    /// Makes an interface a port of a bridge domain (which is made when missing), or routed again.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`], [`ApiError::NonEthernet`], [`ApiError::BdAlreadyHasBvi`],
    /// [`ApiError::InvalidInterface`] for a BVI that is not a loopback, [`ApiError::BdNotModifiable`] for 0.
    pub fn set_l2_bridge(
        &mut self,
        index: SwIfIndex,
        bd_id: u32,
        port_type: PortType,
        shg: u8,
        enable: bool,
    ) -> Result<()> {
        let info = self.interface(index)?;
        if !enable {
            return self.leave_l2(index);
        }
        if info.mode != LinkMode::Ethernet {
            return Err(ApiError::NonEthernet);
        }
        let is_loopback = matches!(info.kind, InterfaceKind::Loopback { .. });
        match bd_id {
            0 => return Err(ApiError::BdNotModifiable),
            id if id > BD_ID_MAX => return Err(ApiError::BdIdExceedMax),
            _ => {}
        }
        if port_type == PortType::Bvi {
            if !is_loopback {
                return Err(ApiError::InvalidInterface);
            }
            let bvi = self
                .bridges
                .get(&bd_id)
                .and_then(|b| self.tables.bridge(*b)?.bvi);
            if bvi.is_some_and(|bvi| bvi != index) {
                return Err(ApiError::BdAlreadyHasBvi);
            }
        }
        self.leave_l2(index)?;
        if !self.bridges.contains_key(&bd_id) {
            self.make_bridge(bd_id, BridgeSpec::default());
        }
        let bridge = self.bridge_index(bd_id)?;
        self.edit_bridge(bd_id, |b| {
            b.members = b
                .members
                .iter()
                .copied()
                .chain([Member {
                    sw_if_index: index,
                    shg,
                    port_type,
                }])
                .collect();
            match port_type {
                PortType::Bvi => b.bvi = Some(index),
                PortType::UuFwd => b.uu_fwd = Some(index),
                PortType::Normal => {}
            }
        })?;
        self.info_mut(index)?.l2 = L2Config::Bridge {
            bridge,
            shg,
            bvi: port_type == PortType::Bvi,
        };
        self.refresh(index);
        self.refresh_bvi_mac(index);
        Ok(())
    }

    /// Sends everything received on `rx` out of `tx` (one direction), or makes `rx` routed again.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`], [`ApiError::NonEthernet`].
    pub fn set_l2_xconnect(&mut self, rx: SwIfIndex, tx: SwIfIndex, enable: bool) -> Result<()> {
        let info = self.interface(rx)?;
        if !enable {
            return self.leave_l2(rx);
        }
        if info.mode != LinkMode::Ethernet || self.interface(tx)?.mode != LinkMode::Ethernet {
            return Err(ApiError::NonEthernet);
        }
        self.leave_l2(rx)?;
        self.info_mut(rx)?.l2 = L2Config::Xconnect(tx);
        self.refresh(rx);
        Ok(())
    }

    /// Adds or deletes an L2 FIB entry.
    ///
    /// # Errors
    /// [`ApiError::NoSuchEntry`] for the bridge domain or on delete, [`ApiError::InvalidSwIfIndex`],
    /// [`ApiError::InvalidValue`] when the interface is not a port of the domain.
    pub fn l2fib_add_del(
        &mut self,
        mac: MacAddr,
        bd_id: u32,
        on: SwIfIndex,
        flags: L2FibFlags,
        is_add: bool,
    ) -> Result<()> {
        let bridge = self.bridge_index(bd_id)?;
        if !is_add {
            self.macs.get(&(bridge, mac)).ok_or(ApiError::NoSuchEntry)?;
            self.remove_mac((bridge, mac));
            return Ok(());
        }
        if flags.filter_mac {
            self.add_mac(
                (bridge, mac),
                SwIfIndex::NONE,
                L2FibFlags {
                    static_mac: true,
                    ..flags
                },
                Nanos(0),
            );
            return Ok(());
        }
        match self.interface(on)?.l2 {
            L2Config::Bridge { bridge: of, .. } if of == bridge => {}
            L2Config::Bridge { .. }
            | L2Config::L3
            | L2Config::Xconnect(_)
            | L2Config::SrPolicy(_)
            | L2Config::SrProxy(_) => {
                return Err(ApiError::InvalidValue);
            }
        }
        self.add_mac((bridge, mac), on, flags, Nanos(0));
        Ok(())
    }

    /// Forgets the learned addresses of a bridge domain.
    ///
    /// # Errors
    /// [`ApiError::NoSuchEntry`].
    pub fn l2fib_flush_bd(&mut self, bd_id: u32) -> Result<()> {
        let index = self.bridge_index(bd_id)?;
        self.l2fib_flush(|(bridge, _), _| bridge == index, false);
        Ok(())
    }

    /// Forgets the learned addresses of a port.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`].
    pub fn l2fib_flush_int(&mut self, on: SwIfIndex) -> Result<()> {
        self.interface(on)?;
        self.l2fib_flush(|_, index| index == on, false);
        Ok(())
    }

    /// Forgets all learned addresses.
    pub fn l2fib_flush_all(&mut self) {
        self.l2fib_flush(|_, _| true, false);
    }

    pub fn bridge_domains(&self) -> impl Iterator<Item = BridgeInfo> {
        self.bridges.iter().filter_map(|(bd_id, index)| {
            let bridge = self.tables.bridge(*index)?;
            let members = bridge
                .members
                .iter()
                .map(|m| (m.sw_if_index, m.shg))
                .collect();
            Some(BridgeInfo {
                bd_id: *bd_id,
                spec: bridge.spec.clone(),
                bvi: bridge.bvi,
                uu_fwd: bridge.uu_fwd,
                members,
            })
        })
    }

    /// L2 FIB entries of a bridge domain; empty when it is unknown.
    pub fn l2fib(&self, bd_id: u32) -> Vec<L2FibEntry> {
        let Ok(index) = self.bridge_index(bd_id) else {
            return Vec::new();
        };
        let all = self
            .macs
            .range((index, MacAddr::ZERO)..)
            .take_while(|((bridge, _), _)| *bridge == index);
        all.filter_map(|(key, on)| {
            let flags = self.tables.macs.get(key)?.flags;
            Some(L2FibEntry {
                bd_id,
                mac: key.1,
                sw_if_index: *on,
                flags,
            })
        })
        .collect()
    }

    /// Pairs of receiving and sending interface.
    pub fn xconnects(&self) -> Vec<(SwIfIndex, SwIfIndex)> {
        let pair = |i: &crate::interface::InterfaceInfo| match i.l2 {
            L2Config::Xconnect(tx) => Some((i.sw_if_index, tx)),
            L2Config::L3
            | L2Config::Bridge { .. }
            | L2Config::SrPolicy(_)
            | L2Config::SrProxy(_) => None,
        };
        self.interfaces.values().filter_map(pair).collect()
    }

    /// Forgets learned addresses that were not seen for the age of their bridge domain, and asks for neighbours that
    /// are old. Call about once a second.
    pub fn handle_timeout(&mut self, now: Nanos) {
        self.age_neighbors(now);
        self.cnat_handle_timeout(now);
        let is_old = |(bridge, mac): &(u32, MacAddr)| {
            let entry = self.tables.macs.get(&(*bridge, *mac))?;
            let age = u32::from(self.tables.bridge(*bridge)?.spec.mac_age) * 60;
            let idle = now
                .secs()
                .saturating_sub(entry.last_seen.load(Ordering::Relaxed));
            Some(age > 0 && !entry.flags.static_mac && idle > age)
        };
        let old: Vec<_> = self
            .macs
            .keys()
            .filter(|key| is_old(key).unwrap_or(false))
            .copied()
            .collect();
        old.into_iter().for_each(|key| self.remove_mac(key));
    }

    pub(super) fn learn_mac(&mut self, bridge: u32, mac: MacAddr, on: SwIfIndex, now: Nanos) {
        let is_port = self
            .interfaces
            .get(&on)
            .is_some_and(|i| matches!(i.l2, L2Config::Bridge { bridge: of, .. } if of == bridge));
        let known = self.tables.macs.get(&(bridge, mac));
        if !is_port || known.is_some_and(|e| e.flags.static_mac || e.sw_if_index == on) {
            return;
        }
        if self.macs.len() >= MACS_MAX && known.is_none() {
            return;
        }
        if self.may_learn(bridge, known.is_some()) {
            self.add_mac((bridge, mac), on, L2FibFlags::default(), now);
        }
    }

    /// Takes an interface out of its bridge domain or cross-connect.
    pub(super) fn leave_l2(&mut self, index: SwIfIndex) -> Result<()> {
        let old = std::mem::take(&mut self.info_mut(index)?.l2);
        if let L2Config::Bridge { bridge, .. } = old {
            self.l2fib_flush(|(of, _), on| of == bridge && on == index, true);
            if let Some(bd_id) = self.tables.bridge(bridge).map(|b| b.bd_id) {
                self.edit_bridge(bd_id, |b| {
                    b.members = b
                        .members
                        .iter()
                        .filter(|m| m.sw_if_index != index)
                        .copied()
                        .collect();
                    b.bvi = b.bvi.filter(|i| *i != index);
                    b.uu_fwd = b.uu_fwd.filter(|i| *i != index);
                })?;
            }
        }
        if old != L2Config::L3 {
            self.refresh(index);
        }
        Ok(())
    }

    /// A cross-connect to an interface that goes away ends; its receiving end drops from then on.
    pub(super) fn remove_xconnects_to(&mut self, index: SwIfIndex) {
        let ends: Vec<_> = self
            .xconnects()
            .into_iter()
            .filter(|(_, tx)| *tx == index)
            .map(|(rx, _)| rx)
            .collect();
        for rx in ends {
            // `rx` was listed just now.
            let _ = self.leave_l2(rx);
        }
    }

    /// Keeps the BVI's own address in the L2 FIB.
    pub(super) fn refresh_bvi_mac(&mut self, index: SwIfIndex) {
        let Some(info) = self.interfaces.get(&index) else {
            return;
        };
        let L2Config::Bridge {
            bridge, bvi: true, ..
        } = info.l2
        else {
            return;
        };
        let mac = info.mac;
        self.l2fib_flush(|(of, _), on| of == bridge && on == index, true);
        self.add_mac(
            (bridge, mac),
            index,
            L2FibFlags {
                static_mac: true,
                filter_mac: false,
                bvi_mac: true,
            },
            Nanos(0),
        );
    }

    fn make_bridge(&mut self, bd_id: u32, mut spec: BridgeSpec) {
        spec.learn_limit = Some(spec.learn_limit.unwrap_or(self.learning.limit_default));
        let index = self.bridge_pool.take();
        self.bridges.insert(bd_id, index);
        self.tables.bridges.set(
            index,
            Arc::new(Bridge {
                bd_id,
                spec,
                bvi: None,
                uu_fwd: None,
                members: Arc::from([]),
            }),
        );
        self.dirty = true;
    }

    pub(super) fn bridge_index(&self, bd_id: u32) -> Result<u32> {
        self.bridges
            .get(&bd_id)
            .copied()
            .ok_or(ApiError::NoSuchEntry)
    }

    pub(super) fn edit_bridge(&mut self, bd_id: u32, edit: impl FnOnce(&mut Bridge)) -> Result<()> {
        let index = self.bridge_index(bd_id)?;
        let bridge = self
            .tables
            .bridges
            .get_mut(index)
            .ok_or(ApiError::NoSuchEntry)?;
        edit(Arc::make_mut(bridge));
        self.dirty = true;
        Ok(())
    }

    fn add_mac(&mut self, key: (u32, MacAddr), on: SwIfIndex, flags: L2FibFlags, now: Nanos) {
        self.count_learned(key, Some(flags));
        self.macs.insert(key, on);
        let last_seen = Arc::new(AtomicU32::new(now.secs()));
        self.tables.macs.insert(
            key,
            MacEntry {
                sw_if_index: on,
                flags,
                last_seen,
            },
        );
        self.dirty = true;
    }

    fn remove_mac(&mut self, key: (u32, MacAddr)) {
        self.count_learned(key, None);
        self.macs.remove(&key);
        self.tables.macs.remove(&key);
        self.dirty = true;
    }

    fn l2fib_flush(
        &mut self,
        matches: impl Fn((u32, MacAddr), SwIfIndex) -> bool,
        with_static: bool,
    ) {
        let is_static = |key| {
            self.tables
                .macs
                .get(key)
                .is_some_and(|e| e.flags.static_mac)
        };
        let all = self
            .macs
            .iter()
            .filter(|(key, on)| matches(**key, **on) && (with_static || !is_static(key)));
        let keys: Vec<_> = all.map(|(key, _)| *key).collect();
        keys.into_iter().for_each(|key| self.remove_mac(key));
    }
}
