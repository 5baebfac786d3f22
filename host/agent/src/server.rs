//! The gRPC services: each request becomes events of the agent and work on the Linux side.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use agent_api::agent::cni_server::Cni;
use agent_api::agent::node_server::Node;
use agent_api::agent::{
    AddReply, AddRequest, AttachmentId, CheckReply, CheckRequest, DelReply, DelRequest,
    DescribeRequest, GcReply, GcRequest, Interface, Ip, NodeState, Route, StatusReply,
    StatusRequest,
};
use model::{InterfaceKind, InterfaceRequest, ObjectName, PodRecord, annotation};
use render::pod::gateway_for;
use render::{LocalPod, Objects};
use store::client::StoreClient;
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

use crate::cluster;
use crate::counters;
use crate::dataplane::Dataplane;
use crate::event::{AddCall, Answer, Attached, Event, Events, Removed};
use crate::linux::{self, LinuxError, Sandbox};
use crate::pod_dir;

/// How long ADD waits for the pod's record: its interfaces, where the runtime passed no annotations, and
/// its labels, where chains select by them.
const POD_RECORD_WAIT: Duration = Duration::from_secs(2);

#[derive(Clone)]
pub(crate) struct Service {
    pub(crate) events: Events,
    pub(crate) dataplane: Dataplane,
    pub(crate) pod_dir: PathBuf,
    pub(crate) store: StoreClient,
    /// Where the dataplane hands out its counters.
    pub(crate) stats_socket: Option<PathBuf>,
    pub(crate) mtu: u16,
}

type Reply<T> = Result<Response<T>, Status>;

#[tonic::async_trait]
impl Cni for Service {
    async fn add(&self, request: Request<AddRequest>) -> Reply<AddReply> {
        let request = request.into_inner();
        // The runtime may give up; what was begun is then taken back, not left half done.
        let service = self.clone();
        let work = tokio::spawn(async move { service.attach(request).await });
        joined(work.await).map(Response::new)
    }

    async fn del(&self, request: Request<DelRequest>) -> Reply<DelReply> {
        let request = request.into_inner();
        let attachment = attached(request.id)?;
        let removed = self.ask(|answer| Event::Del { attachment, answer }).await?;
        clean(removed).await;
        Ok(Response::new(DelReply {}))
    }

    async fn check(&self, request: Request<CheckRequest>) -> Reply<CheckReply> {
        let request = request.into_inner();
        let attachment = attached(request.id)?;
        let ifname = attachment.ifname.clone();
        let (pod, desired) = self
            .ask(|answer| Event::Inspect { attachment, answer })
            .await?;
        let sandbox = Sandbox::open(&request.netns)
            .await
            .map_err(|e| damaged(&e))?;
        let interfaces = linux::attached_by(&pod, &ifname);
        let checked = sandbox.check(&interfaces, &request.addresses).await;
        checked.map_err(|e| damaged(&e))?;
        let dump = self.dataplane.look().await.map_err(Status::unavailable)?;
        require(&desired, &dump.objects)?;
        Ok(Response::new(CheckReply {}))
    }

    async fn gc(&self, request: Request<GcRequest>) -> Reply<GcReply> {
        let keep = request.into_inner().keep.into_iter();
        let keep: BTreeSet<Attached> = keep
            .map(|id| attached(Some(id)))
            .collect::<Result<_, _>>()?;
        clean(self.ask(|answer| Event::Gc { keep, answer }).await?).await;
        Ok(Response::new(GcReply {}))
    }

    async fn status(&self, _: Request<StatusRequest>) -> Reply<StatusReply> {
        self.ask(|answer| Event::Status { answer }).await?;
        Ok(Response::new(StatusReply {}))
    }
}

#[tonic::async_trait]
impl Node for Service {
    async fn describe(&self, _: Request<DescribeRequest>) -> Reply<NodeState> {
        let (answer, receiver) = oneshot::channel();
        self.send(Event::Describe { answer }).await?;
        let mut state = receiver.await.map_err(|_| ending())?;
        if let Some(socket) = &self.stats_socket {
            let counted = counters::count(socket, &mut state.interfaces).await;
            if let Err(problem) = &counted {
                tracing::warn!(problem = problem as &dyn std::error::Error, "no counters");
            }
            let is_there = counted.is_ok();
            state.connected.insert("statistics".to_owned(), is_there);
        }
        Ok(Response::new(state))
    }
}

impl Service {
    async fn send(&self, event: Event) -> Result<(), Status> {
        self.events.send(event).await.map_err(|_| ending())
    }

    async fn ask<T>(&self, event: impl FnOnce(Answer<T>) -> Event) -> Result<T, Status> {
        let (answer, receiver) = oneshot::channel();
        self.send(event(answer)).await?;
        receiver.await.unwrap_or_else(|_| Err(ending()))
    }

