//! The event loop: one task owns everything the agent knows, and handles one event at a time.
//!
//! Facts change, the parts of the plan that they touch are rendered anew, and what differs from the
//! observed state leaves as one batch. The observed state is what the dataplane will be when the
//! batches under way have succeeded; a failure takes its object back and leads to a read-back.

mod acknowledge;
mod attach;
mod chained;
mod identity;
mod reconcile;
mod stored;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::time::Duration;

use agent_api::agent::{FailedObject, InterfaceState, NodeState};
use model::{HopState, NodeId, NodeName, ObjectName, PodRecord, RenderedChain};
use render::ipam::Pool;
use render::{Facts, IfTag, Key, Object, Objects, Plan};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::cluster::Outbox;
use crate::dataplane::Dataplane;
use crate::event::{Attached, Event, Mirrored};
use crate::journal::Journal;
use chained::Chained;
use identity::Refusals;
use reconcile::{Batch, Waiter};

/// How long the agent waits at its start for the store before it acts on what it remembers.
const SETTLE: Duration = Duration::from_secs(2);
/// How long changes of the cluster gather before they are written to the journal.
const SNAPSHOT_DELAY: Duration = Duration::from_millis(200);
/// First and longest wait before a read-back after a failure.
const RETRY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// How it stands with the dataplane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Link {
    Down,
    /// A read-back is under way; what changes meanwhile waits for it.
    Syncing,
    Ready,
}

pub(crate) struct Agent {
    pub(crate) journal: Journal,
    pub(crate) outbox: Outbox,
    pub(crate) dataplane: Dataplane,
    pod_dir: PathBuf,
    /// Called when the store's content is known anew.
    sweep: Box<dyn Fn() + Send>,

    id: Option<NodeId>,
    refusals: Refusals,
    /// Whether the uplink has a link to the network; `None` where there is no uplink.
    carrier: Option<bool>,
    facts: Facts,
    chains: BTreeMap<ObjectName, RenderedChain>,
    pod_records: BTreeMap<ObjectName, PodRecord>,
    /// Attachments whose ADD succeeded.
    committed: BTreeSet<Attached>,
    pool: Option<Pool>,
    hop_states: BTreeMap<String, HopState>,

    plan: Plan,
    observed: Objects,
    /// Keys whose desired state changed since the last batch.
    dirty: BTreeSet<Key>,
    /// Everything is to be compared, not only `dirty`.
    compare_all: bool,
    link: Link,
    in_flight: BTreeMap<u64, Batch>,
    waiters: Vec<Waiter>,
    failed: BTreeMap<Key, String>,
    names: BTreeMap<IfTag, String>,
    numbers: BTreeMap<IfTag, u32>,
    next_batch: u64,
    resyncs: u64,
    operations: u64,

    is_store_up: bool,
    heard_of: Vec<Mirrored>,
    waiting_pods: Vec<(ObjectName, oneshot::Sender<Option<PodRecord>>)>,
    chained: Vec<Chained>,
    /// The stored version of each chain.
    revisions: BTreeMap<ObjectName, i64>,
    /// Chains whose stored version is not known to be in the dataplane, or not said to be.
    unacknowledged: BTreeSet<ObjectName>,
    started: Instant,
    retry_at: Option<Instant>,
    retry_pause: Duration,
    snapshot_at: Option<Instant>,
}

/// What an agent starts from.
pub(crate) struct Start {
    pub(crate) facts: Facts,
    pub(crate) journal: Journal,
    pub(crate) outbox: Outbox,
    pub(crate) dataplane: Dataplane,
    pub(crate) pod_dir: PathBuf,
    pub(crate) sweep: Box<dyn Fn() + Send>,
}

