//! Plain reads and writes.

use etcd_client::{Client, DeleteOptions, GetOptions, KeyValue, PutOptions, ResponseHeader};

use super::{LeaseId, REPLY_BYTES_MAX, StoreClient, StoreError};
use crate::range::UNBOUNDED;

/// Entries per page of a listing.
const PAGE: i64 = 1000;
const SMALLEST_KEY: &str = "\0";

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
    pub(super) fn from_client(kv: KeyValue) -> Option<Self> {
        let (version, lease) = (kv.version(), kv.lease());
        let (create_revision, mod_revision) = (kv.create_revision(), kv.mod_revision());
        let (key, value) = kv.into_key_value();
        match String::from_utf8(key) {
            Ok(key) => Some(Self {
                key,
                value,
                version,
                create_revision,
                mod_revision,
                lease,
            }),
            Err(error) => {
                tracing::warn!(%error, "ignored a key that is not UTF-8");
                None
            }
        }
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
        let ask = |mut client: Client| async move {
            let count = GetOptions::new().with_count_only();
            client.get(SMALLEST_KEY, Some(count)).await
        };
        let reply = self.call(|| "read the revision".into(), ask).await?;
        Ok(revision_of(reply.header()))
    }

    pub async fn get(&self, key: &str) -> Result<Option<Kv>, StoreError> {
        let ask = |mut client: Client| async move { client.get(key, None).await };
        let mut reply = self.call(|| format!("get `{key}`"), ask).await?;
        Ok(reply.take_kvs().into_iter().find_map(Kv::from_client))
    }

    /// All keys that begin with `prefix`, in key order, and the one revision at which they were read.
    pub async fn list_prefix(&self, prefix: &str) -> Result<(i64, Vec<Kv>), StoreError> {
        let listing = self.list(prefix).await?;
        Ok((listing.revision, listing.kvs))
    }

    /// Writes `key` and returns the new revision.
    pub async fn put(&self, key: &str, value: impl Into<Vec<u8>>) -> Result<i64, StoreError> {
        self.put_with_lease(key, value, LeaseId(0)).await
    }

    /// Like [`StoreClient::put`]; the key is deleted when the lease ends.
    pub async fn put_with_lease(
        &self,
        key: &str,
        value: impl Into<Vec<u8>>,
        lease: LeaseId,
    ) -> Result<i64, StoreError> {
        let value = value.into();
        let value = value.as_slice();
        let ask = |mut client: Client| async move {
            let options = PutOptions::new().with_lease(lease.0);
            client.put(key, value, Some(options)).await
        };
        let reply = self.call(|| format!("put `{key}`"), ask).await?;
        Ok(revision_of(reply.header()))
    }

    /// Deletes `key`; false when there was no such key.
    pub async fn delete(&self, key: &str) -> Result<bool, StoreError> {
        let ask = |mut client: Client| async move { client.delete(key, None).await };
        let reply = self.call(|| format!("delete `{key}`"), ask).await?;
        Ok(reply.deleted() > 0)
    }

    /// Deletes every key that begins with `prefix` at one revision and returns their number.
    pub async fn delete_prefix(&self, prefix: &str) -> Result<i64, StoreError> {
        let ask = |mut client: Client| async move {
            let options = DeleteOptions::new().with_prefix();
            client.delete(prefix, Some(options)).await
        };
        let reply = self
            .call(|| format!("delete prefix `{prefix}`"), ask)
            .await?;
        Ok(reply.deleted())
    }

    /// Forgets history older than `revision`.
    pub async fn compact(&self, revision: i64) -> Result<(), StoreError> {
        let ask = |mut client: Client| async move { client.compact(revision, None).await };
        self.call(|| format!("compact to revision {revision}"), ask)
            .await?;
        Ok(())
    }

    pub(super) async fn list(&self, prefix: &str) -> Result<Listing, StoreError> {
        let end = prefix_end(prefix);
        let mut start = prefix_start(prefix);
        let mut listing = Listing {
            cluster: 0,
            revision: 0,
            kvs: Vec::new(),
        };
        loop {
            let (from, end, revision) = (start.as_slice(), end.as_slice(), listing.revision);
            let ask = |client: Client| async move {
                let mut kv = client
                    .kv_client()
                    .max_decoding_message_size(REPLY_BYTES_MAX);
                let page = GetOptions::new()
                    .with_range(end)
                    .with_limit(PAGE)
                    .with_revision(revision);
                kv.get(from, Some(page)).await
            };
            let mut reply = self.call(|| format!("list `{prefix}`"), ask).await?;
            if listing.revision == 0 {
                listing.cluster = cluster_of(reply.header());
                listing.revision = revision_of(reply.header());
            }
            let (more, kvs) = (reply.more(), reply.take_kvs());
            let next = kvs.last().map(|kv| successor(kv.key()));
            listing
                .kvs
                .extend(kvs.into_iter().filter_map(Kv::from_client));
            match next {
                Some(next) if more => start = next,
                _ => return Ok(listing),
            }
        }
    }
}

/// The protocol has no empty key: "all keys" starts at the smallest one.
fn prefix_start(prefix: &str) -> Vec<u8> {
    let start = if prefix.is_empty() {
        SMALLEST_KEY
    } else {
        prefix
    };
    start.into()
}

/// The smallest key after all keys that begin with `prefix`.
fn prefix_end(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    // Text has no byte that cannot grow, so only the empty prefix has no end.
    match end.last_mut() {
        Some(last) => *last = last.saturating_add(1),
        None => end.extend_from_slice(UNBOUNDED),
    }
    end
}

pub(super) fn revision_of(header: Option<&ResponseHeader>) -> i64 {
    header.map_or(0, ResponseHeader::revision)
}

pub(super) fn cluster_of(header: Option<&ResponseHeader>) -> u64 {
    header.map_or(0, ResponseHeader::cluster_id)
}

fn successor(key: &[u8]) -> Vec<u8> {
    let mut next = key.to_vec();
    next.push(0);
    next
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_prefix_ends_before_the_first_key_that_does_not_begin_with_it() {
        let cases: &[(&str, &[u8])] =
            &[("a", b"b"), ("a/", b"a0"), ("\u{7f}", b"\x80"), ("", b"\0")];
        for (prefix, end) in cases {
            assert_eq!(prefix_end(prefix), *end, "prefix {prefix:?}");
        }
    }
}
