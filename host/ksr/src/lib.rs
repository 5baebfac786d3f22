//! Reflects the cluster's intent into the store: source -> records -> mark and sweep.
//!
//! The source is a directory of manifests ([`Directory`]). ksr is the only writer of the records of
//! pods and chains, and it writes nothing else.

#![forbid(unsafe_code)]

mod directory;
mod reflect;
mod sync;

use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

pub use directory::Directory;
pub use reflect::{Records, Refusal, reflect};

/// How often the directory is looked at.
const SCAN_INTERVAL: Duration = Duration::from_millis(200);

/// What ksr reads and where it writes.
#[derive(Clone, Debug)]
pub struct Config {
    /// Directory of YAML manifests.
    pub manifests: PathBuf,
    /// Store endpoint, `http://address:port`.
    pub store: String,
}

/// Why ksr cannot run at all. Everything else is retried.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("store endpoint `{endpoint}` is not usable")]
    Store {
        endpoint: String,
        #[source]
        source: store::client::StoreError,
    },
}

/// Reflects until `shutdown` resolves. While the store is away the directory is still read, and the
/// difference is written when it returns.
///
/// # Errors
/// [`RunError`] when the configuration cannot work.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
    let deadline = Duration::from_secs(3);
    let client = store::client::StoreClient::new(&[&config.store], deadline).map_err(|source| {
        RunError::Store {
            endpoint: config.store.clone(),
            source,
        }
    })?;
    let mut directory = Directory::new(config.manifests);
    let mut sync = sync::Sync::new(client);
    let mut tick = tokio::time::interval(SCAN_INTERVAL);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    tokio::pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => return Ok(()),
            _ = tick.tick() => {}
        }
        if directory.scan() {
            let (records, refusals) = reflect(&directory.manifests());
            for refusal in &refusals {
                tracing::warn!(at = %refusal.at, object = %refusal.name, "{}", refusal.error);
            }
            sync.want(records);
        }
        sync.step().await;
    }
}
