//! The store's state machine: a request goes in, a reply and what must become durable come out.
//! Pure; the engine adds the clock and the disk.

use std::sync::Arc;
use std::time::Duration;

use super::lessor::Lessor;
use super::mvcc::{Change, Mvcc, Record};
use super::query;
use super::refusal::Refusal;
use super::txn::{self, Path};
use crate::range::KeyRange;
use crate::wire::request_op::Request;
use crate::wire::response_op::Response;
use crate::wire::{
    DeleteRangeRequest, DeleteRangeResponse, PutRequest, PutResponse, RangeRequest, RangeResponse,
    ResponseHeader, ResponseOp, TxnRequest, TxnResponse,
};

/// Keys, values and history; all of it is held in memory.
const STORE_BYTES_MAX: usize = 2 * 1024 * 1024 * 1024;

#[derive(Debug, Default)]
pub(crate) struct State {
    pub(crate) mvcc: Mvcc,
    pub(crate) lessor: Lessor,
    /// The newest revision that is on disk. Readers see nothing beyond it.
    pub(crate) durable: i64,
}

/// What a batch of requests changed, in the form storage needs.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Effects {
    pub(crate) records: Vec<Arc<Record>>,
    pub(crate) forgotten: Vec<(i64, u32)>,
    pub(crate) compacted: Option<i64>,
    /// Lease id and granted length, or `None` for a lease that ended.
    pub(crate) leases: Vec<(i64, Option<i64>)>,
}

impl Effects {
    pub(crate) fn is_empty(&self) -> bool {
        self == &Self::default()
    }
}

impl State {
    pub(crate) fn put(
        &mut self,
        request: &PutRequest,
        effects: &mut Effects,
    ) -> Result<PutResponse, Refusal> {
        txn::validate_put(request)?;
        self.check_put(request)?;
        let mut change = Change::default();
        let response = self.apply_put(request, &mut change);
        effects.records.extend(self.mvcc.finish(change));
        Ok(response)
    }

    pub(crate) fn delete_range(
        &mut self,
        request: &DeleteRangeRequest,
        effects: &mut Effects,
    ) -> Result<DeleteRangeResponse, Refusal> {
        if request.key.is_empty() {
            return Err(Refusal::EmptyKey);
        }
        let mut change = Change::default();
        let response = self.apply_delete(request, &mut change);
        effects.records.extend(self.mvcc.finish(change));
        Ok(response)
    }

    pub(crate) fn txn(
        &mut self,
        request: &TxnRequest,
        effects: &mut Effects,
    ) -> Result<TxnResponse, Refusal> {
        txn::validate(request)?;
        let path = Path::decide(&self.mvcc, request);
        path.check(request, &mut |operation| match operation {
            Request::Put(put) => self.check_put(put),
            Request::Range(range) => self
                .mvcc
                .check_readable(range.revision, self.mvcc.revision()),
            Request::DeleteRange(_) | Request::Txn(_) => Ok(()),
        })?;
        let mut change = Change::default();
        let mut response = self.apply_txn(request, &path, &mut change);
        effects.records.extend(self.mvcc.finish(change));
        response.header = header(self.mvcc.revision());
        Ok(response)
    }

    /// Answers from what is durable.
    pub(crate) fn range(&self, request: &RangeRequest) -> Result<RangeResponse, Refusal> {
        query::validate(request)?;
        self.mvcc.check_readable(request.revision, self.durable)?;
        Ok(query::range(
            &self.mvcc,
            request,
            self.durable,
            self.durable,
        ))
    }

    /// Must not share a batch with writes: only durable revisions may be compacted.
    pub(crate) fn compact(&mut self, revision: i64, effects: &mut Effects) -> Result<(), Refusal> {
        if revision > self.durable {
            return Err(Refusal::FutureRevision);
        }
        if revision <= self.mvcc.compacted() {
            return Err(Refusal::Compacted);
        }
        effects.forgotten.extend(self.mvcc.compact(revision));
        effects.compacted = Some(revision);
        Ok(())
    }

    pub(crate) fn grant(
        &mut self,
        id: i64,
        ttl: i64,
        now: Duration,
        effects: &mut Effects,
    ) -> Result<i64, Refusal> {
        let ttl = self.lessor.grant(id, ttl, now)?;
        effects.leases.push((id, Some(ttl)));
        Ok(ttl)
    }

