//! `weft controller`: chains from intent to rendered wiring.

use std::path::PathBuf;

use clap::Args;
use runtime::shutdown::Shutdown;

#[derive(Debug, Args)]
pub(crate) struct Controller {
    /// Store or etcd endpoint.
    #[arg(long, env = "WEFT_STORE", value_name = "URL")]
    store: String,
    /// Directory of WASM components; chains name files below it.
    #[arg(long, env = "WEFT_MODULES", value_name = "DIR")]
    modules: PathBuf,
}

pub(crate) async fn run(options: Controller) -> anyhow::Result<()> {
    let shutdown = Shutdown::listen()?.into_future();
    let config = controller::Config {
        store: options.store,
        modules: options.modules,
    };
    controller::run(config, shutdown).await?;
    Ok(())
}
