//! The way to the store: mirrors in, records out. Nothing here blocks the agent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{AppliedChain, ClusterConfig, Key, NodeId, NodeName, ObjectName, key, record};
use store::client::{Precondition, StoreClient, StoreError, Swap};
use tokio::sync::Notify;

use crate::event::{Elsewhere, Event, Events, Mirrored};

const DEADLINE: Duration = Duration::from_secs(5);
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
/// How long an ADD waits for other nodes, and between two looks at them.
const APPLIED_WAIT: Duration = Duration::from_secs(1);
const APPLIED_PAUSE: Duration = Duration::from_millis(5);
/// Node numbers that are tried in one go.
const CLAIMS_MAX: u16 = 16;

/// Records on their way to the store; only the last for each key counts. `None` deletes.
#[derive(Clone, Default)]
pub(crate) struct Outbox {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    pending: Mutex<BTreeMap<String, Option<Vec<u8>>>>,
    wake: Notify,
}

impl Outbox {
    pub(crate) fn put<T: serde::Serialize>(&self, key: &Key, value: &T) {
        let key = key.to_string();
        match record::encode(&key, value) {
            Ok(bytes) => self.set(key, Some(bytes)),
            Err(problem) => tracing::error!(key, %problem, "record cannot be written"),
        }
    }

    pub(crate) fn delete(&self, key: String) {
        self.set(key, None);
    }

    /// What is on its way: keys, and whether they are put or deleted.
    #[cfg(test)]
    pub(crate) fn waiting(&self) -> BTreeMap<String, bool> {
        let pending = self.pending();
        let keys = pending.iter();
        keys.map(|(key, value)| (key.clone(), value.is_some()))
            .collect()
    }

    fn set(&self, key: String, value: Option<Vec<u8>>) {
        self.pending().insert(key, value);
        self.shared.wake.notify_one();
    }

    fn pending(&self) -> std::sync::MutexGuard<'_, BTreeMap<String, Option<Vec<u8>>>> {
        self.shared
            .pending
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn first(&self) -> Option<(String, Option<Vec<u8>>)> {
        self.pending()
            .first_key_value()
            .map(|(k, v)| (k.clone(), v.clone()))
    }

    /// Forgets a record that is stored, unless a newer one took its place meanwhile.
    fn done(&self, key: &str, value: Option<&Vec<u8>>) {
        let mut pending = self.pending();
        if pending.get(key).is_some_and(|now| now.as_ref() == value) {
            pending.remove(key);
        }
    }
}

/// Who this node is and what it starts with.
pub(crate) struct Bootstrap {
    pub(crate) node: NodeName,
    pub(crate) known: Option<NodeId>,
    /// Becomes the cluster's configuration if the store has none.
    pub(crate) config: Option<ClusterConfig>,
}

/// Starts the mirrors and the writer; answers the client for questions of other tasks.
pub(crate) fn spawn(
    url: &str,
    bootstrap: Bootstrap,
    outbox: Outbox,
    events: Events,
) -> Result<StoreClient, StoreError> {
    let client = StoreClient::new(&[url], DEADLINE)?;
    for (of, prefix) in [
        (Mirrored::Config, key::CONFIG),
        (Mirrored::Nodes, key::NODES),
        (Mirrored::Pods, key::PODS),
        (Mirrored::Chains, key::RENDERED_CHAINS),
    ] {
        let mut mirror = client.watch_prefix(prefix);
        let events = events.clone();
        tokio::spawn(async move {
            while let Some(event) = mirror.next().await {
                if events.send(Event::Mirror { of, event }).await.is_err() {
                    return;
                }
            }
        });
    }
    let Bootstrap {
        node,
        known,
        config,
    } = bootstrap;
    let writer = Writer {
        client: client.clone(),
        node,
        config,
        outbox,
        events,
    };
    tokio::spawn(writer.run(known));
    Ok(client)
}

