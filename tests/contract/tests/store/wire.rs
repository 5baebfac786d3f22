//! Short ways to say protocol requests.

use std::time::Duration;

use store::wire::{
    CompactionRequest, CompactionResponse, DeleteRangeRequest, DeleteRangeResponse, Event,
    KeyValue, LeaseGrantRequest, LeaseGrantResponse, LeaseKeepAliveRequest, LeaseKeepAliveResponse,
    LeaseLeasesRequest, LeaseLeasesResponse, LeaseRevokeRequest, LeaseRevokeResponse,
    LeaseTimeToLiveRequest, LeaseTimeToLiveResponse, PutRequest, PutResponse, RangeRequest,
    RangeResponse, RequestOp, ResponseHeader, TxnRequest, TxnResponse, WatchCreateRequest,
    WatchRequest, WatchResponse, event, request_op, watch_request,
};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

use crate::backend::Server;

const STEP: Duration = Duration::from_secs(20);

/// Methods of a service that send a request, or a stream of them, and nothing else: no client
/// library may come between a check and the protocol.
macro_rules! service {
    ($service:ident, $name:literal:
     $($method:ident = $rpc:literal ($ask:ty) -> $reply:ty),*
     $(; $stream:ident = $stream_rpc:literal ($stream_ask:ty) -> $stream_reply:ty)?) => {
        pub(crate) struct $service(Grpc<Channel>);

        impl $service {
            $(pub(crate) async fn $method(&mut self, ask: $ask) -> Result<Response<$reply>, Status> {
                let path = PathAndQuery::from_static(concat!("/etcdserverpb.", $name, "/", $rpc));
                self.0.ready().await.unwrap();
                let codec = ProstCodec::<$ask, $reply>::default();
                self.0.unary(Request::new(ask), path, codec).await
            })*

            $(pub(crate) async fn $stream(
                &mut self,
                asks: impl Stream<Item = $stream_ask> + Send + 'static,
            ) -> Result<Response<Streaming<$stream_reply>>, Status> {
                let path =
                    PathAndQuery::from_static(concat!("/etcdserverpb.", $name, "/", $stream_rpc));
                self.0.ready().await.unwrap();
                let codec = ProstCodec::<$stream_ask, $stream_reply>::default();
                self.0.streaming(Request::new(asks), path, codec).await
            })?
        }
    };
}

service!(Lease, "Lease":
    lease_grant = "LeaseGrant"(LeaseGrantRequest) -> LeaseGrantResponse,
    lease_revoke = "LeaseRevoke"(LeaseRevokeRequest) -> LeaseRevokeResponse,
    lease_time_to_live = "LeaseTimeToLive"(LeaseTimeToLiveRequest) -> LeaseTimeToLiveResponse,
    lease_leases = "LeaseLeases"(LeaseLeasesRequest) -> LeaseLeasesResponse;
    lease_keep_alive = "LeaseKeepAlive"(LeaseKeepAliveRequest) -> LeaseKeepAliveResponse);
service!(Watch, "Watch": ; watch = "Watch"(WatchRequest) -> WatchResponse);
service!(Kv, "KV":
    range = "Range"(RangeRequest) -> RangeResponse,
    put = "Put"(PutRequest) -> PutResponse,
    delete_range = "DeleteRange"(DeleteRangeRequest) -> DeleteRangeResponse,
    txn = "Txn"(TxnRequest) -> TxnResponse,
    compact = "Compact"(CompactionRequest) -> CompactionResponse);

pub(crate) struct Wire {
    pub(crate) kv: Kv,
    pub(crate) lease: Lease,
    watch: Watch,
}

impl Wire {
    pub(crate) async fn new(server: &Server) -> Self {
        let channel = Endpoint::from_shared(server.endpoint())
            .unwrap()
            .connect()
            .await
            .unwrap();
        Self {
            kv: Kv(Grpc::new(channel.clone())),
            lease: Lease(Grpc::new(channel.clone())),
            watch: Watch(Grpc::new(channel)),
        }
    }

    /// Writes and returns the new revision.
    pub(crate) async fn put(&mut self, key: &str, value: &str) -> i64 {
        revision(
            &self
                .kv
                .put(put(key, value))
                .await
                .unwrap()
                .into_inner()
                .header,
        )
    }

    pub(crate) async fn delete(&mut self, key: &str) -> i64 {
        let reply = self.kv.delete_range(delete(key, "")).await.unwrap();
        revision(&reply.into_inner().header)
    }

