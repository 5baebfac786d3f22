//! Compare and swap.

use store::wire::compare::{Operand, Result as Is, Target};
use store::wire::{Compare, TxnRequest, TxnResponse, response_op};

use crate::backend::Server;
use crate::wire::{Wire, delete, op, put, range, revision, text};

#[expect(clippy::too_many_lines, reason = "a table of cases")]
pub(crate) async fn every_kind_of_comparison_decides_as_documented(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    let created = wire.put("if/a", "1").await;
    let changed = wire.put("if/a", "5").await;
    wire.put("if/b", "5").await;
    let value = |text: &str| Operand::Value(text.as_bytes().to_vec().into());
    let cases: Vec<(&str, &str, Target, Is, Operand, bool)> = vec![
        (
            "if/a",
            "",
            Target::Version,
            Is::Equal,
            Operand::Version(2),
            true,
        ),
        (
            "if/a",
            "",
            Target::Version,
            Is::NotEqual,
            Operand::Version(2),
            false,
        ),
        (
            "if/a",
            "",
            Target::Version,
            Is::Greater,
            Operand::Version(1),
            true,
        ),
        (
            "if/a",
            "",
            Target::Create,
            Is::Equal,
            Operand::CreateRevision(created),
            true,
        ),
        (
            "if/a",
            "",
            Target::Create,
            Is::Less,
            Operand::CreateRevision(created),
            false,
        ),
        (
            "if/a",
            "",
            Target::Mod,
            Is::Equal,
            Operand::ModRevision(changed),
            true,
        ),
        (
            "if/a",
            "",
            Target::Mod,
            Is::Equal,
            Operand::ModRevision(created),
            false,
        ),
        ("if/a", "", Target::Value, Is::Equal, value("5"), true),
        ("if/a", "", Target::Value, Is::Greater, value("6"), false),
        (
            "if/a",
            "",
            Target::Lease,
            Is::Equal,
            Operand::Lease(0),
            true,
        ),
        (
            "if/absent",
            "",
            Target::Version,
            Is::Equal,
            Operand::Version(0),
            true,
        ),
        (
            "if/absent",
            "",
            Target::Create,
            Is::Equal,
            Operand::CreateRevision(0),
            true,
        ),
        ("if/absent", "", Target::Value, Is::Equal, value(""), false),
        (
            "if/absent",
            "",
            Target::Value,
            Is::NotEqual,
            value("x"),
            false,
        ),
        ("if/", "if0", Target::Value, Is::Equal, value("5"), true),
        (
            "if/",
            "if0",
            Target::Version,
            Is::Equal,
            Operand::Version(2),
            false,
        ),
        (
            "if/",
            "if0",
            Target::Version,
            Is::Greater,
            Operand::Version(0),
            true,
        ),
    ];
    for (key, end, target, result, operand, expected) in cases {
        let case = format!("{key}..{end} {target:?} {result:?} {operand:?}");
        let comparison = compare(key, end, target, result, operand);
        let txn = TxnRequest {
            compare: vec![comparison],
            ..Default::default()
        };
        let reply = wire.kv.txn(txn).await.unwrap().into_inner();
        assert_eq!(reply.succeeded, expected, "{case}");
    }
    let both = TxnRequest {
        compare: vec![
            compare("if/a", "", Target::Version, Is::Equal, Operand::Version(2)),
            compare("if/b", "", Target::Version, Is::Equal, Operand::Version(2)),
        ],
        ..Default::default()
    };
    assert!(
        !wire.kv.txn(both).await.unwrap().into_inner().succeeded,
        "all must hold"
    );
}

pub(crate) async fn a_transaction_is_one_revision_and_reads_its_own_writes(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    let before = wire.put("txn/old", "1").await;
    let txn = TxnRequest {
        success: vec![
            op(range("txn/", "txn0")),
            op(put("txn/a", "1")),
            op(delete("txn/old", "")),
            op(put("txn/b", "2")),
            op(range("txn/", "txn0")),
        ],
        failure: vec![op(put("txn/never", "1"))],
        ..Default::default()
    };
    let reply = wire.kv.txn(txn).await.unwrap().into_inner();
    assert_eq!(revision(&reply.header), before + 1);
    assert_eq!(
        summary(&reply),
        "[old] put@1 del1@1 put@1 [a b]".replace("@1", &at(before + 1))
    );
    for key in ["txn/a", "txn/b"] {
        assert_eq!(
            wire.get(key).await.unwrap().mod_revision,
            before + 1,
            "{key}"
        );
    }
    assert!(wire.get("txn/never").await.is_none());
    let read_only = TxnRequest {
        success: vec![op(range("txn/a", ""))],
        ..Default::default()
    };
    let reply = wire.kv.txn(read_only).await.unwrap().into_inner();
    assert_eq!(
        revision(&reply.header),
        before + 1,
        "reading takes no revision"
    );
}

pub(crate) async fn nested_transactions_are_decided_on_the_state_before(server: &mut Server) {
    let mut wire = Wire::new(server).await;
    let before = wire.put("nest/a", "1").await;
    let inner = TxnRequest {
        compare: vec![compare(
            "nest/new",
            "",
            Target::Create,
            Is::Equal,
            Operand::CreateRevision(0),
        )],
        success: vec![op(put("nest/was-absent", "1"))],
        failure: vec![op(put("nest/was-there", "1"))],
    };
    let outer = TxnRequest {
        success: vec![op(put("nest/new", "1")), op(inner)],
        ..Default::default()
    };
    let reply = wire.kv.txn(outer).await.unwrap().into_inner();
    assert_eq!(
        summary(&reply),
        format!("put{at} (true put{at})", at = at(before + 1))
    );
    assert_eq!(
        wire.get("nest/was-absent").await.unwrap().mod_revision,
        before + 1
    );
    assert!(wire.get("nest/was-there").await.is_none());
}

fn compare(key: &str, end: &str, target: Target, result: Is, operand: Operand) -> Compare {
    Compare {
        result: result.into(),
        target: target.into(),
        key: key.as_bytes().to_vec().into(),
        operand: Some(operand),
        range_end: end.as_bytes().to_vec().into(),
    }
}

fn at(revision: i64) -> String {
    format!("@{revision}")
}

fn summary(reply: &TxnResponse) -> String {
    use response_op::Response;
    let name = |key: &[u8]| text(key).split('/').next_back().unwrap().to_owned();
    let words: Vec<String> = reply
        .responses
        .iter()
        .map(|op| match op.response.as_ref().unwrap() {
            Response::Range(range) => {
                let keys: Vec<String> = range.kvs.iter().map(|kv| name(&kv.key)).collect();
                format!("[{}]", keys.join(" "))
            }
            Response::Put(put) => format!("put{}", at(revision(&put.header))),
            Response::DeleteRange(delete) => {
                format!("del{}{}", delete.deleted, at(revision(&delete.header)))
            }
            Response::Txn(txn) => format!("({} {})", txn.succeeded, summary(txn)),
        })
        .collect();
    words.join(" ")
}