impl Agent {
    /// Takes up what the journal remembers.
    pub(crate) fn new(start: Start) -> Result<Self, crate::journal::JournalError> {
        let Start {
            mut facts,
            journal,
            outbox,
            dataplane,
            pod_dir,
            sweep,
        } = start;
        let snapshot = journal.snapshot();
        facts.pods = journal.attachments()?;
        facts.nodes = snapshot
            .nodes
            .into_iter()
            .map(|n| (n.name.clone(), n))
            .collect();
        let chains = snapshot
            .chains
            .into_iter()
            .map(|c| (c.chain.clone(), c))
            .collect();
        let committed = facts.pods.values().flat_map(attachments_of).collect();
        let id = journal.node_id();
        let mut agent = Self {
            journal,
            outbox,
            dataplane,
            pod_dir,
            sweep,
            id: None,
            refusals: Refusals::default(),
            carrier: None,
            facts,
            chains,
            pod_records: BTreeMap::new(),
            committed,
            pool: None,
            hop_states: BTreeMap::new(),
            plan: Plan::default(),
            observed: Objects::new(),
            dirty: BTreeSet::new(),
            compare_all: true,
            link: Link::Down,
            in_flight: BTreeMap::new(),
            waiters: Vec::new(),
            failed: BTreeMap::new(),
            names: BTreeMap::new(),
            numbers: BTreeMap::new(),
            next_batch: 0,
            resyncs: 0,
            operations: 0,
            is_store_up: false,
            heard_of: Vec::new(),
            waiting_pods: Vec::new(),
            chained: Vec::new(),
            revisions: BTreeMap::new(),
            unacknowledged: BTreeSet::new(),
            started: Instant::now(),
            retry_at: None,
            retry_pause: RETRY.0,
            snapshot_at: None,
        };
        if let Some(id) = id {
            agent.become_node(id);
        }
        Ok(agent)
    }

    /// Handles events until all senders are gone or `shutdown` is.
    pub(crate) async fn run(mut self, mut events: mpsc::Receiver<Event>) {
        loop {
            let deadline = self.poll_timeout();
            let event = tokio::select! {
                event = events.recv() => event,
                () = sleep_until(deadline) => Some(Event::Timeout),
            };
            let Some(event) = event else {
                return;
            };
            self.handle(event).await;
        }
    }

    /// When [`Event::Timeout`] is due.
    fn poll_timeout(&self) -> Option<Instant> {
        let settle = (!self.is_settled()).then(|| self.started + SETTLE);
        let chained = self.chained_until();
        [self.retry_at, self.snapshot_at, settle, chained]
            .into_iter()
            .flatten()
            .min()
    }

    pub(crate) async fn handle(&mut self, event: Event) {
        match event {
            Event::Synced(dump) => self.synced(*dump).await,
            Event::DataplaneLost { reason } => self.dataplane_lost(&reason),
            Event::Applied {
                batch,
                failures,
                numbers,
            } => {
                self.numbers.extend(numbers);
                self.applied(batch, &failures);
            }
            Event::Link { tag, is_up } => self.link_changed(&tag, is_up),
            Event::Mirror { of, event } => self.mirrored(of, event),
            Event::Claimed(id) => self.claimed(id),
            Event::NoNumber(reason) => self.no_number(reason),
            Event::Carrier { is_up } => self.carrier_changed(is_up),
            Event::Stored { keys } => self.stored(keys),
            Event::Add(call) => self.add(*call),
            Event::Commit { attachment, answer } => drop(answer.send(self.commit(attachment))),
            Event::Del { attachment, answer } => self.detach(&[attachment], answer),
            Event::Gc { keep, answer } => {
                let gone = self.facts.pods.values().flat_map(attachments_of);
                let gone: Vec<_> = gone.filter(|a| !keep.contains(a)).collect();
                self.detach(&gone, answer);
            }
            Event::Inspect { attachment, answer } => drop(answer.send(self.inspect(&attachment))),
            Event::PodRecord {
                pod,
                is_needed,
                answer,
            } => self.pod_record(pod, is_needed, answer),
            Event::Chained { attachment, answer } => self.await_chains(attachment, answer),
            Event::Status { answer } => drop(answer.send(self.ready().map(drop))),
            Event::Describe { answer } => drop(answer.send(self.describe())),
            Event::Timeout => self.timed_out().await,
        }
        self.flush().await;
        self.acknowledge();
        self.answer_chained();
    }

