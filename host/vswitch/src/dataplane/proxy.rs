//! Proxy ARP and proxy neighbour discovery.

use std::net::{Ipv4Addr, Ipv6Addr};

use super::{Dataplane, Result};
use crate::error::ApiError;
use crate::id::{Family, SwIfIndex};

impl Dataplane {
    /// Adds or deletes a range of addresses to answer for on interfaces that have proxy ARP enabled.
    ///
    /// # Errors
    /// [`ApiError::NoSuchFib`]; [`ApiError::InvalidValue`] for a backward range; [`ApiError::NoSuchEntry`] on delete.
    pub fn proxy_arp_add_del(
        &mut self,
        table_id: u32,
        low: Ipv4Addr,
        high: Ipv4Addr,
        is_add: bool,
    ) -> Result<()> {
        let entry = (self.fib_of(Family::V4, table_id)?, low, high);
        if low > high {
            return Err(ApiError::InvalidValue);
        }
        let mut all = self.tables.proxy_arp.to_vec();
        if is_add {
            if !all.contains(&entry) {
                all.push(entry);
            }
        } else {
            let at = all
                .iter()
                .position(|e| *e == entry)
                .ok_or(ApiError::NoSuchEntry)?;
            all.remove(at);
        }
        self.tables.proxy_arp = all.into();
        self.dirty = true;
        Ok(())
    }

    /// Ranges of addresses that are answered for, with their table.
    pub fn proxy_arps(&self) -> Vec<(u32, Ipv4Addr, Ipv4Addr)> {
        let table_of = |fib: u32| {
            let mut all = self.ip_tables.iter();
            let found = all.find(|((family, _), t)| *family == Family::V4 && t.fib == fib);
            found.map(|((_, id), _)| *id)
        };
        let ranges = self.tables.proxy_arp.iter();
        ranges
            .filter_map(|(fib, low, high)| Some((table_of(*fib)?, *low, *high)))
            .collect()
    }

    /// Addresses that solicitations are answered for, with their interface.
    pub fn nd_proxies(&self) -> impl Iterator<Item = (SwIfIndex, Ipv6Addr)> {
        self.nd_proxies.iter().copied()
    }

    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`].
    pub fn proxy_arp_enable_disable(&mut self, on: SwIfIndex, enable: bool) -> Result<()> {
        self.info_mut(on)?.proxy_arp = enable;
        self.refresh(on);
        Ok(())
    }

    /// Answers solicitations for `ip` that come in on an interface.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::NoSuchEntry`] on delete.
    pub fn ip6nd_proxy_add_del(&mut self, on: SwIfIndex, ip: Ipv6Addr, is_add: bool) -> Result<()> {
        self.interface(on)?;
        let changed = if is_add {
            self.nd_proxies.insert((on, ip))
        } else {
            self.nd_proxies.remove(&(on, ip))
        };
        if !is_add && !changed {
            return Err(ApiError::NoSuchEntry);
        }
        self.refresh(on);
        Ok(())
    }
}
