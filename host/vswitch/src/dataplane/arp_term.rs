//! The addresses that a bridge domain answers ARP and neighbour discovery for.

use std::net::{IpAddr, Ipv4Addr};

use packet::MacAddr;

use super::{Dataplane, Result};
use crate::error::ApiError;

/// Entries of all bridge domains together.
const ENTRIES_MAX: usize = 1 << 16;

impl Dataplane {
    /// Adds, replaces or deletes an entry.
    ///
    /// # Errors
    /// [`ApiError::BdNotModifiable`] for 0, [`ApiError::NoSuchEntry`] for the domain, [`ApiError::Unspecified`] for
    /// an entry to delete that is not there with this MAC, [`ApiError::LimitExceeded`].
    pub fn bd_ip_mac_add_del(
        &mut self,
        bd_id: u32,
        ip: IpAddr,
        mac: MacAddr,
        is_add: bool,
    ) -> Result<()> {
        if bd_id == 0 {
            return Err(ApiError::BdNotModifiable);
        }
        let key = (self.bridge_index(bd_id)?, ip);
        if is_add {
            if self.bridge_neighbors.len() >= ENTRIES_MAX {
                return Err(ApiError::LimitExceeded);
            }
            self.bridge_neighbors.insert(key, mac);
            self.tables.bridge_neighbors.insert(key, mac);
        } else {
            if self.bridge_neighbors.get(&key) != Some(&mac) {
                return Err(ApiError::Unspecified);
            }
            self.bridge_neighbors.remove(&key);
            self.tables.bridge_neighbors.remove(&key);
        }
        self.dirty = true;
        Ok(())
    }

    /// Deletes all entries of a domain.
    ///
    /// # Errors
    /// [`ApiError::BdNotModifiable`] for 0, [`ApiError::NoSuchEntry`] for the domain.
    pub fn bd_ip_mac_flush(&mut self, bd_id: u32) -> Result<()> {
        if bd_id == 0 {
            return Err(ApiError::BdNotModifiable);
        }
        let index = self.bridge_index(bd_id)?;
        self.forget_bridge_neighbors(index);
        Ok(())
    }

    /// Entries of one domain, or of all.
    pub fn bd_ip_macs(&self, bd_id: Option<u32>) -> Vec<(u32, IpAddr, MacAddr)> {
        let of = |index| self.tables.bridge(index).map(|b| b.bd_id);
        let all = self
            .bridge_neighbors
            .iter()
            .filter_map(|((index, ip), mac)| Some((of(*index)?, *ip, *mac)));
        all.filter(|(of, ..)| bd_id.is_none_or(|id| id == *of))
            .collect()
    }

    pub(super) fn forget_bridge_neighbors(&mut self, index: u32) {
        let first = IpAddr::V4(Ipv4Addr::UNSPECIFIED);
        let all = self
            .bridge_neighbors
            .range((index, first)..)
            .take_while(|((of, _), _)| *of == index);
        let keys: Vec<_> = all.map(|(key, _)| *key).collect();
        for key in keys {
            self.bridge_neighbors.remove(&key);
            self.tables.bridge_neighbors.remove(&key);
        }
        self.dirty = true;
    }
}
