//! A prefix of the store, followed for as long as the process lives.
//!
//! List, then watch from the next revision. Whatever breaks that (connection, compaction, a slow
//! consumer) is healed by listing again and emitting only what differs, so the consumer never has
//! to tell an outage from a change.

mod known;

use std::convert::Infallible;
use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_stream::wrappers::ReceiverStream;
use tonic::Streaming;

use self::known::{Known, Update};
use super::error::describe;
use super::kv::{range_start, revision_of};
use super::{Kv, StoreClient, StoreError};
use crate::range::prefix_end;
use crate::wire::watch_client::WatchClient;
use crate::wire::{WatchCreateRequest, WatchRequest, WatchResponse, event, watch_request};

/// Events that wait for the consumer; beyond that the store is read more slowly.
const EVENTS_MAX: usize = 1024;
const BACKOFF_MIN: Duration = Duration::from_millis(100);
const BACKOFF_MAX: Duration = Duration::from_secs(5);

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
                if std::mem::take(&mut self.away) {
                    self.emit(MirrorEvent::Resumed { revision }).await?;
                }
            }
        }
        // The sender must outlive the stream: closing the request side ends the watch.
        let (_requests, mut responses) = self.open_watch(revision + 1).await?;
        loop {
            let response = responses.message().await.map_err(|status| lost(&status))?;
            let response = response.ok_or_else(|| Break::Lost("watch stream closed".into()))?;
            self.absorb(response).await?;
        }
    }

    async fn absorb(&mut self, response: WatchResponse) -> Result<(), Break> {
        check_alive(&response)?;
        for event in response.events {
            let kind = event.r#type();
            let Some(kv) = event.kv.as_ref().and_then(Kv::from_wire) else {
                continue;
            };
            let event = match kind {
                event::Type::Put => self.known.put(kv).map(MirrorEvent::Put),
                event::Type::Delete => {
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
        Ok(())
    }

    async fn open_watch(
        &self,
        start_revision: i64,
    ) -> Result<(mpsc::Sender<WatchRequest>, Streaming<WatchResponse>), Break> {
        let create = WatchCreateRequest {
            key: range_start(&self.prefix),
            range_end: prefix_end(self.prefix.as_bytes()),
            start_revision,
            progress_notify: true,
            ..Default::default()
        };
        let request = WatchRequest {
            request: Some(watch_request::Request::Create(create)),
        };
        let (requests, receiver) = mpsc::channel(1);
        requests
            .send(request)
            .await
            .map_err(|_| Break::Lost("watch stream closed".into()))?;
        let mut watch = WatchClient::new(self.client.channel.clone())
            .max_decoding_message_size(super::REPLY_BYTES_MAX);
        let opening = async {
            let mut responses = watch
                .watch(ReceiverStream::new(receiver))
                .await?
                .into_inner();
            let created = responses.message().await?;
            Ok::<_, tonic::Status>((responses, created))
        };
        match timeout(self.client.deadline, opening).await {
            Ok(Ok((responses, Some(created)))) => {
                check_alive(&created)?;
                tracing::debug!(
                    prefix = self.prefix,
                    revision = revision_of(created.header.as_ref()),
                    "watching"
                );
                Ok((requests, responses))
            }
            Ok(Ok((_, None))) => Err(Break::Lost("watch stream closed".into())),
            Ok(Err(status)) => Err(lost(&status)),
            Err(_) => Err(Break::Lost(
                "the store did not confirm the watch in time".into(),
            )),
        }
    }

    async fn emit(&self, event: MirrorEvent) -> Result<(), Break> {
        self.events
            .send(event)
            .await
            .map_err(|_| Break::ConsumerGone)
    }
}

fn check_alive(response: &WatchResponse) -> Result<(), Break> {
    if response.compact_revision > 0 {
        return Err(Break::Compacted);
    }
    if response.canceled {
        return Err(Break::Lost(format!(
            "watch canceled: {}",
            response.cancel_reason
        )));
    }
    Ok(())
}

fn lost(status: &tonic::Status) -> Break {
    Break::Lost(describe(status))
}

/// Between half of `delay` and all of it, so that many clients do not return at once.
fn with_jitter(delay: Duration) -> Duration {
    let random = RandomState::new().hash_one(delay);
    let thousandths = u32::try_from(random % 500).unwrap_or(0);
    delay / 2 + delay / 1000 * thousandths
}
