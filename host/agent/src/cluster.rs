//! The way to the store: mirrors in, records out. Nothing here blocks the agent.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use model::{Key, NodeId, NodeName, key, record};
use store::client::{Precondition, StoreClient, StoreError, Swap};
use tokio::sync::Notify;

use crate::event::{Event, Events, Mirrored};

const DEADLINE: Duration = Duration::from_secs(5);
const BACKOFF: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(5));
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

/// Starts the mirrors and the writer.
pub(crate) fn spawn(
    url: &str,
    node: NodeName,
    known: Option<NodeId>,
    outbox: Outbox,
    events: Events,
) -> Result<(), StoreError> {
    let client = StoreClient::new(&[url], DEADLINE)?;
    for (of, prefix) in [
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
    let writer = Writer {
        client,
        node,
        outbox,
        events,
    };
    tokio::spawn(writer.run(known));
    Ok(())
}

struct Writer {
    client: StoreClient,
    node: NodeName,
    outbox: Outbox,
    events: Events,
}

impl Writer {
    async fn run(self, known: Option<NodeId>) {
        let (mut pause, longest) = BACKOFF;
        loop {
            match self.claim(known).await {
                Ok(Some(id)) => {
                    if self.events.send(Event::Claimed(id)).await.is_err() {
                        return;
                    }
                    break;
                }
                Ok(None) => tracing::error!(?known, "the node's number belongs to another node"),
                Err(error) => tracing::debug!(%error, "node number is not claimed yet"),
            }
            if self.is_over(pause).await {
                return;
            }
            pause = (pause * 2).min(longest);
        }
        self.write().await;
    }

    /// Waits; true when the agent ends meanwhile.
    async fn is_over(&self, pause: Duration) -> bool {
        tokio::select! {
            () = self.events.closed() => true,
            () = tokio::time::sleep(pause) => false,
        }
    }

    /// Takes the number that the node had, else the lowest free one; `None`: another node has it.
    async fn claim(&self, known: Option<NodeId>) -> Result<Option<NodeId>, StoreError> {
        if let Some(id) = known {
            return Ok(self.take(id).await?.then_some(id));
        }
        let (_, taken) = self.client.list_prefix(key::NODE_IDS).await?;
        let mut used = Vec::new();
        for kv in &taken {
            if let Some(Key::NodeId(id)) = Key::parse(&kv.key) {
                if record::decode::<NodeName>(&kv.key, &kv.value).is_ok_and(|n| n == self.node) {
                    return Ok(Some(id));
                }
                used.push(id.0);
            }
        }
        let free = (1..=u16::MAX).filter(|n| !used.contains(n));
        for number in free.take(CLAIMS_MAX.into()) {
            if self.take(NodeId(number)).await? {
                return Ok(Some(NodeId(number)));
            }
        }
        Ok(None)
    }

    async fn take(&self, id: NodeId) -> Result<bool, StoreError> {
        let key = Key::NodeId(id).to_string();
        let value = record::encode(&key, &self.node).unwrap_or_default();
        let swap = self
            .client
            .put_if(&key, Precondition::Absent, value.clone())
            .await?;
        Ok(match swap {
            Swap::Done { .. } => true,
            Swap::Conflict { current } => current.is_some_and(|kv| kv.value == value),
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

/// Reads back the keys that this node's agent writes, for the agent to withdraw what is stale.
pub(crate) fn sweep(url: &str, node: &NodeName, events: &Events) {
    let Ok(client) = StoreClient::new(&[url], DEADLINE) else {
        return;
    };
    let (events, node) = (events.clone(), node.clone());
    tokio::spawn(async move {
        let states = format!("{}{node}/", key::HOP_STATES);
        let listed = futures::future::try_join(
            client.list_prefix(key::ATTACHMENTS),
            client.list_prefix(&states),
        );
        // A failure is followed by another connection, and that by another sweep.
        let Ok(((_, attachments), (_, states))) = listed.await else {
            return;
        };
        let is_ours = |kv: &store::client::Kv| {
            let attachment = record::decode::<model::Attachment>(&kv.key, &kv.value);
            attachment.is_ok_and(|a| a.node == node)
        };
        let ours = attachments.into_iter().filter(is_ours);
        let keys = ours.chain(states).map(|kv| kv.key).collect();
        drop(events.send(Event::Stored { keys }).await);
    });
}