/// Asks the store for the cluster's configuration until it has one, or answers `known` where it cannot
/// be had now.
pub(crate) async fn config(
    url: &str,
    known: Option<ClusterConfig>,
) -> Result<ClusterConfig, StoreError> {
    let client = StoreClient::new(&[url], DEADLINE)?;
    let (mut pause, longest) = BACKOFF;
    let mut is_said = false;
    loop {
        let found = client.get(key::CONFIG).await;
        let found = found.map(|kv| kv.map(|kv| record::decode(&kv.key, &kv.value)));
        match (found, &known) {
            (Ok(Some(Ok(config))), _) => return Ok(config),
            (_, Some(known)) => return Ok(known.clone()),
            (found, None) if !is_said => {
                is_said = true;
                tracing::warn!(
                    ?found,
                    "waiting for the cluster's configuration; hint: put it into the store, or `cluster` into the agent's file"
                );
            }
            (_, None) => {}
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

/// The outcome of asking for a node number.
#[derive(Debug, thiserror::Error)]
enum Claim {
    #[error("node number {0} is this node's")]
    Ours(NodeId),
    #[error(
        "node number {id} of this node belongs to node `{holder}`; hint: was its state directory copied? remove `node.json` from it, once the node has no pods, and start the agent again"
    )]
    Held { id: NodeId, holder: String },
    #[error("no node number was free in {CLAIMS_MAX} attempts")]
    NoneFree,
}

struct Writer {
    client: StoreClient,
    node: NodeName,
    config: Option<ClusterConfig>,
    outbox: Outbox,
    events: Events,
}

impl Writer {
    async fn run(self, known: Option<NodeId>) {
        let (mut pause, longest) = BACKOFF;
        loop {
            let event = match self.introduce(known).await {
                Ok(Claim::Ours(id)) => Some(Event::Claimed(id)),
                Ok(refused) => Some(Event::NoNumber(refused.to_string())),
                Err(error) => {
                    tracing::debug!(%error, "node number is not claimed yet");
                    None
                }
            };
            let is_claimed = matches!(event, Some(Event::Claimed(_)));
            if let Some(event) = event
                && self.events.send(event).await.is_err()
            {
                return;
            }
            if is_claimed {
                break;
            }
            if self.is_over(pause).await {
                return;
            }
            pause = (pause * 2).min(longest);
        }
        self.write().await;
    }

    async fn introduce(&self, known: Option<NodeId>) -> Result<Claim, StoreError> {
        if let Some(config) = &self.config {
            let value = record::encode(key::CONFIG, config).unwrap_or_default();
            let absent = Precondition::Absent;
            self.client.put_if(key::CONFIG, absent, value).await?;
        }
        self.claim(known).await
    }

    /// Waits; true when the agent ends meanwhile.
    async fn is_over(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.events.closed() => true,
            () = tokio::time::sleep(pause) => false,
        }
    }

    /// Takes the number that the node had, else the lowest free one.
    async fn claim(&self, known: Option<NodeId>) -> Result<Claim, StoreError> {
        if let Some(id) = known {
            return self.take(id).await;
        }
        let (_, taken) = self.client.list_prefix(key::NODE_IDS).await?;
        let mut used = Vec::new();
        for kv in &taken {
            if let Some(Key::NodeId(id)) = Key::parse(&kv.key) {
                if record::decode::<NodeName>(&kv.key, &kv.value).is_ok_and(|n| n == self.node) {
                    return Ok(Claim::Ours(id));
                }
                used.push(id.0);
            }
        }
        let free = (1..=u16::MAX).filter(|n| !used.contains(n));
        for number in free.take(CLAIMS_MAX.into()) {
            let claim = self.take(NodeId(number)).await?;
            if matches!(claim, Claim::Ours(_)) {
                return Ok(claim);
            }
        }
        Ok(Claim::NoneFree)
    }

    async fn take(&self, id: NodeId) -> Result<Claim, StoreError> {
        let key = Key::NodeId(id).to_string();
        let value = record::encode(&key, &self.node).unwrap_or_default();
        let swap = self
            .client
            .put_if(&key, Precondition::Absent, value.clone())
            .await?;
        Ok(match swap {
            Swap::Conflict {
                current: Some(current),
            } if current.value != value => {
                let holder = String::from_utf8_lossy(&current.value);
                let holder = holder.trim_matches('"').to_owned();
                Claim::Held { id, holder }
            }
            Swap::Conflict { current: None } => Claim::NoneFree,
            Swap::Done { .. } | Swap::Conflict { .. } => Claim::Ours(id),
        })
    }

    async fn write(&self) {
        let (mut pause, longest) = BACKOFF;
        loop {
            let Some((key, value)) = self.outbox.first() else {
                tokio::select! {
                    () = self.events.closed() => return,
                    () = self.outbox.shared.wake.notified() => continue,
                }
            };
            let stored = match value.clone() {
                Some(bytes) => self.client.put(&key, bytes).await.map(drop),
                None => self.client.delete(&key).await.map(drop),
            };
            match stored {
                Ok(()) => {
                    self.outbox.done(&key, value.as_ref());
                    pause = BACKOFF.0;
                }
                Err(error) => {
                    tracing::debug!(key, %error, "record is not stored yet");
                    if self.is_over(pause).await {
                        return;
                    }
                    pause = (pause * 2).min(longest);
                }
            }
        }
    }
}

