//! The protocol's services: unpack, ask the engine, pack.

mod kv;
mod lease;
mod member;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

use prost::Message;
use tokio::sync::{Semaphore, watch as signal};
use tonic::Status;

use self::watch::WATCHERS_MAX;
use super::engine::Engine;
use super::refusal::Refusal;
use crate::wire::ResponseHeader;
use crate::wire::cluster_server::ClusterServer;
use crate::wire::kv_server::KvServer;
use crate::wire::lease_server::LeaseServer;
use crate::wire::maintenance_server::MaintenanceServer;
use crate::wire::watch_server::WatchServer;

/// Largest request, as in etcd's default configuration.
const REQUEST_BYTES_MAX: usize = 1536 * 1024;
/// Room to receive a request that is somewhat too large, so that it gets a meaningful refusal.
const DECODE_BYTES_MAX: usize = REQUEST_BYTES_MAX + 512 * 1024;
/// There is one member and no election: the term never changes.
const TERM: u64 = 1;

/// Everything a service needs; the services are views of it.
#[derive(Clone)]
pub(super) struct Services {
    engine: Engine,
    address: SocketAddr,
    stopping: signal::Receiver<bool>,
    watchers: Arc<Semaphore>,
}

impl Services {
    pub(super) fn new(
        engine: Engine,
        address: SocketAddr,
        stopping: signal::Receiver<bool>,
    ) -> Self {
        Self {
            engine,
            address,
            stopping,
            watchers: Arc::new(Semaphore::new(WATCHERS_MAX)),
        }
    }

    pub(super) fn kv(&self) -> KvServer<Self> {
        KvServer::new(self.clone()).max_decoding_message_size(DECODE_BYTES_MAX)
    }

    pub(super) fn watch(&self) -> WatchServer<Self> {
        WatchServer::new(self.clone())
    }

    pub(super) fn lease(&self) -> LeaseServer<Self> {
        LeaseServer::new(self.clone())
    }

    pub(super) fn maintenance(&self) -> MaintenanceServer<Self> {
        MaintenanceServer::new(self.clone())
    }

    pub(super) fn cluster(&self) -> ClusterServer<Self> {
        ClusterServer::new(self.clone())
    }

    fn header(&self, revision: i64) -> ResponseHeader {
        let identity = self.engine.identity();
        ResponseHeader {
            cluster_id: identity.cluster,
            member_id: identity.member,
            revision,
            raft_term: TERM,
        }
    }

    fn current_header(&self) -> ResponseHeader {
        self.header(self.engine.read(|state, _| state.durable))
    }

    /// Completes a header that knows only its revision.
    fn stamp(&self, header: &mut Option<ResponseHeader>) {
        let revision = header.as_ref().map_or(0, |header| header.revision);
        *header = Some(self.header(revision));
    }
}

/// Resolves when shutdown began.
pub(super) async fn stopped(mut stopping: signal::Receiver<bool>) {
    // An error means that the sender is gone, which is as good as a stop.
    let _ = stopping.wait_for(|stop| *stop).await;
}

fn check_size(request: &impl Message) -> Result<(), Status> {
    if request.encoded_len() > REQUEST_BYTES_MAX {
        return Err(Refusal::RequestTooLarge.into());
    }
    Ok(())
}
