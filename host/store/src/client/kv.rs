//! Plain reads and writes.

use bytes::Bytes;

use super::{LeaseId, StoreClient, StoreError};
use crate::range::prefix_end;
use crate::wire::{
    CompactionRequest, DeleteRangeRequest, KeyValue, PutRequest, RangeRequest, ResponseHeader,
    range_request,
};

/// Entries per page of a listing.
const PAGE: i64 = 1000;

/// A key with its value and what the store knows about them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kv {
    pub key: String,
    pub value: Vec<u8>,
    /// Number of writes since the key was created; 1 for a new key.
    pub version: i64,
    pub create_revision: i64,
    pub mod_revision: i64,
    /// 0 when no lease is attached.
    pub lease: i64,
}

impl Kv {
    /// `None` when the key is not text: such keys are not ours, and are left alone.
    pub(super) fn from_wire(kv: &KeyValue) -> Option<Self> {
        let Ok(key) = String::from_utf8(kv.key.to_vec()) else {
            tracing::warn!(key = ?kv.key, "ignored a key that is not UTF-8");
            return None;
        };
        Some(Self {
            key,
            value: kv.value.to_vec(),
            version: kv.version,
            create_revision: kv.create_revision,
            mod_revision: kv.mod_revision,
            lease: kv.lease,
        })
    }
}

/// A listing at one revision of one store.
pub(super) struct Listing {
    pub(super) cluster: u64,
    pub(super) revision: i64,
    pub(super) kvs: Vec<Kv>,
}

impl StoreClient {
    /// The store's current revision.
    pub async fn revision(&self) -> Result<i64, StoreError> {
        let request = RangeRequest {
            key: Bytes::from_static(b"\0"),
            count_only: true,
            ..Default::default()
        };
        let reply = self
            .call(|| "read the revision".into(), self.kv().range(request))
            .await?;
        Ok(revision_of(reply.header.as_ref()))
    }

    pub async fn get(&self, key: &str) -> Result<Option<Kv>, StoreError> {
        let request = RangeRequest {
            key: to_bytes(key),
            ..Default::default()
        };
        let reply = self
            .call(|| format!("get `{key}`"), self.kv().range(request))
            .await?;
        Ok(reply.kvs.iter().find_map(Kv::from_wire))
    }

    /// All keys that begin with `prefix`, in key order, and the one revision at which they were read.
    pub async fn list_prefix(&self, prefix: &str) -> Result<(i64, Vec<Kv>), StoreError> {
        let listing = self.list(prefix).await?;
        Ok((listing.revision, listing.kvs))
    }

    /// Writes `key` and returns the new revision.
    pub async fn put(&self, key: &str, value: impl Into<Vec<u8>>) -> Result<i64, StoreError> {
        self.put_request(key, value.into(), 0).await
    }

    /// Like [`StoreClient::put`]; the key is deleted when the lease ends.
    pub async fn put_with_lease(
        &self,
        key: &str,
        value: impl Into<Vec<u8>>,
        lease: LeaseId,
    ) -> Result<i64, StoreError> {
        self.put_request(key, value.into(), lease.0).await
    }

    /// Deletes `key`; false when there was no such key.
    pub async fn delete(&self, key: &str) -> Result<bool, StoreError> {
        let request = DeleteRangeRequest {
            key: to_bytes(key),
            ..Default::default()
        };
        let reply = self
            .call(
                || format!("delete `{key}`"),
                self.kv().delete_range(request),
            )
            .await?;
        Ok(reply.deleted > 0)
    }

    /// Deletes every key that begins with `prefix` at one revision and returns their number.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<i64, StoreError> {
        let request = DeleteRangeRequest {
            key: range_start(prefix),
            range_end: prefix_end(prefix.as_bytes()),
            ..Default::default()
        };
        let reply = self
            .call(
                || format!("delete prefix `{prefix}`"),
                self.kv().delete_range(request),
            )
            .await?;
        Ok(reply.deleted)
    }

    /// Forgets history older than `revision`.
    pub async fn compact(&self, revision: i64) -> Result<(), StoreError> {
        let request = CompactionRequest {
            revision,
            physical: false,
        };
        self.call(
            || format!("compact to revision {revision}"),
            self.kv().compact(request),
        )
        .await?;
        Ok(())
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        let mut request = RangeRequest {
            key: range_start(prefix),
            range_end: prefix_end(prefix.as_bytes()),
            limit: PAGE,
            sort_order: range_request::SortOrder::Ascend.into(),
            ..Default::default()
        };
        let mut listing = Listing {
            cluster: 0,
            revision: 0,
            kvs: Vec::new(),
        };
        loop {
            let reply = self
                .call(
                    || format!("list `{prefix}`"),
                    self.kv().range(request.clone()),
                )
                .await?;
            if request.revision == 0 {
                listing.cluster = cluster_of(reply.header.as_ref());
                listing.revision = revision_of(reply.header.as_ref());
                request.revision = listing.revision;
            }
            let last = reply.kvs.last().map(|kv| kv.key.clone());
            listing
                .kvs
                .extend(reply.kvs.iter().filter_map(Kv::from_wire));
            match last {
                Some(last) if reply.more => request.key = successor(&last),
                _ => return Ok(listing),
            }
        }
    }

    async fn put_request(&self, key: &str, value: Vec<u8>, lease: i64) -> Result<i64, StoreError> {
        let request = PutRequest {
            key: to_bytes(key),
            value: value.into(),
            lease,
            ..Default::default()
        };
        let reply = self
            .call(|| format!("put `{key}`"), self.kv().put(request))
            .await?;
        Ok(revision_of(reply.header.as_ref()))
    }
}

pub(super) fn to_bytes(key: &str) -> Bytes {
    Bytes::copy_from_slice(key.as_bytes())
}

/// The protocol has no empty key: "all keys" starts at the smallest one.
pub(super) fn range_start(prefix: &str) -> Bytes {
    if prefix.is_empty() {
        Bytes::from_static(&[0])
    } else {
        to_bytes(prefix)
    }
}

pub(super) fn revision_of(header: Option<&ResponseHeader>) -> i64 {
    header.map_or(0, |header| header.revision)
}

pub(super) fn cluster_of(header: Option<&ResponseHeader>) -> u64 {
    header.map_or(0, |header| header.cluster_id)
}

fn successor(key: &[u8]) -> Bytes {
    let mut next = key.to_vec();
    next.push(0);
    next.into()
}
