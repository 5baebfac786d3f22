//! How big packets to an address may be, when the path behind the interface takes less.

use std::collections::BTreeMap;
use std::net::IpAddr;

use super::{Dataplane, Result};
use crate::error::ApiError;
use crate::id::Family;

/// Path MTUs at once.
const PATH_MTUS_MAX: usize = 65_536;

/// Values that take a path MTU away.
const NO_MTU: [u16; 2] = [0, u16::MAX];

#[derive(Debug)]
struct PathMtu {
    mtu: u16,
    stale: bool,
}

/// Path MTUs by table and address.
#[derive(Debug, Default)]
pub(super) struct PathMtuState {
    entries: BTreeMap<(u32, IpAddr), PathMtu>,
}

impl PathMtuState {
    pub(super) fn names_table(&self, family: Family, table_id: u32) -> bool {
        let mut keys = self.entries.keys();
        keys.any(|(table, ip)| *table == table_id && Family::of(*ip) == family)
    }
}

impl Dataplane {
    /// Sets how big packets to an address may be, be it a neighbour or far away; 0 or 65535 = as the interface says.
    ///
    /// # Errors
    /// [`ApiError::NoSuchTable`]; [`ApiError::LimitExceeded`] for too many.
    pub fn ip_path_mtu_update(&mut self, table_id: u32, to: IpAddr, mtu: u16) -> Result<()> {
        let family = Family::of(to);
        let fib = self.fib_of(family, table_id);
        let fib = fib.map_err(|_| ApiError::NoSuchTable)?;
        let key = (table_id, to);
        if NO_MTU.contains(&mtu) {
            if self.path_mtus.entries.remove(&key).is_some() {
                self.tables.path_mtus.remove(&(fib, to));
                self.drop_table_if_unused(family, table_id);
            }
        } else {
            let entries = &mut self.path_mtus.entries;
            if entries.len() >= PATH_MTUS_MAX && !entries.contains_key(&key) {
                return Err(ApiError::LimitExceeded);
            }
            entries.insert(key, PathMtu { mtu, stale: false });
            self.tables.path_mtus.insert((fib, to), mtu);
        }
        self.dirty = true;
        Ok(())
    }

    /// Marks all path MTUs.
    pub fn ip_path_mtu_replace_begin(&mut self) {
        let entries = self.path_mtus.entries.values_mut();
        entries.for_each(|entry| entry.stale = true);
    }

    /// Takes away those that were not set again since [`Dataplane::ip_path_mtu_replace_begin`].
    pub fn ip_path_mtu_replace_end(&mut self) {
        let entries = self.path_mtus.entries.iter();
        let stale: Vec<_> = entries
            .filter(|(_, e)| e.stale)
            .map(|(key, _)| *key)
            .collect();
        for (table_id, to) in stale {
            // Its table is there as long as the entry is.
            let _ = self.ip_path_mtu_update(table_id, to, 0);
        }
    }

    /// All path MTUs: table, address, biggest packet.
    pub fn ip_path_mtus(&self) -> impl Iterator<Item = (u32, IpAddr, u16)> {
        let entries = self.path_mtus.entries.iter();
        entries.map(|((table_id, to), entry)| (*table_id, *to, entry.mtu))
    }
}
