//! Command line of every CNF that the runner carries.

use std::path::PathBuf;

/// What a native CNF is told; `weft-cnf` adds the module.
#[derive(Clone, Debug, clap::Args)]
pub(crate) struct CommonArgs {
    /// Configuration of the function: YAML or JSON, read again when it changes.
    #[arg(long, env = "WEFT_CNF_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// List of the pod's links, written by the node's agent.
    #[arg(
        long,
        env = "WEFT_INTERFACES",
        default_value = "/run/weft/interfaces.json"
    )]
    pub(crate) interfaces: PathBuf,
    /// Where the administration socket is served.
    #[arg(long, env = "WEFT_CNF_ADMIN", default_value = "/run/weft/cnf.sock")]
    pub(crate) admin: PathBuf,
}

/// A native CNF.
#[derive(Debug, clap::Parser)]
#[command(
    version,
    about = "Runs a native packet function between the memif links of its pod"
)]
pub(crate) struct NativeArgs {
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}

/// `weft-cnf`.
#[cfg(feature = "wasm")]
#[derive(Debug, clap::Parser)]
#[command(
    version,
    about = "Runs a packet function component between the memif links of its pod"
)]
pub(crate) struct ModuleArgs {
    /// The component; loaded again when it changes, without losing a packet.
    #[arg(long, env = "WEFT_CNF_MODULE")]
    pub(crate) module: PathBuf,
    #[command(flatten)]
    pub(crate) common: CommonArgs,
}
