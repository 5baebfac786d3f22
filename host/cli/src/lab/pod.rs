//! The kubelet of the lab: one task per pod, from its namespace to its removal.
//!
//! The order is the kubelet's: namespace, CNI ADD by the real plugin, then the container; at the end
//! the container, CNI DEL, the namespace. ADD that fails is undone with DEL and tried again.

mod cni;
mod sandbox;

use std::path::PathBuf;
use std::sync::Arc;

use model::ObjectName;
use parking_lot::Mutex;
use runtime::netns::Netns;
use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, sleep_until};

use super::backoff::Backoff;
use super::container::Container;
use super::layout::NodeLayout;
use super::process::{Order, ProcessState, Supervised};
pub(super) use cni::Plugin;
pub(super) use sandbox::search_path;

/// Everything that does not change in the life of a pod.
#[derive(Clone, Debug)]
pub(super) struct PodSetup {
    pub(super) name: ObjectName,
    pub(super) uid: String,
    /// Unique among all pods that the lab ever had.
    pub(super) container_id: String,
    pub(super) node: NodeLayout,
    pub(super) annotations: std::collections::BTreeMap<String, String>,
    pub(super) container: Container,
    pub(super) plugin: Plugin,
    pub(super) log: PathBuf,
}

/// A pod as `kubectl get pod` would tell it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PodState {
    pub(crate) phase: Phase,
    /// Why it is not running, when somebody said so.
    pub(crate) reason: String,
    pub(crate) addresses: Vec<String>,
    pub(crate) process: ProcessState,
    pub(crate) node: String,
    /// The pod's directory on its node, mounted at `/run/weft`.
    pub(crate) directory: PathBuf,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Phase {
    #[default]
    Pending,
    Running,
    Terminating,
}

/// The way to talk to a pod's task.
#[derive(Debug)]
pub(super) struct PodHandle {
    shared: Arc<Shared>,
    orders: mpsc::Sender<Order>,
}

#[derive(Debug, Default)]
struct Shared {
    state: Mutex<PodState>,
    process: Mutex<Option<Supervised>>,
}

impl PodHandle {
    pub(super) fn start(setup: PodSetup) -> Self {
        let state = PodState {
            node: setup.node.name.as_str().to_owned(),
            directory: setup.directory(),
            ..PodState::default()
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            process: Mutex::default(),
        });
        let (orders, inbox) = mpsc::channel(8);
        tokio::spawn(
            Task {
                setup,
                shared: Arc::clone(&shared),
                inbox,
            }
            .run(),
        );
        Self { shared, orders }
    }

    pub(super) fn state(&self) -> PodState {
        let mut state = self.shared.state.lock().clone();
        if let Some(process) = self.shared.process.lock().as_ref() {
            state.process = process.state();
            if state.phase == Phase::Running && state.process.pid.is_none() {
                state.reason = state.process.last_end.clone().unwrap_or_default();
            }
        }
        state
    }

    pub(super) async fn order(&self, order: Order) {
        let _ = self.orders.send(order).await;
    }
}

impl PodSetup {
    fn directory(&self) -> PathBuf {
        self.node.pod_dir().join(&self.container_id)
    }

    fn netns_name(&self) -> String {
        format!("cni-{}", self.uid)
    }
}

/// Who waits for the pod's end, if anybody.
type Done = Option<oneshot::Sender<()>>;

struct Task {
    setup: PodSetup,
    shared: Arc<Shared>,
    inbox: mpsc::Receiver<Order>,
}

impl Task {
    async fn run(mut self) {
        let mut backoff = Backoff::default();
        loop {
            let began = Instant::now();
            match self.attach().await {
                Ok((netns, addresses)) => return self.serve(netns, addresses).await,
                Err(error) => self.pending(&error),
            }
            let again = Instant::now() + backoff.after(began.elapsed());
            if let Some(done) = self.terminated_before(again).await {
                return self.finish(done).await;
            }
        }
    }

    /// Waits until `deadline`; the answer is what wants to hear of the pod's end, if it must end.
    async fn terminated_before(&mut self, deadline: Instant) -> Option<Done> {
        loop {
            tokio::select! {
                () = sleep_until(deadline) => return None,
                order = self.inbox.recv() => match order {
                    Some(Order::Terminate(done)) => return Some(Some(done)),
                    None => return Some(None),
                    Some(Order::Kill | Order::Hold | Order::Start) => {}
                },
            }
        }
    }

    async fn attach(&self) -> anyhow::Result<(Netns, Vec<String>)> {
        let netns = sandbox::network(&self.setup.netns_name()).await?;
        let added = self.setup.plugin.add(&self.setup).await;
        match added {
            Ok(addresses) => Ok((netns, addresses)),
            Err(error) => {
                if let Err(undo) = self.setup.plugin.del(&self.setup).await {
                    tracing::warn!(pod = %self.setup.name, error = format!("{undo:#}"), "cannot undo");
                }
                Netns::remove(&self.setup.netns_name())?;
                Err(error)
            }
        }
    }

    async fn serve(mut self, netns: Netns, addresses: Vec<String>) {
        let setup = self.setup.clone();
        let address = addresses
            .first()
            .and_then(|a| a.split('/').next()?.parse().ok());
        let process = Supervised::start(self.setup.name.to_string(), move || {
            sandbox::start_container(&setup, &netns, address)
        });
        *self.shared.process.lock() = Some(process.clone());
        {
            let mut state = self.shared.state.lock();
            state.phase = Phase::Running;
            state.reason = String::new();
            state.addresses = addresses;
        }
        loop {
            match self.inbox.recv().await {
                Some(Order::Terminate(done)) => {
                    self.shared.state.lock().phase = Phase::Terminating;
                    process.terminate().await;
                    self.finish(Some(done)).await;
                    return;
                }
                Some(order) => process.order(order).await,
                None => return,
            }
        }
    }

    fn pending(&self, error: &anyhow::Error) {
        tracing::warn!(pod = %self.setup.name, error = format!("{error:#}"), "not attached");
        self.shared.state.lock().reason = format!("{error:#}");
    }

    /// DEL and the namespace's end; every step is tried, whatever became of the others.
    async fn finish(&self, done: Done) {
        if let Err(error) = self.setup.plugin.del(&self.setup).await {
            tracing::warn!(pod = %self.setup.name, error = format!("{error:#}"), "cannot detach");
        }
        if let Err(error) = Netns::remove(&self.setup.netns_name()) {
            tracing::warn!(pod = %self.setup.name, %error, "cannot remove the namespace");
        }
        if let Some(done) = done {
            let _ = done.send(());
        }
    }
}
