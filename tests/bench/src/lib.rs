//! Weft beside its peers: every case runs against each peer that this machine has, interleaved in one run and pinned
//! the same way, and ends up as medians and ratios in `report.md` and `report.json`.
//!
//! A peer that is missing, and one that fails, is a loud line of the report and never a failure of the run; no time is
//! asserted. Absolute figures are context: what counts is the ratio to a peer of the same run.
//!
//! ```text
//! cargo run --release -p bench -- [CASE...] --out target/bench
//! ```

#![forbid(unsafe_code)]
#![expect(
    clippy::print_stderr,
    clippy::print_stdout,
    reason = "a program for a terminal: progress on one, results on the other"
)]

mod args;
mod callgrind;
mod cases;
mod contest;
mod dataplane;
mod host;
mod iperf;
mod markdown;
mod memif;
mod plot;
mod process;
mod programs;
mod pump;
mod report;
mod sandbox;
mod statistics;
mod testpmd;
mod traffic;

use std::process::ExitCode;

/// Runs the program.
pub fn main() -> ExitCode {
    match cases::main() {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
