//! A lab of its own for each test. It dies with the test's process, however that ends.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;

/// A running lab.
pub(crate) struct Lab {
    name: String,
    process: Child,
}

/// Directory of the programs: that of the test's own build.
pub(crate) fn programs() -> PathBuf {
    let test = std::env::current_exe().unwrap();
    test.ancestors().nth(2).unwrap().to_owned()
}

/// The repository.
pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .ancestors()
        .nth(2)
        .unwrap()
        .to_owned()
}

pub(crate) fn weft(arguments: &[&str]) -> Output {
    let program = programs().join("weft");
    assert!(
        program.is_file(),
        "`{}` is not built; run `cargo xtask test`",
        program.display()
    );
    Command::new(program)
        .args(arguments)
        .current_dir(repository())
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// Standard output of a command that must succeed.
#[track_caller]
pub(crate) fn succeed(output: Output) -> String {
    assert!(
        output.status.success(),
        "{}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// A name that no other test of this or another run has.
pub(crate) fn unique_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!(
        "e2e-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

impl Lab {
    /// Starts one with `nodes` nodes; `None`, with a loud line, where the kernel forbids namespaces.
    pub(crate) fn start(test: &str, nodes: u32) -> Option<Self> {
        if forbidden(test) {
            return None;
        }
        let name = unique_name();
        let mut command = Command::new(programs().join("weft"));
        command.args(["lab", "up", "--foreground", "--name", &name]);
        command.args(["--nodes", &nodes.to_string()]);
        let process = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let mut lab = Self { name, process };
        netns::eventually(
            "the lab answers",
            || {
                let ended = lab.process.try_wait().unwrap();
                assert_eq!(
                    ended,
                    None,
                    "the lab ended at its start:\n{}",
                    lab.log("lab")
                );
                lab.weft(&["lab", "status"])
            },
            |output| output.status.success(),
        );
        Some(lab)
    }

    /// The same with the quickstart's pods and chain, ready for traffic.
    pub(crate) fn quickstart(test: &str) -> Option<Self> {
        let lab = Self::start(test, 2)?;
        succeed(lab.weft(&["lab", "apply", "--wait", "90", "chains/quickstart"]));
        Some(lab)
    }

    /// Runs `weft` for this lab.
    pub(crate) fn weft(&self, arguments: &[&str]) -> Output {
        let program = programs().join("weft");
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env("WEFT_LAB", &self.name)
            .current_dir(repository());
        command.stdin(Stdio::null()).output().unwrap()
    }

    pub(crate) fn apply(&self, text: &str) -> Output {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("manifest.yaml");
        std::fs::write(&file, text).unwrap();
        self.weft(&["lab", "apply", "--wait", "60", file.to_str().unwrap()])
    }

    pub(crate) fn status(&self) -> Value {
        serde_json::from_str(&succeed(self.weft(&["lab", "status", "--json"]))).unwrap()
    }

    pub(crate) fn process_id(&self, name: &str) -> Option<i64> {
        self.status()["processes"][name]["pid"].as_i64()
    }

    /// What the agent of a node says.
    pub(crate) fn node_status(&self, node: &str) -> Value {
        let output = self.weft(&["node", "status", "--node", node]);
        serde_json::from_slice(&output.stdout).unwrap_or_default()
    }

    pub(crate) fn address(&self, pod: &str) -> String {
        let status = self.status();
        let address = status["pods"][pod]["addresses"][0].as_str();
        let address = address.unwrap_or_else(|| panic!("pod `{pod}` has no address: {status:#}"));
        address.split('/').next().unwrap().to_owned()
    }

    /// Starts UDP traffic in a pod.
    pub(crate) fn start_traffic(
        &self,
        pod: &str,
        to: &str,
        port: u16,
        rate: u32,
        count: u32,
    ) -> Child {
        let program = programs().join("weft");
        let (port, rate, count) = (port.to_string(), rate.to_string(), count.to_string());
        let mut command = Command::new(program);
        command
            .env("WEFT_LAB", &self.name)
            .args(["lab", "exec", pod, "--", "weft", "probe", "send"]);
        command.args([
            "--proto", "udp", "--target", to, "--port", &port, "--rate", &rate, "--count", &count,
        ]);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Sends UDP traffic from a pod and returns the sender's report.
    pub(crate) fn traffic(&self, pod: &str, to: &str, port: u16, count: u32) -> Value {
        report(self.start_traffic(pod, to, port, 300, count))
    }

    /// Packets that a CNF has received on its links `left` and `right`.
    pub(crate) fn received(&self, cnf: &str) -> [u64; 2] {
        let output = succeed(self.weft(&["cnf", "stats", "--pod", cnf]));
        let stats: Value = serde_json::from_str(&output).unwrap();
        let count = |name: &str| {
            let ports = stats["ports"].as_array().unwrap();
            let port = ports.iter().find(|p| p["name"] == name).unwrap();
            port["rxPackets"].as_u64().unwrap()
        };
        ["left", "right"].map(count)
    }

    pub(crate) fn log(&self, process: &str) -> String {
        let output = self.weft(&["lab", "logs", process]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn interrupt(mut self) -> std::process::ExitStatus {
        let pid = self.process.id().to_string();
        succeed(Command::new("kill").args(["-INT", &pid]).output().unwrap());
        self.process.wait().unwrap()
    }

    pub(crate) fn kill(mut self) {
        self.process.kill().unwrap();
        self.process.wait().unwrap();
    }
}

/// Waits for a sender and reads its report.
pub(crate) fn report(sender: Child) -> Value {
    serde_json::from_str(&succeed(sender.wait_with_output().unwrap())).unwrap()
}

impl Drop for Lab {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = self.weft(&["lab", "status"]).stdout;
        }
        let _ = self.weft(&["lab", "down"]);
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn forbidden(test: &str) -> bool {
    let made = Command::new("unshare").args(["-Urmnpf", "true"]).output();
    if made.is_ok_and(|o| o.status.success()) {
        return false;
    }
    eprintln!("SKIPPED {test}: this kernel gives no namespaces to this user");
    true
}
