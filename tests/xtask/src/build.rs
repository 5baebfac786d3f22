//! The programs and modules that demo and tests run.

use std::path::PathBuf;

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
const MODULES: [&str; 3] = [
    "cnf-examples/firewall",
    "cnf-examples/rate-limiter",
    "cnf-examples/web-classifier",
];

/// What else is built beside the programs and modules.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Extent {
    /// Nothing: enough for the demo.
    Programs,
    /// All targets of the workspace in one call, so that no dependency is built twice with other
    /// features.
    Workspace,
}

/// Builds all programs, then all modules beside them.
pub(crate) fn everything(extent: Extent) -> Result<(), String> {
    tell("building the programs");
    let mut command = cargo();
    command.arg("build");
    match extent {
        Extent::Workspace => {
            command.args(["--workspace", "--all-targets"]);
        }
        Extent::Programs => {
            for (package, program) in PROGRAMS {
                command.args(["--package", package, "--bin", program]);
            }
        }
    }
    step(&mut command, "build the programs")?;
    let directory = directory().join("modules");
    for module in MODULES {
        tell(&format!("building module {module}"));
        let mut build = std::process::Command::new(binary("weft"));
        build
            .current_dir(root())
            .args(["build", module, "--out"])
            .arg(&directory);
        step(&mut build, &format!("build module `{module}`"))?;
    }
    Ok(())
}

/// A program that [`everything`] built.
pub(crate) fn binary(name: &str) -> PathBuf {
    directory().join(name)
}

fn directory() -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(|dir| root().join(dir));
    target
        .unwrap_or_else(|| root().join("target"))
        .join("debug")
}
