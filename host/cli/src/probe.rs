//! `weft probe`: test traffic with honest numbers.
//!
//! Both ends are ordinary programs on ordinary sockets, so what they count is what an application
//! would see. [`wire`] is the payload that makes loss, duplicates and reordering visible.

mod report;
mod send;
mod serve;
mod wire;

use std::path::PathBuf;

use clap::{Args, Subcommand};

pub use report::{Latency, SendReport, ServeReport};

#[derive(Debug, Subcommand)]
pub(crate) enum Probe {
    /// Answer traffic: echo on UDP, a minimal HTTP answer or echo on TCP.
    Serve(Serve),
    /// Send traffic and say what became of it.
    Send(Send),
}

#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// UDP ports that echo every datagram.
    #[arg(long, value_name = "PORT")]
    udp: Vec<u16>,
    /// TCP ports that answer a GET with 200 and echo anything else.
    #[arg(long, value_name = "PORT")]
    tcp: Vec<u16>,
    /// File that always holds the present counters as JSON.
    #[arg(long, value_name = "PATH")]
    report: Option<PathBuf>,
}

#[derive(Debug, Args)]
pub(crate) struct Send {
    /// Address or name of the server.
    #[arg(long)]
    target: String,
    #[arg(long, value_enum)]
    proto: Proto,
    #[arg(long)]
    port: u16,
    /// Requests a second.
    #[arg(long, default_value_t = 100)]
    rate: u32,
    /// Requests to send.
    #[arg(long, conflicts_with = "duration")]
    count: Option<u64>,
    /// Seconds to send for.
    #[arg(long)]
    duration: Option<f64>,
    /// Bytes of each payload.
    #[arg(long, default_value_t = 256)]
    size: usize,
    /// Seconds to wait for the last answers.
    #[arg(long, default_value_t = 1.0)]
    wait: f64,
    /// File for the report; standard output otherwise.
    #[arg(long, value_name = "PATH")]
    report: Option<PathBuf>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Proto {
    Udp,
    Tcp,
    Http,
}

impl Proto {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Http => "http",
        }
    }

    /// What the server counts it as.
    pub(crate) const fn transport(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp | Self::Http => "tcp",
        }
    }
}

pub(crate) async fn run(probe: Probe) -> anyhow::Result<()> {
    match probe {
        Probe::Serve(options) => serve::run(options).await,
        Probe::Send(options) => send::run(options).await,
    }
}
