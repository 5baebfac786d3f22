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
fn an_import_from_elsewhere_is_named() {
    // A module that wants a function `open` of `env`.
    let types = b"\x01\x04\x01\x60\x00\x00";
    let imports = b"\x02\x0c\x01\x03env\x04open\x00\x00";
    let core = [&b"\0asm\x01\0\0\0"[..], types, imports].concat();
    let error = encode("odd", &core).expect_err("refused");
    assert!(
        matches!(&error, BuildError::ForeignImport { import, .. } if import == "env::open"),
        "{error}"
    );
}

#[test]
fn a_program_is_no_module_and_is_told_so() {
    let folder = tempfile::tempdir().expect("a folder");
    write_crate(folder.path(), "");
    fs::rename(
        folder.path().join("src/lib.rs"),
        folder.path().join("src/main.rs"),
    )
    .expect("renamed");
    let error = Package::read(folder.path()).err().expect("no library");
    assert!(
        error
            .to_string()
            .contains("is not a package with a library"),
        "{error}"
    );
}

#[test]
fn a_crate_outside_of_the_workspace_becomes_a_module() {
    if !can_build() {
        return;
    }
    let folder = tempfile::tempdir().expect("a folder");
    write_crate(
        folder.path(),
        "use weft_sdk::prelude::*;
        #[derive(Default)]
        pub struct First;
        impl Steering for First {
            fn configure(&mut self, _: &str) -> Result<(), Fault> { Ok(()) }
            fn choose(&self, view: &HopView) -> Result<Choice, Fault> {
                let first = view.candidates.first();
                Ok(first.map_or(Choice::NoOpinion, |c| Choice::One(c.id.clone())))
            }
        }
        weft_sdk::export_steering!(First);",
    );
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let manifest = folder.path().join("Cargo.toml");
    let sdk = fs::canonicalize(root.join("sdk/weft-sdk")).expect("the SDK");
    let text = fs::read_to_string(&manifest).expect("a manifest");
    let text = format!("{text}[dependencies]\nweft-sdk = {{ path = {sdk:?} }}\n");
    fs::write(&manifest, text).expect("a manifest");
    // The versions of this workspace: nothing is resolved anew, nothing compiled twice.
    fs::copy(root.join("Cargo.lock"), folder.path().join("Cargo.lock")).expect("a lock file");
    let request = BuildRequest {
        out_dir: Some(folder.path().join("out")),
        ..BuildRequest::new(folder.path())
    };
    let artifact = build(&request, &mut |_| {}).expect("a module");
    assert_eq!(artifact.world, World::Steering);
    assert_eq!(
        artifact.imports,
        ["weft:host/log@0.1.0-alpha.1"],
        "the panic hook's"
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
