//! A lease that is kept alive for as long as its handle lives.

use std::convert::Infallible;
use std::fmt;
use std::time::Duration;

use etcd_client::Client;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};

use super::{StoreClient, StoreError};

const RETRY_DELAY: Duration = Duration::from_millis(200);

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LeaseId(pub i64);

impl fmt::Display for LeaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}", self.0)
    }
}

/// A granted lease. A task renews it until this handle is dropped; then it runs out by itself, and
/// the store deletes its keys.
#[derive(Debug)]
pub struct Lease {
    client: StoreClient,
    id: LeaseId,
    lost: watch::Receiver<bool>,
    renewal: JoinHandle<()>,
}

impl StoreClient {
    /// Asks for a lease of `ttl`, rounded up to whole seconds, and keeps it alive.
    pub async fn lease(&self, ttl: Duration) -> Result<Lease, StoreError> {
        let seconds = ttl.as_secs() + u64::from(ttl.subsec_nanos() > 0);
        let seconds = i64::try_from(seconds).unwrap_or(i64::MAX);
        let ask = |mut client: Client| async move { client.lease_grant(seconds, None).await };
        let reply = self.call(|| "grant a lease".into(), ask).await?;
        let id = LeaseId(reply.id());
        let granted = Duration::from_secs(u64::try_from(reply.ttl()).unwrap_or(0).max(1));
        let (lost_tx, lost) = watch::channel(false);
        let renewal = tokio::spawn(renew(self.clone(), id, granted, lost_tx));
        Ok(Lease {
            client: self.clone(),
            id,
            lost,
            renewal,
        })
    }
}

impl Lease {
    /// Resolves when the lease is gone: revoked, expired, or not renewed for its whole length, in
    /// which case the store must be assumed to have given it up.
    pub async fn lost(&mut self) {
        // An error means that the renewal task ended, which it does only after a loss.
        let _ = self.lost.wait_for(|lost| *lost).await;
    }

    /// Ends the lease now; its keys are deleted.
    pub async fn revoke(self) -> Result<(), StoreError> {
        self.renewal.abort();
        let id = self.id;
        let ask = |mut client: Client| async move { client.lease_revoke(id.0).await };
        self.client
            .call(|| format!("revoke lease `{id}`"), ask)
            .await?;
        Ok(())
    }

    pub fn id(&self) -> LeaseId {
        self.id
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.renewal.abort();
    }
}

async fn renew(client: StoreClient, id: LeaseId, ttl: Duration, lost: watch::Sender<bool>) {
    let mut renewed = Instant::now();
    while renewed.elapsed() < ttl {
        let Err(error) = renew_on_one_stream(&client, id, ttl, &mut renewed).await;
        if matches!(error, StoreError::LeaseNotFound { .. }) {
            break;
        }
        tracing::debug!(lease = %id, %error, "lease renewal failed, trying again");
        sleep(RETRY_DELAY).await;
    }
    lost.send_replace(true);
}

/// Renews every third of `ttl` until that fails.
async fn renew_on_one_stream(
    client: &StoreClient,
    id: LeaseId,
    ttl: Duration,
    renewed: &mut Instant,
) -> Result<Infallible, StoreError> {
    let operation = || format!("renew lease `{id}`");
    let failed = |error| StoreError::from_client(operation(), error, ttl);
    let mut sent = Instant::now();
    // The client's own check of the first reply says whether the lease is known.
    let opening = client.call(operation, |mut client: Client| async move {
        client.lease_keep_alive(id.0).await
    });
    let opened = timeout_at(*renewed + ttl, opening).await;
    let (mut keeper, mut replies) = opened.map_err(|_| too_late(id, ttl))??;
    loop {
        *renewed = sent;
        sleep(ttl / 3).await;
        sent = Instant::now();
        keeper.keep_alive().await.map_err(|_| closed(id))?;
        let reply = timeout_at(*renewed + ttl, replies.message()).await;
        let reply = reply.map_err(|_| too_late(id, ttl))?.map_err(failed)?;
        if reply.ok_or_else(|| closed(id))?.ttl() <= 0 {
            return Err(StoreError::LeaseNotFound {
                operation: operation(),
            });
        }
    }
}

fn too_late(id: LeaseId, ttl: Duration) -> StoreError {
    StoreError::Deadline {
        operation: format!("renew lease `{id}`"),
        deadline: ttl,
    }
}

fn closed(id: LeaseId) -> StoreError {
    StoreError::Unavailable {
        operation: format!("renew lease `{id}`"),
        reason: "keep-alive stream closed".into(),
    }
}
