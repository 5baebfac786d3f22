//! Packets on an interface, counted by a tcpdump filter.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use crate::Host;

/// A running capture; it ends with the value.
#[derive(Debug)]
pub struct Capture {
    process: Child,
}

impl Capture {
    /// Starts to capture; returns when the socket is open, so that nothing after is missed.
    pub fn start(host: &Host, interface: &str, filter: &str) -> Self {
        let mut process = host.spawn(
            Command::new("tcpdump")
                .args(["-n", "-l", "-U", "-i", interface, filter])
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        );
        let stderr = process.stderr.take().expect("standard error is a pipe");
        let ready = BufReader::new(stderr)
            .lines()
            .map_while(Result::ok)
            .any(|line| line.contains("listening on"));
        assert!(ready, "tcpdump does not listen on `{interface}`");
        Self { process }
    }

    /// Waits until `count` packets were seen, and returns their lines.
    pub fn packets(mut self, count: usize) -> Vec<String> {
        let stdout = self
            .process
            .stdout
            .take()
            .expect("standard output is a pipe");
        BufReader::new(stdout)
            .lines()
            .map_while(Result::ok)
            .take(count)
            .collect()
    }
}

impl Drop for Capture {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
