//! What a transaction may contain.

use super::*;
use crate::wire::{DeleteRangeRequest, RangeRequest};

#[test]
fn a_key_is_written_once_per_path() {
    let cases: Vec<(&str, TxnRequest, Result<(), Refusal>)> = vec![
        ("two keys", then(vec![put("a"), put("b")]), Ok(())),
        (
            "put twice",
            then(vec![put("a"), put("a")]),
            Err(Refusal::DuplicateKey),
        ),
        (
            "put and delete",
            then(vec![put("a"), delete("a", "")]),
            Err(Refusal::DuplicateKey),
        ),
        (
            "put in deleted range",
            then(vec![delete("a", "c"), put("b")]),
            Err(Refusal::DuplicateKey),
        ),
        (
            "put beside range",
            then(vec![delete("a", "c"), put("c")]),
            Ok(()),
        ),
        (
            "delete twice",
            then(vec![delete("a", ""), delete("a", "c")]),
            Ok(()),
        ),
        (
            "same key in both branches of one nested transaction",
            then(vec![nest(vec![put("a")], vec![put("a")])]),
            Ok(()),
        ),
        (
            "same key in two nested transactions",
            then(vec![
                nest(vec![put("a")], vec![]),
                nest(vec![], vec![put("a")]),
            ]),
            Err(Refusal::DuplicateKey),
        ),
        (
            "same key nested and not",
            then(vec![put("a"), nest(vec![], vec![put("a")])]),
            Err(Refusal::DuplicateKey),
        ),
    ];
    for (name, txn, expected) in cases {
        assert_eq!(validate(&txn), expected, "{name}");
        let mirrored = TxnRequest {
            failure: txn.success,
            ..Default::default()
        };
        assert_eq!(validate(&mirrored), expected, "{name}, other branch");
    }
}

#[test]
fn the_number_of_operations_is_bounded_with_nesting_included() {
    let puts = |count: usize| (0..count).map(|n| put(&n.to_string())).collect::<Vec<_>>();
    assert_eq!(validate(&then(puts(TXN_OPS_MAX))), Ok(()));
    assert_eq!(
        validate(&then(puts(TXN_OPS_MAX + 1))),
        Err(Refusal::TooManyOps)
    );
    let mut ops = puts(TXN_OPS_MAX - 2);
    ops.push(nest(vec![put("x")], vec![]));
    assert_eq!(validate(&then(ops.clone())), Ok(()));
    ops.pop();
    ops.push(nest(vec![put("x"), put("y")], vec![]));
    assert_eq!(validate(&then(ops)), Err(Refusal::TooManyOps));
}

#[test]
fn malformed_operations_are_refused_wherever_they_are() {
    let cases: Vec<(&str, RequestOp, Refusal)> = vec![
        ("put", put(""), Refusal::EmptyKey),
        ("delete", delete("", ""), Refusal::EmptyKey),
        (
            "range",
            request(Request::Range(RangeRequest::default())),
            Refusal::EmptyKey,
        ),
        ("nothing", RequestOp { request: None }, Refusal::KeyNotFound),
        (
            "value and ignore_value",
            request(Request::Put(PutRequest {
                key: "a".into(),
                value: "v".into(),
                ignore_value: true,
                ..Default::default()
            })),
            Refusal::ValueProvided,
        ),
    ];
    for (name, op, expected) in cases {
        assert_eq!(validate(&then(vec![op.clone()])), Err(expected), "{name}");
        assert_eq!(
            validate(&then(vec![nest(vec![], vec![op])])),
            Err(expected),
            "{name} nested"
        );
    }
}

fn then(success: Vec<RequestOp>) -> TxnRequest {
    TxnRequest {
        success,
        ..Default::default()
    }
}

fn nest(success: Vec<RequestOp>, failure: Vec<RequestOp>) -> RequestOp {
    request(Request::Txn(TxnRequest {
        compare: Vec::new(),
        success,
        failure,
    }))
}

fn put(key: &str) -> RequestOp {
    let key = Bytes::copy_from_slice(key.as_bytes());
    request(Request::Put(PutRequest {
        key,
        ..Default::default()
    }))
}

fn delete(key: &str, end: &str) -> RequestOp {
    request(Request::DeleteRange(DeleteRangeRequest {
        key: Bytes::copy_from_slice(key.as_bytes()),
        range_end: Bytes::copy_from_slice(end.as_bytes()),
        prev_kv: false,
    }))
}

fn request(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}
