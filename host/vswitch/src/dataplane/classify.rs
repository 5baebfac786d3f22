//! Classifier tables, their sessions, and which interfaces use them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::pool::Pool;
use super::{Dataplane, Result};
use crate::classify::{
    Action, InputTables, MATCH_MAX, NONE, SESSIONS_MAX, Session, SessionInfo, SessionSpec,
    TABLES_MAX, Table, TableInfo, TableSpec, VECTOR_LEN, VECTORS_MAX,
};
use crate::error::ApiError;
use crate::id::{Family, SwIfIndex};

/// Numbers of tables, and what sessions refer to.
#[derive(Debug, Default)]
pub(super) struct ClassifyState {
    pool: Pool,
    sessions: usize,
    /// How many sessions choose an IP table.
    fibs: BTreeMap<(Family, u32), usize>,
}

impl ClassifyState {
    pub(super) fn names_table(&self, family: Family, table_id: u32) -> bool {
        self.fibs.contains_key(&(family, table_id))
    }
}

impl Dataplane {
    /// Adds a table (`None`, or a number that is not taken), or gives one another next table.
    ///
    /// # Errors
    /// [`ApiError::InvalidValue`] for a mask that is no one to five vectors, or more than a worker sees of a packet, or
    /// a chain that would lead back to itself; [`ApiError::LimitExceeded`] for too many tables.
    pub fn classify_add_table(&mut self, index: Option<u32>, spec: TableSpec) -> Result<u32> {
        let known = index.filter(|index| self.tables.classify.get(*index).is_some());
        if let Some(index) = known {
            if self.leads_to(spec.next_table, index) {
                return Err(ApiError::InvalidValue);
            }
            if let Some(table) = self.tables.classify.get_mut(index) {
                Arc::make_mut(table).spec.next_table = spec.next_table;
            }
            self.dirty = true;
            return Ok(index);
        }
        let vectors = spec.mask.len() / VECTOR_LEN;
        let is_whole = spec.mask.len().is_multiple_of(VECTOR_LEN);
        let seen = u32::try_from(vectors).map_or(NONE, |n| n.saturating_add(spec.skip));
        if !is_whole || !(1..=MATCH_MAX).contains(&vectors) || seen > VECTORS_MAX {
            return Err(ApiError::InvalidValue);
        }
        if spec.buckets == 0 {
            return Err(ApiError::InvalidValue);
        }
        if self.tables.classify.iter().count() >= TABLES_MAX {
            return Err(ApiError::LimitExceeded);
        }
        let index = self.classify.pool.take();
        if self.leads_to(spec.next_table, index) {
            self.classify.pool.give_back(index);
            return Err(ApiError::InvalidValue);
        }
        let table = Arc::new(Table::new(spec));
        self.tables.classify.set(index, table);
        self.dirty = true;
        Ok(index)
    }

    /// Deletes a table, and with `chain` those behind it. An interface that still uses one drops what it would ask it.
    ///
    /// # Errors
    /// [`ApiError::NoSuchTable`].
    pub fn classify_del_table(&mut self, index: u32, chain: bool) -> Result<()> {
        let mut at = index;
        let mut result = Err(ApiError::NoSuchTable);
        while let Some(table) = self.tables.classify.remove(at) {
            self.classify.pool.give_back(at);
            self.forget_sessions(&table);
            self.dirty = true;
            result = Ok(());
            if !chain {
                break;
            }
            at = table.spec.next_table;
        }
        result
    }

    /// Tells whether the chain that starts at `from` comes to a table.
    fn leads_to(&self, from: u32, index: u32) -> bool {
        let mut at = from;
        while at != index {
            match self.tables.classify.get(at) {
                Some(table) => at = table.spec.next_table,
                None => return false,
            }
        }
        true
    }

