//! Capabilities as a module meets them: through the contract, under limits.

use std::fs;
use std::time::Duration;

use weft_sdk::HopView;
use weft_sdk::key_value::Quota;

use super::fixtures::{engines, steering};
use crate::{
    Grants, KeyValueScope, Limits, LoadError, Metrics, ModuleFault, ReadOnlyDir, SteeringModule,
};

const KV: &str = r#"
    (import "weft:host/key-value@0.1.0-alpha.1" "put"
        (func $put (param i32 i32 i32 i32 i32)))
    (import "weft:host/key-value@0.1.0-alpha.1" "get" (func $get (param i32 i32 i32)))"#;
const METRICS: &str = r#"(import "weft:host/metrics@0.1.0-alpha.1" "counter-add"
    (func $add (param i32 i32 i32 i32 i64 i32)))"#;
const FILES: &str =
    r#"(import "weft:host/files@0.1.0-alpha.1" "read" (func $read (param i32 i32 i32)))"#;
const RANDOM: &str = r#"(import "weft:host/random@0.1.0-alpha.1" "bytes"
    (func $bytes (param i32 i32)))"#;
const LOG: &str = r#"(import "weft:host/log@0.1.0-alpha.1" "emit"
    (func $emit (param i32 i32 i32 i32 i32)))"#;

fn load(imports: &str, body: &str, grants: &Grants) -> Result<SteeringModule, LoadError> {
    let limits = Limits {
        deadline: Duration::from_millis(100),
        ..Limits::default()
    };
    SteeringModule::load(&engines(), &steering(imports, "", body), grants, limits)
}

/// Runs `body`; it traps unless it is content.
#[expect(clippy::unwrap_in_result, reason = "a test ends where it fails")]
fn call(imports: &str, body: &str, grants: &Grants) -> Result<(), ModuleFault> {
    let module = load(imports, &format!("{body} (i32.const 0)"), grants).expect("loads");
    module.choose("{}", &HopView::default()).map(drop)
}

fn scope(keys: usize, bytes: usize) -> (KeyValueScope, Grants) {
    let scope = KeyValueScope::new(Quota { keys, bytes });
    let grants = Grants {
        key_value: Some(scope.clone()),
        ..Grants::none()
    };
    (scope, grants)
}

/// Code that traps unless the byte at `address` is `value`.
fn must_be(address: u32, value: u32) -> String {
    format!(
        "(if (i32.ne (i32.load8_u (i32.const {address})) (i32.const {value})) (then unreachable))"
    )
}

#[test]
fn nothing_is_granted_by_itself_and_the_error_names_the_interface() {
    for (imports, body, name) in [
        (
            KV,
            "(call $get (i32.const 2048) (i32.const 1) (i32.const 512))",
            "key-value",
        ),
        (METRICS, &*add("default", 1), "metrics"),
        (FILES, &*read("default"), "files"),
        (
            RANDOM,
            "(call $bytes (i32.const 1) (i32.const 512))",
            "random",
        ),
    ] {
        let body = format!("{body} (i32.const 0)");
        let error = load(imports, &body, &Grants::default())
            .err()
            .expect("refused");
        let name = format!("weft:host/{name}@0.1.0-alpha.1");
        assert!(
            matches!(&error, LoadError::NotGranted(n) if *n == name),
            "{error}"
        );
    }
}

fn put(value_bytes: u32) -> String {
    // Key: "default"; answer at 512: 0 = ok, 1 = error, whose case is at 516.
    format!(
        "(call $put (i32.const 2048) (i32.const 7) (i32.const 3000) (i32.const {value_bytes}) (i32.const 512))"
    )
}

#[test]
fn values_outlive_the_call_that_wrote_them() {
    let (scope, grants) = scope(4, 100);
    call(KV, &format!("{} {}", put(5), must_be(512, 0)), &grants).expect("written");
    assert_eq!(scope.get("default"), Some(vec![0; 5]));
    let get = "(call $get (i32.const 2048) (i32.const 7) (i32.const 512))";
    call(KV, &format!("{get} {}", must_be(512, 1)), &grants).expect("found again");
}

