//! Reads, writes, refusals and compaction.

use store::wire::range_request::{SortOrder, SortTarget};
use store::wire::{
    CompactionRequest, LeaseGrantRequest, LeaseRevokeRequest, PutRequest, RangeRequest, TxnRequest,
};
use tonic::{Code, Status};

use crate::backend::Server;
use crate::wire::{Wire, delete, op, put, range, revision, text};

pub(crate) async fn revisions_count_changes_and_versions_count_writes(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    let first = wire.put("rev/a", "1").await;
    let second = wire.put("rev/a", "2").await;
    assert_eq!(second, first + 1);
    let kv = wire.get("rev/a").await.unwrap();
    assert_eq!(
        (kv.create_revision, kv.mod_revision, kv.version),
        (first, second, 2)
    );
    assert_eq!(
        wire.delete("rev/absent").await,
        second,
        "deleting nothing changes nothing"
    );
    assert_eq!(wire.delete("rev/a").await, second + 1);
    let third = wire.put("rev/a", "3").await;
    let kv = wire.get("rev/a").await.unwrap();
    assert_eq!(
        (kv.create_revision, kv.mod_revision, kv.version),
        (third, third, 1)
    );
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
pub(crate) async fn range_options_select_sort_and_limit(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    wire.put("opt/a", "3").await;
    wire.put("opt/b", "2").await;
    let old = wire.put("opt/c", "1").await;
    wire.put("opt/a", "9").await;
    let last = wire.put("opt/d", "0").await;
    let all = range("opt/", "opt0");
    let sorted = |order: SortOrder, target: SortTarget| RangeRequest {
        sort_order: order.into(),
        sort_target: target.into(),
        ..all.clone()
    };
    let cases: Vec<(&str, RangeRequest, &str)> = vec![
        ("all", all.clone(), "a=9 b=2 c=1 d=0 of 4"),
        ("one", range("opt/b", ""), "b=2 of 1"),
        ("none", range("opt/x", ""), "of 0"),
        ("inverted", range("opt/c", "opt/a"), "of 0"),
        ("half open", range("opt/b", "opt/d"), "b=2 c=1 of 2"),
        (
            "limited",
            RangeRequest {
                limit: 2,
                ..all.clone()
            },
            "a=9 b=2 more of 4",
        ),
        (
            "exact limit",
            RangeRequest {
                limit: 4,
                ..all.clone()
            },
            "a=9 b=2 c=1 d=0 of 4",
        ),
        (
            "in the past",
            RangeRequest {
                revision: old,
                ..all.clone()
            },
            "a=3 b=2 c=1 of 3",
        ),
        (
            "keys",
            RangeRequest {
                keys_only: true,
                ..all.clone()
            },
            "a= b= c= d= of 4",
        ),
        (
            "count",
            RangeRequest {
                count_only: true,
                ..all.clone()
            },
            "of 4",
        ),
        (
            "new",
            RangeRequest {
                min_mod_revision: last,
                ..all.clone()
            },
            "d=0 of 4",
        ),
        (
            "old",
            RangeRequest {
                max_create_revision: old,
                ..all.clone()
            },
            "a=9 b=2 c=1 of 4",
        ),
        (
            "keys down",
            sorted(SortOrder::Descend, SortTarget::Key),
            "d=0 c=1 b=2 a=9 of 4",
        ),
        (
            "values up",
            sorted(SortOrder::Ascend, SortTarget::Value),
            "d=0 c=1 b=2 a=9 of 4",
        ),
        (
            "values",
            sorted(SortOrder::None, SortTarget::Value),
            "d=0 c=1 b=2 a=9 of 4",
        ),
        (
            "mod down",
            sorted(SortOrder::Descend, SortTarget::Mod),
            "d=0 a=9 c=1 b=2 of 4",
        ),
        (
            "created up",
            sorted(SortOrder::Ascend, SortTarget::Create),
            "a=9 b=2 c=1 d=0 of 4",
        ),
        (
            "newest",
            RangeRequest {
                limit: 1,
                ..sorted(SortOrder::Descend, SortTarget::Mod)
            },
            "d=0 more of 4",
        ),
    ];
    for (name, request, expected) in cases {
        let reply = wire.kv.range(request).await.unwrap().into_inner();
        let mut words: Vec<String> = reply
            .kvs
            .iter()
            .map(|kv| format!("{}={}", text(&kv.key[4..]), text(&kv.value)))
            .collect();
        if reply.more {
            words.push("more".into());
        }
        words.push(format!("of {}", reply.count));
        assert_eq!(words.join(" "), expected, "{name}");
        assert_eq!(revision(&reply.header), last, "{name}");
    }
    let from_key = wire
        .kv
        .range(range("opt/c", "\0"))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(text(&from_key.kvs[0].key), "opt/c");
    assert!(from_key.count >= 2);
}

pub(crate) async fn put_options_keep_and_return_the_previous_value(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    let grant = LeaseGrantRequest { ttl: 600, id: 0 };
    let lease = wire.lease.lease_grant(grant).await.unwrap().into_inner().id;
    let first = PutRequest {
        lease,
        prev_kv: true,
        ..put("put/a", "1")
    };
    assert_eq!(wire.kv.put(first).await.unwrap().into_inner().prev_kv, None);
    let keep_lease = PutRequest {
        ignore_lease: true,
        prev_kv: true,
        ..put("put/a", "2")
    };
    let previous = wire
        .kv
        .put(keep_lease)
        .await
        .unwrap()
        .into_inner()
        .prev_kv
        .unwrap();
    assert_eq!((text(&previous.value), previous.lease), ("1".into(), lease));
    assert_eq!(wire.get("put/a").await.unwrap().lease, lease);
    wire.kv
        .put(PutRequest {
            ignore_value: true,
            ..put("put/a", "")
        })
        .await
        .unwrap();
    let kv = wire.get("put/a").await.unwrap();
    assert_eq!((text(&kv.value), kv.lease, kv.version), ("2".into(), 0, 3));
    wire.lease
        .lease_revoke(LeaseRevokeRequest { id: lease })
        .await
        .unwrap();
    assert!(
        wire.get("put/a").await.is_some(),
        "the key had left the lease"
    );
}

pub(crate) async fn delete_range_counts_and_returns_what_it_deleted(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    for key in ["del/a", "del/b", "del/c"] {
        wire.put(key, key).await;
    }
    let mut request = delete("del/a", "del/c");
    request.prev_kv = true;
    let reply = wire.kv.delete_range(request).await.unwrap().into_inner();
    let previous: Vec<String> = reply.prev_kvs.iter().map(|kv| text(&kv.value)).collect();
    assert_eq!(
        (reply.deleted, previous.join(" ")),
        (2, "del/a del/b".into())
    );
    assert!(wire.get("del/a").await.is_none() && wire.get("del/c").await.is_some());
}

#[expect(clippy::too_many_lines, reason = "a table of cases")]
pub(crate) async fn refusals_have_etcds_codes_and_messages(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    let now = wire.put("bad/a", "1").await;
    let id = wire
        .lease
        .lease_grant(LeaseGrantRequest { ttl: 600, id: 0 })
        .await
        .unwrap();
    let id = id.into_inner().id;
    let then = |success| TxnRequest {
        success,
        ..Default::default()
    };
    let many = (0..129).map(|n| op(put(&format!("bad/{n}"), ""))).collect();
    let twice = vec![op(put("bad/x", "1")), op(put("bad/x", "2"))];
    let both = vec![op(delete("bad/", "bad0")), op(put("bad/x", "2"))];
    let future = RangeRequest {
        revision: now + 1000,
        ..range("bad/a", "")
    };
    let huge = put("bad/huge", &"x".repeat(1600 * 1024));
    let lost = PutRequest {
        lease: 4242,
        ..put("bad/a", "2")
    };
    let value = PutRequest {
        ignore_value: true,
        ..put("bad/a", "2")
    };
    let leased = PutRequest {
        ignore_lease: true,
        lease: id,
        ..put("bad/a", "2")
    };
    let absent = PutRequest {
        ignore_value: true,
        ..put("bad/absent", "")
    };
    let half = then(vec![op(put("bad/half", "1")), op(lost.clone())]);
    let (kv, leases) = (&mut wire.kv, &mut wire.lease);
    refused(
        kv.range(range("", "")).await,
        Code::InvalidArgument,
        "key is not provided",
    );
    refused(
        kv.put(put("", "v")).await,
        Code::InvalidArgument,
        "key is not provided",
    );
    refused(
        kv.delete_range(delete("", "")).await,
        Code::InvalidArgument,
        "key is not provided",
    );
    let future_revision = "mvcc: required revision is a future revision";
    refused(
        kv.range(future.clone()).await,
        Code::OutOfRange,
        future_revision,
    );
    refused(
        kv.txn(then(vec![op(future)])).await,
        Code::OutOfRange,
        future_revision,
    );
    refused(
        kv.put(lost).await,
        Code::NotFound,
        "requested lease not found",
    );
    refused(
        kv.txn(half).await,
        Code::NotFound,
        "requested lease not found",
    );
    refused(
        kv.put(value).await,
        Code::InvalidArgument,
        "value is provided",
    );
    refused(
        kv.put(leased).await,
        Code::InvalidArgument,
        "lease is provided",
    );
    refused(kv.put(absent).await, Code::InvalidArgument, "key not found");
    refused(
        kv.put(huge).await,
        Code::InvalidArgument,
        "request is too large",
    );
    let too_many = "too many operations in txn request";
    refused(kv.txn(then(many)).await, Code::InvalidArgument, too_many);
    let duplicate = "duplicate key given in txn request";
    refused(kv.txn(then(twice)).await, Code::InvalidArgument, duplicate);
    refused(kv.txn(then(both)).await, Code::InvalidArgument, duplicate);
    let again = LeaseGrantRequest { ttl: 600, id };
    refused(
        leases.lease_grant(again).await,
        Code::FailedPrecondition,
        "lease already exists",
    );
    let long = LeaseGrantRequest {
        ttl: 9_000_000_001,
        id: 0,
    };
    refused(
        leases.lease_grant(long).await,
        Code::OutOfRange,
        "too large lease TTL",
    );
    let unknown = LeaseRevokeRequest { id: 4242 };
    refused(
        leases.lease_revoke(unknown).await,
        Code::NotFound,
        "requested lease not found",
    );
    assert!(
        wire.get("bad/half").await.is_none(),
        "a refused transaction changes nothing"
    );
    let after = wire
        .kv
        .range(range("bad/a", ""))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(revision(&after.header), now);
}

pub(crate) async fn compaction_forgets_the_past_and_nothing_else(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    wire.put("cmp/untouched", "1").await;
    let first = wire.put("cmp/a", "1").await;
    let border = wire.put("cmp/a", "2").await;
    let last = wire.put("cmp/a", "3").await;
    let compact = |revision| CompactionRequest {
        revision,
        physical: true,
    };
    wire.kv.compact(compact(border)).await.unwrap();
    let at = |revision| RangeRequest {
        revision,
        ..range("cmp/a", "")
    };
    let gone = "mvcc: required revision has been compacted";
    refused(wire.kv.range(at(first)).await, Code::OutOfRange, gone);
    refused(
        wire.kv.compact(compact(border)).await,
        Code::OutOfRange,
        gone,
    );
    let future = "mvcc: required revision is a future revision";
    refused(
        wire.kv.compact(compact(last + 1000)).await,
        Code::OutOfRange,
        future,
    );
    for (revision, value) in [(border, "2"), (last, "3"), (0, "3")] {
        let reply = wire.kv.range(at(revision)).await.unwrap().into_inner();
        assert_eq!(text(&reply.kvs[0].value), value, "at {revision}");
    }
    let kv = wire.get("cmp/untouched").await.unwrap();
    assert_eq!((text(&kv.value), kv.version), ("1".into(), 1));
}

fn refused<T: std::fmt::Debug>(result: Result<T, Status>, code: Code, message: &str) {
    let status = result.expect_err(message);
    assert_eq!(
        (status.code(), status.message()),
        (code, format!("etcdserver: {message}").as_str())
    );
}
