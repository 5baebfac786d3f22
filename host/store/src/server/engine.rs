//! Owner of the state: one task applies writes in order and makes them durable in groups.
//!
//! Requests that arrive while a group is being synced form the next one, so that many writers share
//! one sync. A reply is sent, and readers and watchers see the change, only once it is on disk.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::RwLock;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::{Instant, sleep_until};

use super::disk::{Disk, DiskError, Identity};
use super::refusal::Refusal;
use super::state::{Effects, State};

/// Requests that wait for the next group.
const QUEUE_MAX: usize = 1024;
const GROUP_MAX: usize = 256;
/// History kept without anybody asking for compaction, in revisions; it is cut back to this length
/// whenever it reaches twice that.
const HISTORY_KEPT: i64 = 100_000;
/// How long the owner sleeps when no lease will expire.
const IDLE: Duration = Duration::from_secs(3600);

type Apply = Box<dyn FnOnce(&mut State, Duration, &mut Effects) -> Answer + Send>;
type Answer = Box<dyn FnOnce() + Send>;

enum Job {
    Write(Apply),
    /// Runs in a group of its own, see [`State::compact`].
    Compact(Apply),
}

/// Handle to the engine, shared by all services.
#[derive(Clone)]
pub(crate) struct Engine {
    state: Arc<RwLock<State>>,
    jobs: mpsc::Sender<Job>,
    durable: watch::Receiver<i64>,
    started: Instant,
    identity: Identity,
}

/// The half that does the work.
pub(crate) struct Owner {
    state: Arc<RwLock<State>>,
    jobs: mpsc::Receiver<Job>,
    durable: watch::Sender<i64>,
    started: Instant,
    disk: Arc<Disk>,
    history_kept: i64,
    /// A compaction that ended the previous group early.
    postponed: Option<Apply>,
}

/// Loads the state; `started` is where lease time begins.
pub(crate) fn open(disk: Disk, started: Instant) -> Result<(Engine, Owner), DiskError> {
    let (identity, state) = disk.load()?;
    tracing::info!(
        revision = state.durable,
        compacted = state.mvcc.compacted(),
        "store opened"
    );
    let (durable_tx, durable) = watch::channel(state.durable);
    let (jobs_tx, jobs) = mpsc::channel(QUEUE_MAX);
    let state = Arc::new(RwLock::new(state));
    let engine = Engine {
        state: Arc::clone(&state),
        jobs: jobs_tx,
        durable,
        started,
        identity,
    };
    let owner = Owner {
        state,
        jobs,
        durable: durable_tx,
        started,
        disk: Arc::new(disk),
        history_kept: HISTORY_KEPT,
        postponed: None,
    };
    Ok((engine, owner))
}

impl Engine {
    /// Applies `work` in order with all other writes; returns when its effects are durable.
    pub(crate) async fn write<T, F>(&self, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut State, Duration, &mut Effects) -> Result<T, Refusal> + Send + 'static,
    {
        self.submit(Job::Write, work).await
    }

    pub(crate) async fn compact(&self, revision: i64) -> Result<(), Refusal> {
        self.submit(Job::Compact, move |state, _, effects| {
            state.compact(revision, effects)
        })
        .await
    }

    pub(crate) fn read<T>(&self, look: impl FnOnce(&State, Duration) -> T) -> T {
        look(&self.state.read(), self.started.elapsed())
    }

    /// For changes that need not be durable.
    pub(crate) fn touch<T>(&self, change: impl FnOnce(&mut State, Duration) -> T) -> T {
        change(&mut self.state.write(), self.started.elapsed())
    }

    /// Changes whenever a revision becomes durable.
    pub(crate) fn durable(&self) -> watch::Receiver<i64> {
        self.durable.clone()
    }

    pub(crate) fn identity(&self) -> Identity {
        self.identity
    }

