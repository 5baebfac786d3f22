//! Requests against the state machine: no server, no disk, time as a value.

use bytes::Bytes;

use super::*;
use crate::wire::RequestOp;

const NOW: Duration = Duration::from_secs(50);

#[test]
fn readers_do_not_see_what_is_not_durable() {
    let mut state = State {
        durable: 1,
        ..State::default()
    };
    put(&mut state, "a", 0).unwrap();
    assert_eq!(keys(&state), [""; 0]);
    state.durable = state.mvcc.revision();
    assert_eq!(keys(&state), ["a"]);
}

#[test]
fn an_expired_lease_takes_its_keys_at_one_revision() {
    let mut state = State::default();
    let mut effects = Effects::default();
    state.grant(7, 10, NOW, &mut effects).unwrap();
    put(&mut state, "a", 7).unwrap();
    put(&mut state, "b", 7).unwrap();
    put(&mut state, "c", 7).unwrap();
    put(&mut state, "c", 0).unwrap();
    let before = state.mvcc.revision();
    let mut effects = Effects::default();
    state.revoke_expired(NOW + Duration::from_secs(9), &mut effects);
    assert!(effects.is_empty());
    state.revoke_expired(NOW + Duration::from_secs(10), &mut effects);
    assert_eq!(effects.leases, [(7, None)]);
    assert_eq!(effects.records.len(), 2);
    assert!(
        effects
            .records
            .iter()
            .all(|r| r.is_deletion() && r.mod_revision == before + 1)
    );
    state.durable = state.mvcc.revision();
    assert_eq!(keys(&state), ["c"]);
}

#[test]
fn a_write_with_an_unknown_lease_changes_nothing() {
    let mut state = State::default();
    assert_eq!(put(&mut state, "a", 9), Err(Refusal::LeaseNotFound));
    let txn = TxnRequest {
        success: vec![
            op(Request::Put(put_request("a", 0))),
            op(Request::Put(put_request("b", 9))),
        ],
        ..Default::default()
    };
    let mut effects = Effects::default();
    assert_eq!(state.txn(&txn, &mut effects), Err(Refusal::LeaseNotFound));
    assert!(effects.is_empty());
    assert_eq!(state.mvcc.revision(), 1);
}

#[test]
fn a_full_store_refuses_writes_until_history_is_forgotten() {
    let half = Bytes::from(vec![0; STORE_BYTES_MAX / 2]);
    let big = |key: &'static str| PutRequest {
        key: key.into(),
        value: half.clone(),
        ..Default::default()
    };
    let mut state = State::default();
    let mut effects = Effects::default();
    state.put(&big("a"), &mut effects).unwrap();
    assert_eq!(state.put(&big("b"), &mut effects), Err(Refusal::NoSpace));
    let txn = TxnRequest {
        success: vec![op(Request::Put(big("b")))],
        ..Default::default()
    };
    assert_eq!(state.txn(&txn, &mut effects), Err(Refusal::NoSpace));
    put(&mut state, "small", 0).unwrap();

    let delete = DeleteRangeRequest {
        key: "a".into(),
        ..Default::default()
    };
    state.delete_range(&delete, &mut effects).unwrap();
    assert_eq!(state.put(&big("b"), &mut effects), Err(Refusal::NoSpace));
    state.durable = state.mvcc.revision();
    state.compact(state.durable, &mut effects).unwrap();
    state.put(&big("b"), &mut effects).unwrap();
}

#[test]
fn a_transaction_reads_its_own_writes() {
    let mut state = State::default();
    let read = RangeRequest {
        key: "a".into(),
        ..Default::default()
    };
    let txn = TxnRequest {
        success: vec![
            op(Request::Put(put_request("a", 0))),
            op(Request::Range(read)),
        ],
        ..Default::default()
    };
    let response = state.txn(&txn, &mut Effects::default()).unwrap();
    let Some(Response::Range(range)) = &response.responses[1].response else {
        panic!()
    };
    assert_eq!(
        (range.kvs.len(), range.header.as_ref().unwrap().revision),
        (1, 2)
    );
}

#[test]
fn compaction_is_bounded_by_what_is_durable_and_never_goes_back() {
    let mut state = State::default();
    for _ in 0..4 {
        put(&mut state, "a", 0).unwrap();
    }
    state.durable = 4;
    let cases = [
        (5, Err(Refusal::FutureRevision)),
        (3, Ok(())),
        (3, Err(Refusal::Compacted)),
        (2, Err(Refusal::Compacted)),
        (4, Ok(())),
    ];
    for (revision, expected) in cases {
        assert_eq!(
            state.compact(revision, &mut Effects::default()),
            expected,
            "{revision}"
        );
    }
}

fn put(state: &mut State, key: &'static str, lease: i64) -> Result<PutResponse, Refusal> {
    state.put(&put_request(key, lease), &mut Effects::default())
}

fn put_request(key: &'static str, lease: i64) -> PutRequest {
    PutRequest {
        key: key.into(),
        value: "v".into(),
        lease,
        ..Default::default()
    }
}

fn op(request: Request) -> RequestOp {
    RequestOp {
        request: Some(request),
    }
}

fn keys(state: &State) -> Vec<String> {
    let all = RangeRequest {
        key: vec![0].into(),
        range_end: vec![0].into(),
        ..Default::default()
    };
    let response = state.range(&all).unwrap();
    response
        .kvs
        .into_iter()
        .map(|kv| String::from_utf8(kv.key.to_vec()).unwrap())
        .collect()
}
