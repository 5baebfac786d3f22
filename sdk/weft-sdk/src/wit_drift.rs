//! Keeps the checked-in guest bindings equal to what the contract in `sdk/wit` generates.

use std::path::{Path, PathBuf};
use std::{env, fs};

use wit_bindgen_core::{Files, WorldGenerator as _, wit_parser::Resolve};
use wit_bindgen_rust::WithOption;

/// Set to write the bindings instead of comparing them.
const BLESS: &str = "WEFT_BLESS";

/// Interfaces that several worlds share, and whose bindings they then share too.
const TYPES: &[&str] = &["weft:types/net", "weft:types/faults"];
const HOST: &[&str] = &[
    "weft:host/log",
    "weft:host/clock",
    "weft:host/random",
    "weft:host/metrics",
    "weft:host/key-value",
    "weft:host/files",
];
const SNAPSHOT: &[&str] = &["weft:control/snapshot"];

/// Where the bindings of shared interfaces are.
struct Shared {
    bindings: &'static str,
    interfaces: &'static [&'static str],
}

impl Shared {
    fn options(&self) -> impl Iterator<Item = (String, WithOption)> {
        self.interfaces.iter().map(|interface| {
            let path = interface.replace([':', '/'], "::").replace('-', "_");
            let path = format!("crate::bindings::{}::{path}", self.bindings);
            let version = "0.1.0-alpha.1";
            (format!("{interface}@{version}"), WithOption::Path(path))
        })
    }
}

const fn capabilities(interfaces: &'static [&'static str]) -> Shared {
    Shared {
        bindings: "capabilities",
        interfaces,
    }
}

fn generate(packages: &[&str], world: &str, shared: &[Shared]) -> String {
    let wit = Path::new(env!("CARGO_MANIFEST_DIR")).join("../wit");
    let mut resolve = Resolve::default();
    let mut last = None;
    for package in packages {
        let (id, _) = resolve
            .push_path(wit.join(package))
            .expect("the contract parses");
        last = Some(id);
    }
    let package = last.expect("at least one package");
    let selected = resolve
        .select_world(&[package], Some(world))
        .expect("the world exists");
    let options = wit_bindgen_rust::Opts {
        generate_all: true,
        // Types that no capability mentions are there for the other worlds.
        generate_unused_types: true,
        pub_export_macro: true,
        export_macro_name: Some(format!(
            "export_{}",
            resolve.worlds[selected].name.replace('-', "_")
        )),
        with: shared.iter().flat_map(Shared::options).collect(),
        format: true,
        ..Default::default()
    };
    let mut files = Files::default();
    options
        .build()
        .generate(&mut resolve, selected, &mut files)
        .expect("bindings are generated");
    let (_, bytes) = files.iter().next().expect("one file");
    let text = String::from_utf8(bytes.to_vec()).expect("source is text");
    // Two worlds export the same interface; macros of one crate need names of their own.
    text.replace(
        "__export_weft_",
        &format!("__export_{}_", world.replace('-', "_")),
    )
}

fn check(packages: &[&str], world: &str, shared: &[Shared]) {
    let name = format!("{}.rs", world.replace('-', "_"));
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/bindings")
        .join(name);
    let fresh = generate(packages, world, shared);
    if env::var_os(BLESS).is_some() {
        fs::write(&path, &fresh).expect("bindings are written");
    }
    let stored = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        stored == fresh,
        "`{}` differs from what sdk/wit generates; hint: {BLESS}=1 cargo test -p weft-sdk",
        path.display()
    );
}

#[test]
fn the_bindings_are_what_the_contract_generates() {
    let control = ["types", "host", "control"];
    check(&["types", "host"], "capabilities", &[]);
    check(
        &control,
        "classifier-module",
        &[capabilities(TYPES), capabilities(HOST)],
    );
    let snapshot = Shared {
        bindings: "classifier_module",
        interfaces: SNAPSHOT,
    };
    check(
        &control,
        "steering-module",
        &[capabilities(TYPES), capabilities(HOST), snapshot],
    );
    check(
        &["types", "host", "packet"],
        "packet-function",
        &[
            capabilities(&["weft:types/faults"]),
            capabilities(&["weft:host/log"]),
        ],
    );
}