    /// Adds or replaces a session.
    ///
    /// # Errors
    /// [`ApiError::NoSuchTable`]; [`ApiError::InvalidValue`] when `matched` has another length than the table;
    /// [`ApiError::LimitExceeded`] for too many sessions.
    pub fn classify_add_session(&mut self, table: u32, spec: &SessionSpec) -> Result<()> {
        let of = self.tables.classify.get(table);
        let of = of.ok_or(ApiError::NoSuchTable)?;
        let key = of.key(&spec.matched).ok_or(ApiError::InvalidValue)?;
        if of.sessions.get(&key).is_none() && self.classify.sessions >= SESSIONS_MAX {
            return Err(ApiError::LimitExceeded);
        }
        let fib = self.hold_fib(spec.action);
        let session = Arc::new(Session::new(spec, fib));
        if let Some(of) = self.tables.classify.get_mut(table) {
            let old = Arc::make_mut(of).sessions.insert(key, session);
            self.classify.sessions += usize::from(old.is_none());
            if let Some(old) = old {
                self.release_fib(old.action);
            }
        }
        self.dirty = true;
        Ok(())
    }

    /// Deletes a session.
    ///
    /// # Errors
    /// As [`Dataplane::classify_add_session`]; [`ApiError::NoSuchEntry`].
    pub fn classify_del_session(&mut self, table: u32, matched: &[u8]) -> Result<()> {
        let of = self.tables.classify.get_mut(table);
        let of = of.ok_or(ApiError::NoSuchTable)?;
        let key = of.key(matched).ok_or(ApiError::InvalidValue)?;
        let old = Arc::make_mut(of).sessions.remove(&key);
        let old = old.ok_or(ApiError::NoSuchEntry)?;
        self.classify.sessions -= 1;
        self.release_fib(old.action);
        self.dirty = true;
        Ok(())
    }

    /// Lets tables decide about what an interface receives, or no longer. A family that has a table keeps it.
    ///
    /// # Errors
    /// [`ApiError::InvalidSwIfIndex`]; [`ApiError::NoSuchTable`] for an unknown table, or one that is not in use here.
    pub fn input_acl_set_interface(
        &mut self,
        on: SwIfIndex,
        tables: InputTables,
        is_add: bool,
    ) -> Result<()> {
        let mut now = self.interface(on)?.classify_in;
        let slots = [
            (tables.ip4, &mut now.ip4),
            (tables.ip6, &mut now.ip6),
            (tables.l2, &mut now.l2),
        ];
        for (asked, slot) in slots {
            let Some(table) = asked else { continue };
            if is_add {
                if self.tables.classify.get(table).is_none() {
                    return Err(ApiError::NoSuchTable);
                }
                slot.get_or_insert(table);
            } else if *slot == Some(table) {
                *slot = None;
            } else {
                return Err(ApiError::NoSuchTable);
            }
        }
        self.info_mut(on)?.classify_in = now;
        self.refresh(on);
        Ok(())
    }

    /// All tables.
    pub fn classify_tables(&self) -> impl Iterator<Item = TableInfo> {
        self.tables.classify.iter().map(|(index, table)| TableInfo {
            index,
            spec: table.spec.clone(),
            sessions: table.sessions.len(),
        })
    }

    /// The sessions of a table; none when it does not exist.
    pub fn classify_sessions(&self, table: u32) -> Vec<SessionInfo> {
        let found = self.tables.classify.get(table);
        found.map_or_else(Vec::new, |of| of.list(table))
    }

    /// The FIB that sessions with this action choose, made when it is missing.
    fn hold_fib(&mut self, action: Action) -> Option<(Family, u32)> {
        let Action::SetFib { family, table_id } = action else {
            return None;
        };
        if !self.ip_tables.contains_key(&(family, table_id)) {
            self.make_table(family, table_id, "");
            if let Some(table) = self.ip_tables.get_mut(&(family, table_id)) {
                table.locked = false;
            }
        }
        *self.classify.fibs.entry((family, table_id)).or_default() += 1;
        Some((family, self.fib_index(family, table_id)))
    }

    fn release_fib(&mut self, action: Action) {
        let Action::SetFib { family, table_id } = action else {
            return;
        };
        if let Some(count) = self.classify.fibs.get_mut(&(family, table_id)) {
            *count -= 1;
            if *count == 0 {
                self.classify.fibs.remove(&(family, table_id));
                self.drop_table_if_unused(family, table_id);
            }
        }
    }

    fn forget_sessions(&mut self, table: &Table) {
        let mut actions = Vec::new();
        table.sessions.for_each(|_, s| actions.push(s.action));
        self.classify.sessions -= actions.len();
        actions.into_iter().for_each(|a| self.release_fib(a));
    }
}
