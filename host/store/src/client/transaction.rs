//! Compare-and-swap: writes that happen together, and only if what they rely on still holds.

use bytes::Bytes;

use super::kv::{revision_of, to_bytes};
use super::{Kv, LeaseId, StoreClient, StoreError};
use crate::wire::{
    Compare, DeleteRangeRequest, PutRequest, RangeRequest, RequestOp, TxnRequest, TxnResponse,
    compare, request_op, response_op,
};

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
    request: TxnRequest,
}

impl StoreClient {
    pub fn transaction(&self) -> Transaction {
        Transaction {
            client: self.clone(),
            request: TxnRequest::default(),
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
        self.request.compare.push(comparison(key, expected));
        self
    }

    pub fn put(self, key: &str, value: impl Into<Vec<u8>>) -> Self {
        self.put_with_lease(key, value, LeaseId(0))
    }

    pub fn put_with_lease(self, key: &str, value: impl Into<Vec<u8>>, lease: LeaseId) -> Self {
        let put = PutRequest {
            key: to_bytes(key),
            value: Bytes::from(value.into()),
            lease: lease.0,
            ..Default::default()
        };
        self.then(request_op::Request::Put(put))
    }

    pub fn delete(self, key: &str) -> Self {
        let delete = DeleteRangeRequest {
            key: to_bytes(key),
            ..Default::default()
        };
        self.then(request_op::Request::DeleteRange(delete))
    }

    pub async fn commit(self) -> Result<Commit, StoreError> {
        let reply = self.send("commit a transaction".to_owned()).await?;
        let revision = revision_of(reply.header.as_ref());
        Ok(if reply.succeeded {
            Commit::Done { revision }
        } else {
            Commit::Conflict { revision }
        })
    }

    async fn swap(mut self, key: &str) -> Result<Swap, StoreError> {
        let read = RangeRequest {
            key: to_bytes(key),
            ..Default::default()
        };
        self.request.failure.push(RequestOp {
            request: Some(request_op::Request::Range(read)),
        });
        let reply = self.send(format!("compare and swap `{key}`")).await?;
        if reply.succeeded {
            return Ok(Swap::Done {
                revision: revision_of(reply.header.as_ref()),
            });
        }
        let current = reply
            .responses
            .into_iter()
            .find_map(|op| match op.response {
                Some(response_op::Response::Range(range)) => {
                    range.kvs.iter().find_map(Kv::from_wire)
                }
                _ => None,
            });
        Ok(Swap::Conflict { current })
    }

    async fn send(self, operation: String) -> Result<TxnResponse, StoreError> {
        let Self { client, request } = self;
        client
            .call(|| operation.clone(), client.kv().txn(request))
            .await
    }

    fn then(mut self, request: request_op::Request) -> Self {
        self.request.success.push(RequestOp {
            request: Some(request),
        });
        self
    }
}

fn comparison(key: &str, expected: Precondition) -> Compare {
    use compare::{Operand, Target};
    let (target, operand) = match expected {
        Precondition::Absent => (Target::Create, Operand::CreateRevision(0)),
        Precondition::Version(version) => (Target::Version, Operand::Version(version)),
        Precondition::ModRevision(revision) => (Target::Mod, Operand::ModRevision(revision)),
        Precondition::Value(value) => (Target::Value, Operand::Value(value.into())),
    };
    Compare {
        result: compare::Result::Equal.into(),
        target: target.into(),
        key: to_bytes(key),
        operand: Some(operand),
        range_end: Bytes::new(),
    }
}
