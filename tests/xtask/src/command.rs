//! The chores and how they follow from each other.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::Instant;

use crate::build::Extent;
use crate::{build, setup, tidy};

const USAGE: &str = "\
cargo xtask <chore>

  demo    set up what is missing, build, and run a service chain on this machine
  test    set up, build, and run every test
  ci      fmt, clippy, tidy and test, as CI does
  tidy    check the rules of the tree: layers, sizes, unsafe, orphans
  bench   set up, build optimised, and run the benchmarks
  setup   set up what is missing
";

/// Runs one chore.
pub(crate) fn run(arguments: &[String]) -> Result<ExitCode, String> {
    let began = Instant::now();
    let (chore, rest) = match arguments.split_first() {
        Some((chore, rest)) => (chore.as_str(), rest),
        None => ("help", arguments),
    };
    match chore {
        "demo" => return demo(rest),
        "test" => test(rest)?,
        "ci" => ci()?,
        "tidy" => tidy::run(&root())?,
        "bench" => bench(rest)?,
        "setup" => setup::run(setup::For::Tests)?,
        "help" | "--help" | "-h" => {
            tell(USAGE);
            return Ok(ExitCode::SUCCESS);
        }
        other => return Err(format!("no chore `{other}`\n\n{USAGE}")),
    }
    tell(&format!(
        "xtask {chore}: ok after {} s",
        began.elapsed().as_secs()
    ));
    Ok(ExitCode::SUCCESS)
}

/// The demo's exit code is that of what it ran: 0 only when everything was observed.
fn demo(rest: &[String]) -> Result<ExitCode, String> {
    setup::run(setup::For::Programs)?;
    build::everything(Extent::Programs)?;
    let chain = rest.first().map_or("chains/quickstart", String::as_str);
    tell(&format!("running the demo: weft lab run {chain}"));
    let mut weft = Command::new(build::directory(Extent::Programs).join("weft"));
    let status = weft
        .args(["lab", "run", chain])
        .current_dir(root())
        .status();
    let status = status.map_err(|e| format!("run weft: {e}"))?;
    let code = status
        .code()
        .and_then(|c| u8::try_from(c).ok())
        .unwrap_or(1);
    Ok(ExitCode::from(code))
}

fn test(rest: &[String]) -> Result<(), String> {
    setup::run(setup::For::Tests)?;
    let python = setup::python(&root());
    build::everything(Extent::Workspace)?;
    let nextest = quietly("cargo", &["nextest", "--version"]);
    let mut command = cargo();
    if nextest {
        command.args([
            "nextest",
            "run",
            "--config-file",
            "tests/nextest.toml",
            "--no-fail-fast",
        ]);
    } else {
        command.args(["test", "--no-fail-fast"]);
    }
    if let Some(python) = python {
        command.env("WEFT_PYTHON", python);
    }
    step(command.arg("--workspace").args(rest), "run the tests")
}

fn ci() -> Result<(), String> {
    step(
        cargo().args(["fmt", "--all", "--check"]),
        "check the format",
    )?;
    tidy::run(&root())?;
    setup::run(setup::For::Tests)?;
    let lint = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ];
    step(cargo().args(lint), "run clippy")?;
    test(&[])
}

fn bench(rest: &[String]) -> Result<(), String> {
    setup::run(setup::For::Tests)?;
    build::everything(Extent::Benchmarks)?;
    let programs = build::directory(Extent::Benchmarks);
    let mut bench = Command::new(programs.join("bench"));
    bench.arg("--bin-dir").arg(&programs).args(rest);
    step(bench.current_dir(root()), "run the benchmarks")
}

/// The top of the repository.
pub(crate) fn root() -> PathBuf {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.ancestors().nth(2).unwrap_or(here).to_owned()
}

/// Cargo in the repository; its progress bar and colours are its own.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    command
}

/// Runs a command that must succeed.
pub(crate) fn step(command: &mut Command, what: &str) -> Result<(), String> {
    let status = command.status().map_err(|e| format!("{what}: {e}"))?;
    if status.success() {
        Ok(())
    } else {
        Err(format!("{what}: {status}"))
    }
}

/// Whether a command succeeds; what it prints is nobody's business.
pub(crate) fn quietly(program: &str, arguments: &[&str]) -> bool {
    let output = Command::new(program).args(arguments).output();
    output.is_ok_and(|o| o.status.success())
}

/// One line to the person at the terminal.
pub(crate) fn tell(text: &str) {
    let _ = writeln!(std::io::stderr(), "{text}");
}