    async fn timed_out(&mut self) {
        let now = Instant::now();
        if self.retry_at.is_some_and(|at| at <= now) {
            self.retry_at = None;
            self.resync().await;
        }
        if self.snapshot_at.is_some_and(|at| at <= now) {
            self.snapshot_at = None;
            self.write_snapshot();
        }
    }

    /// The store was heard of, or had its chance.
    fn is_settled(&self) -> bool {
        let heard = |of| self.heard_of.contains(&of);
        (heard(Mirrored::Nodes) && heard(Mirrored::Chains)) || self.started.elapsed() >= SETTLE
    }

    fn carrier_changed(&mut self, is_up: bool) {
        let was = self.carrier.replace(is_up);
        if !is_up {
            tracing::warn!("the uplink has no carrier: other nodes are out of reach");
        } else if was == Some(false) {
            tracing::info!("the uplink has its carrier again");
        }
    }

    fn describe(&self) -> NodeState {
        let interfaces = self
            .observed
            .iter()
            .filter_map(|(key, object)| match (key, object) {
                (Key::Interface(tag), Object::Interface { up, .. }) => Some(InterfaceState {
                    name: self.names.get(tag).cloned().unwrap_or_default(),
                    tag: tag.to_string(),
                    sw_if_index: self.numbers.get(tag).copied(),
                    up: *up && self.has_link(tag),
                    ..InterfaceState::default()
                }),
                _ => None,
            });
        let desired = self.plan.objects();
        let applied = desired
            .iter()
            .filter(|(k, v)| self.observed.get(*k) == Some(*v))
            .count();
        let failed = self.failed.iter().map(|(key, error)| FailedObject {
            object: key.to_string(),
            error: error.clone(),
        });
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        NodeState {
            node: self.facts.node.to_string(),
            node_id: self.id.map_or(0, |id| id.0.into()),
            pod_cidr: self
                .pool
                .as_ref()
                .map(|p| p.net().to_string())
                .unwrap_or_default(),
            connected: self.connected(),
            not_ready: self.refusals.reasons().cloned().collect(),
            desired: count(desired.len()),
            applied: count(applied),
            failed: failed.collect(),
            interfaces: interfaces.collect(),
            resyncs: self.resyncs,
            operations: self.operations,
        }
    }
}

impl Agent {
    fn has_link(&self, tag: &IfTag) -> bool {
        let is_uplink = *tag == render::node::uplink();
        self.facts.links_up.contains(tag) && !(is_uplink && self.carrier == Some(false))
    }

    fn connected(&self) -> BTreeMap<String, bool> {
        let uplink = self.carrier.map(|is_up| ("uplink", is_up));
        let others = [
            ("dataplane", self.link != Link::Down),
            ("store", self.is_store_up),
        ];
        let all = others.into_iter().chain(uplink);
        all.map(|(name, is_up)| (name.to_owned(), is_up)).collect()
    }
}

/// The attachments that a container's interfaces came with.
fn attachments_of(pod: &render::LocalPod) -> BTreeSet<Attached> {
    let ids = pod.interfaces.iter().map(|i| Attached {
        container_id: pod.container_id.clone(),
        ifname: i.attached_by.clone(),
    });
    ids.collect()
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

/// Facts of a node that knows nothing yet.
pub(crate) fn facts(
    node: NodeName,
    config: &crate::AgentConfig,
    cluster: model::ClusterConfig,
) -> Facts {
    Facts {
        node,
        id: NodeId(0),
        cluster,
        uplink: config.uplink.as_ref().map(|uplink| render::Uplink {
            interface: uplink.interface.clone(),
            address: uplink.address,
        }),
        nodes: BTreeMap::new(),
        pods: BTreeMap::new(),
        links_up: BTreeSet::new(),
    }
}

#[cfg(test)]
mod tests;
