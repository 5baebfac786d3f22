//! Answers range requests from one revision.

use std::cmp::Ordering;
use std::sync::Arc;

use super::mvcc::{Mvcc, Record};
use super::refusal::Refusal;
use crate::range::KeyRange;
use crate::wire::range_request::{SortOrder, SortTarget};
use crate::wire::{RangeRequest, RangeResponse, ResponseHeader};

/// Checks what can be checked without looking at the data.
pub(crate) fn validate(request: &RangeRequest) -> Result<(), Refusal> {
    if request.key.is_empty() {
        return Err(Refusal::EmptyKey);
    }
    if SortOrder::try_from(request.sort_order).is_err()
        || SortTarget::try_from(request.sort_target).is_err()
    {
        return Err(Refusal::InvalidSortOption);
    }
    Ok(())
}

/// `visible` is the newest revision the caller may see, `current` the one to report.
pub(crate) fn range(
    mvcc: &Mvcc,
    request: &RangeRequest,
    visible: i64,
    current: i64,
) -> RangeResponse {
    let range = KeyRange::new(request.key.clone(), request.range_end.clone());
    let revision = if request.revision > 0 {
        request.revision
    } else {
        visible
    };
    let mut response = RangeResponse {
        header: Some(ResponseHeader {
            revision: current,
            ..Default::default()
        }),
        ..Default::default()
    };
    if request.count_only {
        response.count = count(mvcc.live(&range, revision).count());
        return response;
    }
    let mut found: Vec<&Arc<Record>> = mvcc.live(&range, revision).collect();
    response.count = count(found.len());
    found.retain(|record| passes_bounds(record, request));
    sort(&mut found, request);
    if let Ok(limit) = usize::try_from(request.limit)
        && limit > 0
        && found.len() > limit
    {
        found.truncate(limit);
        response.more = true;
    }
    response.kvs = found.into_iter().map(|record| record.to_wire()).collect();
    if request.keys_only {
        response.kvs.iter_mut().for_each(|kv| kv.value.clear());
    }
    response
}

fn passes_bounds(record: &Record, request: &RangeRequest) -> bool {
    let within =
        |revision, min, max| (min == 0 || revision >= min) && (max == 0 || revision <= max);
    within(
        record.mod_revision,
        request.min_mod_revision,
        request.max_mod_revision,
    ) && within(
        record.create_revision,
        request.min_create_revision,
        request.max_create_revision,
    )
}

/// Records arrive in key order. A target other than the key without an order sorts upwards.
fn sort(records: &mut [&Arc<Record>], request: &RangeRequest) {
    let compare: fn(&Record, &Record) -> Ordering = match request.sort_target() {
        SortTarget::Key => |a, b| a.key.cmp(&b.key),
        SortTarget::Version => |a, b| a.version.cmp(&b.version),
        SortTarget::Create => |a, b| a.create_revision.cmp(&b.create_revision),
        SortTarget::Mod => |a, b| a.mod_revision.cmp(&b.mod_revision),
        SortTarget::Value => |a, b| a.value.cmp(&b.value),
    };
    match request.sort_order() {
        SortOrder::Descend => records.sort_by(|a, b| compare(b, a)),
        SortOrder::None | SortOrder::Ascend => records.sort_by(|a, b| compare(a, b)),
    }
}

fn count(number: usize) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}