/// Waits until the other nodes have the chains in their dataplanes; what is missing at the deadline is
/// only reported, for a node that is down must not hold up the pods of the others.
pub(crate) async fn applied_elsewhere(client: &StoreClient, chains: Vec<Elsewhere>) {
    let waits = chains.iter().flat_map(|chain| {
        let nodes = chain.nodes.iter();
        nodes.map(|node| applied(client, &chain.chain, chain.revision, node))
    });
    let all = futures::future::join_all(waits);
    if tokio::time::timeout(APPLIED_WAIT, all).await.is_err() {
        tracing::warn!(
            ?chains,
            "not all nodes of the pod's chains have said that they are ready"
        );
    }
}

async fn applied(client: &StoreClient, chain: &ObjectName, revision: i64, node: &NodeName) {
    let (chain, node) = (chain.clone(), node.clone());
    let key = Key::AppliedChain { node, chain }.to_string();
    loop {
        let found = client.get(&key).await.ok().flatten();
        let applied = found.and_then(|kv| record::decode::<AppliedChain>(&key, &kv.value).ok());
        if applied.is_some_and(|a| a.revision >= revision) {
            return;
        }
        tokio::time::sleep(APPLIED_PAUSE).await;
    }
}

/// Reads back the keys that this node's agent writes, for the agent to withdraw what is stale.
pub(crate) fn sweep(url: &str, node: &NodeName, events: &Events) {
    let Ok(client) = StoreClient::new(&[url], DEADLINE) else {
        return;
    };
    let (events, node) = (events.clone(), node.clone());
    tokio::spawn(async move {
        let states = format!("{}{node}/", key::HOP_STATES);
        let applied = format!("{}{node}/", key::APPLIED_CHAINS);
        let listed = futures::future::try_join3(
            client.list_prefix(key::ATTACHMENTS),
            client.list_prefix(&states),
            client.list_prefix(&applied),
        );
        // A failure is followed by another connection, and that by another sweep.
        let Ok(((_, attachments), (_, states), (_, applied))) = listed.await else {
            return;
        };
        let is_ours = |kv: &store::client::Kv| {
            let attachment = record::decode::<model::Attachment>(&kv.key, &kv.value);
            attachment.is_ok_and(|a| a.node == node)
        };
        let ours = attachments.into_iter().filter(is_ours);
        let keys = ours.chain(states).chain(applied).map(|kv| kv.key).collect();
        drop(events.send(Event::Stored { keys }).await);
    });
}
