//! IP tables (VRFs).

use std::collections::BTreeSet;
use std::net::IpAddr;

use super::{Dataplane, Result};
use crate::error::ApiError;
use crate::fib::Fib;
use crate::id::{Family, SwIfIndex};
use crate::prefix::Prefix;
use crate::route::TableInfo;

#[derive(Debug)]
pub(super) struct TableEntry {
    pub(super) fib: u32,
    pub(super) name: String,
    /// Held by the API; without it, a table lives while something uses it.
    pub(super) locked: bool,
    /// Connected prefixes with interface and address.
    pub(super) connected: BTreeSet<(Prefix, SwIfIndex, IpAddr)>,
    pub(super) stale: Option<BTreeSet<Prefix>>,
}

impl Dataplane {
    /// Adds or deletes a table. Adding one that exists, and deleting one that does not, succeed; table 0
    /// always exists.
    ///
    /// # Errors
    /// None today; the signature is the API's.
    pub fn ip_table_add_del(
        &mut self,
        family: Family,
        table_id: u32,
        name: &str,
        is_add: bool,
    ) -> Result<()> {
        if table_id == 0 {
            return Ok(());
        }
        if is_add {
            match self.ip_tables.get_mut(&(family, table_id)) {
                Some(table) => table.locked = true,
                None => self.make_table(family, table_id, name),
            }
        } else if let Some(table) = self.ip_tables.get_mut(&(family, table_id)) {
            table.locked = false;
            self.ip_table_flush_routes(family, table_id);
            self.drop_table_if_unused(family, table_id);
        }
        Ok(())
    }

    /// Makes the table asked for, or one with a free id.
    ///
    /// # Errors
    /// [`ApiError::LimitExceeded`] when all ids are taken.
    pub fn ip_table_allocate(
        &mut self,
        family: Family,
        table_id: Option<u32>,
        name: &str,
    ) -> Result<u32> {
        let table_id = match table_id {
            Some(id) if id != u32::MAX => id,
            _ => (1..u32::MAX)
                .find(|id| !self.ip_tables.contains_key(&(family, *id)))
                .ok_or(ApiError::LimitExceeded)?,
        };
        self.ip_table_add_del(family, table_id, name, true)?;
        Ok(table_id)
    }

    /// Chooses the fields that decide between the equal paths of a table's routes.
    ///
    /// # Errors
    /// [`ApiError::NoSuchFib`].
    pub fn set_ip_flow_hash(&mut self, family: Family, table_id: u32, fields: u32) -> Result<()> {
        let fib = self.fib_of(family, table_id)?;
        self.tables.flow_hashes.insert(fib, fields);
        self.dirty = true;
        Ok(())
    }

    /// Makes this router's choice between equal paths different from that of routers with other numbers; 0 = none.
    pub fn set_ip_flow_hash_router_id(&mut self, router_id: u32) {
        self.tables.router_id = router_id;
        self.dirty = true;
    }

    /// All tables.
    pub fn ip_tables(&self) -> Vec<TableInfo> {
        let info = |(&(family, table_id), t): (&(Family, u32), &TableEntry)| TableInfo {
            family,
            table_id,
            name: t.name.clone(),
            flow_hash: self.tables.flow_hash(t.fib),
        };
        self.ip_tables.iter().map(info).collect()
    }

    /// Marks the API routes of a table.
    ///
    /// # Errors
    /// [`ApiError::NoSuchFib`].
    pub fn ip_table_replace_begin(&mut self, family: Family, table_id: u32) -> Result<()> {
        let stale = self.api_prefixes(family, table_id);
        self.ip_tables
            .get_mut(&(family, table_id))
            .ok_or(ApiError::NoSuchFib)?
            .stale = Some(stale);
        Ok(())
    }

    /// Deletes the API routes that were not added again since [`Dataplane::ip_table_replace_begin`].
    ///
    /// # Errors
    /// [`ApiError::NoSuchFib`].
    pub fn ip_table_replace_end(&mut self, family: Family, table_id: u32) -> Result<()> {
        let table = self
            .ip_tables
            .get_mut(&(family, table_id))
            .ok_or(ApiError::NoSuchFib)?;
        let (fib, stale) = (table.fib, table.stale.take().unwrap_or_default());
        for prefix in stale {
            self.remove_source(fib, prefix, super::route::Source::Api);
        }
        Ok(())
    }

    /// Deletes the API routes of a table and, as VPP does, sets its interfaces down.
    ///
    /// # Errors
    /// [`ApiError::NoSuchFib`].
    pub fn ip_table_flush(&mut self, family: Family, table_id: u32) -> Result<()> {
        if !self.ip_tables.contains_key(&(family, table_id)) {
            return Err(ApiError::NoSuchFib);
        }
        let bound: Vec<_> = self
            .interfaces
            .values()
            .filter(|i| i.table(family) == table_id && i.admin_up)
            .map(|i| i.sw_if_index)
            .collect();
        for index in bound {
            self.set_flags(index, false)?;
        }
        self.ip_table_flush_routes(family, table_id);
        Ok(())
    }

    fn ip_table_flush_routes(&mut self, family: Family, table_id: u32) {
        let fib = self.fib_index(family, table_id);
        for prefix in self.api_prefixes(family, table_id) {
            self.remove_source(fib, prefix, super::route::Source::Api);
        }
    }

    pub(super) fn make_table(&mut self, family: Family, table_id: u32, name: &str) {
        let fib = self.fib_pool.take();
        self.tables.fibs.set(fib, Fib::default());
        let version = match family {
            Family::V4 => "ipv4",
            Family::V6 => "ipv6",
        };
        let name = if name.is_empty() {
            format!("{version}-VRF:{table_id}")
        } else {
            name.to_owned()
        };
        let entry = TableEntry {
            fib,
            name,
            locked: true,
            connected: BTreeSet::new(),
            stale: None,
        };
        self.ip_tables.insert((family, table_id), entry);
        self.add_special_routes(family, fib);
        self.dirty = true;
    }

    pub(super) fn drop_table_if_unused(&mut self, family: Family, table_id: u32) {
        let Some(table) = self.ip_tables.get(&(family, table_id)) else {
            return;
        };
        let bound = self
            .interfaces
            .values()
            .any(|i| i.table(family) == table_id);
        if table.locked || bound || self.is_table_named(family, table_id) {
            return;
        }
        let fib = table.fib;
        self.forget_routes_of(fib);
        self.tables.fibs.remove(fib);
        self.tables.flow_hashes.remove(&fib);
        self.fib_pool.give_back(fib);
        self.ip_tables.remove(&(family, table_id));
        self.dirty = true;
    }

    /// Index of a table in the data path; table 0's when it is unknown.
    pub(super) fn fib_index(&self, family: Family, table_id: u32) -> u32 {
        let table = self
            .ip_tables
            .get(&(family, table_id))
            .or_else(|| self.ip_tables.get(&(family, 0)));
        table.map_or(0, |t| t.fib)
    }

    /// # Errors
    /// [`ApiError::NoSuchFib`].
    pub(super) fn fib_of(&self, family: Family, table_id: u32) -> Result<u32> {
        self.ip_tables
            .get(&(family, table_id))
            .map(|t| t.fib)
            .ok_or(ApiError::NoSuchFib)
    }
}
