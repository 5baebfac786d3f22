//! memif point to point: one process and one core on each side.

use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use tempfile::TempDir;

use super::Setting;
use crate::contest::{Contender, interleave};
use crate::memif::{Counted, Job, Role};
use crate::process::{Daemon, Place, find, output};
use crate::report::{Better, CaseReport, Metric, Skip};
use crate::testpmd::{Forward, PROGRAM, Testpmd};

const SIZES: [usize; 3] = [64, 512, 1500];
const DPDK: &str = "dpdk-testpmd";
const SENDER: usize = 0;
const RECEIVER: usize = 1;

pub(super) fn run(setting: &Setting) -> CaseReport {
    let mut report = CaseReport {
        title: "memif point to point, one direction".into(),
        method: vec![
            "Two processes, the sender (memif client) on core 0, the receiver (memif server) on core 1; one queue, 1024 slots, bursts of 32.".into(),
            "The receiver counts, by its own clock, after a warm-up. Both sides poll: on a busy machine the figures are those of its scheduler. testpmd: `txonly` to `rxonly`, `--no-huge`, main thread and forwarding core on one CPU.".into(),
            "`copied out`: each frame is copied to a private buffer on both sides, as DPDK's driver does. `in place`: the receiver reads 64 bytes of headers where they lie. `zero copy`: the sender's buffers lie in shared memory, it writes 42 bytes of headers into each as testpmd does.".into(),
        ],
        ..CaseReport::default()
    };
    let has_dpdk = find(PROGRAM).is_some();
    if !has_dpdk {
        report
            .skipped
            .push(Skip::new(DPDK, "not installed; hint: apt-get install dpdk"));
    }
    report.skipped.push(Skip::new(
        "dpdk-testpmd with zero copy",
        "DPDK offers it on huge pages only, which these runs do without",
    ));
    for size in SIZES {
        let metric = Metric::new(format!("{size} B"), "Mpps", Better::Higher);
        let ours = |sender, receiver| {
            move || one_sample(setting, size, End::Ours(sender), End::Ours(receiver))
        };
        let mut contenders = vec![
            Contender::new("memif-rs, copied out", ours(Job::Send, Job::Receive))
                .against(DPDK, 1.0),
            Contender::new("memif-rs, in place", ours(Job::Send, Job::ReceiveInPlace))
                .against(DPDK, 1.0),
            Contender::new(
                "memif-rs, zero copy to in place",
                ours(Job::SendZeroCopy, Job::ReceiveInPlace),
            )
            .against(DPDK, 1.0),
        ];
        if has_dpdk {
            let sample = |sender, receiver| move || one_sample(setting, size, sender, receiver);
            contenders.push(Contender::new(DPDK, sample(End::Dpdk, End::Dpdk)));
            contenders.push(Contender::new(
                "memif-rs to dpdk-testpmd",
                sample(End::Ours(Job::Send), End::Dpdk),
            ));
            contenders.push(Contender::new(
                "dpdk-testpmd to memif-rs",
                sample(End::Dpdk, End::Ours(Job::Receive)),
            ));
        }
        let groups = interleave(
            setting.run.rounds,
            &[metric],
            contenders,
            &mut report.skipped,
        );
        report.groups.extend(groups);
    }
    report
}

#[derive(Clone, Copy)]
enum End {
    Ours(Job),
    Dpdk,
}

fn one_sample(
    setting: &Setting,
    size: usize,
    sender: End,
    receiver: End,
) -> anyhow::Result<Vec<f64>> {
    let dir: TempDir = tempfile::tempdir()?;
    let socket = dir.path().join("memif.sock");
    match receiver {
        End::Dpdk => {
            let mut sink = Testpmd::start(RECEIVER, Role::Server, Forward::Receive, &socket)?;
            let _sender = Sender::start(setting, size, sender, &socket)?;
            Ok(vec![sink.receive_rate(Duration::from_secs_f64(
                setting.run.seconds,
            ))?])
        }
        End::Ours(job) => {
            let _sender = Sender::start(setting, size, sender, &socket)?;
            let mut command = Place::core(RECEIVER).command(None, &setting.own);
            command
                .args(["end", "--role", "server", "--job", job.name(), "--socket"])
                .arg(&socket);
            command.args(["--seconds", &setting.run.seconds.to_string()]);
            let counted: Counted =
                serde_json::from_str(&output(&mut command)?).context("read the count")?;
            Ok(vec![counted.mpps()])
        }
    }
}

/// Keeps a sender alive.
enum Sender {
    Ours(#[expect(dead_code, reason = "ends with its owner")] Daemon),
    Dpdk(#[expect(dead_code, reason = "ends with its owner")] Testpmd),
}

impl Sender {
    fn start(setting: &Setting, size: usize, end: End, socket: &Path) -> anyhow::Result<Self> {
        match end {
            End::Dpdk => {
                Testpmd::start(SENDER, Role::Client, Forward::Send { size }, socket).map(Self::Dpdk)
            }
            End::Ours(job) => {
                let mut command = Place::core(SENDER).command(None, &setting.own);
                command
                    .args(["end", "--role", "client", "--job", job.name(), "--socket"])
                    .arg(socket);
                command.args(["--size", &size.to_string()]);
                Daemon::start(&mut command, &socket.with_extension("log")).map(Self::Ours)
            }
        }
    }
}
