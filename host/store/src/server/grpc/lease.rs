//! `Lease`: grant, renew, revoke, look.

use std::hash::{BuildHasher, RandomState};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{Services, stopped};
use crate::server::refusal::Refusal;
use crate::wire::lease_server::Lease;
use crate::wire::{
    LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesRequest, LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse, LeaseStatus,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse,
};

#[async_trait]
impl Lease for Services {
    type LeaseKeepAliveStream = ReceiverStream<Result<LeaseKeepAliveResponse, Status>>;

    async fn lease_grant(
        &self,
        request: Request<LeaseGrantRequest>,
    ) -> Result<Response<LeaseGrantResponse>, Status> {
        let LeaseGrantRequest { id, ttl } = request.into_inner();
        let id = if id == 0 { random_id() } else { id };
        let ttl = self
            .engine
            .write(move |state, now, effects| state.grant(id, ttl, now, effects))
            .await?;
        let header = Some(self.current_header());
        Ok(Response::new(LeaseGrantResponse {
            header,
            id,
            ttl,
            error: String::new(),
        }))
    }

    async fn lease_revoke(
        &self,
        request: Request<LeaseRevokeRequest>,
    ) -> Result<Response<LeaseRevokeResponse>, Status> {
        let id = request.get_ref().id;
        self.engine
            .write(move |state, _, effects| state.revoke(id, effects))
            .await?;
        Ok(Response::new(LeaseRevokeResponse {
            header: Some(self.current_header()),
        }))
    }

    async fn lease_keep_alive(
        &self,
        request: Request<Streaming<LeaseKeepAliveRequest>>,
    ) -> Result<Response<Self::LeaseKeepAliveStream>, Status> {
        let services = self.clone();
        let mut requests = request.into_inner();
        let (replies, receiver) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                let request = tokio::select! {
                    request = requests.message() => request,
                    () = stopped(services.stopping.clone()) => Err(Refusal::Stopped.into()),
                };
                let reply = match request {
                    Ok(Some(request)) => Ok(services.keep_alive(request.id)),
                    Ok(None) => return,
                    Err(status) => Err(status),
                };
                let ended = reply.is_err();
                if replies.send(reply).await.is_err() || ended {
                    return;
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(receiver)))
    }

    async fn lease_time_to_live(
        &self,
        request: Request<LeaseTimeToLiveRequest>,
    ) -> Result<Response<LeaseTimeToLiveResponse>, Status> {
        let LeaseTimeToLiveRequest { id, keys } = request.into_inner();
        let mut response = LeaseTimeToLiveResponse {
            header: Some(self.current_header()),
            id,
            ttl: -1,
            ..Default::default()
        };
        if let Some(view) = self.engine.read(|state, now| state.lessor.view(id, now)) {
            response.ttl = view.remaining_ttl;
            response.granted_ttl = view.granted_ttl;
            response.keys = if keys { view.keys } else { Vec::new() };
        }
        Ok(Response::new(response))
    }

    async fn lease_leases(
        &self,
        _request: Request<LeaseLeasesRequest>,
    ) -> Result<Response<LeaseLeasesResponse>, Status> {
        let leases = self.engine.read(|state, _| {
            state
                .lessor
                .ids()
                .map(|id| LeaseStatus { id })
                .collect::<Vec<_>>()
        });
        Ok(Response::new(LeaseLeasesResponse {
            header: Some(self.current_header()),
            leases,
        }))
    }
}

impl Services {
    /// A lease that is unknown is answered with a length of 0, not with an error.
    fn keep_alive(&self, id: i64) -> LeaseKeepAliveResponse {
        let ttl = self
            .engine
            .touch(|state, now| state.lessor.keep_alive(id, now))
            .unwrap_or(0);
        LeaseKeepAliveResponse {
            header: Some(self.current_header()),
            id,
            ttl,
        }
    }
}

fn random_id() -> i64 {
    let random = RandomState::new().hash_one(0_u8) >> 1;
    i64::try_from(random).unwrap_or(i64::MAX).max(1)
}