    /// ADD, as a whole or not at all.
    async fn attach(&self, request: AddRequest) -> Result<AddReply, Status> {
        let attachment = attached(request.id)?;
        let pod = match &request.pod {
            Some(pod) => Some(
                ObjectName::parse(&pod.namespace, &pod.name)
                    .map_err(|e| Status::invalid_argument(e.to_string()))?,
            ),
            None => None,
        };
        let record = self.pod_record(pod.as_ref(), &request.annotations).await?;
        let extra = match &record {
            Some(record) if request.annotations.is_empty() => record.interfaces.clone(),
            _ => annotation::interfaces(&request.annotations)
                .map_err(|e| Status::invalid_argument(e.to_string()))?,
        };
        let identity = (pod, record.map(|r| r.labels));
        if extra.iter().any(|i| i.name == attachment.ifname) {
            let name = &attachment.ifname;
            let problem = format!("interface `{name}` of the annotation is the default one's name");
            return Err(Status::invalid_argument(problem));
        }
        let sandbox = Sandbox::open(&request.netns)
            .await
            .map_err(|e| not_attached(&e))?;
        let linux_names = extra.iter().filter(|i| i.kind != InterfaceKind::Memif);
        let mut names: Vec<&str> = linux_names.map(|i| i.name.as_str()).collect();
        names.push(&attachment.ifname);
        match sandbox.require_free(&names).await {
            Ok(()) => {}
            Err(taken @ LinuxError::Taken(_)) => {
                return self.repeated(&attachment, &request.netns, &taken).await;
            }
            Err(problem) => return Err(not_attached(&problem)),
        }
        let done = self
            .build(&attachment, &request.netns, identity, extra, &sandbox)
            .await;
        if let Err(problem) = &done {
            tracing::warn!(?attachment, %problem, "attachment failed");
            let undo = |answer| Event::Del { attachment, answer };
            clean(self.ask(undo).await.unwrap_or_default()).await;
        }
        done
    }

    /// An ADD that already happened succeeds again; any other meets a taken name.
    async fn repeated(
        &self,
        attachment: &Attached,
        netns: &str,
        taken: &LinuxError,
    ) -> Result<AddReply, Status> {
        let asked = attachment.clone();
        let known = self
            .ask(|answer| Event::Inspect {
                attachment: asked,
                answer,
            })
            .await;
        match known {
            Ok((pod, _)) if pod.netns == netns => Ok(reply(&pod, &attachment.ifname, self.mtu)),
            _ => Err(not_attached(taken)),
        }
    }

    /// What the store knows of the pod; `None` also when it does not tell in time.
    async fn pod_record(
        &self,
        pod: Option<&ObjectName>,
        annotations: &BTreeMap<String, String>,
    ) -> Result<Option<PodRecord>, Status> {
        let Some(pod) = pod.cloned() else {
            return Ok(None);
        };
        let is_needed = annotations.is_empty();
        let (answer, receiver) = oneshot::channel();
        self.send(Event::PodRecord {
            pod,
            is_needed,
            answer,
        })
        .await?;
        let told = tokio::time::timeout(POD_RECORD_WAIT, receiver).await;
        Ok(told.ok().and_then(Result::ok).flatten())
    }

    async fn build(
        &self,
        attachment: &Attached,
        netns: &str,
        (pod, labels): (Option<ObjectName>, Option<BTreeMap<String, String>>),
        extra: Vec<InterfaceRequest>,
        sandbox: &Sandbox,
    ) -> Result<AddReply, Status> {
        let id = &attachment.container_id;
        std::fs::create_dir_all(pod_dir::path(&self.pod_dir, id))
            .map_err(|e| Status::internal(format!("create the pod's directory: {e}")))?;
        let veths: Vec<_> = extra
            .iter()
            .filter(|i| i.kind == InterfaceKind::Veth)
            .collect();
        if !veths.is_empty() {
            let host = linux::host().map_err(|e| not_attached(&e))?;
            for veth in veths {
                let made = sandbox.add_veth(&host, id, &veth.name, self.mtu).await;
                made.map_err(|e| not_attached(&e))?;
            }
        }
        let (asked, netns) = (attachment.clone(), netns.to_owned());
        let call = |answer| {
            let call = AddCall {
                attachment: asked,
                netns,
                pod,
                labels,
                extra,
                answer,
            };
            Event::Add(Box::new(call))
        };
        let local = self.ask(call).await?;
        for interface in linux::attached_by(&local, &attachment.ifname) {
            if interface.kind != InterfaceKind::Memif {
                let is_default = interface.name == attachment.ifname
                    && is_first_attachment(&local, &attachment.ifname);
                let done = sandbox.configure(interface, is_default).await;
                done.map_err(|e| not_attached(&e))?;
            }
        }
        pod_dir::write_interfaces(&self.pod_dir, &local, self.mtu)
            .map_err(|e| Status::internal(e.to_string()))?;
        let (attachment, ifname) = (attachment.clone(), attachment.ifname.clone());
        let waited = attachment.clone();
        let kept = self
            .ask(|answer| Event::Commit { attachment, answer })
            .await?;
        // The controller names only pods that are published, so this comes last.
        let chained = |answer| Event::Chained {
            attachment: waited,
            answer,
        };
        let elsewhere = self.ask(chained).await?;
        cluster::applied_elsewhere(&self.store, elsewhere).await;
        Ok(reply(&kept, &ifname, self.mtu))
    }
}

