//! Keeps the checked-in guest bindings equal to what the contract in `sdk/wit` generates.

use std::path::{Path, PathBuf};
use std::{env, fs};

use wit_bindgen_core::{Files, WorldGenerator as _, wit_parser::Resolve};

/// Set to write the bindings instead of comparing them.
const BLESS: &str = "WEFT_BLESS";

fn generate(packages: &[&str], world: &str) -> String {
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
    let world = resolve
        .select_world(&[package], Some(world))
        .expect("the world exists");
    let options = wit_bindgen_rust::Opts {
        generate_all: true,
        pub_export_macro: true,
        export_macro_name: Some(format!(
            "export_{}",
            resolve.worlds[world].name.replace('-', "_")
        )),
        format: true,
        ..Default::default()
    };
    let mut files = Files::default();
    options
        .build()
        .generate(&mut resolve, world, &mut files)
        .expect("bindings are generated");
    let (_, bytes) = files.iter().next().expect("one file");
    String::from_utf8(bytes.to_vec()).expect("source is text")
}

fn check(packages: &[&str], world: &str) {
    let name = format!("{}.rs", world.replace('-', "_"));
    let path: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("src/bindings")
        .join(name);
    let fresh = generate(packages, world);
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
    check(&["types", "host", "packet"], "packet-function");
    check(&["types", "host", "control"], "classifier-module");
}
