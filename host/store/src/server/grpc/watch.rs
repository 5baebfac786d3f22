//! `Watch`: many watchers on one stream. One task per stream reads requests and, whenever a revision
//! becomes durable, lets each watcher read on. A client that reads slowly slows only its own stream.

use std::collections::BTreeMap;
use std::time::Duration;

use prost::Message;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio::time::{Instant, MissedTickBehavior, interval_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming, async_trait};

use super::{Services, stopped};
use crate::server::refusal::Refusal;
use crate::server::watcher::{Poll, Watcher};
use crate::wire::watch_request::Request as Ask;
use crate::wire::watch_server::Watch;
use crate::wire::{Event, WatchCreateRequest, WatchRequest, WatchResponse};

pub(super) const WATCHERS_MAX: usize = 100_000;
const RESPONSES_MAX: usize = 16;
const PROGRESS_INTERVAL: Duration = Duration::from_secs(60);
/// A client that asked for fragments gets no response much larger than this.
const FRAGMENT_BYTES: usize = 1024 * 1024;
/// The watcher id of an answer that concerns the whole stream.
const ALL_WATCHERS: i64 = -1;

#[async_trait]
impl Watch for Services {
    type WatchStream = ReceiverStream<Result<WatchResponse, Status>>;

    async fn watch(
        &self,
        request: Request<Streaming<WatchRequest>>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let (responses, receiver) = mpsc::channel(RESPONSES_MAX);
        let session = Session {
            services: self.clone(),
            responses,
            watchers: BTreeMap::new(),
        };
        tokio::spawn(session.run(request.into_inner()));
        Ok(Response::new(ReceiverStream::new(receiver)))
    }
}

struct Session {
    services: Services,
    responses: mpsc::Sender<Result<WatchResponse, Status>>,
    watchers: BTreeMap<i64, Entry>,
}

struct Entry {
    watcher: Watcher,
    /// Whether it got a response since the last progress tick.
    spoke: bool,
    _permit: OwnedSemaphorePermit,
}

/// The client does not listen any more.
struct Gone;

impl Session {
    async fn run(mut self, mut requests: Streaming<WatchRequest>) {
        let mut durable = self.services.engine.durable();
        let mut progress = interval_at(Instant::now() + PROGRESS_INTERVAL, PROGRESS_INTERVAL);
        progress.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = stopped(self.services.stopping.clone());
        tokio::pin!(stop);
        loop {
            let step = tokio::select! {
                request = requests.message() => match request {
                    Ok(Some(request)) => self.answer(request).await,
                    Ok(None) | Err(_) => return,
                },
                changed = durable.changed() => match changed {
                    Ok(()) => self.advance().await,
                    Err(_) => return,
                },
                _ = progress.tick() => self.report_progress().await,
                () = &mut stop => {
                    // The client may be gone already; it learns of the end either way.
                    let _ = self.responses.send(Err(Refusal::Stopped.into())).await;
                    return;
                }
            };
            if step.is_err() {
                return;
            }
        }
    }

    async fn answer(&mut self, request: WatchRequest) -> Result<(), Gone> {
        match request.request {
            Some(Ask::Create(create)) => self.create(create).await,
            Some(Ask::Cancel(cancel)) => {
                if self.watchers.remove(&cancel.watch_id).is_none() {
                    return Ok(());
                }
                let response = WatchResponse {
                    watch_id: cancel.watch_id,
                    canceled: true,
                    ..Default::default()
                };
                self.send(self.visible(), response).await
            }
            Some(Ask::Progress(_)) => {
                // Whoever asks must have received everything up to the revision in the answer.
                let visible = self.visible();
                self.advance_to(visible).await?;
                let response = WatchResponse {
                    watch_id: ALL_WATCHERS,
                    ..Default::default()
                };
                self.send(visible, response).await
            }
            None => Ok(()),
        }
    }

    async fn create(&mut self, request: WatchCreateRequest) -> Result<(), Gone> {
        let visible = self.visible();
        match self.admit(request, visible) {
            Ok(watch_id) => {
                let created = WatchResponse {
                    watch_id,
                    created: true,
                    ..Default::default()
                };
                self.send(visible, created).await?;
                self.advance().await
            }
            Err(reason) => {
                let refused = WatchResponse {
                    watch_id: ALL_WATCHERS,
                    created: true,
                    canceled: true,
                    cancel_reason: reason,
                    ..Default::default()
                };
                self.send(visible, refused).await
            }
        }
    }

    fn admit(&mut self, request: WatchCreateRequest, visible: i64) -> Result<i64, String> {
        let id = match request.watch_id {
            0 => self.free_id(),
            id if self.watchers.contains_key(&id) => {
                return Err("mvcc: duplicate watch ID provided on the WatchStream".to_owned());
            }
            id => id,
        };
        let Some(watcher) = Watcher::new(request, visible) else {
            return Err("mvcc: watcher range is empty".to_owned());
        };
        let permit = self.services.watchers.clone().try_acquire_owned();
        let permit = permit.map_err(|_| Refusal::TooManyRequests.to_string())?;
        self.watchers.insert(
            id,
            Entry {
                watcher,
                spoke: false,
                _permit: permit,
            },
        );
        Ok(id)
    }

