//! The command line tool that operators have.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdout, Command, Stdio};

use tokio::sync::mpsc;

use crate::backend::Server;

pub(crate) async fn etcdctl_reads_writes_and_compares(server: &mut Server) {
    let Some(ctl) = Ctl::find(server) else { return };
    assert_eq!(ctl.run(&["put", "ctl/a", "1"]), "OK");
    assert_eq!(ctl.run(&["put", "ctl/b", "2"]), "OK");
    assert_eq!(ctl.run(&["get", "ctl/a"]), "ctl/a 1");
    assert_eq!(
        ctl.run(&["get", "ctl/", "--prefix", "--keys-only"]),
        "ctl/a ctl/b"
    );
    let condition = "value(\"ctl/a\") = \"1\"\n\nput ctl/a 3\n\nput ctl/a 4\n\n";
    assert_eq!(ctl.run_with(&["txn"], condition), "SUCCESS OK");
    assert_eq!(ctl.run_with(&["txn"], condition), "FAILURE OK");
    assert_eq!(ctl.run(&["get", "ctl/a", "--print-value-only"]), "4");
    assert_eq!(ctl.run(&["del", "ctl/", "--prefix"]), "2");
    let revision = server.client().revision().await.unwrap().to_string();
    let compacted = ctl.run(&["compaction", &revision]);
    assert_eq!(compacted, format!("compacted revision {revision}"));
}

pub(crate) async fn etcdctl_holds_leases(server: &mut Server) {
    let Some(ctl) = Ctl::find(server) else { return };
    let granted = ctl.run(&["lease", "grant", "600"]);
    let id = granted.split(' ').nth(1).unwrap().to_owned();
    assert_eq!(granted, format!("lease {id} granted with TTL(600s)"));
    ctl.run(&["put", "ctl/leased", "1", "--lease", &id]);
    let view = ctl.run(&["lease", "timetolive", &id, "--keys"]);
    assert!(view.contains("attached keys([ctl/leased])"), "{view}");
    let renewed = ctl.run(&["lease", "keep-alive", "--once", &id]);
    assert_eq!(renewed, format!("lease {id} keepalived with TTL(600)"));
    assert!(ctl.run(&["lease", "list"]).contains(&id));
    assert_eq!(
        ctl.run(&["lease", "revoke", &id]),
        format!("lease {id} revoked")
    );
    assert_eq!(ctl.run(&["get", "ctl/leased"]), "");
}

pub(crate) async fn etcdctl_watches(server: &mut Server) {
    let Some(ctl) = Ctl::find(server) else { return };
    let client = server.client();
    let first = client.put("ctl/w", "1").await.unwrap().to_string();
    let mut watching = Reaped(ctl.start(&["watch", "ctl/w", "--rev", &first]));
    let mut events = Lines::of(watching.0.stdout.take().unwrap());
    assert_eq!(events.words(3).await, "PUT ctl/w 1");
    client.put("ctl/w", "2").await.unwrap();
    assert_eq!(events.words(3).await, "PUT ctl/w 2");
    client.delete("ctl/w").await.unwrap();
    assert_eq!(events.words(2).await, "DELETE ctl/w");
}

pub(crate) async fn etcdctl_sees_a_healthy_member(server: &mut Server) {
    let Some(ctl) = Ctl::find(server) else { return };
    let status = ctl.run(&["endpoint", "status", "--write-out", "json"]);
    assert!(status.contains("\"version\":\"3."), "{status}");
    let health = ctl.run(&["endpoint", "health", "--write-out", "json"]);
    assert!(health.contains("\"health\":true"), "{health}");
    let members = ctl.run(&["member", "list", "--write-out", "simple"]);
    assert!(members.contains("started"), "{members}");
}

struct Ctl {
    endpoint: String,
}

impl Ctl {
    fn find(server: &Server) -> Option<Self> {
        let version = Command::new("etcdctl").arg("version").output();
        if version.is_err() {
            eprintln!("SKIPPED: etcdctl is not installed (Debian: etcd-client), tool not tried");
            return None;
        }
        Some(Self {
            // Without a scheme: 3.4 sends what it is given as the authority of `endpoint status`,
            // and an HTTP/2 stack that checks authorities refuses a URL there.
            endpoint: format!("127.0.0.1:{}", server.port()),
        })
    }

    /// The words of the output, separated by one blank.
    fn run(&self, arguments: &[&str]) -> String {
        self.run_with(arguments, "")
    }

    fn run_with(&self, arguments: &[&str], input: &str) -> String {
        let mut child = self.start(arguments);
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(input.as_bytes()).unwrap();
        drop(stdin);
        let output = child.wait_with_output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "etcdctl {arguments:?}: {errors}");
        let text = String::from_utf8(output.stdout).unwrap();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn start(&self, arguments: &[&str]) -> Child {
        Command::new("etcdctl")
            .env("ETCDCTL_API", "3")
            .args(["--endpoints", &self.endpoint])
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }
}

/// Output read on a thread, so that silence ends with the battery's patience.
struct Lines(mpsc::UnboundedReceiver<String>);

impl Lines {
    fn of(output: ChildStdout) -> Self {
        let (sender, lines) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self(lines)
    }

    async fn words(&mut self, count: usize) -> String {
        let mut words = Vec::new();
        while words.len() < count {
            words.push(self.0.recv().await.expect("etcdctl ended"));
        }
        words.join(" ")
    }
}

struct Reaped(Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