#[test]
fn a_call_that_fails_leaves_its_scope_as_it_was() {
    let (scope, grants) = scope(4, 100);
    let fault = call(KV, &format!("{} unreachable", put(5)), &grants).expect_err("traps");
    assert!(matches!(fault, ModuleFault::Trap(_)), "{fault}");
    assert_eq!(scope.get("default"), None);
    // Nor does one whose answer is refused.
    let bad = "(i32.store8 (i32.const 4) (i32.const 1)) (i32.store (i32.const 12) (i32.const 0))";
    call(KV, &format!("{} {bad}", put(5)), &grants).expect_err("an answer without a name");
    assert_eq!(scope.get("default"), None);
}

#[test]
fn a_scope_that_is_full_says_so() {
    let (scope, grants) = scope(4, 100);
    let full = format!("{} {} {}", put(94), must_be(512, 1), must_be(516, 0));
    call(KV, &full, &grants).expect("the quota is told, not a trap");
    assert_eq!(scope.get("default"), None);
    let empty_key =
        "(call $put (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 0) (i32.const 512))";
    let refused = format!("{empty_key} {} {}", must_be(512, 1), must_be(516, 1));
    call(KV, &refused, &grants).expect("told");
}

fn add(name: &str, amount: u64) -> String {
    let length = name.len();
    format!(
        "(call $add (i32.const 2048) (i32.const {length}) (i32.const 0) (i32.const 0) (i64.const {amount}) (i32.const 512))"
    )
}

#[test]
fn figures_are_where_the_operator_reads_them() {
    let metrics = Metrics::default();
    let grants = Grants {
        metrics: Some(metrics.clone()),
        ..Grants::none()
    };
    let twice = format!(
        "{} {} {}",
        add("default", 2),
        add("default", 3),
        must_be(512, 0)
    );
    call(METRICS, &twice, &grants).expect("counted");
    assert_eq!(metrics.lines(), ["default 5"]);
    let bad = format!(
        "{} {} {}",
        add("default/b", 1),
        must_be(512, 1),
        must_be(516, 0)
    );
    call(METRICS, &bad, &grants).expect("told");
    assert_eq!(metrics.lines().len(), 1);
}

fn read(path: &str) -> String {
    let length = path.len();
    format!("(call $read (i32.const 2048) (i32.const {length}) (i32.const 512))")
}

#[test]
fn files_below_the_granted_directory_are_read() {
    let root = tempfile::tempdir().expect("a folder");
    let files = ReadOnlyDir::open(root.path(), 10).expect("a directory");
    let grants = Grants {
        files: Some(files),
        ..Grants::none()
    };
    let missing = format!(
        "{} {} {}",
        read("default"),
        must_be(512, 1),
        must_be(516, 0)
    );
    call(FILES, &missing, &grants).expect("not found");
    fs::write(root.path().join("default"), "text").expect("a file");
    let found = format!(
        "{} {} {}",
        read("default"),
        must_be(512, 0),
        must_be(520, 4)
    );
    call(FILES, &found, &grants).expect("found");
    fs::write(root.path().join("default"), "far too much").expect("a file");
    let large = format!(
        "{} {} {}",
        read("default"),
        must_be(512, 1),
        must_be(516, 2)
    );
    call(FILES, &large, &grants).expect("too large");
}

#[test]
fn random_bytes_come_in_small_portions() {
    let grants = Grants {
        random: true,
        ..Grants::none()
    };
    // A list of 1024 bytes, the most of one call: its length is at 516.
    let ask = "(call $bytes (i32.const -1) (i32.const 512))";
    let all = "(if (i32.ne (i32.load (i32.const 516)) (i32.const 1024)) (then unreachable))";
    call(RANDOM, &format!("{ask} {all}"), &grants).expect("bounded");
}

#[test]
fn a_module_that_only_logs_is_stopped_by_its_deadline() {
    let emit =
        "(call $emit (i32.const 4) (i32.const 2048) (i32.const 7) (i32.const 0) (i32.const 0))";
    let fault = call(LOG, &format!("(loop {emit} (br 0))"), &Grants::default());
    let fault = fault.expect_err("stopped");
    assert!(matches!(fault, ModuleFault::Deadline(_)), "{fault}");
    // One line larger than a call may hand over.
    let large = "(drop (memory.grow (i32.const 200)))
        (call $emit (i32.const 4) (i32.const 0) (i32.const 10000000) (i32.const 0) (i32.const 0))";
    let fault = call(LOG, large, &Grants::default()).expect_err("stopped");
    assert!(matches!(fault, ModuleFault::Trap(_)), "{fault}");
}
