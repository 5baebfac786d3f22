//! The event loop: store events in, writes out, one owner of the facts.

use std::future::Future;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use model::key;
use store::client::{Mirror, MirrorEvent, StoreClient, StoreError};

use crate::facts::Facts;
use crate::modules::{EngineError, Modules};
use crate::reconcile::{Write, reconcile};

/// Each call to the store.
const STORE_DEADLINE: Duration = Duration::from_secs(3);
/// Events that come this close together are one round.
const SETTLE: Duration = Duration::from_millis(5);
/// Events of one round at the most.
const EVENTS_PER_ROUND_MAX: usize = 4096;
/// How often module files are looked at, and a failed write is tried again.
const TICK: Duration = Duration::from_millis(500);

/// Where the controller reads and writes.
#[derive(Clone, Debug)]
pub struct Config {
    /// Store endpoint, `http://address:port`.
    pub store: String,
    /// Directory of the components that chains name.
    pub modules: PathBuf,
}

/// Why the controller cannot run at all. Everything else is retried.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    #[error("store endpoint `{endpoint}` is not usable")]
    Store {
        endpoint: String,
        #[source]
        source: StoreError,
    },
    #[error("module engine did not start")]
    Engine(#[from] EngineError),
    #[error("a round of the controller panicked")]
    Panicked(#[from] tokio::task::JoinError),
}

/// Controls chains until `shutdown` resolves.
///
/// # Errors
/// [`RunError`] when the configuration cannot work.
pub async fn run(config: Config, shutdown: impl Future<Output = ()>) -> Result<(), RunError> {
    let client =
        StoreClient::new(&[&config.store], STORE_DEADLINE).map_err(|source| RunError::Store {
            endpoint: config.store.clone(),
            source,
        })?;
    let modules = Modules::new(config.modules)?;
    let mut controller = Controller {
        mirror: client.watch_prefix(key::ROOT),
        client,
        facts: Facts::default(),
        modules: Some(modules),
        started: Instant::now(),
        synced: false,
    };
    tokio::pin!(shutdown);
    tokio::select! {
        () = &mut shutdown => Ok(()),
        ended = controller.rounds() => ended,
    }
}

struct Controller {
    client: StoreClient,
    mirror: Mirror,
    facts: Facts,
    /// Away while a round runs.
    modules: Option<Modules>,
    /// Time is counted from here.
    started: Instant,
    synced: bool,
}

impl Controller {
    async fn rounds(&mut self) -> Result<(), RunError> {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let due = tokio::select! {
                event = self.mirror.next() => {
                    self.take(event);
                    self.settle().await;
                    true
                }
                _ = tick.tick() => {
                    let is_due = self.facts.pass(self.started.elapsed());
                    self.modules.as_ref().is_some_and(Modules::rescan) || is_due
                }
            };
            if due && self.synced {
                self.round().await?;
            }
        }
    }

    /// Takes in what follows closely: an apply of ten objects is one round.
    async fn settle(&mut self) {
        for _ in 0..EVENTS_PER_ROUND_MAX {
            match tokio::time::timeout(SETTLE, self.mirror.next()).await {
                Ok(event) => self.take(event),
                Err(_) => return,
            }
        }
    }

    fn take(&mut self, event: Option<MirrorEvent>) {
        let taken = match event {
            Some(MirrorEvent::Synced { snapshot, .. }) => {
                self.facts = Facts::default();
                self.synced = true;
                snapshot
                    .iter()
                    .try_for_each(|kv| self.facts.put(&kv.key, &kv.value))
            }
            Some(MirrorEvent::Put(kv)) => self.facts.put(&kv.key, &kv.value),
            Some(MirrorEvent::Delete { key, .. }) => {
                self.facts.delete(&key);
                Ok(())
            }
            Some(MirrorEvent::Disconnected { reason }) => {
                tracing::warn!(%reason, "store is away");
                Ok(())
            }
            Some(MirrorEvent::Resumed { .. }) | None => Ok(()),
        };
        if let Err(error) = taken {
            tracing::error!(error = %error, "record is ignored");
        }
    }

    async fn round(&mut self) -> Result<(), RunError> {
        let Some(mut modules) = self.modules.take() else {
            return Ok(());
        };
        self.facts.pass(self.started.elapsed());
        let mut facts = std::mem::take(&mut self.facts);
        // Modules compute for milliseconds: not on the event loop's thread.
        let round = tokio::task::spawn_blocking(move || {
            let writes = reconcile(&mut facts, &mut modules);
            (facts, modules, writes)
        });
        let (facts, modules, writes) = round.await?;
        self.facts = facts;
        self.modules = Some(modules);
        if let Err(error) = self.write(writes).await {
            tracing::warn!(%error, "write failed; reading the store anew");
            self.synced = false;
            self.mirror = self.client.watch_prefix(key::ROOT);
        }
        Ok(())
    }

    async fn write(&self, writes: Vec<Write>) -> Result<(), StoreError> {
        for write in writes {
            match write {
                Write::Put(key, value) => drop(self.client.put(&key, value).await?),
                Write::Delete(key) => drop(self.client.delete(&key).await?),
            }
        }
        Ok(())
    }
}
