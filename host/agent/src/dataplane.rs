//! The way to the dataplane: batches of operations in, outcomes and read-backs out as events.

mod apply;
mod convert;
mod dump;
mod vpp;

use std::collections::{BTreeMap, BTreeSet};

use render::{AclTag, Device, IfTag, Objects, Op};
use tokio::sync::{mpsc, oneshot};

pub(crate) use vpp::spawn;

/// Batches that may wait for the dataplane.
const QUEUE: usize = 1024;

/// What the dataplane is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Dump {
    pub(crate) objects: Objects,
    pub(crate) links_up: BTreeSet<IfTag>,
    /// Interfaces without a tag: perhaps ours, made just before an agent died.
    pub(crate) untagged: Vec<Device>,
    /// Names that the dataplane gave, for people.
    pub(crate) names: BTreeMap<IfTag, String>,
    /// Its numbers, for its statistics.
    pub(crate) numbers: BTreeMap<IfTag, u32>,
}

pub(crate) enum Command {
    /// Carried out in order; answered with [`crate::event::Event::Applied`].
    Apply { batch: u64, ops: Vec<Op> },
    /// Answered with [`crate::event::Event::Synced`].
    Resync,
    /// A read-back for a question, not for the agent's state.
    Look {
        answer: oneshot::Sender<Result<Dump, String>>,
    },
}

/// A handle to the task that talks to the dataplane.
#[derive(Clone)]
pub(crate) struct Dataplane {
    commands: mpsc::Sender<Command>,
}

impl Dataplane {
    pub(crate) fn new() -> (Self, mpsc::Receiver<Command>) {
        let (commands, receiver) = mpsc::channel(QUEUE);
        (Self { commands }, receiver)
    }

    /// Queues a command. The task ends with the agent only, so a failure has no one to matter to.
    pub(crate) async fn send(&self, command: Command) {
        let _ = self.commands.send(command).await;
    }

    /// Reads back what is there now.
    pub(crate) async fn look(&self) -> Result<Dump, String> {
        let (answer, receiver) = oneshot::channel();
        self.send(Command::Look { answer }).await;
        receiver
            .await
            .unwrap_or_else(|_| Err("the agent is ending".to_owned()))
    }
}

/// How the dataplane numbers what we name.
#[derive(Debug, Default)]
struct Indices {
    interfaces: BTreeMap<IfTag, u32>,
    acls: BTreeMap<AclTag, u32>,
    untagged: Vec<(Device, u32)>,
}

impl Indices {
    fn tag_of(&self, index: u32) -> Option<&IfTag> {
        self.interfaces
            .iter()
            .find(|(_, i)| **i == index)
            .map(|(tag, _)| tag)
    }
}
