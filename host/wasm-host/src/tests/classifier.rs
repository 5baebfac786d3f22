use std::time::Duration;

use weft_sdk::{Action, Endpoint, IpPrefix, View};

use super::fixtures::{classifier, engines, example, packet_function};
use crate::{AnswerError, ClassifierModule, Grants, Limits, LoadError, ModuleFault};

const CLOCK: &str =
    r#"(import "weft:host/clock@0.1.0-alpha.1" "now-unix-ms" (func $now (result i64)))"#;

fn load(bytes: &[u8], grants: &Grants) -> Result<ClassifierModule, LoadError> {
    let limits = Limits {
        deadline: Duration::from_millis(50),
        ..Limits::default()
    };
    ClassifierModule::load(&engines(), bytes, grants, limits)
}

fn view(rules_max: u32) -> View {
    let pod = Endpoint {
        namespace: "default".into(),
        name: "server".into(),
        addresses: vec![
            "10.1.1.2".parse().expect("an address"),
            "fd00::2".parse().expect("v6"),
        ],
        ..Endpoint::default()
    };
    View {
        rules_max,
        destinations: Some(vec![pod.clone()]),
        sources: vec![pod],
        ..View::default()
    }
}

fn hostile(body: &str) -> ClassifierModule {
    load(&classifier("", body), &Grants::none()).expect("loads")
}

fn answer(body: &str) -> Result<weft_sdk::RuleSet, ModuleFault> {
    hostile(body).compile("{}", &view(4))
}

#[test]
fn an_empty_answer_is_an_answer() {
    let rules = answer("(i32.const 0)").expect("an answer");
    assert!(rules.rules.is_empty());
}

#[test]
fn a_module_that_crashes_says_so_and_can_be_called_again() {
    let module = hostile("unreachable");
    for _ in 0..3 {
        let fault = module.compile("{}", &view(4)).expect_err("traps");
        assert!(
            matches!(&fault, ModuleFault::Trap(why) if why.contains("unreachable")),
            "{fault}"
        );
    }
    assert_eq!(
        module
            .check_config("{}")
            .expect("another export works")
            .name,
        ""
    );
}

#[test]
fn a_module_that_never_returns_is_stopped() {
    let fault = answer("(loop (br 0)) unreachable").expect_err("stopped");
    assert!(matches!(fault, ModuleFault::Deadline(_)), "{fault}");
    assert_eq!(fault.kind(), "deadline");
}

#[test]
fn a_module_that_takes_all_memory_is_refused_it() {
    let body = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) unreachable";
    let fault = answer(body).expect_err("refused");
    assert!(
        matches!(fault, ModuleFault::OutOfMemory(limit) if limit == 64 << 20),
        "{fault}"
    );
}

#[test]
fn a_module_that_recurses_without_end_is_stopped() {
    let arguments = (0..15)
        .map(|at| format!("(local.get {at})"))
        .collect::<String>();
    let again = format!("(call $compile {arguments})");
    let fault = answer(&again).expect_err("stopped");
    assert!(
        matches!(&fault, ModuleFault::Trap(why) if why.contains("stack exhausted")),
        "{fault}"
    );
}

#[test]
fn nonsense_is_refused_as_a_whole() {
    // A list in memory that is still zero: five rules without a name.
    let too_many = "(i32.store (i32.const 4) (i32.const 2048))
        (i32.store (i32.const 8) (i32.const 5)) (i32.const 0)";
    let fault = answer(too_many).expect_err("5 rules where 4 fit");
    assert!(
        matches!(
            &fault,
            ModuleFault::BadAnswer(AnswerError::TooManyRules { count: 5, max: 4 })
        ),
        "{fault:?}"
    );
    let unknown_action = "(i32.store8 (i32.const 12) (i32.const 3)) (i32.const 0)";
    let fault = answer(unknown_action).expect_err("unknown action");
    assert!(
        matches!(&fault, ModuleFault::BadAnswer(AnswerError::Unknown { .. })),
        "{fault:?}"
    );
    for out_of_bounds in [
        "(i32.const -8)",
        "(i32.store (i32.const 8) (i32.const -1)) (i32.const 0)",
    ] {
        let fault = answer(out_of_bounds).expect_err("no such memory");
        assert!(matches!(&fault, ModuleFault::Trap(_)), "{fault:?}");
    }
}

#[test]
fn a_capability_that_was_not_granted_fails_the_load_by_name() {
    let bytes = classifier(CLOCK, "(drop (call $now)) (i32.const 0)");
    let error = load(&bytes, &Grants::none()).err().expect("refused");
    assert!(
        matches!(&error, LoadError::NotGranted(name) if name == "weft:host/clock@0.1.0-alpha.1")
    );
    let clock = Grants {
        clock: true,
        ..Grants::none()
    };
    let module = load(&bytes, &clock).expect("granted");
    assert!(module.compile("{}", &view(4)).is_ok());
}

#[test]
fn an_import_this_host_does_not_have_fails_the_load_by_name() {
    for name in ["wasi:cli/environment@0.2.0", "weft:host/log@0.2.0"] {
        let text = format!(r#"(component (import "{name}" (instance (export "get" (func)))))"#);
        let bytes = wat::parse_str(text).expect("a component");
        let error = load(&bytes, &Grants::default()).err().expect("refused");
        assert!(
            matches!(&error, LoadError::Unknown(import) if import == name),
            "{error}"
        );
    }
}

#[test]
fn what_is_not_a_classifier_is_refused() {
    let core = wat::parse_str("(module)").expect("a module");
    for bytes in [b"\0asm".as_slice(), b"text", &core] {
        let error = load(bytes, &Grants::default()).err().expect("refused");
        assert!(matches!(&error, LoadError::NotAModule(_)), "{error}");
    }
    let other = packet_function(super::fixtures::TABLE, "");
    let error = load(&other, &Grants::default()).err().expect("refused");
    assert!(matches!(&error, LoadError::WrongWorld { .. }), "{error}");
}

#[test]
fn the_web_classifier_answers_and_refuses_like_its_native_build() {
    let Some(bytes) = example("web-classifier") else {
        return;
    };
    let module = load(&bytes, &Grants::default()).expect("loads");
    let config = r#"{"tcpPorts":[80,8080]}"#;
    let rules = module.compile(config, &view(100)).expect("an answer");

    let mut native = web_classifier::WebClassifier::default();
    weft_sdk::Classifier::configure(&mut native, config).expect("a good configuration");
    let same = weft_sdk::Classifier::compile(&native, &view(100)).expect("an answer");
    assert_eq!(rules, same);
    assert_eq!(rules.rules.len(), 6);
    assert_eq!(rules.default_action, Action::Bypass);
    let first = rules.rules[0].when.dst;
    assert_eq!(
        first,
        Some(IpPrefix::host("10.1.1.2".parse().expect("an address")))
    );

    let about = module.check_config(config).expect("a good configuration");
    assert_eq!(about.name, "web-classifier");
    let fault = module
        .compile(r#"{"tcpPorts":[0]}"#, &view(100))
        .expect_err("port 0");
    assert!(
        matches!(&fault, ModuleFault::Fault(f) if f.field.as_deref() == Some("tcpPorts[0]")),
        "{fault}"
    );
    let fault = module
        .compile(config, &view(5))
        .expect_err("6 rules where 5 fit");
    assert!(matches!(&fault, ModuleFault::BadAnswer(_)), "{fault}");
}
