//! From facts to batches, and from outcomes back to the observed state.

use std::collections::BTreeSet;
use std::time::Duration;

use model::NodeName;
use render::{IfTag, Key, LocalPod, Object, Objects, Op, Part, diff, diff_keys};
use tokio::time::Instant;
use tonic::Status;

use super::{Agent, Link, RETRY};
use crate::dataplane::{Command, Dump};
use crate::event::{Answer, Attached, Removed};

/// Batches under way; more changes wait and leave together.
const BATCHES_MAX: usize = 64;

/// Operations that were sent and not yet answered.
pub(super) struct Batch {
    pub(super) ops: Vec<Op>,
    waiters: Vec<Waiter>,
}

/// Someone who waits for the changes of an event.
pub(super) enum Waiter {
    Add {
        attachment: Attached,
        keys: BTreeSet<Key>,
        answer: Answer<LocalPod>,
    },
    Removal {
        removed: Vec<Removed>,
        answer: Answer<Vec<Removed>>,
    },
}

impl Agent {
    /// Renders one part of the plan anew; answers the objects that changed.
    pub(super) fn touch(&mut self, part: Part) -> BTreeSet<Key> {
        if self.id.is_none() {
            return BTreeSet::new();
        }
        let facts = &self.facts;
        let objects = match &part {
            Part::Base => render::node::base(facts).unwrap_or_else(|problem| {
                tracing::error!(%problem, "the address plan has no room for this node");
                Objects::new()
            }),
            Part::Peer(name) => {
                let peer = facts.nodes.get(name);
                peer.map(|peer| render::node::peer(facts, peer))
                    .unwrap_or_default()
            }
            Part::Pod(id) => {
                let pod = facts.pods.get(id);
                pod.map(|pod| render::pod::pod(facts, pod))
                    .unwrap_or_default()
            }
            Part::Chain(name) => {
                let chain = self.chains.get(name);
                chain
                    .map(|chain| render::chain::chain(facts, chain))
                    .unwrap_or_default()
            }
            Part::Drops => render::chain::drops(facts, self.chains.values()),
        };
        let changed = self.plan.replace(part, objects);
        self.dirty.extend(changed.iter().cloned());
        changed
    }

    pub(super) fn touch_all(&mut self) {
        let known: Vec<Part> = self.plan.parts().cloned().collect();
        let peers = self.facts.nodes.keys().cloned().map(Part::Peer);
        let pods = self.facts.pods.keys().cloned().map(Part::Pod);
        let chains = self.chains.keys().cloned().map(Part::Chain);
        let now = [Part::Base, Part::Drops]
            .into_iter()
            .chain(peers)
            .chain(pods)
            .chain(chains);
        let parts: BTreeSet<Part> = now.chain(known).collect();
        for part in parts {
            self.touch(part);
        }
        self.publish_hop_states();
    }

    pub(super) fn touch_peers(&mut self) {
        let known = self.plan.parts().filter_map(|part| match part {
            Part::Peer(name) => Some(name.clone()),
            Part::Base | Part::Pod(_) | Part::Chain(_) | Part::Drops => None,
        });
        let names: BTreeSet<NodeName> = known.chain(self.facts.nodes.keys().cloned()).collect();
        for name in names {
            self.touch(Part::Peer(name));
        }
    }

    pub(super) fn touch_chains(&mut self) {
        let known = self.plan.parts().filter_map(|part| match part {
            Part::Chain(name) => Some(name.clone()),
            Part::Base | Part::Pod(_) | Part::Peer(_) | Part::Drops => None,
        });
        let names: BTreeSet<_> = known.chain(self.chains.keys().cloned()).collect();
        for name in names {
            self.touch(Part::Chain(name));
        }
        self.touch(Part::Drops);
        self.publish_hop_states();
    }

    /// Renders a container, which may be gone, and the chains that it is part of; answers the objects
    /// that changed.
    pub(super) fn touch_pod(&mut self, pod: &LocalPod) -> BTreeSet<Key> {
        let mut changed = self.touch(Part::Pod(pod.container_id.clone()));
        let concerned: Vec<_> = self
            .chains
            .iter()
            .filter(|(_, chain)| render::chain::concerns(chain, pod))
            .map(|(name, _)| name.clone())
            .collect();
        if !concerned.is_empty() {
            changed.extend(self.touch(Part::Drops));
        }
        for name in concerned {
            changed.extend(self.touch(Part::Chain(name)));
        }
        self.publish_hop_states();
        changed
    }

    pub(super) fn link_changed(&mut self, tag: &IfTag, is_up: bool) {
        let changed = if is_up {
            self.facts.links_up.insert(tag.clone())
        } else {
            self.facts.links_up.remove(tag)
        };
        if changed {
            tracing::debug!(%tag, is_up, "link changed");
            self.touch_chains();
        }
    }