    /// Ends a lease and deletes its keys at one revision.
    pub(crate) fn revoke(&mut self, id: i64, effects: &mut Effects) -> Result<(), Refusal> {
        let keys = self.lessor.revoke(id)?;
        let mut change = Change::default();
        for key in keys {
            self.mvcc.delete(&mut change, &KeyRange::One(key));
        }
        effects.records.extend(self.mvcc.finish(change));
        effects.leases.push((id, None));
        Ok(())
    }

    pub(crate) fn revoke_expired(&mut self, now: Duration, effects: &mut Effects) {
        for id in self.lessor.expired(now) {
            // The lease was listed a moment ago, so it is there.
            if self.revoke(id, effects).is_ok() {
                tracing::debug!(lease = id, "lease expired");
            }
        }
    }

    fn check_put(&self, request: &PutRequest) -> Result<(), Refusal> {
        let exists = || self.mvcc.newest(&request.key).is_some();
        if (request.ignore_value || request.ignore_lease) && !exists() {
            return Err(Refusal::KeyNotFound);
        }
        if request.lease != 0 && !self.lessor.contains(request.lease) {
            return Err(Refusal::LeaseNotFound);
        }
        if self.mvcc.bytes() + request.key.len() + request.value.len() > STORE_BYTES_MAX {
            return Err(Refusal::NoSpace);
        }
        Ok(())
    }

    fn apply_put(&mut self, request: &PutRequest, change: &mut Change) -> PutResponse {
        let previous = self.mvcc.newest(&request.key).cloned();
        let mut value = request.value.clone();
        let mut lease = request.lease;
        if let Some(previous) = &previous {
            if request.ignore_value {
                value = previous.value.clone();
            }
            if request.ignore_lease {
                lease = previous.lease;
            }
            self.lessor.detach(previous.lease, &request.key);
        }
        self.lessor.attach(lease, request.key.clone());
        self.mvcc.put(change, request.key.clone(), value, lease);
        PutResponse {
            header: header(self.mvcc.revision() + 1),
            prev_kv: previous
                .filter(|_| request.prev_kv)
                .map(|record| record.to_wire()),
        }
    }

    fn apply_delete(
        &mut self,
        request: &DeleteRangeRequest,
        change: &mut Change,
    ) -> DeleteRangeResponse {
        let range = KeyRange::new(request.key.clone(), request.range_end.clone());
        let deleted = self.mvcc.delete(change, &range);
        for record in &deleted {
            self.lessor.detach(record.lease, &record.key);
        }
        let mut response = DeleteRangeResponse {
            header: header(self.revision_with(change)),
            deleted: i64::try_from(deleted.len()).unwrap_or(i64::MAX),
            prev_kvs: Vec::new(),
        };
        if request.prev_kv {
            response.prev_kvs = deleted.into_iter().map(|record| record.to_wire()).collect();
        }
        response
    }

    fn apply_txn(&mut self, txn: &TxnRequest, path: &Path, change: &mut Change) -> TxnResponse {
        let mut nested = path.nested.iter();
        let mut responses = Vec::new();
        for op in txn::branch(txn, path.succeeded) {
            let response = match &op.request {
                Some(Request::Range(range)) => {
                    let current = self.revision_with(change);
                    Some(Response::Range(query::range(
                        &self.mvcc,
                        range,
                        i64::MAX,
                        current,
                    )))
                }
                Some(Request::Put(put)) => Some(Response::Put(self.apply_put(put, change))),
                Some(Request::DeleteRange(delete)) => {
                    Some(Response::DeleteRange(self.apply_delete(delete, change)))
                }
                Some(Request::Txn(inner)) => nested
                    .next()
                    .map(|path| Response::Txn(self.apply_txn(inner, path, change))),
                None => None,
            };
            responses.push(ResponseOp { response });
        }
        TxnResponse {
            header: None,
            succeeded: path.succeeded,
            responses,
        }
    }

    fn revision_with(&self, change: &Change) -> i64 {
        self.mvcc.revision() + i64::from(!change.is_empty())
    }
}

pub(crate) fn header(revision: i64) -> Option<ResponseHeader> {
    Some(ResponseHeader {
        revision,
        ..Default::default()
    })
}

#[cfg(test)]
mod tests;