    pub(crate) async fn get(&mut self, key: &str) -> Option<KeyValue> {
        self.kv
            .range(range(key, ""))
            .await
            .unwrap()
            .into_inner()
            .kvs
            .pop()
    }

    pub(crate) async fn watch(&mut self, create: WatchCreateRequest) -> Watching {
        let (requests, receiver) = mpsc::channel(8);
        let ask = watch_request::Request::Create(create);
        requests
            .send(WatchRequest { request: Some(ask) })
            .await
            .unwrap();
        let responses = self
            .watch
            .watch(ReceiverStream::new(receiver))
            .await
            .unwrap();
        Watching {
            requests,
            responses: responses.into_inner(),
        }
    }
}

pub(crate) struct Watching {
    requests: mpsc::Sender<WatchRequest>,
    responses: Streaming<WatchResponse>,
}

impl Watching {
    pub(crate) async fn ask(&self, request: watch_request::Request) {
        self.requests
            .send(WatchRequest {
                request: Some(request),
            })
            .await
            .unwrap();
    }

    pub(crate) async fn next(&mut self) -> WatchResponse {
        let response = timeout(STEP, self.responses.message()).await;
        response
            .expect("no watch response")
            .unwrap()
            .expect("watch stream ended")
    }

    pub(crate) async fn created(&mut self) -> WatchResponse {
        let response = self.next().await;
        assert!(response.created && !response.canceled, "{response:?}");
        response
    }

    /// The next `count` events as `revision:+key=value` or `revision:-key`, `|` between responses
    /// left out: servers may batch as they like, but never split a revision.
    pub(crate) async fn events(&mut self, count: usize) -> String {
        let mut seen: Vec<String> = Vec::new();
        let mut last = 0;
        while seen.len() < count {
            let response = self.next().await;
            for (index, event) in response.events.iter().enumerate() {
                let revision = event.kv.as_ref().unwrap().mod_revision;
                assert!(
                    index > 0 || revision > last,
                    "revision {revision} was split"
                );
                assert!(revision >= last, "revision {revision} after {last}");
                last = revision;
                seen.push(describe(event));
            }
        }
        seen.join(" ")
    }
}

fn describe(event: &Event) -> String {
    let kv = event.kv.as_ref().unwrap();
    let name = text(&kv.key);
    match event.r#type() {
        event::Type::Put => format!("{}:+{name}={}", kv.mod_revision, text(&kv.value)),
        event::Type::Delete => format!("{}:-{name}", kv.mod_revision),
    }
}

pub(crate) fn range(key: &str, end: &str) -> RangeRequest {
    RangeRequest {
        key: bytes(key).into(),
        range_end: bytes(end).into(),
        ..Default::default()
    }
}

pub(crate) fn put(key: &str, value: &str) -> PutRequest {
    PutRequest {
        key: bytes(key).into(),
        value: bytes(value).into(),
        ..Default::default()
    }
}

pub(crate) fn delete(key: &str, end: &str) -> DeleteRangeRequest {
    DeleteRangeRequest {
        key: bytes(key).into(),
        range_end: bytes(end).into(),
        prev_kv: false,
    }
}

pub(crate) fn watch(key: &str, end: &str, start_revision: i64) -> WatchCreateRequest {
    WatchCreateRequest {
        key: bytes(key).into(),
        range_end: bytes(end).into(),
        start_revision,
        ..Default::default()
    }
}

pub(crate) fn op(request: impl Into<Op>) -> RequestOp {
    RequestOp {
        request: Some(request.into().0),
    }
}

pub(crate) struct Op(request_op::Request);

impl From<RangeRequest> for Op {
    fn from(request: RangeRequest) -> Self {
        Self(request_op::Request::Range(request))
    }
}

impl From<PutRequest> for Op {
    fn from(request: PutRequest) -> Self {
        Self(request_op::Request::Put(request))
    }
}

impl From<DeleteRangeRequest> for Op {
    fn from(request: DeleteRangeRequest) -> Self {
        Self(request_op::Request::DeleteRange(request))
    }
}

impl From<store::wire::TxnRequest> for Op {
    fn from(request: store::wire::TxnRequest) -> Self {
        Self(request_op::Request::Txn(request))
    }
}

#[expect(
    clippy::ref_option,
    reason = "generated messages have optional headers"
)]
pub(crate) fn revision(header: &Option<ResponseHeader>) -> i64 {
    header.as_ref().expect("reply without a header").revision
}

pub(crate) fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn bytes(text: &str) -> Vec<u8> {
    text.as_bytes().to_vec()
}
