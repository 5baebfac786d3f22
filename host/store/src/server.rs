//! An embedded store that speaks the etcd v3 protocol: KV, watch, lease, and as much of maintenance
//! and cluster as tools ask for. One process, one durable file, no replication, no authentication:
//! listen on an address that only trusted processes reach.
//!
//! Layers: `mvcc`, `lessor`, `query`, `txn`, `watcher` and `state` decide and are pure; `engine`
//! adds the clock, the order and the disk; `grpc` translates.

mod disk;
mod engine;
mod grpc;
mod lessor;
mod mvcc;
mod query;
mod refusal;
mod state;
mod txn;
mod watcher;

use std::future::Future;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;

use self::disk::Disk;
pub use self::disk::DiskError;

/// How long open requests may take to finish after shutdown began.
const GRACE: Duration = Duration::from_secs(3);
const PING_INTERVAL: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(10);
const STREAMS_PER_CONNECTION_MAX: u32 = 1024;

#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    #[error("store on disk failed")]
    Disk(#[from] DiskError),
    #[error("read the listener's address")]
    Address(#[source] std::io::Error),
    #[error("serve on `{address}`")]
    Transport {
        address: SocketAddr,
        source: tonic::transport::Error,
    },
}

/// Serves the store in `data_dir` until `shutdown` resolves.
///
/// # Errors
///
/// When the data directory is unusable or in use, and when the disk or the listener fails later:
/// then the process should end, because acknowledged data is safe and nothing else is.
pub async fn serve(
    listener: TcpListener,
    data_dir: &Path,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Address)?;
    let (engine, owner) = engine::open(Disk::open(data_dir)?, Instant::now())?;
    let (stop, stopping) = watch::channel(false);
    let services = grpc::Services::new(engine, address, stopping.clone());
    let server = Server::builder()
        .http2_keepalive_interval(Some(PING_INTERVAL))
        .http2_keepalive_timeout(Some(PING_TIMEOUT))
        .max_concurrent_streams(Some(STREAMS_PER_CONNECTION_MAX))
        .tcp_nodelay(true)
        .add_service(services.kv())
        .add_service(services.watch())
        .add_service(services.lease())
        .add_service(services.maintenance())
        .add_service(services.cluster())
        .serve_with_incoming_shutdown(TcpListenerStream::new(listener), grpc::stopped(stopping));
    drop(services);
    tracing::info!(%address, data_dir = %data_dir.display(), "store is serving");

    let owner = owner.run();
    tokio::pin!(owner);
    let mut server = Box::pin(server);
    let transport = |source| ServeError::Transport { address, source };
    tokio::select! {
        result = &mut server => return result.map_err(transport),
        result = &mut owner => return Ok(result?),
        () = shutdown => {}
    }
    stop.send_replace(true);
    let served = tokio::select! {
        result = &mut server => result.map_err(transport),
        result = &mut owner => return Ok(result?),
        () = sleep(GRACE) => Ok(()),
    };
    drop(server);
    // With the last request gone the owner finishes what it has begun and closes the file.
    if let Ok(result) = timeout(GRACE, owner).await {
        result?;
    }
    served
}

#[cfg(test)]
mod tests;
