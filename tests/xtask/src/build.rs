//! The programs and modules that demo and tests run.

use std::path::{Path, PathBuf};

use crate::command::{cargo, root, step, tell};

/// Packages with programs, and the program's name.
const PROGRAMS: [(&str, &str); 5] = [
    ("weft", "weft"),
    ("weft-cni", "weft-cni"),
    ("vswitch-io", "weft-vswitch"),
    ("cnf-runner", "weft-cnf"),
    ("rate-limiter", "rate-limiter"),
];

/// Folders of the guests that become WASM modules.
const MODULES: [&str; 5] = [
    "cnf-examples/firewall",
    "cnf-examples/header-counter",
    "cnf-examples/least-loaded",
    "cnf-examples/rate-limiter",
    "cnf-examples/web-classifier",
];

/// What else is built beside the programs and modules.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Nothing: enough for the demo. A tree whose tests were built stays with all targets, since tests
    /// ask more features of tokio and regex: without them, half the dependencies would be built again.
    Programs,
    /// All targets of the workspace in one call, so that no dependency is built twice with other
    /// features.
    Workspace,
    /// The benchmarks, and everything optimised.
    Benchmarks,
}

/// Builds all programs, then all modules beside them.
pub(crate) fn everything(extent: Extent) -> Result<(), String> {
    tell("building the programs");
    let directory = directory(extent);
    let built_all = directory.join("all-targets-built");
    let extent = if extent == Extent::Programs && built_all.is_file() {
        Extent::Workspace
    } else {
        extent
    };
    let mut command = cargo();
    command.arg("build");
    match extent {
        Extent::Workspace => {
            command.args(["--workspace", "--all-targets"]);
        }
        Extent::Programs | Extent::Benchmarks => {
            for (package, program) in PROGRAMS {
                command.args(["--package", package, "--bin", program]);
            }
        }
    }
    if extent == Extent::Benchmarks {
        command.args(["--release", "--package", "bench", "--bin", "bench"]);
    }
    step(&mut command, "build the programs")?;
    if extent == Extent::Workspace {
        std::fs::write(&built_all, "")
            .map_err(|error| format!("cannot write `{}`: {error}", built_all.display()))?;
    }
    let modules = directory.join("modules");
    for module in MODULES {
        tell(&format!("building module {module}"));
        let mut build = std::process::Command::new(directory.join("weft"));
        build
            .current_dir(root())
            .args(["build", module, "--out"])
            .arg(&modules);
        step(&mut build, &format!("build module `{module}`"))?;
        copy_grants(&root().join(module), &modules)?;
    }
    Ok(())
}

/// What the lab's operator grants a module lies in its folder, as `NAME.yaml`.
fn copy_grants(module: &Path, directory: &Path) -> Result<(), String> {
    let Some(name) = module.file_name() else {
        return Ok(());
    };
    let file = Path::new(name).with_extension("yaml");
    let from = module.join(&file);
    if !from.is_file() {
        return Ok(());
    }
    std::fs::copy(&from, directory.join(&file))
        .map(drop)
        .map_err(|error| format!("cannot copy `{}`: {error}", from.display()))
}

/// Where [`everything`] puts the programs.
pub(crate) fn directory(extent: Extent) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(|dir| root().join(dir));
    let profile = match extent {
        Extent::Programs | Extent::Workspace => "debug",
        Extent::Benchmarks => "release",
    };
    target
        .unwrap_or_else(|| root().join("target"))
        .join(profile)
}
