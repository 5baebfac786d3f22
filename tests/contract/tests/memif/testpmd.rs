//! DPDK's end.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use crate::traffic::wait_for;

pub(crate) struct Testpmd {
    child: Child,
    output: Arc<Mutex<String>>,
    reader: Option<std::thread::JoinHandle<()>>,
}

/// What testpmd says that it did.
pub(crate) struct Counted {
    pub(crate) received: usize,
    pub(crate) sent: usize,
    pub(crate) bytes: usize,
}

impl Testpmd {
    pub(crate) fn spawn(args: &[&str], runtime: &Path) -> Self {
        let mut child = Command::new("dpdk-testpmd")
            .args(args)
            .env("XDG_RUNTIME_DIR", runtime)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let output = Arc::new(Mutex::new(String::new()));
        let (stdout, into) = (child.stdout.take().unwrap(), Arc::clone(&output));
        let reader = std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let mut text = into.lock().unwrap();
                text.push_str(&line);
                text.push('\n');
            }
        });
        Self {
            child,
            output,
            reader: Some(reader),
        }
    }

    /// Ends it as a user would, and reads its statistics.
    pub(crate) fn stop(mut self) -> Counted {
        // The first command prints the bytes, the second the frames.
        let mut stdin = self.child.stdin.take().unwrap();
        stdin.write_all(b"show port stats 0\nquit\n").unwrap();
        wait_for("testpmd to end", || self.child.try_wait().unwrap());
        self.reader.take().unwrap().join().unwrap();
        let output = self.output.lock().unwrap();
        let count = |label: &str| {
            let found = output
                .rsplit(label)
                .next()
                .unwrap()
                .split_whitespace()
                .next();
            found
                .and_then(|number| number.parse().ok())
                .unwrap_or_else(|| panic!("{output}"))
        };
        Counted {
            received: count("RX-packets:"),
            sent: count("TX-packets:"),
            bytes: count("RX-bytes:"),
        }
    }

    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Testpmd {
    fn drop(&mut self) {
        let _gone_already = self.child.kill();
        let _gone_already = self.child.wait();
    }
}
