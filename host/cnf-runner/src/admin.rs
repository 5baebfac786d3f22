//! The administration socket: statistics and hot swap.

use std::path::PathBuf;
use std::sync::Arc;

use agent_api::cnf::runner_server::Runner;
use agent_api::cnf::{Function, Port, ReloadReply, ReloadRequest, StatsReply, StatsRequest};
use tokio::sync::{Mutex, oneshot};
use tonic::{Request, Response, Status};

use crate::plane::Loader;
use crate::reload::Reloader;
use crate::worker::{Command, Handle};

/// Serves `weft.cnf.v1.Runner`.
pub(crate) struct Admin<L: Loader> {
    pub(crate) reloader: Arc<Mutex<Reloader<L>>>,
    pub(crate) worker: Handle<L::Next>,
}

#[tonic::async_trait]
impl<L: Loader> Runner for Admin<L> {
    async fn stats(&self, _: Request<StatsRequest>) -> Result<Response<StatsReply>, Status> {
        let (reply, answer) = oneshot::channel();
        self.worker
            .send(Command::Stats(reply))
            .map_err(|e| Status::unavailable(e.to_string()))?;
        let stats = answer
            .await
            .map_err(|_| Status::unavailable("worker has stopped"))?;
        let reloader = self.reloader.lock().await;
        let ports = stats.ports.into_iter().map(|p| Port {
            name: p.name,
            up: p.up,
            rx_packets: p.rx,
            tx_packets: p.tx,
            last_disconnect: p.last_disconnect,
        });
        Ok(Response::new(StatsReply {
            ports: ports.collect(),
            counters: stats.function,
            drops: stats.drops,
            function: Some(Function {
                name: reloader.name.clone(),
                kind: reloader.kind().to_owned(),
                digest: reloader.digest.clone(),
                swaps: reloader.swaps,
                faults: stats.faults,
                last_fault: stats.last_fault,
            }),
        }))
    }

    async fn reload(
        &self,
        request: Request<ReloadRequest>,
    ) -> Result<Response<ReloadReply>, Status> {
        let request = request.into_inner();
        let given = |path: String| (!path.is_empty()).then(|| PathBuf::from(path));
        let mut reloader = self.reloader.lock().await;
        let swapped = reloader
            .reload(given(request.module_path), given(request.config_path))
            .await
            .map_err(|e| Status::failed_precondition(format!("{e:#}; the old function goes on")))?;
        Ok(Response::new(ReloadReply {
            old_digest: swapped.old_digest,
            new_digest: swapped.new_digest,
            gap_us: u64::try_from(swapped.gap.as_micros()).unwrap_or(u64::MAX),
        }))
    }
}
