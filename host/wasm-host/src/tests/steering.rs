use std::time::Duration;

use weft_sdk::{Candidate, Choice, Health, HopView, Share, Steering as _};

use super::fixtures::{classifier, engines, example, steering};
use crate::{ChoiceError, Grants, Limits, LoadError, Metrics, ModuleFault, SteeringModule};

fn load(bytes: &[u8], grants: &Grants) -> Result<SteeringModule, LoadError> {
    let limits = Limits {
        deadline: Duration::from_millis(50),
        ..Limits::default()
    };
    SteeringModule::load(&engines(), bytes, grants, limits)
}

fn view() -> HopView {
    let candidate = |id: &str, node: &str, health| Candidate {
        id: id.into(),
        node: node.into(),
        health,
        ..Candidate::default()
    };
    HopView {
        candidates: vec![
            candidate("default/a", "n1", Health::Down),
            candidate("default/b", "n2", Health::Up),
        ],
        current: Some("default/a".into()),
        ..HopView::default()
    }
}

fn hostile(configure: &str, body: &str) -> SteeringModule {
    load(&steering("", configure, body), &Grants::none()).expect("loads")
}

fn answer(body: &str) -> Result<Choice, ModuleFault> {
    hostile("", body).choose("{}", &view())
}

/// The code that answers with a choice: its case, then two words.
fn choice(case: u8, first: i32, second: i32) -> String {
    format!(
        "(i32.store8 (i32.const 4) (i32.const {case})) (i32.store (i32.const 8) (i32.const {first}))
         (i32.store (i32.const 12) (i32.const {second})) (i32.const 0)"
    )
}

#[test]
fn choices_arrive_as_they_were_made() {
    assert_eq!(
        answer("(i32.const 0)").expect("a choice"),
        Choice::NoOpinion
    );
    let one = answer(&choice(1, 2048, 9)).expect("a choice");
    assert_eq!(one, Choice::One("default/b".into()));
    let share =
        "(i32.store (i32.const 1024) (i32.const 2048)) (i32.store (i32.const 1028) (i32.const 9))
        (i32.store (i32.const 1032) (i32.const 7))";
    let weighted = answer(&format!("{share} {}", choice(2, 1024, 1))).expect("a choice");
    let expected = Share {
        instance: "default/b".into(),
        weight: 7,
    };
    assert_eq!(weighted, Choice::Weighted(vec![expected]));
}

#[test]
fn a_choice_nobody_can_follow_is_refused_as_a_whole() {
    for (body, error) in [
        (
            choice(1, 2057, 8),
            ChoiceError::UnknownInstance("stranger".into()),
        ),
        (
            choice(1, 2048, 0),
            ChoiceError::UnknownInstance(String::new()),
        ),
        (choice(2, 0, 0), ChoiceError::Empty),
        (
            choice(2, 3000, 64),
            ChoiceError::UnknownInstance(String::new()),
        ),
        (choice(3, 2057, 8), ChoiceError::Unknown("stranger".into())),
    ] {
        let fault = answer(&body).expect_err("refused");
        assert!(
            matches!(&fault, ModuleFault::BadChoice(e) if *e == error),
            "{fault:?}"
        );
        assert_eq!(fault.kind(), "bad-answer");
    }
    for nonsense in [
        choice(9, 0, 0),
        choice(1, -8, 99),
        choice(1, 65530, 99),
        choice(2, 0, -1),
    ] {
        let fault = answer(&nonsense).expect_err("refused");
        assert!(matches!(&fault, ModuleFault::Trap(_)), "{fault:?}");
    }
}

#[test]
fn an_answer_larger_than_the_limit_is_refused() {
    // 16 MiB of shares where 8 MiB may come.
    let grow = "(drop (memory.grow (i32.const 300)))";
    let fault = answer(&format!("{grow} {}", choice(2, 65536, (16 << 20) / 12)));
    let fault = fault.expect_err("refused");
    assert!(matches!(&fault, ModuleFault::Trap(_)), "{fault:?}");
}

#[test]
fn a_module_that_runs_away_is_stopped_wherever_it_does() {
    for (configure, body) in [
        ("", "(loop (br 0)) unreachable"),
        ("(loop (br 0))", "unreachable"),
    ] {
        let fault = hostile(configure, body).choose("{}", &view());
        let fault = fault.expect_err("stopped");
        assert!(matches!(fault, ModuleFault::Deadline(_)), "{fault}");
    }
    let body = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) unreachable";
    let fault = answer(body).expect_err("refused");
    assert!(matches!(fault, ModuleFault::OutOfMemory(_)), "{fault}");
}

#[test]
fn the_same_module_serves_on_after_a_trap_and_nothing_survives() {
    // It traps on a long configuration, and if anything of an earlier call were still in memory.
    let body = "(if (i32.load (i32.const 3000)) (then unreachable))
        (i32.store (i32.const 3000) (i32.const 1))
        (if (i32.gt_u (global.get $length) (i32.const 2)) (then unreachable))";
    let module = hostile("", &format!("{body} {}", choice(1, 2048, 9)));
    for _ in 0..100 {
        let fault = module.choose(r#"{"trap":1}"#, &view()).expect_err("traps");
        assert!(matches!(fault, ModuleFault::Trap(_)), "{fault}");
        let good = module.choose("{}", &view()).expect("a fresh instance");
        assert_eq!(good, Choice::One("default/b".into()));
    }
}

#[test]
fn many_threads_may_ask_one_module() {
    let module = hostile("", &choice(1, 2048, 9));
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                for _ in 0..200 {
                    module.choose("{}", &view()).expect("a choice");
                }
            });
        }
    });
}

#[test]
fn a_classifier_is_no_steering() {
    let error = load(&classifier("", "(i32.const 0)"), &Grants::none()).err();
    let error = error.expect("refused");
    assert!(matches!(&error, LoadError::WrongWorld { .. }), "{error}");
    assert!(error.to_string().contains("steering"), "{error}");
}

#[test]
fn least_loaded_chooses_like_its_native_build_and_counts() {
    let Some(bytes) = example("least-loaded") else {
        return;
    };
    let error = load(&bytes, &Grants::default()).err().expect("refused");
    assert!(
        matches!(&error, LoadError::NotGranted(name) if name == "weft:host/metrics@0.1.0-alpha.1"),
        "{error}"
    );
    let metrics = Metrics::default();
    let grants = Grants {
        metrics: Some(metrics.clone()),
        ..Grants::default()
    };
    let module = load(&bytes, &grants).expect("granted");
    let choice = module.choose("{}", &view()).expect("a choice");
    assert_eq!(
        choice,
        Choice::One("default/b".into()),
        "it leaves what is down"
    );
    let mut native = least_loaded::LeastLoaded::default();
    native.configure("{}").expect("a good configuration");
    assert_eq!(native.choose(&view()), Ok(choice));
    assert_eq!(metrics.lines(), [r#"picks_total{hop="",kind="moved"} 1"#]);

    let fault = module.choose(r#"{"moveAt":0}"#, &view());
    let fault = fault.expect_err("a bad configuration");
    assert!(
        matches!(&fault, ModuleFault::Fault(f) if f.field.as_deref() == Some("moveAt")),
        "{fault}"
    );
}
