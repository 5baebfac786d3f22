use std::path::Path;

use super::*;

fn example(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../cnf-examples")
        .join(name)
}

/// False, and loud about it, where no compiler reaches wasm32.
#[expect(clippy::print_stderr, reason = "a skipped test is loud")]
fn can_build() -> bool {
    let found = find_toolchain();
    if let Err(error) = &found {
        eprintln!("SKIPPED: {error}");
    }
    found.is_ok()
}

#[test]
fn a_crate_of_this_workspace_becomes_a_module_with_its_capabilities_only() {
    if !can_build() {
        return;
    }
    let out = tempfile::tempdir().expect("a folder");
    let request = BuildRequest {
        out_dir: Some(out.path().into()),
        ..BuildRequest::new(example("web-classifier"))
    };
    let mut steps = Vec::new();
    let artifact = build(&request, &mut |step| steps.push(format!("{step:?}"))).expect("a module");
    assert_eq!(artifact.path, out.path().join("web-classifier.wasm"));
    assert_eq!(artifact.world, World::Classifier);
    let foreign = |import: &&String| !import.starts_with("weft:");
    assert_eq!(artifact.imports.iter().find(foreign), None);
    assert!(
        artifact
            .imports
            .iter()
            .any(|i| i == "weft:host/log@0.1.0-alpha.1")
    );
    assert!(steps.iter().any(|step| step == "Encode"), "{steps:?}");
    let bytes = fs::read(&artifact.path).expect("the module");
    assert_eq!(bytes.len(), artifact.bytes);
    assert_eq!(
        fs::read_dir(out.path()).expect("a folder").count(),
        1,
        "no draft is left behind"
    );
}

#[test]
fn code_that_does_not_compile_is_shown_with_the_compilers_words() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    write_crate(folder.path(), "pub fn broken() -> u32 { \"text\" }");
    let error =
        build(&BuildRequest::new(folder.path()), &mut |_| {}).expect_err("does not compile");
    assert!(
        matches!(&error, BuildError::Compile { output, .. } if output.contains("mismatched types")),
        "{error}"
    );
}

#[test]
fn code_that_exports_nothing_gets_a_hint() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    write_crate(
        folder.path(),
        "#![no_std]\n#[panic_handler]\nfn stop(_: &core::panic::PanicInfo<'_>) -> ! { loop {} }",
    );
    let error = build(&BuildRequest::new(folder.path()), &mut |_| {}).expect_err("exports nothing");
    assert!(
        error.to_string().contains("hint: does the crate call"),
        "{error}"
    );
}

#[test]
fn a_folder_without_a_package_is_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let error = Package::read(folder.path()).err().expect("no package");
    assert!(matches!(error, BuildError::NoLibrary(path) if path == folder.path()));
}

#[test]
fn the_error_without_a_toolchain_says_what_to_install() {
    let error = BuildError::NoToolchain {
        looked_at: vec!["`rustc`: not found".into()],
    };
    assert!(
        error
            .to_string()
            .contains("rustup target add wasm32-unknown-unknown")
    );
}

fn write_crate(folder: &Path, source: &str) {
    let manifest = "[package]\nname = \"odd\"\nedition = \"2024\"\n[workspace]\n";
    fs::create_dir_all(folder.join("src")).expect("a folder");
    fs::write(folder.join("Cargo.toml"), manifest).expect("a manifest");
    // The folder for build products is this workspace's: std is compiled once for all tests.
    let target = Package::read(&example("web-classifier"))
        .expect("an example")
        .wasm_dir;
    let config = format!(
        "build.target-dir = {:?}",
        target.parent().expect("a folder")
    );
    fs::create_dir_all(folder.join(".cargo")).expect("a folder");
    fs::write(folder.join(".cargo/config.toml"), config).expect("a configuration");
    fs::write(folder.join("src/lib.rs"), source).expect("a source");
}