    fn free_id(&self) -> i64 {
        (0..)
            .find(|id| !self.watchers.contains_key(id))
            .unwrap_or(i64::MAX)
    }

    async fn advance(&mut self) -> Result<(), Gone> {
        self.advance_to(self.visible()).await
    }

    /// Brings every watcher to `visible`, one batch each in turn.
    async fn advance_to(&mut self, visible: i64) -> Result<(), Gone> {
        let mut behind: Vec<i64> = self.watchers.keys().copied().collect();
        while !behind.is_empty() {
            let mut still_behind = Vec::new();
            for id in behind {
                if self.advance_one(id, visible).await? {
                    still_behind.push(id);
                }
            }
            behind = still_behind;
        }
        Ok(())
    }

    /// True when there may be more to read.
    async fn advance_one(&mut self, id: i64, visible: i64) -> Result<bool, Gone> {
        let Some(entry) = self.watchers.get_mut(&id) else {
            return Ok(false);
        };
        let poll = self
            .services
            .engine
            .read(|state, _| entry.watcher.poll(&state.mvcc, visible));
        match poll {
            Poll::Idle => Ok(false),
            Poll::Events { events, revision } => {
                let fragment = entry.watcher.fragment;
                entry.spoke |= !events.is_empty();
                if !events.is_empty() {
                    self.send_events(id, revision, events, fragment).await?;
                }
                Ok(true)
            }
            Poll::Compacted { revision } => {
                self.watchers.remove(&id);
                let response = WatchResponse {
                    watch_id: id,
                    canceled: true,
                    compact_revision: revision,
                    ..Default::default()
                };
                self.send(visible, response).await?;
                Ok(false)
            }
        }
    }

    async fn send_events(
        &self,
        watch_id: i64,
        revision: i64,
        events: Vec<Event>,
        fragment: bool,
    ) -> Result<(), Gone> {
        let mut parts = if fragment {
            split(events)
        } else {
            vec![events]
        }
        .into_iter()
        .peekable();
        while let Some(events) = parts.next() {
            let fragment = parts.peek().is_some();
            let response = WatchResponse {
                watch_id,
                events,
                fragment,
                ..Default::default()
            };
            self.send(revision, response).await?;
        }
        Ok(())
    }

    async fn report_progress(&mut self) -> Result<(), Gone> {
        let visible = self.visible();
        self.advance_to(visible).await?;
        let mut quiet = Vec::new();
        for (id, entry) in &mut self.watchers {
            if entry.watcher.progress_notify && !std::mem::take(&mut entry.spoke) {
                quiet.push(*id);
            }
        }
        for watch_id in quiet {
            let response = WatchResponse {
                watch_id,
                ..Default::default()
            };
            self.send(visible, response).await?;
        }
        Ok(())
    }

    async fn send(&self, revision: i64, mut response: WatchResponse) -> Result<(), Gone> {
        response.header = Some(self.services.header(revision));
        self.responses.send(Ok(response)).await.map_err(|_| Gone)
    }

    fn visible(&self) -> i64 {
        self.services.engine.read(|state, _| state.durable)
    }
}

/// Parts of about [`FRAGMENT_BYTES`], none of them empty.
fn split(events: Vec<Event>) -> Vec<Vec<Event>> {
    let mut parts: Vec<Vec<Event>> = Vec::new();
    let mut bytes = 0;
    for event in events {
        let size = event.encoded_len();
        match parts.last_mut() {
            Some(part) if bytes + size <= FRAGMENT_BYTES => {
                bytes += size;
                part.push(event);
            }
            _ => {
                bytes = size;
                parts.push(vec![event]);
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;
    use crate::server::disk::Disk;
    use crate::server::engine;

    #[tokio::test]
    async fn one_watcher_too_many_is_refused_until_another_ends() {
        let dir = tempfile::tempdir().unwrap();
        let disk = Disk::open(dir.path()).unwrap();
        let (engine, _owner) = engine::open(disk, Instant::now()).unwrap();
        let (_stop, stopping) = tokio::sync::watch::channel(false);
        let address = "127.0.0.1:0".parse().unwrap();
        let mut services = Services::new(engine, address, stopping);
        services.watchers = Arc::new(Semaphore::new(2));
        let session = || Session {
            services: services.clone(),
            responses: mpsc::channel(1).0,
            watchers: BTreeMap::new(),
        };
        let create = || WatchCreateRequest {
            key: "a".into(),
            ..Default::default()
        };
        let (mut one, mut two) = (session(), session());
        assert_eq!(one.admit(create(), 1), Ok(0));
        assert_eq!(two.admit(create(), 1), Ok(0));
        let refused = Err("etcdserver: too many requests".to_owned());
        assert_eq!(two.admit(create(), 1), refused);
        drop(one);
        assert_eq!(two.admit(create(), 1), Ok(1));
    }
}
