//! DPDK's memif driver, run by `dpdk-testpmd` with one forwarding core.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

use crate::memif::Role;
use crate::process::{PATIENCE, Place};

pub(crate) const PROGRAM: &str = "dpdk-testpmd";
const SHOW: &[u8] = b"show port stats 0\n";
/// What it says when its ports are up.
const FORWARDING: &str = "packet forwarding - ports=";
/// Let rings fill and clocks rise before anything is counted.
pub(crate) const WARM_UP: Duration = Duration::from_millis(200);

/// What it does with frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    Send { size: usize },
    Receive,
}

#[derive(Debug)]
pub(crate) struct Testpmd {
    child: Child,
    stdin: ChildStdin,
    output: Arc<Mutex<String>>,
}

impl Testpmd {
    /// Starts it. A server is waited for: a client that comes too early is turned away, and DPDK's stays away. Both its main thread and its forwarding core are pinned to `core`.
    pub(crate) fn start(
        core: usize,
        role: Role,
        forward: Forward,
        socket: &Path,
    ) -> anyhow::Result<Self> {
        let run_dir = socket.parent().context("a socket lies in a directory")?;
        let core = core.min(crate::host::cores().saturating_sub(1));
        // Else answers stay in its buffer until it ends.
        let mut command = Place::core(core).command(None, "stdbuf");
        command.args(["-oL", PROGRAM]);
        command.arg(format!("--lcores=0@{core},1@{core}"));
        command.args([
            "--no-huge",
            "-m",
            "256",
            "--no-pci",
            "--no-shconf",
            "--no-telemetry",
        ]);
        command.arg(format!("--file-prefix=weft-bench-{core}"));
        command.arg(format!(
            "--vdev=net_memif0,role={},socket={},socket-abstract=no,id=0,rsize=10",
            role.name(),
            socket.display()
        ));
        command.args([
            "--",
            "-i",
            "--auto-start",
            "--disable-link-check",
            "--no-mlockall",
            "--no-flush-rx",
        ]);
        command.args(["--total-num-mbufs=16384", "--nb-cores=1"]);
        match forward {
            Forward::Send { size } => {
                command
                    .arg("--forward-mode=txonly")
                    .arg(format!("--txpkts={size}"));
            }
            Forward::Receive => {
                command.arg("--forward-mode=rxonly");
            }
        }
        let mut child = command
            .env("XDG_RUNTIME_DIR", run_dir)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .with_context(|| format!("start `{PROGRAM}`"))?;
        let stdin = child.stdin.take().context("standard input is a pipe")?;
        let stdout = child.stdout.take().context("standard output is a pipe")?;
        let output = Arc::new(Mutex::new(String::new()));
        let into = Arc::clone(&output);
        // Ends with the pipe, which ends with the process.
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let mut text = into.lock().unwrap_or_else(PoisonError::into_inner);
                text.push_str(&line);
                text.push('\n');
            }
        });
        let mut testpmd = Self {
            child,
            stdin,
            output,
        };
        if role == Role::Server {
            testpmd.until("start", |text| text.contains(FORWARDING).then_some(()))?;
        }
        Ok(testpmd)
    }

    /// Millions of frames it receives in a second, over `time` from when they flow.
    pub(crate) fn receive_rate(&mut self, time: Duration) -> anyhow::Result<f64> {
        let deadline = Instant::now() + PATIENCE;
        while self.show()?.rx_packets == 0 {
            if Instant::now() > deadline {
                bail!("no frame reached `{PROGRAM}` in {PATIENCE:?}");
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        std::thread::sleep(WARM_UP);
        self.show()?;
        std::thread::sleep(time);
        // Its rates are since the last time they were shown, by its own clock.
        Ok(self.show()?.rx_pps / 1e6)
    }

    fn show(&mut self) -> anyhow::Result<PortStats> {
        let before = self.look(parse).len();
        self.stdin.write_all(SHOW).context("ask testpmd")?;
        self.until("answer", |text| parse(text).get(before).copied())
    }

    /// Waits until something is found in its output.
    fn until<T>(&mut self, what: &str, find: impl Fn(&str) -> Option<T>) -> anyhow::Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.look(&find) {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("`{PROGRAM}` ended ({status})");
            }
            if Instant::now() > deadline {
                bail!("`{PROGRAM}` does not {what}");
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn look<T>(&self, find: impl Fn(&str) -> T) -> T {
        find(&self.output.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Testpmd {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One answer to `show port stats`.
#[derive(Clone, Copy, Debug, PartialEq)]
struct PortStats {
    rx_packets: u64,
    tx_packets: u64,
    rx_pps: f64,
    tx_pps: f64,
}

/// All complete answers in what testpmd printed.
fn parse(text: &str) -> Vec<PortStats> {
    text.split("NIC statistics for port")
        .skip(1)
        .filter_map(answer)
        .collect()
}

fn answer(text: &str) -> Option<PortStats> {
    let value = |label: &str| {
        text.split_once(label)?
            .1
            .split_whitespace()
            .next()?
            .parse::<u64>()
            .ok()
    };
    #[expect(clippy::cast_precision_loss, reason = "rates are far below 2^52")]
    let rate = |label| value(label).map(|rate| rate as f64);
    // The bit rate ends the answer: without it the numbers before may be cut.
    value("Tx-bps:")?;
    Some(PortStats {
        rx_packets: value("RX-packets:")?,
        tx_packets: value("TX-packets:")?,
        rx_pps: rate("Rx-pps:")?,
        tx_pps: rate("Tx-pps:")?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ANSWER: &str = "testpmd> show port stats 0

  ######################## NIC statistics for port 0  ########################
  RX-packets: 37285184   RX-missed: 0          RX-bytes:  2386251776
  RX-errors: 0
  RX-nombuf:  0
  TX-packets: 12         TX-errors: 0          TX-bytes:  768

  Throughput (since last show)
  Rx-pps:     12428394          Rx-bps:   6363338008
  Tx-pps:            4          Tx-bps:         2048
  ############################################################################
";

    #[test]
    fn every_answer_is_read() {
        let first = PortStats {
            rx_packets: 37_285_184,
            tx_packets: 12,
            rx_pps: 12_428_394.0,
            tx_pps: 4.0,
        };
        let second = ANSWER.replace("37285184", "40000000");
        let answers = parse(&format!(
            "EAL: Detected 2 lcores\n{ANSWER}{second}testpmd> "
        ));
        assert_eq!(
            answers,
            [
                first,
                PortStats {
                    rx_packets: 40_000_000,
                    ..first
                }
            ]
        );
    }

    #[test]
    fn an_answer_that_is_still_being_printed_is_not_read() {
        for label in [
            "RX-packets:",
            "TX-packets:",
            "Throughput",
            "Rx-pps:",
            "Tx-bps:",
        ] {
            let cut = &ANSWER[..ANSWER.find(label).unwrap() + label.len()];
            assert_eq!(parse(cut), [], "cut behind {label}");
        }
    }
}
