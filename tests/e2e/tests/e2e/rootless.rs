//! The demo as an ordinary user: a lab makes its own user namespace where the kernel allows that.

use std::path::Path;
use std::process::{Command, Stdio};

use crate::lab::{programs, repository, succeed};

/// A user that owns nothing.
const NOBODY: &str = "65534";

/// What the demo runs: programs beside each other with their modules, and the chain.
const PROGRAMS: [&str; 6] = [
    "weft",
    "weft-cni",
    "weft-vswitch",
    "weft-cnf",
    "rate-limiter",
    "modules",
];

/// `program` as a user without any privilege, in an environment of its own.
fn as_nobody(program: impl AsRef<Path>) -> Command {
    let mut command = Command::new("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
    command.args(["--inh-caps=-all", "--bounding-set=-all"]);
    command.arg(program.as_ref());
    command.stdin(Stdio::null()).env_remove("WEFT_LAB");
    command
}

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn forbidden() -> bool {
    let why = match as_nobody("unshare").args(["-Urmnpf", "true"]).output() {
        Ok(output) if output.status.success() => return false,
        Ok(output) => String::from_utf8_lossy(&output.stderr).into_owned(),
        Err(error) => error.to_string(),
    };
    eprintln!("SKIPPED rootless demo: {why}");
    true
}

#[test]
fn the_demo_runs_for_an_ordinary_user() {
    if forbidden() {
        return;
    }
    // The build may lie where only its owner may look.
    let home = tempfile::tempdir().unwrap();
    let mut copy = Command::new("cp");
    copy.arg("-r")
        .args(PROGRAMS.map(|name| programs().join(name)))
        .arg(repository().join("chains/quickstart"))
        .arg(home.path());
    succeed(copy.output().unwrap());
    let path = home.path().to_str().unwrap();
    succeed(
        Command::new("chmod")
            .args(["-R", "a+rX", path])
            .output()
            .unwrap(),
    );
    let mut demo = as_nobody(home.path().join("weft"));
    demo.args(["lab", "run", "quickstart"]);
    demo.current_dir(home.path()).env("HOME", path);
    let said = succeed(demo.output().unwrap());
    assert!(said.contains("checks passed, on real packets"), "{said}");
}
