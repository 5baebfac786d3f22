//! What the controller knows of the cluster: the store's records, by name.

use std::collections::BTreeMap;
use std::time::Duration;

use model::record::{self, RecordError};
use model::{
    Attachment, ChainSpec, ChainStatus, ClusterConfig, HopState, Key, NodeName, NodeRecord,
    ObjectName, PodRecord, RenderedChain,
};
use serde::de::DeserializeOwned;

/// Mirror of the store. Records that cannot be read are left out and reported by [`Facts::put`].
#[derive(Clone, Debug, Default)]
pub struct Facts {
    pub config: Option<ClusterConfig>,
    pub nodes: BTreeMap<NodeName, NodeRecord>,
    pub pods: BTreeMap<ObjectName, PodRecord>,
    pub attachments: BTreeMap<ObjectName, Attachment>,
    pub chains: BTreeMap<ObjectName, ChainSpec>,
    pub rendered: BTreeMap<ObjectName, RenderedChain>,
    pub status: BTreeMap<ObjectName, ChainStatus>,
    /// By chain, hop name and node.
    pub hop_states: BTreeMap<(ObjectName, String, NodeName), HopState>,
    /// Pods that lost a hop because their links were down. Not in the store.
    pub(crate) left_down: BTreeMap<ObjectName, LeftDown>,
    /// Since the controller started; see [`Facts::pass`].
    pub(crate) now: Duration,
}

/// When a pod that was left because it was down is tried again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct LeftDown {
    /// The container of that time; another one is not held to it.
    pub(crate) container: String,
    /// It counts as down until then.
    pub(crate) until: Duration,
    /// How long it was made to wait.
    pub(crate) wait: Duration,
}

impl Facts {
    /// Takes one record in. A key that is not ours is ignored.
    ///
    /// # Errors
    /// [`RecordError`]; the record's former value is kept.
    pub fn put(&mut self, key: &str, value: &[u8]) -> Result<(), RecordError> {
        fn into<K: Ord, V: DeserializeOwned>(
            map: &mut BTreeMap<K, V>,
            at: K,
            key: &str,
            value: &[u8],
        ) -> Result<(), RecordError> {
            map.insert(at, record::decode(key, value)?);
            Ok(())
        }
        match Key::parse(key) {
            Some(Key::Config) => {
                self.config = Some(record::decode(key, value)?);
                Ok(())
            }
            Some(Key::Node(name)) => into(&mut self.nodes, name, key, value),
            Some(Key::Pod(name)) => into(&mut self.pods, name, key, value),
            Some(Key::Attachment(name)) => into(&mut self.attachments, name, key, value),
            Some(Key::Chain(name)) => into(&mut self.chains, name, key, value),
            Some(Key::RenderedChain(name)) => into(&mut self.rendered, name, key, value),
            Some(Key::ChainStatus(name)) => into(&mut self.status, name, key, value),
            Some(Key::HopState { node, chain, hop }) => {
                into(&mut self.hop_states, (chain, hop, node), key, value)
            }
            Some(Key::NodeId(_) | Key::AppliedChain { .. }) | None => Ok(()),
        }
    }

    /// Forgets one record.
    pub fn delete(&mut self, key: &str) {
        match Key::parse(key) {
            Some(Key::Config) => self.config = None,
            Some(Key::Node(name)) => drop(self.nodes.remove(&name)),
            Some(Key::Pod(name)) => drop(self.pods.remove(&name)),
            Some(Key::Attachment(name)) => drop(self.attachments.remove(&name)),
            Some(Key::Chain(name)) => drop(self.chains.remove(&name)),
            Some(Key::RenderedChain(name)) => drop(self.rendered.remove(&name)),
            Some(Key::ChainStatus(name)) => drop(self.status.remove(&name)),
            Some(Key::HopState { node, chain, hop }) => {
                self.hop_states.remove(&(chain, hop, node));
            }
            Some(Key::NodeId(_) | Key::AppliedChain { .. }) | None => {}
        }
    }
}
