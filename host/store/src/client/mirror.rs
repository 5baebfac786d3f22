//! A prefix of the store, followed for as long as the process lives.
//!
//! List once, then watch from the next revision. After an outage the watch goes on where it broke
//! off, so that the cost follows what changed and not what is there. Only when the store cannot
//! replay (history compacted or replaced, an etcd too old to say when a replay is complete) the
//! mirror lists again and emits what differs, so the consumer never has to tell an outage from a
//! change.

mod history;
mod known;

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use etcd_client::{Client, EventType, WatchOptions, WatchResponse, WatchStream};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};

use self::known::{Known, Update};
use super::kv::revision_of;
use super::{Kv, REPLY_BYTES_MAX, StoreClient, StoreError};

/// Events that wait for the consumer; beyond that the store is read more slowly.
const EVENTS_MAX: usize = 1024;
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);
/// Stores do not answer a question for progress while a watch is still behind: ask again.
const PROGRESS_INTERVAL: Duration = Duration::from_millis(100);
/// The watch id of an answer that concerns the whole stream.
const ALL_WATCHES: i64 = -1;

/// What happened under the mirrored prefix.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MirrorEvent {
    /// The full state: once when the store first answers, and again only if the store's history was
    /// replaced (wiped, restored, another cluster). The consumer decides what it means that a key it
    /// knew is absent.
    Synced {
        revision: i64,
        snapshot: Vec<Kv>,
    },
    Put(Kv),
    Delete {
        key: String,
        revision: i64,
    },
    /// The store is out of reach. Sent once per outage; nothing is withdrawn because of it.
    Disconnected {
        reason: String,
    },
    /// The outage is over, and everything that changed meanwhile has been emitted.
    Resumed {
        revision: i64,
    },
}

/// Handle to a running mirror; dropping it stops the mirror.
#[derive(Debug)]
pub struct Mirror {
    events: mpsc::Receiver<MirrorEvent>,
    task: JoinHandle<()>,
}

impl Mirror {
    pub(super) fn start(client: StoreClient, prefix: String) -> Self {
        let (sender, events) = mpsc::channel(EVENTS_MAX);
        let follower = Follower {
            client,
            prefix,
            events: sender,
            known: Known::default(),
            away: false,
        };
        Self {
            events,
            task: tokio::spawn(follower.run()),
        }
    }

    /// The next event. Cancel safe. `None` only after the runtime has begun to shut down.
    pub async fn next(&mut self) -> Option<MirrorEvent> {
        self.events.recv().await
    }
}

impl Drop for Mirror {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Follower {
    client: StoreClient,
    prefix: String,
    events: mpsc::Sender<MirrorEvent>,
    known: Known,
    away: bool,
}

/// Why following ended.
enum Break {
    ConsumerGone,
    /// History that was still needed is gone: list again, at once.
    Compacted,
    Lost(String),
}

impl From<StoreError> for Break {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::Compacted { .. }) {
            Self::Compacted
        } else {
            Self::Lost(error.to_string())
        }
    }
}

impl Follower {
    async fn run(mut self) {
        let mut backoff = BACKOFF_MIN;
        loop {
            let before = self.known.revision();
            let Err(cause) = self.follow().await;
            if self.known.revision() != before {
                backoff = BACKOFF_MIN;
            }
            match cause {
                Break::ConsumerGone => return,
                Break::Compacted => {
                    tracing::info!(prefix = self.prefix, "watched revision was compacted");
                }
                Break::Lost(reason) => {
                    if !self.away {
                        self.away = true;
                        if self
                            .emit(MirrorEvent::Disconnected { reason })
                            .await
                            .is_err()
                        {
                            return;
                        }
                    }
                }
            }
            sleep(with_jitter(backoff)).await;
            backoff = (backoff * 2).min(BACKOFF_MAX);
        }
    }

    async fn follow(&mut self) -> Result<Infallible, Break> {
        let mut stream = match self.replay().await? {
            Some(stream) => stream,
            None => self.relist().await?,
        };
        loop {
            let response = next_response(&mut stream).await?;
            self.absorb(&response).await?;
        }
    }

    /// Goes on where the last watch ended and emits everything up to now. `None` when history does
    /// not lead there.
    async fn replay(&mut self) -> Result<Option<WatchStream>, Break> {
        let Some(place) = self.known.place() else {
            return Ok(None);
        };
        let from = place.revision;
        let Some(now) = self.client.history_since(place).await? else {
            return Ok(None);
        };
        let mut stream = self.open_watch(from + 1).await?;
        if now > from {
            self.catch_up(&mut stream).await?;
        }
        tracing::debug!(prefix = self.prefix, from, now, "replayed what was missed");
        self.resumed(now).await?;
        Ok(Some(stream))
    }

