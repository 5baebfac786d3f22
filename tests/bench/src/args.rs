//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use crate::memif::{EndArguments, PumpArguments};

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

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Case {
    /// memif point to point: memif-rs and DPDK's driver
    Memif,
    /// L2 cross-connect and IPv4 forwarding from memif to memif
    Forward,
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
    MemifEnd(EndArguments),
    #[command(hide = true)]
    MemifPump(PumpArguments),
}
