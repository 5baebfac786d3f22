//! Everything that can happen to the agent. One task handles these, one by one.

use std::collections::{BTreeMap, BTreeSet};

use agent_api::agent::NodeState;
use model::{InterfaceRequest, NodeId, NodeName, ObjectName, PodRecord};
use render::{Key, LocalPod, Objects};
use store::client::MirrorEvent;
use tokio::sync::{mpsc, oneshot};

use crate::dataplane::Dump;

/// Events that may wait; who sends more waits too.
pub(crate) const QUEUE: usize = 1024;

pub(crate) type Events = mpsc::Sender<Event>;

/// The answer to a CNI request.
pub(crate) type Answer<T> = oneshot::Sender<Result<T, tonic::Status>>;

pub(crate) enum Event {
    /// The dataplane was read back: after a connection, or because [`crate::dataplane::Command::Resync`] asked.
    Synced(Box<Dump>),
    /// The dataplane does not answer any more. Nothing that was sent is known to have happened.
    DataplaneLost {
        reason: String,
    },
    /// A batch was carried out, but for these.
    Applied {
        batch: u64,
        failures: Vec<(Key, String)>,
        /// The dataplane's numbers of the interfaces that it made.
        numbers: BTreeMap<render::IfTag, u32>,
    },
    /// A link of ours went up or down.
    Link {
        tag: render::IfTag,
        is_up: bool,
    },
    /// News from one part of the store.
    Mirror {
        of: Mirrored,
        event: MirrorEvent,
    },
    /// The store holds our node number.
    Claimed(NodeId),
    /// It will not, for this reason; the claim is repeated.
    NoNumber(String),
    /// The uplink's link to the network went up or down.
    Carrier {
        is_up: bool,
    },
    /// Keys below our own prefixes in the store, read after a connection.
    Stored {
        keys: Vec<String>,
    },
    Add(Box<AddCall>),
    /// The Linux side of an attachment is done too: it is to be kept.
    Commit {
        attachment: Attached,
        answer: Answer<LocalPod>,
    },
    Del {
        attachment: Attached,
        answer: Answer<Vec<Removed>>,
    },
    Gc {
        keep: BTreeSet<Attached>,
        answer: Answer<Vec<Removed>>,
    },
    /// What an attachment should be.
    Inspect {
        attachment: Attached,
        answer: Answer<(LocalPod, Objects)>,
    },
    /// Answered when the chains that select the pod carry its packets here, or have had their time.
    Chained {
        attachment: Attached,
        answer: Answer<Vec<Elsewhere>>,
    },
    /// What Kubernetes says of a pod; answered when it is known, or need not or cannot be.
    PodRecord {
        pod: ObjectName,
        /// The runtime did not say what the record says too.
        is_needed: bool,
        answer: oneshot::Sender<Option<PodRecord>>,
    },
    Status {
        answer: Answer<()>,
    },
    Describe {
        answer: oneshot::Sender<NodeState>,
    },
    /// A delay asked for with [`crate::agent::Agent::poll_timeout`] is over.
    Timeout,
}

/// The parts of the store that the agent follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mirrored {
    Config,
    Nodes,
    Pods,
    Chains,
}

/// A container and the interface name of the CNI request.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Attached {
    pub(crate) container_id: String,
    pub(crate) ifname: String,
}

/// An ADD whose namespace is prepared.
pub(crate) struct AddCall {
    pub(crate) attachment: Attached,
    pub(crate) netns: String,
    pub(crate) pod: Option<ObjectName>,
    /// Absent while the pod's record is not known.
    pub(crate) labels: Option<BTreeMap<String, String>>,
    /// The default interface is not among them.
    pub(crate) extra: Vec<InterfaceRequest>,
    /// Answered when the dataplane has it all.
    pub(crate) answer: Answer<LocalPod>,
}

/// Other nodes that must have a chain, too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Elsewhere {
    pub(crate) chain: ObjectName,
    /// The version of the rendered chain, as the store counts.
    pub(crate) revision: i64,
    pub(crate) nodes: BTreeSet<NodeName>,
}

/// What is left to clean on the Linux side after a detachment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Removed {
    pub(crate) netns: String,
    /// Taps that the dataplane could not remove, being away.
    pub(crate) devices: Vec<String>,
    /// Host-side veths.
    pub(crate) veths: Vec<String>,
    /// The container has no attachment any more.
    pub(crate) pod_dir: Option<String>,
}

/// Reads a map from a mirror event's records.
pub(crate) fn decode_all<T: serde::de::DeserializeOwned>(
    snapshot: &[store::client::Kv],
) -> BTreeMap<String, T> {
    let mut map = BTreeMap::new();
    for kv in snapshot {
        match model::record::decode(&kv.key, &kv.value) {
            Ok(value) => {
                map.insert(kv.key.clone(), value);
            }
            Err(problem) => tracing::warn!(key = kv.key, %problem, "stored record is skipped"),
        }
    }
    map
}
