//! The `weft-vswitch` process.

use std::error::Error;
use std::process::ExitCode;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use vswitch_io::daemon::{self, Arguments};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let filter = EnvFilter::try_from_env("WEFT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .init();
    match daemon::run(arguments).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let error: &dyn Error = &error;
            tracing::error!(error, "weft-vswitch cannot go on");
            ExitCode::FAILURE
        }
    }
}