/// The first attachment of a container brings its default route.
fn is_first_attachment(pod: &LocalPod, ifname: &str) -> bool {
    pod.interfaces
        .first()
        .is_some_and(|i| i.attached_by == ifname)
}

/// Removes what the dataplane does not remove by itself. Trouble is reported, never fatal: the
/// namespace goes away anyway.
async fn clean(removed: Vec<Removed>) {
    for removed in removed {
        if !removed.devices.is_empty()
            && let Ok(sandbox) = Sandbox::open(&removed.netns).await
        {
            for name in &removed.devices {
                report(sandbox.remove(name).await);
            }
        }
        if !removed.veths.is_empty()
            && let Ok(host) = linux::host()
        {
            for name in &removed.veths {
                report(linux::remove(&host, name).await);
            }
        }
        if let Some(dir) = &removed.pod_dir
            && let Err(problem) = std::fs::remove_dir_all(dir)
            && problem.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(dir, %problem, "pod directory stays");
        }
    }
}

fn report(done: Result<(), LinuxError>) {
    if let Err(problem) = done {
        tracing::warn!(%problem, "clean-up");
    }
}

fn reply(pod: &LocalPod, ifname: &str, mtu: u16) -> AddReply {
    let mut reply = AddReply::default();
    for interface in linux::attached_by(pod, ifname) {
        if interface.kind == InterfaceKind::Memif {
            continue;
        }
        let index = u32::try_from(reply.interfaces.len()).unwrap_or_default();
        reply.interfaces.push(Interface {
            name: interface.name.clone(),
            mac: interface.mac.to_string(),
            mtu: mtu.into(),
            sandbox: pod.netns.clone(),
        });
        let is_default = interface.name == ifname && is_first_attachment(pod, ifname);
        for address in &interface.addresses {
            let (len, any) = if address.is_ipv4() {
                (32, "0.0.0.0/0")
            } else {
                (128, "::/0")
            };
            let gateway = gateway_for(*address).to_string();
            reply.ips.push(Ip {
                address: format!("{address}/{len}"),
                gateway: gateway.clone(),
                interface: index,
            });
            if is_default {
                reply.routes.push(Route {
                    dst: any.to_owned(),
                    gw: gateway,
                });
            }
        }
    }
    reply
}

/// Compares what should be in the dataplane with what is.
fn require(desired: &Objects, present: &Objects) -> Result<(), Status> {
    for (key, object) in desired {
        match present.get(key) {
            Some(found) if found == object => {}
            Some(found) => {
                let problem = format!("{key} is `{found}` in the dataplane and not `{object}`");
                return Err(Status::data_loss(problem));
            }
            None => return Err(Status::data_loss(format!("{key} is not in the dataplane"))),
        }
    }
    Ok(())
}

fn attached(id: Option<AttachmentId>) -> Result<Attached, Status> {
    let id = id.ok_or_else(|| Status::invalid_argument("the attachment is not named"))?;
    let AttachmentId {
        container_id,
        ifname,
    } = id;
    // It becomes a file name.
    if container_id.is_empty() || container_id.contains('/') || container_id.starts_with('.') {
        let problem = format!("container id `{container_id}` is not valid");
        return Err(Status::invalid_argument(problem));
    }
    Ok(Attached {
        container_id,
        ifname,
    })
}

fn joined<T>(work: Result<Result<T, Status>, tokio::task::JoinError>) -> Result<T, Status> {
    work.unwrap_or_else(|e| Err(Status::internal(format!("request failed: {e}"))))
}

fn not_attached(error: &LinuxError) -> Status {
    let text = chain(error);
    match error {
        LinuxError::Netns(_) => Status::not_found(text),
        LinuxError::Taken(_) => Status::already_exists(text),
        LinuxError::Netlink(_)
        | LinuxError::Missing(_)
        | LinuxError::Wrong { .. }
        | LinuxError::Kernel { .. } => Status::internal(text),
    }
}

fn damaged(error: &LinuxError) -> Status {
    Status::data_loss(chain(error))
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(source) = next {
        text = format!("{text}: {source}");
        next = source.source();
    }
    text
}

fn ending() -> Status {
    Status::unavailable("the agent is ending")
}
