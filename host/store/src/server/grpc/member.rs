//! `Maintenance` and `Cluster`: one healthy member that leads itself.

use tonic::{Request, Response, Status, async_trait};

use super::{Services, TERM};
use crate::wire::cluster_server::Cluster;
use crate::wire::maintenance_server::Maintenance;
use crate::wire::{Member, MemberListRequest, MemberListResponse, StatusRequest, StatusResponse};

/// The etcd release whose behaviour is matched; clients derive from it which features exist.
const PROTOCOL_VERSION: &str = "3.5.13";
const NAME: &str = "weft-store";

#[async_trait]
impl Maintenance for Services {
    async fn status(
        &self,
        _request: Request<StatusRequest>,
    ) -> Result<Response<StatusResponse>, Status> {
        let bytes = self.engine.read(|state, _| state.mvcc.bytes());
        let header = self.current_header();
        let bytes = i64::try_from(bytes).unwrap_or(i64::MAX);
        let index = header.revision.unsigned_abs();
        Ok(Response::new(StatusResponse {
            version: PROTOCOL_VERSION.to_owned(),
            db_size: bytes,
            db_size_in_use: bytes,
            leader: header.member_id,
            raft_index: index,
            raft_applied_index: index,
            raft_term: TERM,
            errors: Vec::new(),
            is_learner: false,
            header: Some(header),
        }))
    }
}

#[async_trait]
impl Cluster for Services {
    async fn member_list(
        &self,
        _request: Request<MemberListRequest>,
    ) -> Result<Response<MemberListResponse>, Status> {
        let header = self.current_header();
        let member = Member {
            id: header.member_id,
            name: NAME.to_owned(),
            peer_urls: Vec::new(),
            client_urls: vec![format!("http://{}", self.address)],
            is_learner: false,
        };
        Ok(Response::new(MemberListResponse {
            header: Some(header),
            members: vec![member],
        }))
    }
}
