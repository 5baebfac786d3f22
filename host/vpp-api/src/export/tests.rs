//! Our declarations against VPP's own export, and against our own golden table.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;

use expect_test::expect_file;
use serde_json::{Map, Value};

use super::module;
use crate::describe::Module;
use crate::modules::MODULES;
use crate::table::{messages, name_crc};

/// What VPP does not have.
const OURS: [&str; 1] = ["weft_function"];

#[test]
fn every_declaration_is_the_one_of_vpp() {
    let Some(folder) = vpp_json() else {
        let hint = "set WEFT_VPP_API_JSON to a folder of *.api.json files";
        let _ = writeln!(std::io::stderr(), "SKIPPED: no VPP export; {hint}");
        return;
    };
    for ours in MODULES.iter().filter(|m| !OURS.contains(&m.name)) {
        let path = folder.join(format!("{}.api.json", ours.name));
        let text = std::fs::read_to_string(&path).expect("VPP has such a module");
        check_module(
            ours,
            &serde_json::from_str(&text).expect("VPP's file is JSON"),
        );
    }
}

#[test]
fn messages_and_checksums_do_not_change_unnoticed() {
    let mut lines = String::new();
    for module in MODULES {
        for info in messages(module) {
            lines += &format!("{} {}\n", module.name, name_crc(info.name, info.crc));
        }
    }
    expect_file!["golden_messages.txt"].assert_eq(&lines);
}

#[test]
fn services_reach_only_declared_messages() {
    for ours in MODULES {
        let exported = parse(ours);
        let names = by_name(&exported, "messages");
        for (request, service) in exported["services"].as_object().expect("an object") {
            let events = service["events"].as_array().cloned().unwrap_or_default();
            let reached = [&service["reply"], &service["stream_msg"]];
            for name in reached.into_iter().chain(&events).filter_map(Value::as_str) {
                assert!(names.contains_key(name), "`{request}` leads to `{name}`");
            }
        }
    }
}

fn check_module(ours: &Module, theirs: &Value) {
    let exported = parse(ours);
    // Other options steer VPP's code generator and say nothing about what is on the wire.
    for key in ["/module", "/options/version", "/vl_api_version"] {
        let (left, right) = (exported.pointer(key), theirs.pointer(key));
        assert_eq!(left, right, "{key} of {}", ours.name);
    }
    for section in ["types", "messages", "unions", "enums", "enumflags"] {
        let theirs = by_name(theirs, section);
        for (name, declared) in by_name(&exported, section) {
            let expected = theirs.get(&name).map(|value| plain(value));
            assert_eq!(
                Some(plain(declared)),
                expected,
                "{section} `{name}` of {}",
                ours.name
            );
        }
    }
    for section in ["services", "aliases"] {
        for (name, declared) in exported[section].as_object().expect("an object") {
            assert_eq!(
                *declared, theirs[section][name],
                "{section} `{name}` of {}",
                ours.name
            );
        }
    }
    let imports = |module: &Value| {
        let mut paths: Vec<_> = module["imports"].as_array().cloned().unwrap_or_default();
        paths.sort_by_key(Value::to_string);
        paths.dedup();
        paths
    };
    assert_eq!(
        imports(&exported),
        imports(theirs),
        "imports of {}",
        ours.name
    );
}

/// Drops what is not layout: comments, options and the hints of unions. A boolean default is
/// spelled in five ways by VPP.
fn plain(declaration: &Value) -> Value {
    let Some(parts) = declaration.as_array() else {
        return declaration.clone();
    };
    let is_bool = parts.first().is_some_and(|ty| ty == "bool");
    let is_field = |part: &Value| part.as_array().is_some_and(|parts| parts.len() > 1);
    let plain_part = |part: &Value| match part.as_object() {
        Some(options) => Some(layout_options(options, is_bool))
            .filter(|kept| !kept.is_empty())
            .map(Value::Object),
        None if is_field(part) => Some(plain(part)),
        None => Some(part.clone()),
    };
    Value::Array(parts.iter().filter_map(plain_part).collect())
}

fn layout_options(options: &Map<String, Value>, is_bool: bool) -> Map<String, Value> {
    let mut kept = options.clone();
    kept.retain(|key, _| ["crc", "default", "enumtype"].contains(&key.as_str()));
    if is_bool && let Some(default) = kept.get_mut("default") {
        let is_false = ["false", "0"].contains(&default.to_string().as_str());
        *default = Value::Bool(!is_false);
    }
    kept
}

fn by_name<'a>(module: &'a Value, section: &str) -> BTreeMap<String, &'a Value> {
    let all = module[section].as_array().expect("a section is a list");
    all.iter()
        .map(|each| (each[0].as_str().expect("a name").to_owned(), each))
        .collect()
}

fn parse(ours: &Module) -> Value {
    serde_json::from_str(&module(ours)).expect("the export is JSON")
}

/// Finds VPP's export, which is not part of this repository.
fn vpp_json() -> Option<PathBuf> {
    let beside = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared/vpp-api/26.10");
    let folder = std::env::var_os("WEFT_VPP_API_JSON").map_or(beside.into(), PathBuf::from);
    folder.is_dir().then_some(folder)
}