    /// Sends what differs, if anything can be sent now.
    pub(super) async fn flush(&mut self) {
        let can_send = self.link == Link::Ready
            && self.id.is_some()
            && self.is_settled()
            && self.in_flight.len() < BATCHES_MAX;
        let has_work = self.compare_all || !self.dirty.is_empty() || !self.waiters.is_empty();
        if !can_send || !has_work {
            return;
        }
        let dirty = std::mem::take(&mut self.dirty);
        let desired = self.plan.objects();
        let ops = if std::mem::take(&mut self.compare_all) {
            diff(desired, &self.observed)
        } else {
            diff_keys(desired, &self.observed, &dirty)
        };
        for op in &ops {
            op.apply(&mut self.observed);
            tracing::debug!(%op, "sent");
        }
        self.operations += ops.len() as u64;
        let waiters = std::mem::take(&mut self.waiters);
        if ops.is_empty() && waiters.is_empty() {
            return;
        }
        let batch = self.next_batch;
        self.next_batch += 1;
        // An empty batch still waits its turn behind those before it.
        self.in_flight.insert(
            batch,
            Batch {
                ops: ops.clone(),
                waiters,
            },
        );
        self.dataplane.send(Command::Apply { batch, ops }).await;
    }

    pub(super) fn applied(&mut self, batch: u64, failures: &[(Key, String)]) {
        let Some(done) = self.in_flight.remove(&batch) else {
            return;
        };
        let failed: BTreeSet<&Key> = failures.iter().map(|(key, _)| key).collect();
        for op in done.ops.iter().rev() {
            if !failed.contains(op.key()) {
                self.failed.remove(op.key());
                if let Op::Delete {
                    key: Key::Interface(tag),
                    ..
                } = op
                    && !self.observed.contains_key(op.key())
                {
                    self.numbers.remove(tag);
                }
                continue;
            }
            match op {
                Op::Create { key, .. } => drop(self.observed.remove(key)),
                Op::Update { key, from: was, .. } | Op::Delete { key, object: was } => {
                    drop(self.observed.insert(key.clone(), was.clone()));
                }
            }
        }
        for (key, reason) in failures {
            tracing::warn!(%key, reason, "object failed");
            self.failed.insert(key.clone(), reason.clone());
        }
        if failures.is_empty() {
            self.retry_pause = RETRY.0;
        } else {
            self.retry_at = Some(Instant::now() + self.retry_pause);
            self.retry_pause = (self.retry_pause * 2).min(RETRY.1);
        }
        for waiter in done.waiters {
            self.answer(waiter, failures);
        }
        let desired = self.plan.objects();
        self.failed
            .retain(|key, _| desired.contains_key(key) || self.observed.contains_key(key));
    }

    fn answer(&mut self, waiter: Waiter, failures: &[(Key, String)]) {
        match waiter {
            Waiter::Removal { removed, answer } => drop(answer.send(Ok(removed))),
            Waiter::Add {
                attachment,
                keys,
                answer,
            } => {
                let failure = failures.iter().find(|(key, _)| keys.contains(key));
                let outcome = match failure {
                    None => self.pod_of(&attachment),
                    Some((key, reason)) => {
                        self.forget(&attachment);
                        Err(Status::internal(format!("{key}: {reason}")))
                    }
                };
                // The request is gone: nobody will commit, so nothing may stay.
                if answer.send(outcome).is_err() {
                    self.forget(&attachment);
                }
            }
        }
    }

    pub(super) fn dataplane_lost(&mut self, reason: &str) {
        tracing::warn!(reason, "dataplane lost");
        self.link = Link::Down;
        self.observed.clear();
        self.compare_all = true;
        let batches = std::mem::take(&mut self.in_flight);
        let waiting = batches.into_values().flat_map(|b| b.waiters);
        let waiting: Vec<Waiter> = waiting.chain(std::mem::take(&mut self.waiters)).collect();
        for waiter in waiting {
            match waiter {
                Waiter::Removal { removed, answer } => drop(answer.send(Ok(removed))),
                Waiter::Add {
                    attachment, answer, ..
                } => {
                    self.forget(&attachment);
                    let lost = Status::unavailable("the dataplane went away");
                    drop(answer.send(Err(lost)));
                }
            }
        }
    }

    /// Asks for a read-back; changes wait for it.
    pub(super) async fn resync(&mut self) {
        if self.link != Link::Down {
            self.link = Link::Syncing;
            self.dataplane.send(Command::Resync).await;
        }
    }

    pub(super) async fn synced(&mut self, dump: Dump) {
        if !self.in_flight.is_empty() {
            // It was read before those batches: one that is read after them is needed.
            self.link = Link::Syncing;
            return self.resync().await;
        }
        self.resyncs += 1;
        tracing::info!(
            objects = dump.objects.len(),
            resyncs = self.resyncs,
            "dataplane read back"
        );
        self.link = Link::Ready;
        self.observed = dump.objects;
        self.names = dump.names;
        self.numbers = dump.numbers;
        self.facts.links_up = dump.links_up;
        self.failed.clear();
        self.touch_chains();
        self.adopt(&dump.untagged);
        self.compare_all = true;
    }

    /// Recognises interfaces that were made but not tagged.
    fn adopt(&mut self, untagged: &[render::Device]) {
        for (key, object) in self.plan.objects() {
            let Object::Interface { device, .. } = object else {
                continue;
            };
            if untagged.contains(device) && !self.observed.contains_key(key) {
                let device = device.clone();
                let bare = Object::Interface {
                    device,
                    up: false,
                    tagged: false,
                };
                self.observed.insert(key.clone(), bare);
            }
        }
    }
}

/// Time since the agent started, as the address pool counts it.
pub(super) fn since(started: Instant) -> Duration {
    started.elapsed()
}
