//! The module directory with real components.

use std::fs;
use std::path::Path;

use weft_build::{BuildError, BuildRequest, build};
use weft_sdk::{Candidate, Choice, Health, HopView};

use super::*;
use crate::steer::Steer;

const GRANTS: &str =
    "apiVersion: weft.dev/v1alpha1\nkind: ModuleGrants\ngrants: {log: {}, metrics: {}}\n";

/// Builds the example into `directory`; false, and loud about it, where no compiler reaches wasm32.
#[expect(clippy::print_stderr, reason = "a skipped test is loud")]
fn build_into(directory: &Path) -> bool {
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../cnf-examples/least-loaded");
    let request = BuildRequest {
        out_dir: Some(directory.to_owned()),
        ..BuildRequest::new(example)
    };
    match build(&request, &mut |_| {}) {
        Ok(_) => true,
        Err(error @ BuildError::NoToolchain { .. }) => {
            eprintln!("SKIPPED: {error}");
            false
        }
        Err(error) => panic!("{error}"),
    }
}

fn ask(modules: &mut Modules) -> Result<Choice, ModuleError> {
    let candidate = |id: &str, health| Candidate {
        id: id.to_owned(),
        health,
        ..Candidate::default()
    };
    let view = HopView {
        candidates: vec![candidate("a", Health::Down), candidate("b", Health::Up)],
        current: Some("a".to_owned()),
        ..HopView::default()
    };
    let spec = model::SteeringSpec {
        module: "least-loaded.wasm".to_owned(),
        config: serde_json::json!({}),
    };
    let chain = crate::test_support::chain_name();
    modules.steer(&chain, &spec, view)
}

#[test]
fn a_module_serves_when_it_is_granted_what_it_asks_for_and_its_figures_are_told() {
    let directory = tempfile::tempdir().unwrap();
    if !build_into(directory.path()) {
        return;
    }
    let mut modules = Modules::new(directory.path().to_owned()).unwrap();
    let refused = ask(&mut modules).unwrap_err();
    assert_eq!(refused.reason(), "ModuleRefused");
    assert!(
        refused.to_string().contains("weft:host/metrics@"),
        "{refused}"
    );

    // The operator's file comes: the module is loaded anew, without a restart.
    fs::write(directory.path().join("least-loaded.yaml"), GRANTS).unwrap();
    assert!(modules.rescan());
    assert_eq!(ask(&mut modules), Ok(Choice::One("b".to_owned())));
    assert!(!modules.rescan());
    let mut spec = crate::test_support::spec();
    spec.steering = Some(model::SteeringSpec {
        module: "least-loaded.wasm".to_owned(),
        config: serde_json::json!({}),
    });
    let moved = r#"least-loaded.wasm: picks_total{hop="",kind="moved"} 1"#;
    assert_eq!(modules.figures(&spec), [moved]);
    // The same question is not asked twice.
    ask(&mut modules).unwrap();
    assert_eq!(modules.figures(&spec), [moved]);

    // A broken successor is refused; whoever asks keeps what is in force.
    fs::write(directory.path().join("least-loaded.wasm"), "no module").unwrap();
    assert!(modules.rescan());
    assert_eq!(ask(&mut modules).unwrap_err().reason(), "ModuleRefused");
}

#[test]
fn a_file_that_is_no_grant_or_no_module_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let mut modules = Modules::new(directory.path().to_owned()).unwrap();
    assert_eq!(ask(&mut modules).unwrap_err().reason(), "ModuleNotFound");
    fs::write(directory.path().join("least-loaded.wasm"), "").unwrap();
    fs::write(directory.path().join("least-loaded.yaml"), "grants: {}").unwrap();
    let error = ask(&mut modules).unwrap_err().to_string();
    assert!(
        error.contains("least-loaded.yaml") && error.contains("apiVersion"),
        "{error}"
    );
}
