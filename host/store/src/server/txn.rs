//! Transactions: checked as a whole, decided on the state before them, then applied without a way
//! to fail half-way.

use std::collections::BTreeSet;

use bytes::Bytes;

use super::mvcc::Mvcc;
use super::query;
use super::refusal::Refusal;
use crate::range::KeyRange;
use crate::wire::request_op::Request;
use crate::wire::{Compare, KeyValue, PutRequest, RequestOp, TxnRequest, compare};

/// Comparisons, and operations per branch, nesting included.
pub(crate) const TXN_OPS_MAX: usize = 128;

/// Checks what can be checked without looking at the data.
pub(crate) fn validate(txn: &TxnRequest) -> Result<(), Refusal> {
    validate_shape(txn, TXN_OPS_MAX)?;
    written_keys(&txn.success)?;
    written_keys(&txn.failure)?;
    Ok(())
}

pub(crate) fn validate_put(put: &PutRequest) -> Result<(), Refusal> {
    if put.key.is_empty() {
        Err(Refusal::EmptyKey)
    } else if put.ignore_value && !put.value.is_empty() {
        Err(Refusal::ValueProvided)
    } else if put.ignore_lease && put.lease != 0 {
        Err(Refusal::LeaseProvided)
    } else {
        Ok(())
    }
}

/// The branch that a transaction takes, and those of the transactions nested in that branch.
pub(crate) struct Path {
    pub(crate) succeeded: bool,
    pub(crate) nested: Vec<Path>,
}

impl Path {
    /// All comparisons, nested ones too, look at the state before the transaction.
    pub(crate) fn decide(mvcc: &Mvcc, txn: &TxnRequest) -> Self {
        let succeeded = txn.compare.iter().all(|comparison| holds(mvcc, comparison));
        let nested = branch(txn, succeeded)
            .iter()
            .filter_map(|op| match &op.request {
                Some(Request::Txn(inner)) => Some(Self::decide(mvcc, inner)),
                Some(Request::Range(_) | Request::Put(_) | Request::DeleteRange(_)) | None => None,
            })
            .collect();
        Self { succeeded, nested }
    }

    /// Calls `check` on every operation that will run.
    pub(crate) fn check(
        &self,
        txn: &TxnRequest,
        check: &mut impl FnMut(&Request) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut nested = self.nested.iter();
        for op in branch(txn, self.succeeded) {
            if let Some(Request::Txn(inner)) = &op.request {
                if let Some(path) = nested.next() {
                    path.check(inner, check)?;
                }
            } else if let Some(request) = &op.request {
                check(request)?;
            }
        }
        Ok(())
    }
}

pub(crate) fn branch(txn: &TxnRequest, succeeded: bool) -> &[RequestOp] {
    if succeeded {
        &txn.success
    } else {
        &txn.failure
    }
}

fn validate_shape(txn: &TxnRequest, ops_max: usize) -> Result<(), Refusal> {
    let ops = txn
        .compare
        .len()
        .max(txn.success.len())
        .max(txn.failure.len());
    if ops > ops_max {
        return Err(Refusal::TooManyOps);
    }
    if txn
        .compare
        .iter()
        .any(|comparison| comparison.key.is_empty())
    {
        return Err(Refusal::EmptyKey);
    }
    for op in txn.success.iter().chain(&txn.failure) {
        match &op.request {
            Some(Request::Range(range)) => query::validate(range)?,
            Some(Request::Put(put)) => validate_put(put)?,
            Some(Request::DeleteRange(delete)) if delete.key.is_empty() => {
                return Err(Refusal::EmptyKey);
            }
            Some(Request::Txn(inner)) => validate_shape(inner, ops_max - ops)?,
            Some(Request::DeleteRange(_)) => {}
            // etcd's answer to an operation that says nothing.
            None => return Err(Refusal::KeyNotFound),
        }
    }
    Ok(())
}

#[derive(Default)]
struct Written {
    puts: BTreeSet<Bytes>,
    deletes: Vec<KeyRange>,
}

impl Written {
    fn put(&mut self, key: &Bytes, may_repeat: bool) -> Result<(), Refusal> {
        let repeated = self.puts.contains(key) && !may_repeat;
        if repeated || self.deletes.iter().any(|range| range.contains(key)) {
            return Err(Refusal::DuplicateKey);
        }
        self.puts.insert(key.clone());
        Ok(())
    }
}

/// A key may be put once, and not be put and deleted. Only the two branches of one nested
/// transaction may put the same key, because just one of them runs.
fn written_keys(ops: &[RequestOp]) -> Result<Written, Refusal> {
    let mut written = Written::default();
    for op in ops {
        if let Some(Request::DeleteRange(delete)) = &op.request {
            written
                .deletes
                .push(KeyRange::new(delete.key.clone(), delete.range_end.clone()));
        }
    }
    for op in ops {
        if let Some(Request::Txn(inner)) = &op.request {
            let then = written_keys(&inner.success)?;
            let otherwise = written_keys(&inner.failure)?;
            written.deletes.extend(then.deletes);
            written.deletes.extend(otherwise.deletes);
            for key in &then.puts {
                written.put(key, false)?;
            }
            for key in &otherwise.puts {
                written.put(key, then.puts.contains(key))?;
            }
        }
    }
    for op in ops {
        if let Some(Request::Put(put)) = &op.request {
            written.put(&put.key, false)?;
        }
    }
    Ok(written)
}

fn holds(mvcc: &Mvcc, comparison: &Compare) -> bool {
    let range = KeyRange::new(comparison.key.clone(), comparison.range_end.clone());
    let mut records = mvcc.live(&range, i64::MAX).peekable();
    if records.peek().is_some() {
        return records.all(|record| satisfies(&record.to_wire(), comparison));
    }
    // An absent key has revisions and version 0, but no value to compare.
    comparison.target() != compare::Target::Value && satisfies(&KeyValue::default(), comparison)
}

fn satisfies(kv: &KeyValue, comparison: &Compare) -> bool {
    use compare::{Operand, Target};
    let number = match &comparison.operand {
        Some(
            Operand::Version(number)
            | Operand::CreateRevision(number)
            | Operand::ModRevision(number)
            | Operand::Lease(number),
        ) => *number,
        Some(Operand::Value(_)) | None => 0,
    };
    let ordering = match comparison.target() {
        Target::Version => kv.version.cmp(&number),
        Target::Create => kv.create_revision.cmp(&number),
        Target::Mod => kv.mod_revision.cmp(&number),
        Target::Lease => kv.lease.cmp(&number),
        Target::Value => {
            let expected = match &comparison.operand {
                Some(Operand::Value(value)) => value.as_ref(),
                _ => &[],
            };
            kv.value.as_ref().cmp(expected)
        }
    };
    match comparison.result() {
        compare::Result::Equal => ordering.is_eq(),
        compare::Result::NotEqual => ordering.is_ne(),
        compare::Result::Greater => ordering.is_gt(),
        compare::Result::Less => ordering.is_lt(),
    }
}

#[cfg(test)]
mod tests;
