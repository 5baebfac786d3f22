//! Compare-and-swap: writes that happen together, and only if what they rely on still holds.

use etcd_client::{Client, Compare, CompareOp, PutOptions, Txn, TxnOp, TxnOpResponse, TxnResponse};

use super::kv::revision_of;
use super::{Kv, LeaseId, StoreClient, StoreError};

/// What must be true of a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Precondition {
    Absent,
    Version(i64),
    ModRevision(i64),
    Value(Vec<u8>),
}

/// Outcome of a conditional change of one key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Swap {
    Done { revision: i64 },
    Conflict { current: Option<Kv> },
}

/// Outcome of a [`Transaction`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    Done { revision: i64 },
    Conflict { revision: i64 },
}

/// Writes that are applied at one revision, or not at all. Servers accept at most 128 of them.
#[derive(Debug, Clone)]
#[must_use = "a transaction does nothing until it is committed"]
pub struct Transaction {
    client: StoreClient,
    conditions: Vec<Compare>,
    changes: Vec<TxnOp>,
}

impl StoreClient {
    pub fn transaction(&self) -> Transaction {
        Transaction {
            client: self.clone(),
            conditions: Vec::new(),
            changes: Vec::new(),
        }
    }

    /// Writes `key` if `expected` holds.
    pub async fn put_if(
        &self,
        key: &str,
        expected: Precondition,
        value: impl Into<Vec<u8>>,
    ) -> Result<Swap, StoreError> {
        self.transaction()
            .when(key, expected)
            .put(key, value)
            .swap(key)
            .await
    }

    /// Deletes `key` if `expected` holds.
    pub async fn delete_if(&self, key: &str, expected: Precondition) -> Result<Swap, StoreError> {
        self.transaction()
            .when(key, expected)
            .delete(key)
            .swap(key)
            .await
    }
}

impl Transaction {
    pub fn when(mut self, key: &str, expected: Precondition) -> Self {
        self.conditions.push(comparison(key, expected));
        self
    }

    pub fn put(self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        self.put_with_lease(key, value, LeaseId(0))
    }

    pub fn put_with_lease(mut self, key: &str, value: impl Into<Vec<u8>>, lease: LeaseId) -> Self {
        let options = PutOptions::new().with_lease(lease.0);
        self.changes.push(TxnOp::put(key, value, Some(options)));
        self
    }

    pub fn delete(mut self, key: &str) -> Self {
        self.changes.push(TxnOp::delete(key, None));
        self
    }

    pub async fn commit(self) -> Result<Commit, StoreError> {
        let reply = self.send("commit a transaction", None).await?;
        let revision = revision_of(reply.header());
        Ok(if reply.succeeded() {
            Commit::Done { revision }
        } else {
            Commit::Conflict { revision }
        })
    }

    async fn swap(self, key: &str) -> Result<Swap, StoreError> {
        let read = TxnOp::get(key, None);
        let reply = self
            .send(&format!("compare and swap `{key}`"), Some(read))
            .await?;
        if reply.succeeded() {
            return Ok(Swap::Done {
                revision: revision_of(reply.header()),
            });
        }
        let current = match reply.op_responses().pop() {
            Some(TxnOpResponse::Get(mut reply)) => {
                reply.take_kvs().into_iter().find_map(Kv::from_client)
            }
            Some(TxnOpResponse::Put(_) | TxnOpResponse::Delete(_) | TxnOpResponse::Txn(_))
            | None => None,
        };
        Ok(Swap::Conflict { current })
    }

    async fn send(
        self,
        operation: &str,
        otherwise: Option<TxnOp>,
    ) -> Result<TxnResponse, StoreError> {
        let transaction = Txn::new()
            .when(self.conditions)
            .and_then(self.changes)
            .or_else(Vec::from_iter(otherwise));
        let ask = |mut client: Client| {
            let transaction = transaction.clone();
            async move { client.txn(transaction).await }
        };
        self.client.call(|| operation.to_owned(), ask).await
    }
}

fn comparison(key: &str, expected: Precondition) -> Compare {
    let equal = CompareOp::Equal;
    match expected {
        Precondition::Absent => Compare::create_revision(key, equal, 0),
        Precondition::Version(version) => Compare::version(key, equal, version),
        Precondition::ModRevision(revision) => Compare::mod_revision(key, equal, revision),
        Precondition::Value(value) => Compare::value(key, equal, value),
    }
}