    async fn catch_up(&mut self, stream: &mut WatchStream) -> Result<(), Break> {
        let mut silence = Duration::ZERO;
        while silence < self.client.deadline {
            let asked = stream.request_progress().await;
            asked.map_err(|error| Break::Lost(error.to_string()))?;
            loop {
                let Ok(response) = timeout(PROGRESS_INTERVAL, next_response(stream)).await else {
                    silence += PROGRESS_INTERVAL;
                    break;
                };
                let response = response?;
                self.absorb(&response).await?;
                if response.watch_id() == ALL_WATCHES {
                    return Ok(());
                }
                silence = Duration::ZERO;
            }
        }
        Err(Break::Lost("the store did not replay its history".into()))
    }

    async fn relist(&mut self) -> Result<WatchStream, Break> {
        let listing = self.client.list(&self.prefix).await?;
        let revision = listing.revision;
        match self.known.reconcile(listing) {
            Update::Replaced(snapshot) => {
                self.away = false;
                self.emit(MirrorEvent::Synced { revision, snapshot })
                    .await?;
            }
            Update::Changed(events) => {
                for event in events {
                    self.emit(event).await?;
                }
                self.resumed(revision).await?;
            }
        }
        self.open_watch(revision + 1).await
    }

    async fn resumed(&mut self, revision: i64) -> Result<(), Break> {
        if std::mem::take(&mut self.away) {
            self.emit(MirrorEvent::Resumed { revision }).await?;
        }
        Ok(())
    }

    async fn absorb(&mut self, response: &WatchResponse) -> Result<(), Break> {
        for event in response.events() {
            let Some(kv) = event.kv().cloned().and_then(Kv::from_client) else {
                continue;
            };
            let event = match event.event_type() {
                EventType::Put => self.known.put(kv).map(MirrorEvent::Put),
                EventType::Delete => {
                    let revision = kv.mod_revision;
                    self.known
                        .delete(&kv.key, revision)
                        .then_some(MirrorEvent::Delete {
                            key: kv.key,
                            revision,
                        })
                }
            };
            if let Some(event) = event {
                self.emit(event).await?;
            }
        }
        if response.events().is_empty() {
            // Progress: the replay after the next outage starts here.
            self.known.advance(revision_of(response.header()));
        }
        Ok(())
    }

    async fn open_watch(&self, start_revision: i64) -> Result<WatchStream, Break> {
        let prefix = self.prefix.as_str();
        let ask = |client: Client| async move {
            let options = WatchOptions::new()
                .with_prefix()
                .with_start_revision(start_revision)
                .with_progress_notify();
            let mut watch = client
                .watch_client()
                .max_decoding_message_size(REPLY_BYTES_MAX);
            let mut stream = watch.watch(prefix, Some(options)).await?;
            let created = stream.message().await?;
            Ok((stream, created))
        };
        let opened = self.client.call(|| format!("watch `{prefix}`"), ask).await;
        let (stream, created) = opened?;
        check_alive(created)?;
        tracing::debug!(prefix, start_revision, "watching");
        Ok(stream)
    }

    async fn emit(&self, event: MirrorEvent) -> Result<(), Break> {
        self.events
            .send(event)
            .await
            .map_err(|_| Break::ConsumerGone)
    }
}

async fn next_response(stream: &mut WatchStream) -> Result<WatchResponse, Break> {
    match stream.message().await {
        Ok(response) => check_alive(response),
        Err(error) => {
            let operation = "follow the watch".to_owned();
            Err(StoreError::from_client(operation, error, Duration::ZERO).into())
        }
    }
}

fn check_alive(response: Option<WatchResponse>) -> Result<WatchResponse, Break> {
    let response = response.ok_or_else(|| Break::Lost("watch stream closed".into()))?;
    if response.compact_revision() > 0 {
        return Err(Break::Compacted);
    }
    if response.canceled() {
        return Err(Break::Lost(format!(
            "watch canceled: {}",
            response.cancel_reason()
        )));
    }
    Ok(response)
}

/// Between half of `delay` and all of it, so that many clients do not return at once.
fn with_jitter(delay: Duration) -> Duration {
    let random = RandomState::new().hash_one(delay);
    let thousandths = u32::try_from(random % 500).unwrap_or(0);
    delay / 2 + delay / 1000 * thousandths
}
