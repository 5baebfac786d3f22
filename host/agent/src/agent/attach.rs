//! Attachments: addresses and names are given out here, and taken back.

use std::collections::{BTreeMap, BTreeSet};

use model::{
    AttachedInterface, Attachment, InterfaceKind, InterfaceRequest, NetworkRef, ObjectName,
};
use render::{LocalPod, Objects, Part, PodInterface};
use tonic::Status;

use super::reconcile::{Waiter, since};
use super::{Agent, Link, attachments_of};
use crate::event::{AddCall, Answer, Attached, Removed};
use crate::pod_dir;

/// Memif sockets of pods have numbers below this.
const SOCKETS_MAX: u32 = 1 << 31;

/// Whose container it is; all absent for an anonymous one.
struct PodIdentity {
    pod: Option<ObjectName>,
    labels: Option<BTreeMap<String, String>>,
}

impl Agent {
    pub(super) fn add(&mut self, call: AddCall) {
        let AddCall {
            attachment,
            netns,
            pod,
            labels,
            extra,
            answer,
        } = call;
        let pod = PodIdentity { pod, labels };
        let default = InterfaceRequest {
            name: attachment.ifname.clone(),
            kind: InterfaceKind::Tap,
            network: NetworkRef::Default,
        };
        // Extra interfaces come with a container's first attachment.
        let is_first = !self.facts.pods.contains_key(&attachment.container_id);
        let extra = if is_first { extra } else { Vec::new() };
        let requests: Vec<_> = std::iter::once(default).chain(extra).collect();
        match self.allot(&attachment, &netns, pod, &requests) {
            Err(refusal) => drop(answer.send(Err(refusal))),
            Ok(()) => {
                let id = &attachment.container_id;
                let pod = self.facts.pods.get(id).cloned();
                // The chains' rules for this pod leave in the same batch, and fail it too.
                let mut keys = pod.map(|p| self.touch_pod(&p)).unwrap_or_default();
                keys.extend(self.plan.keys_of(&Part::Pod(id.clone())));
                self.waiters.push(Waiter::Add {
                    attachment,
                    keys,
                    answer,
                });
            }
        }
    }

    fn allot(
        &mut self,
        attachment: &Attached,
        netns: &str,
        pod: PodIdentity,
        requests: &[InterfaceRequest],
    ) -> Result<(), Status> {
        self.ready()?;
        let id = &attachment.container_id;
        let known = self.facts.pods.get(id);
        let is_taken = |name: &str| known.is_some_and(|p| p.interface(name).is_some());
        if let Some(request) = requests.iter().find(|r| is_taken(&r.name)) {
            let problem = format!("container `{id}` has interface `{}` already", request.name);
            return Err(Status::already_exists(problem));
        }
        if known.is_some_and(|p| p.netns != netns) {
            let problem = format!("container `{id}` is attached in another network namespace");
            return Err(Status::already_exists(problem));
        }
        if let Some(request) = requests
            .iter()
            .find(|r| matches!(r.network, NetworkRef::Named(_)))
        {
            let problem = format!(
                "interface `{}` asks for a custom network; hint: only `default` and `stub` are served",
                request.name
            );
            return Err(Status::invalid_argument(problem));
        }
        let socket_path = pod_dir::socket(&self.pod_dir, id);
        let has_memif = requests.iter().any(|r| r.kind == InterfaceKind::Memif);
        if has_memif && socket_path.len() > agent_api::SOCKET_PATH_LEN_MAX {
            let problem = format!(
                "memif socket `{socket_path}` has a path of more than {} bytes; hint: choose a shorter `podDir`",
                agent_api::SOCKET_PATH_LEN_MAX
            );
            return Err(Status::invalid_argument(problem));
        }
        let socket = known.map_or_else(|| self.free_socket(), |p| p.socket);
        let memifs = known.map_or(0, |p| p.interfaces.len());
        let mut interfaces = Vec::new();
        for (number, request) in (memifs..).zip(requests) {
            match self.interface(attachment, request, number) {
                Ok(interface) => interfaces.push(interface),
                Err(refusal) => {
                    self.release(&interfaces);
                    return Err(refusal);
                }
            }
        }
        let fresh = || LocalPod {
            container_id: id.clone(),
            pod: pod.pod,
            labels: pod.labels,
            netns: netns.to_owned(),
            socket,
            socket_path,
            interfaces: Vec::new(),
        };
        let entry = self.facts.pods.entry(id.clone()).or_insert_with(fresh);
        entry.interfaces.extend(interfaces);
        Ok(())
    }

    fn interface(
        &mut self,
        attachment: &Attached,
        request: &InterfaceRequest,
        number: usize,
    ) -> Result<PodInterface, Status> {
        let now = since(self.started);
        let mut addresses = Vec::new();
        if let (NetworkRef::Default, Some(pool)) = (&request.network, &mut self.pool) {
            let address = pool.allocate(now);
            let exhausted = |e: render::ipam::Exhausted| Status::resource_exhausted(e.to_string());
            addresses.push(address.map_err(exhausted)?);
        }
        let (mac, gateway_mac) = render::pod::macs(&attachment.container_id, &request.name);
        Ok(PodInterface {
            name: request.name.clone(),
            kind: request.kind,
            network: request.network.clone(),
            mac,
            gateway_mac,
            addresses,
            memif_id: u32::try_from(number).unwrap_or_default(),
            attached_by: attachment.ifname.clone(),
        })
    }

