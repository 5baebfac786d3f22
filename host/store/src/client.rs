//! Client of an etcd v3 store, built on [`etcd_client`]: one deadline on every call, typed errors,
//! and no retries hidden from the caller except of a request that never left this process, and in
//! [`Mirror`], whose whole job is to outlive the connection.

mod endpoints;
mod error;
mod kv;
mod lease;
mod mirror;
mod transaction;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use etcd_client::{Client, Error};
use tokio::time::{Instant, timeout_at};

use self::endpoints::Endpoints;
pub use self::error::StoreError;
pub use self::kv::Kv;
pub use self::lease::{Lease, LeaseId};
pub use self::mirror::{Mirror, MirrorEvent};
pub use self::transaction::{Commit, Precondition, Swap, Transaction};

/// Largest reply the client accepts; pages of [`StoreClient::list_prefix`] stay far below it.
const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;

/// Handle to a store. Cloning is cheap; clones share the connections.
#[derive(Debug, Clone)]
pub struct StoreClient {
    endpoints: Arc<Endpoints>,
    deadline: Duration,
}

impl StoreClient {
    /// Prepares a client without talking to anybody; it connects when it is first used and again
    /// after every failure. With several endpoints it stays with one for as long as that answers.
    /// Must be called within a tokio runtime.
    pub fn new<E: AsRef<str>>(endpoints: &[E], deadline: Duration) -> Result<Self, StoreError> {
        Ok(Self {
            endpoints: Arc::new(Endpoints::new(endpoints, deadline)?),
            deadline,
        })
    }

    /// Like [`StoreClient::new`], but fails unless a store answers.
    pub async fn connect<E: AsRef<str>>(
        endpoints: &[E],
        deadline: Duration,
    ) -> Result<Self, StoreError> {
        let client = Self::new(endpoints, deadline)?;
        client.revision().await?;
        Ok(client)
    }

    /// Starts to mirror every key that begins with `prefix`. The mirror stops when it is dropped.
    pub fn watch_prefix(&self, prefix: impl Into<String>) -> Mirror {
        Mirror::start(self.clone(), prefix.into())
    }

    /// Asks one endpoint after the other until the request was sent; all that within the deadline.
    async fn call<T, F>(
        &self,
        operation: impl Fn() -> String,
        ask: impl Fn(Client) -> F,
    ) -> Result<T, StoreError>
    where
        F: Future<Output = Result<T, Error>>,
    {
        let until = Instant::now() + self.deadline;
        let mut tries = self.endpoints.len();
        loop {
            let failed = |error| StoreError::from_client(operation(), error, self.deadline);
            let (turn, client) = self.endpoints.current().await.map_err(failed)?;
            let error = match timeout_at(until, ask(client)).await {
                Ok(Ok(reply)) => return Ok(reply),
                Ok(Err(error)) => error,
                Err(_) => {
                    self.endpoints.pass_over(turn);
                    return Err(StoreError::Deadline {
                        operation: operation(),
                        deadline: self.deadline,
                    });
                }
            };
            let was_sent = !error::is_refused_connection(&error);
            let error = failed(error);
            if error.is_transient() {
                self.endpoints.pass_over(turn);
            }
            tries -= 1;
            if was_sent || tries == 0 {
                return Err(error);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_endpoint_that_is_not_an_http_url_with_a_port_is_refused() {
        let deadline = Duration::from_secs(1);
        for bad in [
            "",
            "localhost:2379",
            "ftp://host:1",
            "http://",
            "http://host",
            "http://a b:1",
        ] {
            match StoreClient::new(&[bad], deadline) {
                Err(StoreError::Endpoint { endpoint }) => assert_eq!(endpoint, bad),
                other => panic!("{bad:?} gave {other:?}"),
            }
        }
        assert!(matches!(
            StoreClient::new::<&str>(&[], deadline),
            Err(StoreError::NoEndpoint)
        ));
        assert!(StoreClient::new(&["http://[::1]:2379", "http://host:1"], deadline).is_ok());
    }
}
