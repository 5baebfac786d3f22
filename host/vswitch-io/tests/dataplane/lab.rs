//! Namespaces and commands for the tests: everything is named after this process and removed on drop.

use std::fmt::Debug;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_secs(20);
static NEXT: AtomicU32 = AtomicU32::new(0);

/// A network namespace.
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    pub(crate) fn new(role: &str) -> Self {
        let name = format!(
            "wv{}-{}-{role}",
            std::process::id(),
            NEXT.fetch_add(1, Ordering::Relaxed)
        );
        run("ip", &["netns", "add", &name]);
        run("ip", &["-n", &name, "link", "set", "lo", "up"]);
        Self { name }
    }

    /// Runs a command line in the namespace and returns what it printed; fails the test when it fails.
    pub(crate) fn run(&self, line: &str) -> String {
        let output = self.try_run(line);
        assert!(
            output.status.success(),
            "`{line}` in {}: {output:?}",
            self.name
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn try_run(&self, line: &str) -> Output {
        let words = line.split_whitespace();
        Command::new("ip")
            .args(["netns", "exec", &self.name])
            .args(words)
            .output()
            .unwrap()
    }

    /// Starts a command line in the namespace.
    pub(crate) fn spawn(&self, line: &str) -> Child {
        let words = line.split_whitespace();
        Command::new("ip")
            .args(["netns", "exec", &self.name])
            .args(words)
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from("/run/netns").join(&self.name)
    }

    /// Runs code in the namespace.
    pub(crate) fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        vswitch_io::device::netns::run_in(&self.name, || Ok(work())).unwrap()
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        let _ = Command::new("ip")
            .args(["netns", "del", &self.name])
            .output();
    }
}

/// Whether this process may make namespaces; prints a loud line when not.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
pub(crate) fn is_permitted() -> bool {
    static PERMITTED: OnceLock<bool> = OnceLock::new();
    *PERMITTED.get_or_init(|| {
        let name = format!("wv{}-probe", std::process::id());
        let made = Command::new("ip").args(["netns", "add", &name]).output();
        let permitted = made.is_ok_and(|output| output.status.success());
        let _ = Command::new("ip").args(["netns", "del", &name]).output();
        if !permitted {
            eprintln!("SKIPPED: network namespaces need root and the `ip` command");
        }
        permitted
    })
}

pub(crate) fn run(program: &str, args: &[&str]) {
    let output = Command::new(program).args(args).output().unwrap();
    assert!(
        output.status.success(),
        "`{program} {}`: {output:?}",
        args.join(" ")
    );
}

/// Repeats `probe` until it yields a value; fails with the last thing seen.
pub(crate) fn wait_for<T, E: Debug>(what: &str, mut probe: impl FnMut() -> Result<T, E>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        match probe() {
            Ok(value) => return value,
            Err(seen) if Instant::now() > deadline => {
                panic!("waited for {what}, last saw {seen:?}")
            }
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}
