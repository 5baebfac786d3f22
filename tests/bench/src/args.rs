//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::memif::EndArguments;
use crate::pump::{ProbeArguments, PumpArguments};

/// Measures Weft beside its peers.
#[derive(Debug, Parser)]
#[command(name = "bench", args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) part: Option<Part>,
    #[command(flatten)]
    pub(crate) run: Run,
}

#[derive(Clone, Debug, Args)]
pub(crate) struct Run {
    /// Cases to run; all of them otherwise
    #[arg(value_enum)]
    pub(crate) cases: Vec<Case>,
    /// Directory of the report
    #[arg(long, default_value = "target/bench", value_name = "DIR")]
    pub(crate) out: PathBuf,
    /// Samples of each contender where a sample takes seconds
    #[arg(long, default_value_t = 5, value_name = "N")]
    pub(crate) rounds: usize,
    /// Seconds that a throughput sample lasts
    #[arg(long, default_value_t = 1.0, value_name = "SECONDS")]
    pub(crate) seconds: f64,
    /// Few and short samples of fewer sizes: all cases in some minutes
    #[arg(long)]
    pub(crate) quick: bool,
    /// Attachments made and removed by each CNI plugin
    #[arg(long, default_value_t = 100, value_name = "N")]
    pub(crate) attachments: usize,
    /// Directory of Weft's programs; they are built beside this one otherwise
    #[arg(long, value_name = "DIR")]
    pub(crate) bin_dir: Option<PathBuf>,
    /// Directory of built WASM modules, for the demo [default: `modules` beside the programs]
    #[arg(long, value_name = "DIR")]
    pub(crate) modules: Option<PathBuf>,
    /// Use the programs that are there, build none
    #[arg(long)]
    pub(crate) no_build: bool,
    /// Niceness of everything measured; -20 lets a busy machine disturb less, and the measurement disturb more
    #[arg(
        long,
        default_value_t = 0,
        allow_negative_numbers = true,
        value_name = "N"
    )]
    pub(crate) nice: i32,
}

impl Run {
    /// What `--quick` leaves of it.
    pub(crate) fn quick(self) -> Self {
        Self {
            rounds: self.rounds.min(3),
            seconds: self.seconds.min(0.5),
            attachments: self.attachments.min(20),
            ..self
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// memif point to point: memif-rs and DPDK's driver
    Memif,
    /// From memif to memif: cross-connect, routes, tunnels
    Forward,
    /// Packet functions: in the graph, and in a pod
    Function,
    /// A dataplane without traffic: processor, memory, first packet
    Idle,
    /// Instructions per packet and graph node, counted by valgrind
    Instructions,
    /// TCP from pod to pod on one node
    Tcp,
    /// CNI ADD and DEL
    Cni,
    /// From `weft lab up` to the first packet through the quickstart chain
    Lab,
}

/// What this program runs as a process of its own, to pin it.
#[derive(Debug, Subcommand)]
pub(crate) enum Part {
    #[command(hide = true)]
    End(EndArguments),
    #[command(hide = true)]
    Pump(PumpArguments),
    #[command(hide = true)]
    Probe(ProbeArguments),
}
