//! What comes from the store and what goes there.

use std::collections::BTreeMap;

use model::{ClusterConfig, Key, NodeRecord, ObjectName, PodRecord, RenderedChain, key, record};
use render::{LocalPod, Part};
use store::client::{Kv, MirrorEvent};
use tokio::sync::oneshot;
use tokio::time::Instant;

use super::{Agent, SNAPSHOT_DELAY, attachments_of};
use crate::event::{Mirrored, decode_all};
use crate::journal::Snapshot;

impl Agent {
    pub(super) fn mirrored(&mut self, of: Mirrored, event: MirrorEvent) {
        if !self.heard_of.contains(&of) {
            self.heard_of.push(of);
        }
        match event {
            MirrorEvent::Synced { snapshot, .. } => {
                self.is_store_up = true;
                self.mirror_synced(of, &snapshot);
            }
            MirrorEvent::Put(kv) => self.mirror_put(of, &kv),
            MirrorEvent::Delete { key, .. } => self.mirror_deleted(of, &key),
            MirrorEvent::Disconnected { reason } => {
                if self.is_store_up {
                    tracing::warn!(reason, "store lost; going on with what is known");
                }
                self.is_store_up = false;
                // Whoever waits for a pod's record will not get it.
                self.waiting_pods.clear();
            }
            MirrorEvent::Resumed { .. } => self.is_store_up = true,
        }
        let is_remembered = matches!(of, Mirrored::Nodes | Mirrored::Chains);
        if is_remembered && self.snapshot_at.is_none() {
            self.snapshot_at = Some(Instant::now() + SNAPSHOT_DELAY);
        }
    }

    fn mirror_synced(&mut self, of: Mirrored, snapshot: &[Kv]) {
        match of {
            Mirrored::Config => match snapshot.iter().find(|kv| kv.key == key::CONFIG) {
                Some(kv) => self.mirror_put(of, kv),
                None => self.config_stored(None),
            },
            Mirrored::Nodes => {
                let nodes: BTreeMap<String, NodeRecord> = decode_all(snapshot);
                self.facts.nodes = nodes.into_values().map(|n| (n.name.clone(), n)).collect();
                self.touch_peers();
                self.touch_chains();
                self.publish_all();
                (self.sweep)();
            }
            Mirrored::Chains => {
                let chains: BTreeMap<String, RenderedChain> = decode_all(snapshot);
                self.chains = chains.into_values().map(|c| (c.chain.clone(), c)).collect();
                self.revisions.clear();
                for kv in snapshot {
                    if let Some(Key::RenderedChain(chain)) = Key::parse(&kv.key) {
                        self.chain_stored(&chain, kv.mod_revision);
                    }
                }
                self.touch_chains();
            }
            Mirrored::Pods => {
                self.pod_records.clear();
                snapshot.iter().for_each(|kv| self.mirror_put(of, kv));
            }
        }
    }

    fn mirror_put(&mut self, of: Mirrored, kv: &Kv) {
        let problem = match of {
            Mirrored::Config => {
                match record::decode::<ClusterConfig>(&kv.key, &kv.value) {
                    Ok(stored) => self.config_stored(Some(&stored)),
                    Err(problem) => self.config_unreadable(&problem),
                }
                return;
            }
            Mirrored::Nodes => {
                record::decode::<NodeRecord>(&kv.key, &kv.value).map(|node| self.put_node(node))
            }
            Mirrored::Chains => record::decode::<RenderedChain>(&kv.key, &kv.value).map(|chain| {
                let name = chain.chain.clone();
                self.chain_stored(&name, kv.mod_revision);
                self.chains.insert(name.clone(), chain);
                self.touch(Part::Chain(name));
                self.touch(Part::Drops);
                self.publish_hop_states();
            }),
            Mirrored::Pods => record::decode::<PodRecord>(&kv.key, &kv.value).map(|pod| {
                if let Some(Key::Pod(name)) = Key::parse(&kv.key) {
                    self.put_pod(name, pod);
                }
            }),
        };
        if let Err(problem) = problem {
            tracing::warn!(key = kv.key, %problem, "stored record is skipped");
        }
    }

    fn put_node(&mut self, node: NodeRecord) {
        let name = node.name.clone();
        if self.facts.nodes.get(&name) == Some(&node) {
            return;
        }
        self.facts.nodes.insert(name.clone(), node);
        self.touch(Part::Peer(name));
        self.touch_chains();
    }

    /// Only pods that are or may come here are of interest.
    fn put_pod(&mut self, name: ObjectName, pod: PodRecord) {
        if pod
            .node
            .as_ref()
            .is_some_and(|node| *node != self.facts.node)
        {
            self.pod_records.remove(&name);
            return;
        }
        let (waiting, others): (Vec<_>, Vec<_>) = self
            .waiting_pods
            .drain(..)
            .partition(|(waiting, _)| *waiting == name);
        self.waiting_pods = others;
        for (_, answer) in waiting {
            drop(answer.send(Some(pod.clone())));
        }
        self.relabel(&name, &pod);
        self.pod_records.insert(name, pod);
    }

