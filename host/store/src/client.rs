//! Client of an etcd v3 store: one deadline on every call, typed errors, no retries hidden from the
//! caller except in [`Mirror`], whose whole job is to outlive the connection.

mod error;
mod kv;
mod lease;
mod mirror;
mod transaction;

use std::future::Future;
use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

pub use self::error::StoreError;
pub use self::kv::Kv;
pub use self::lease::{Lease, LeaseId};
pub use self::mirror::{Mirror, MirrorEvent};
pub use self::transaction::{Commit, Precondition, Swap, Transaction};
use crate::wire::kv_client::KvClient;

/// Largest reply the client accepts; pages of [`StoreClient::list_prefix`] stay far below it.
const REPLY_BYTES_MAX: usize = 64 * 1024 * 1024;
/// A dead peer is noticed within the sum of these two. Servers refuse pings more often than every 5 s.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Handle to a store. Cloning is cheap; clones share the connection.
#[derive(Debug, Clone)]
pub struct StoreClient {
    channel: Channel,
    deadline: Duration,
}

impl StoreClient {
    /// Prepares a client without talking to anybody; it connects when it is first used and again
    /// after every failure. Must be called within a tokio runtime.
    pub fn new<E: AsRef<str>>(endpoints: &[E], deadline: Duration) -> Result<Self, StoreError> {
        let mut parsed = Vec::with_capacity(endpoints.len());
        for endpoint in endpoints {
            parsed.push(parse_endpoint(endpoint.as_ref(), deadline)?);
        }
        let channel = match parsed.as_slice() {
            [] => return Err(StoreError::NoEndpoint),
            [only] => only.connect_lazy(),
            _ => Channel::balance_list(parsed.into_iter()),
        };
        Ok(Self { channel, deadline })
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

    fn kv(&self) -> KvClient<Channel> {
        KvClient::new(self.channel.clone()).max_decoding_message_size(REPLY_BYTES_MAX)
    }

    async fn call<T>(
        &self,
        operation: impl Fn() -> String,
        request: impl Future<Output = Result<tonic::Response<T>, tonic::Status>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.deadline, request).await {
            Ok(Ok(response)) => Ok(response.into_inner()),
            Ok(Err(status)) => Err(StoreError::from_status(operation(), &status, self.deadline)),
            Err(_) => Err(StoreError::Deadline {
                operation: operation(),
                deadline: self.deadline,
            }),
        }
    }
}

fn parse_endpoint(url: &str, deadline: Duration) -> Result<Endpoint, StoreError> {
    let invalid = || StoreError::Endpoint {
        endpoint: url.to_owned(),
    };
    if !url.starts_with("http://") {
        return Err(invalid());
    }
    let endpoint = Endpoint::from_shared(url.to_owned()).map_err(|_| invalid())?;
    if endpoint
        .uri()
        .authority()
        .is_none_or(|authority| authority.port_u16().is_none())
    {
        return Err(invalid());
    }
    Ok(endpoint
        .connect_timeout(deadline)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(PING_INTERVAL)
        .keep_alive_timeout(PING_TIMEOUT)
        .keep_alive_while_idle(false))
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