    fn free_socket(&self) -> u32 {
        let used: BTreeSet<u32> = self.facts.pods.values().map(|p| p.socket).collect();
        (1..SOCKETS_MAX)
            .find(|n| !used.contains(n))
            .unwrap_or_default()
    }

    fn release(&mut self, interfaces: &[PodInterface]) {
        let now = since(self.started);
        if let Some(pool) = &mut self.pool {
            for address in interfaces.iter().flat_map(|i| &i.addresses) {
                pool.release(*address, now);
            }
        }
    }

    pub(super) fn pod_of(&self, attachment: &Attached) -> Result<LocalPod, Status> {
        let pod = self.facts.pods.get(&attachment.container_id);
        let pod = pod.filter(|p| attachments_of(p).contains(attachment));
        pod.cloned().ok_or_else(|| {
            let Attached {
                container_id,
                ifname,
            } = attachment;
            Status::not_found(format!(
                "container `{container_id}` has no attachment `{ifname}`"
            ))
        })
    }

    /// Keeps an attachment: from now on it survives the agent and is known in the cluster.
    pub(super) fn commit(&mut self, attachment: Attached) -> Result<LocalPod, Status> {
        let pod = self.pod_of(&attachment)?;
        let kept = self.journal.put_attachment(&pod);
        kept.map_err(|e| Status::internal(e.to_string()))?;
        self.committed.insert(attachment);
        self.publish_attachment(&pod);
        Ok(pod)
    }

    pub(super) fn detach(&mut self, gone: &[Attached], answer: Answer<Vec<Removed>>) {
        let removed = gone
            .iter()
            .filter_map(|attachment| self.forget(attachment))
            .collect();
        if self.link == Link::Down {
            // The read-back after the next connection removes the rest.
            drop(answer.send(Ok(removed)));
        } else {
            self.waiters.push(Waiter::Removal { removed, answer });
        }
    }

    /// Takes an attachment out of the facts; `None` when there is none.
    pub(super) fn forget(&mut self, attachment: &Attached) -> Option<Removed> {
        self.committed.remove(attachment);
        let id = &attachment.container_id;
        let mut pod = self.facts.pods.remove(id)?;
        let is_gone = |i: &PodInterface| i.attached_by == attachment.ifname;
        let (gone, kept): (Vec<_>, Vec<_>) = pod.interfaces.drain(..).partition(is_gone);
        self.release(&gone);
        let named = |kind: InterfaceKind| gone.iter().filter(move |i| i.kind == kind);
        let is_down = self.link == Link::Down;
        let removed = Removed {
            netns: pod.netns.clone(),
            devices: named(InterfaceKind::Tap)
                .filter(|_| is_down)
                .map(|i| i.name.clone())
                .collect(),
            veths: named(InterfaceKind::Veth)
                .map(|i| render::pod::veth_name(id, &i.name))
                .collect(),
            pod_dir: kept.is_empty().then(|| {
                pod_dir::path(&self.pod_dir, id)
                    .to_string_lossy()
                    .into_owned()
            }),
        };
        pod.interfaces = kept;
        let written = if pod.interfaces.is_empty() {
            self.journal.remove_attachment(id)
        } else {
            self.journal.put_attachment(&pod)
        };
        if let Err(problem) = written {
            tracing::error!(%problem, "attachment stays in the journal");
        }
        self.withdraw_attachment(&pod);
        if !pod.interfaces.is_empty() {
            self.facts.pods.insert(id.clone(), pod.clone());
        }
        self.touch_pod(&pod);
        (!gone.is_empty()).then_some(removed)
    }

    pub(super) fn inspect(&self, attachment: &Attached) -> Result<(LocalPod, Objects), Status> {
        let pod = self.pod_of(attachment)?;
        let keys = self
            .plan
            .keys_of(&Part::Pod(attachment.container_id.clone()));
        let objects = self.plan.objects();
        let desired = keys.into_iter().filter_map(|key| {
            let object = objects.get(&key)?.clone();
            Some((key, object))
        });
        Ok((pod, desired.collect()))
    }

    /// What the cluster should know of a container: its committed interfaces.
    pub(super) fn attachment_record(&self, pod: &LocalPod) -> Option<Attachment> {
        let id = &pod.container_id;
        let is_kept = |i: &&PodInterface| {
            let (container_id, ifname) = (id.clone(), i.attached_by.clone());
            self.committed.contains(&Attached {
                container_id,
                ifname,
            })
        };
        let interfaces: Vec<_> = pod
            .interfaces
            .iter()
            .filter(is_kept)
            .map(|i| AttachedInterface {
                name: i.name.clone(),
                kind: i.kind,
                mac: i.mac,
                addresses: i.addresses.clone(),
            })
            .collect();
        if interfaces.is_empty() {
            return None;
        }
        Some(Attachment {
            pod: pod.pod.clone()?,
            node: self.facts.node.clone(),
            container_id: id.clone(),
            interfaces,
        })
    }
}
