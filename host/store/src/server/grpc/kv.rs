//! `KV`: read, write, compare, compact.

use tonic::{Request, Response, Status, async_trait};

use super::{Services, check_size};
use crate::wire::kv_server::Kv;
use crate::wire::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, PutRequest,
    PutResponse, RangeRequest, RangeResponse, TxnRequest, TxnResponse,
};

#[async_trait]
impl Kv for Services {
    async fn range(
        &self,
        request: Request<RangeRequest>,
    ) -> Result<Response<RangeResponse>, Status> {
        let mut response = self
            .engine
            .read(|state, _| state.range(request.get_ref()))?;
        self.stamp(&mut response.header);
        Ok(Response::new(response))
    }

    async fn put(&self, request: Request<PutRequest>) -> Result<Response<PutResponse>, Status> {
        let request = request.into_inner();
        check_size(&request)?;
        let mut response = self
            .engine
            .write(move |state, _, effects| state.put(&request, effects))
            .await?;
        self.stamp(&mut response.header);
        Ok(Response::new(response))
    }

    async fn delete_range(
        &self,
        request: Request<DeleteRangeRequest>,
    ) -> Result<Response<DeleteRangeResponse>, Status> {
        let request = request.into_inner();
        check_size(&request)?;
        let mut response = self
            .engine
            .write(move |state, _, effects| state.delete_range(&request, effects))
            .await?;
        self.stamp(&mut response.header);
        Ok(Response::new(response))
    }

    async fn txn(&self, request: Request<TxnRequest>) -> Result<Response<TxnResponse>, Status> {
        let request = request.into_inner();
        check_size(&request)?;
        let mut response = self
            .engine
            .write(move |state, _, effects| state.txn(&request, effects))
            .await?;
        self.stamp(&mut response.header);
        Ok(Response::new(response))
    }

    async fn compact(
        &self,
        request: Request<CompactionRequest>,
    ) -> Result<Response<CompactionResponse>, Status> {
        self.engine.compact(request.get_ref().revision).await?;
        Ok(Response::new(CompactionResponse {
            header: Some(self.current_header()),
        }))
    }
}
