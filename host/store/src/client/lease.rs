//! A lease that is kept alive for as long as its handle lives.

use std::fmt;
use std::future::Future;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Status;
use tonic::transport::Channel;

use super::{StoreClient, StoreError};
use crate::wire::lease_client::LeaseClient;
use crate::wire::{LeaseGrantRequest, LeaseKeepAliveRequest, LeaseRevokeRequest};

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
        let request = LeaseGrantRequest {
            ttl: i64::try_from(seconds).unwrap_or(i64::MAX),
            id: 0,
        };
        let reply = self
            .call(
                || "grant a lease".into(),
                self.leases().lease_grant(request),
            )
            .await?;
        let id = LeaseId(reply.id);
        let granted = Duration::from_secs(u64::try_from(reply.ttl).unwrap_or(0).max(1));
        let (lost_tx, lost) = watch::channel(false);
        let renewal = tokio::spawn(renew(self.leases(), id, granted, lost_tx));
        Ok(Lease {
            client: self.clone(),
            id,
            lost,
            renewal,
        })
    }

    fn leases(&self) -> LeaseClient<Channel> {
        LeaseClient::new(self.channel.clone())
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
        let request = LeaseRevokeRequest { id: self.id.0 };
        let operation = || format!("revoke lease `{}`", self.id);
        self.client
            .call(operation, self.client.leases().lease_revoke(request))
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

async fn renew(
    mut leases: LeaseClient<Channel>,
    id: LeaseId,
    ttl: Duration,
    lost: watch::Sender<bool>,
) {
    let mut renewed = Instant::now();
    while renewed.elapsed() < ttl {
        match renew_on_one_stream(&mut leases, id, ttl, &mut renewed).await {
            Ok(()) => break,
            Err(status) => {
                tracing::debug!(lease = %id, %status, "lease renewal failed, trying again");
                sleep(RETRY_DELAY).await;
            }
        }
    }
    lost.send_replace(true);
}

/// Renews every third of `ttl`. `Ok` means that the store no longer knows the lease.
async fn renew_on_one_stream(
    leases: &mut LeaseClient<Channel>,
    id: LeaseId,
    ttl: Duration,
    renewed: &mut Instant,
) -> Result<(), Status> {
    let (requests, receiver) = mpsc::channel(1);
    let request = LeaseKeepAliveRequest { id: id.0 };
    // Queued before the call: the server sends nothing, not even headers, before the first request.
    requests.send(request).await.map_err(|_| stream_closed())?;
    let mut sent = Instant::now();
    let mut replies = within(
        *renewed + ttl,
        leases.lease_keep_alive(ReceiverStream::new(receiver)),
    )
    .await?
    .into_inner();
    loop {
        let reply = within(*renewed + ttl, replies.message())
            .await?
            .ok_or_else(stream_closed)?;
        if reply.ttl <= 0 {
            return Ok(());
        }
        *renewed = sent;
        sleep(ttl / 3).await;
        sent = Instant::now();
        requests.send(request).await.map_err(|_| stream_closed())?;
    }
}

async fn within<T>(
    deadline: Instant,
    reply: impl Future<Output = Result<T, Status>>,
) -> Result<T, Status> {
    timeout_at(deadline, reply)
        .await
        .unwrap_or_else(|_| Err(Status::deadline_exceeded("no renewal within the lease")))
}

fn stream_closed() -> Status {
    Status::unavailable("keep-alive stream closed")
}
