//! `weft store`: the embedded etcd-compatible store.

use std::net::SocketAddr;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use runtime::shutdown::Shutdown;
use tokio::net::TcpListener;

#[derive(Debug, Args)]
pub(crate) struct Store {
    /// Address and port to serve the etcd v3 protocol on.
    #[arg(long, env = "WEFT_LISTEN", default_value = "127.0.0.1:2379")]
    listen: SocketAddr,
    /// Directory of the database.
    #[arg(long, env = "WEFT_DATA_DIR", value_name = "DIR")]
    data_dir: PathBuf,
}

pub(crate) async fn run(options: Store) -> anyhow::Result<()> {
    let shutdown = Shutdown::listen()?.into_future();
    std::fs::create_dir_all(&options.data_dir)
        .with_context(|| format!("create `{}`", options.data_dir.display()))?;
    let listener = TcpListener::bind(options.listen)
        .await
        .with_context(|| format!("listen on `{}`", options.listen))?;
    store::server::serve(listener, &options.data_dir, shutdown).await?;
    Ok(())
}
