//! The durable copy: one redb file with a row per record, and a row per lease.
//!
//! Rows are only added and, after compaction, removed; a batch is one transaction, durable when
//! [`Disk::commit`] returns. The first byte of a record row is a format version.

use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::path::{Path, PathBuf};
use std::time::Duration;

use prost::Message;
use redb::{Database, DatabaseError, ReadableDatabase, ReadableTable, TableDefinition};

use super::lessor::Lessor;
use super::mvcc::{Mvcc, Record};
use super::state::{Effects, State};
use crate::wire::KeyValue;

/// Revision and position within it.
const RECORDS: TableDefinition<'_, (i64, u32), &[u8]> = TableDefinition::new("records");
/// Lease id to granted length in seconds.
const LEASES: TableDefinition<'_, i64, i64> = TableDefinition::new("leases");
const META: TableDefinition<'_, &str, u64> = TableDefinition::new("meta");

const FILE: &str = "store.redb";
const RECORD_FORMAT: u8 = 1;
const CACHE_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug, thiserror::Error)]
pub enum DiskError {
    #[error("prepare data directory `{}`", path.display())]
    DataDir {
        path: PathBuf,
        source: std::io::Error,
    },
    #[error("`{}` is in use by another process\nhint: one data directory serves one store", path.display())]
    InUse { path: PathBuf },
    #[error("database `{}`", path.display())]
    Database {
        path: PathBuf,
        source: Box<redb::Error>,
    },
    #[error("database `{}` is damaged: record {revision}.{sub} is unreadable", path.display())]
    Damaged {
        path: PathBuf,
        revision: i64,
        sub: u32,
    },
}

pub(crate) struct Disk {
    database: Database,
    path: PathBuf,
}

/// Random names that a store keeps for its whole life.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Identity {
    pub(crate) cluster: u64,
    pub(crate) member: u64,
}

impl Disk {
    pub(crate) fn open(data_dir: &Path) -> Result<Self, DiskError> {
        fs::create_dir_all(data_dir).map_err(|source| DiskError::DataDir {
            path: data_dir.to_owned(),
            source,
        })?;
        let path = data_dir.join(FILE);
        match Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(&path)
        {
            Ok(database) => {
                // A new file survives a power cut only once its directory entry does.
                fs::File::open(data_dir)
                    .and_then(|dir| dir.sync_all())
                    .map_err(|source| DiskError::DataDir {
                        path: data_dir.to_owned(),
                        source,
                    })?;
                Ok(Self { database, path })
            }
            Err(DatabaseError::DatabaseAlreadyOpen) => Err(DiskError::InUse { path }),
            Err(error) => Err(DiskError::Database {
                path,
                source: Box::new(redb::Error::from(error)),
            }),
        }
    }

    /// Reads everything. Leases start anew: their owners could not renew them meanwhile.
    pub(crate) fn load(&self) -> Result<(Identity, State), DiskError> {
        let identity = self.wrap(self.identity())?;
        let stored = self.wrap(self.read())?;
        let mut records = Vec::with_capacity(stored.records.len());
        for ((revision, sub), row) in stored.records {
            let damaged = || DiskError::Damaged {
                path: self.path.clone(),
                revision,
                sub,
            };
            records.push(decode(sub, &row).ok_or_else(damaged)?);
        }
        let mvcc = Mvcc::restore(stored.compacted, records);
        let mut lessor = Lessor::default();
        for (id, ttl) in stored.leases {
            if lessor.grant(id, ttl, Duration::ZERO).is_err() {
                tracing::warn!(lease = id, "dropped a stored lease beyond the limit");
            }
        }
        let everything = crate::range::KeyRange::From(bytes::Bytes::new());
        for record in mvcc.live(&everything, i64::MAX) {
            lessor.attach(record.lease, record.key.clone());
        }
        let durable = mvcc.revision();
        Ok((
            identity,
            State {
                mvcc,
                lessor,
                durable,
            },
        ))
    }

    /// Returns when `effects` will survive a crash.
    pub(crate) fn commit(&self, effects: &Effects) -> Result<(), DiskError> {
        self.wrap(self.write(effects))
    }

    fn write(&self, effects: &Effects) -> Result<(), redb::Error> {
        let transaction = self.database.begin_write()?;
        {
            let mut records = transaction.open_table(RECORDS)?;
            for record in &effects.records {
                records.insert((record.mod_revision, record.sub), encode(record).as_slice())?;
            }
            for row in &effects.forgotten {
                records.remove(row)?;
            }
            let mut leases = transaction.open_table(LEASES)?;
            for (id, ttl) in &effects.leases {
                match ttl {
                    Some(ttl) => leases.insert(id, ttl)?,
                    None => leases.remove(id)?,
                };
            }
            if let Some(compacted) = effects.compacted {
                let mut meta = transaction.open_table(META)?;
                meta.insert("compacted", compacted.unsigned_abs())?;
            }
        }
        // redb syncs the file before it returns unless told otherwise.
        transaction.commit()?;
        Ok(())
    }

    fn identity(&self) -> Result<Identity, redb::Error> {
        let transaction = self.database.begin_write()?;
        let identity = {
            // Opening a table for writing creates it, so that readers may rely on it.
            transaction.open_table(RECORDS)?;
            transaction.open_table(LEASES)?;
            let mut meta = transaction.open_table(META)?;
            let mut stored = |name: &str| -> Result<u64, redb::Error> {
                if let Some(value) = meta.get(name)? {
                    return Ok(value.value());
                }
                let random = RandomState::new().hash_one(name) | 1;
                meta.insert(name, random)?;
                Ok(random)
            };
            Identity {
                cluster: stored("cluster")?,
                member: stored("member")?,
            }
        };
        transaction.commit()?;
        Ok(identity)
    }

    fn read(&self) -> Result<Stored, redb::Error> {
        let transaction = self.database.begin_read()?;
        let mut stored = Stored::default();
        let compacted = transaction
            .open_table(META)?
            .get("compacted")?
            .map(|value| value.value());
        stored.compacted = i64::try_from(compacted.unwrap_or(0)).unwrap_or(i64::MAX);
        for row in transaction.open_table(RECORDS)?.iter()? {
            let (key, value) = row?;
            stored.records.push((key.value(), value.value().to_vec()));
        }
        for row in transaction.open_table(LEASES)?.iter()? {
            let (id, ttl) = row?;
            stored.leases.push((id.value(), ttl.value()));
        }
        Ok(stored)
    }

    fn wrap<T>(&self, result: Result<T, redb::Error>) -> Result<T, DiskError> {
        result.map_err(|source| DiskError::Database {
            path: self.path.clone(),
            source: Box::new(source),
        })
    }
}

#[derive(Default)]
struct Stored {
    compacted: i64,
    records: Vec<((i64, u32), Vec<u8>)>,
    leases: Vec<(i64, i64)>,
}

fn encode(record: &Record) -> Vec<u8> {
    let mut row = vec![RECORD_FORMAT];
    row.extend(record.to_wire().encode_to_vec());
    row
}

fn decode(sub: u32, row: &[u8]) -> Option<Record> {
    let (&RECORD_FORMAT, message) = row.split_first()? else {
        return None;
    };
    let kv = KeyValue::decode(bytes::Bytes::copy_from_slice(message)).ok()?;
    Some(Record {
        key: kv.key,
        value: kv.value,
        create_revision: kv.create_revision,
        mod_revision: kv.mod_revision,
        sub,
        version: kv.version,
        lease: kv.lease,
    })
}

#[cfg(test)]
mod tests;