    async fn submit<T, F>(&self, job: fn(Apply) -> Job, work: F) -> Result<T, Refusal>
    where
        T: Send + 'static,
        F: FnOnce(&mut State, Duration, &mut Effects) -> Result<T, Refusal> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let apply: Apply = Box::new(move |state, now, effects| {
            let result = work(state, now, effects);
            // The client may have gone away; the write stands all the same.
            Box::new(move || drop(reply.send(result)))
        });
        self.jobs
            .send(job(apply))
            .await
            .map_err(|_| Refusal::Stopped)?;
        answer.await.unwrap_or(Err(Refusal::Stopped))
    }
}

impl Owner {
    /// Works until every [`Engine`] is gone. After an error nothing that was not acknowledged may
    /// be trusted; only a restart, which reads the disk, helps.
    pub(crate) async fn run(mut self) -> Result<(), DiskError> {
        loop {
            let Some(group) = self.next_group().await else {
                return Ok(());
            };
            let mut effects = Effects::default();
            let answers: Vec<Answer> = {
                let now = self.started.elapsed();
                let mut state = self.state.write();
                state.revoke_expired(now, &mut effects);
                group
                    .into_iter()
                    .map(|apply| apply(&mut state, now, &mut effects))
                    .collect()
            };
            self.commit(effects).await?;
            answers.into_iter().for_each(|answer| answer());
        }
    }

    /// Waits for work or for a lease to expire (an empty group). `None` when nobody can ask anymore.
    async fn next_group(&mut self) -> Option<Vec<Apply>> {
        if let Some(compaction) = self.postponed.take() {
            return Some(vec![compaction]);
        }
        let expiry = self.state.read().lessor.next_deadline();
        let wake = expiry.map_or_else(|| Instant::now() + IDLE, |at| self.started + at);
        let first = tokio::select! {
            job = self.jobs.recv() => job?,
            () = sleep_until(wake) => return Some(Vec::new()),
        };
        let mut group = Vec::new();
        let mut next = Some(first);
        while let Some(job) = next {
            match job {
                Job::Write(apply) => group.push(apply),
                Job::Compact(apply) => {
                    self.postponed = Some(apply);
                    break;
                }
            }
            next = if group.len() < GROUP_MAX {
                self.jobs.try_recv().ok()
            } else {
                None
            };
        }
        Some(group)
    }

    async fn commit(&mut self, effects: Effects) -> Result<(), DiskError> {
        if effects.is_empty() {
            return Ok(());
        }
        let disk = Arc::clone(&self.disk);
        let written = tokio::task::spawn_blocking(move || disk.commit(&effects)).await;
        match written {
            Ok(result) => result?,
            Err(panic) => std::panic::resume_unwind(panic.into_panic()),
        }
        let (revision, compacted) = {
            let mut state = self.state.write();
            state.durable = state.mvcc.revision();
            (state.durable, state.mvcc.compacted())
        };
        self.durable
            .send_if_modified(|durable| std::mem::replace(durable, revision) != revision);
        let kept = self.history_kept;
        if self.postponed.is_none() && revision - compacted > 2 * kept {
            self.postponed = Some(Box::new(move |state, _, effects| {
                // Refused only if a client compacted further meanwhile, which is as good.
                let _ = state.compact(revision - kept, effects);
                Box::new(|| ())
            }));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::PutRequest;

    #[tokio::test]
    async fn history_that_nobody_compacts_is_cut_back() {
        let dir = tempfile::tempdir().unwrap();
        let (engine, mut owner) = open(Disk::open(dir.path()).unwrap(), Instant::now()).unwrap();
        owner.history_kept = 10;
        let running = tokio::spawn(owner.run());
        for _ in 0..60 {
            let put = PutRequest {
                key: "a".into(),
                ..Default::default()
            };
            let written = engine.write(move |state, _, effects| state.put(&put, effects));
            written.await.unwrap();
            let history = engine.read(|state, _| state.durable - state.mvcc.compacted());
            assert!(history <= 22, "{history} revisions are kept");
        }
        let (revision, compacted) = engine.read(|state, _| (state.durable, state.mvcc.compacted()));
        assert!(revision - compacted >= 10, "{compacted} of {revision}");
        drop(engine);
        running.await.unwrap().unwrap();
        let (_, state) = Disk::open(dir.path()).unwrap().load().unwrap();
        assert_eq!(state.mvcc.compacted(), compacted, "it is durable");
    }
}
