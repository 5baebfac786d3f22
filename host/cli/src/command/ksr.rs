//! `weft ksr`: reflects manifests into the store.

use std::path::PathBuf;

use clap::Args;
use runtime::shutdown::Shutdown;

#[derive(Debug, Args)]
pub(crate) struct Ksr {
    /// Directory of Kubernetes manifests.
    #[arg(long, env = "WEFT_MANIFESTS", value_name = "DIR")]
    manifests: PathBuf,
    /// Store or etcd endpoint.
    #[arg(long, env = "WEFT_STORE", value_name = "URL")]
    store: String,
}

pub(crate) async fn run(options: Ksr) -> anyhow::Result<()> {
    let shutdown = Shutdown::listen()?.into_future();
    let config = ksr::Config {
        manifests: options.manifests,
        store: options.store,
    };
    ksr::run(config, shutdown).await?;
    Ok(())
}