    /// Chains select containers that are attached already by their pod's new labels.
    fn relabel(&mut self, name: &ObjectName, record: &PodRecord) {
        let labels = Some(&record.labels);
        let containers = self.facts.containers(name);
        let stale: Vec<LocalPod> = containers
            .filter(|p| p.labels.as_ref() != labels)
            .cloned()
            .collect();
        for former in stale {
            let mut now = former.clone();
            now.labels = labels.cloned();
            let is_kept = attachments_of(&now)
                .iter()
                .any(|a| self.committed.contains(a));
            if is_kept && let Err(problem) = self.journal.put_attachment(&now) {
                tracing::error!(%problem, "labels are not kept");
            }
            let id = now.container_id.clone();
            self.facts.pods.insert(id, now.clone());
            self.touch_pod(&former);
            self.touch_pod(&now);
        }
    }

    fn mirror_deleted(&mut self, of: Mirrored, key: &str) {
        if of == Mirrored::Config {
            return self.config_stored(None);
        }
        match Key::parse(key) {
            Some(Key::Node(name)) => {
                self.facts.nodes.remove(&name);
                self.touch(Part::Peer(name));
                self.touch_chains();
            }
            Some(Key::RenderedChain(name)) => {
                self.chains.remove(&name);
                self.chain_deleted(&name);
                self.touch(Part::Chain(name));
                self.touch(Part::Drops);
                self.publish_hop_states();
            }
            Some(Key::Pod(name)) => drop(self.pod_records.remove(&name)),
            _ => {}
        }
    }

    /// Answers at once unless the store may still tell and it matters: to the interfaces, or to the
    /// chains of the pod's namespace, which select by labels.
    pub(super) fn pod_record(
        &mut self,
        pod: ObjectName,
        is_needed: bool,
        answer: oneshot::Sender<Option<PodRecord>>,
    ) {
        let known = self.pod_records.get(&pod).cloned();
        let mut chains = self.chains.keys();
        let is_needed = is_needed || chains.any(|chain| chain.namespace == pod.namespace);
        if known.is_none() && is_needed && self.is_store_up {
            self.waiting_pods.push((pod, answer));
        } else {
            drop(answer.send(known));
        }
    }

    fn publish_all(&mut self) {
        self.publish_node();
        let pods: Vec<LocalPod> = self.facts.pods.values().cloned().collect();
        for pod in &pods {
            self.publish_attachment(pod);
        }
        self.hop_states.clear();
        self.publish_hop_states();
        self.acknowledge_anew();
    }

    pub(super) fn publish_node(&self) {
        let (Some(id), Some(uplink), Some(pool)) = (self.id, &self.facts.uplink, &self.pool) else {
            return;
        };
        let Ok(mesh) = self.facts.cluster.vxlan_address(id) else {
            return;
        };
        let record = NodeRecord {
            name: self.facts.node.clone(),
            id,
            underlay: uplink.address.addr(),
            pod_cidr: pool.net(),
            vxlan_address: mesh.addr(),
            vxlan_mac: render::node::mesh_mac(id),
            uplink_mac: Some(render::node::uplink_mac(
                &self.facts.node,
                &uplink.interface,
            )),
        };
        self.outbox.put(&Key::Node(record.name.clone()), &record);
    }

    pub(super) fn publish_attachment(&self, pod: &LocalPod) {
        if let Some(record) = self.attachment_record(pod) {
            self.outbox
                .put(&Key::Attachment(record.pod.clone()), &record);
        }
    }

    /// Tells the cluster what is left of a container, or of another one of the same pod.
    pub(super) fn withdraw_attachment(&self, pod: &LocalPod) {
        let Some(name) = &pod.pod else {
            return;
        };
        let successor = self
            .facts
            .local_pod(name)
            .and_then(|p| self.attachment_record(p));
        match self.attachment_record(pod).or(successor) {
            Some(record) => self.outbox.put(&Key::Attachment(name.clone()), &record),
            None => self
                .outbox
                .delete(Key::Attachment(name.clone()).to_string()),
        }
    }

    /// Withdraws records of this node that nothing stands behind any more.
    pub(super) fn stored(&mut self, keys: Vec<String>) {
        for key in keys {
            let is_live = match Key::parse(&key) {
                Some(Key::Attachment(pod)) => {
                    let local = self.facts.local_pod(&pod);
                    local.is_some_and(|p| self.attachment_record(p).is_some())
                }
                Some(Key::HopState { .. }) => self.hop_states.contains_key(&key),
                Some(Key::AppliedChain { chain, .. }) => self.is_acknowledged(&chain),
                _ => true,
            };
            if !is_live {
                self.outbox.delete(key);
            }
        }
    }

    /// Stores what changed in the state of the hops that run here.
    pub(super) fn publish_hop_states(&mut self) {
        let mut now = BTreeMap::new();
        for (name, chain) in &self.chains {
            for (hop, state) in render::chain::hop_states(&self.facts, chain) {
                let (node, chain) = (self.facts.node.clone(), name.clone());
                now.insert(Key::HopState { node, chain, hop }.to_string(), state);
            }
        }
        for (key, state) in &now {
            if self.hop_states.get(key) != Some(state)
                && let Some(place) = Key::parse(key)
            {
                self.outbox.put(&place, state);
            }
        }
        for key in self.hop_states.keys().filter(|key| !now.contains_key(*key)) {
            self.outbox.delete(key.clone());
        }
        self.hop_states = now;
    }

    pub(super) fn write_snapshot(&self) {
        let snapshot = Snapshot {
            nodes: self.facts.nodes.values().cloned().collect(),
            chains: self.chains.values().cloned().collect(),
        };
        if let Err(problem) = self.journal.put_snapshot(&snapshot) {
            tracing::error!(%problem, "the cluster's state is not kept");
        }
    }
}
