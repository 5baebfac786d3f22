//! What this node tells and asks about the progress of chains: which stored version is in its dataplane.

use std::collections::BTreeSet;

use model::{AppliedChain, Key, NodeName, ObjectName, RenderedChain};
use render::Part;

use super::Agent;
use crate::event::Elsewhere;

impl Agent {
    /// A chain was stored at `revision`; to be acknowledged when it is applied.
    pub(super) fn chain_stored(&mut self, chain: &ObjectName, revision: i64) {
        self.revisions.insert(chain.clone(), revision);
        self.unacknowledged.insert(chain.clone());
    }

    pub(super) fn chain_deleted(&mut self, chain: &ObjectName) {
        self.unacknowledged.remove(chain);
        if self.revisions.remove(chain).is_some() {
            self.outbox.delete(self.place(chain).to_string());
        }
    }

    /// All that this store knows is to be said again.
    pub(super) fn acknowledge_anew(&mut self) {
        self.unacknowledged = self.revisions.keys().cloned().collect();
    }

    /// Says which chains have got into the dataplane since the last time.
    pub(super) fn acknowledge(&mut self) {
        for chain in std::mem::take(&mut self.unacknowledged) {
            let (Some(rendered), Some(revision)) =
                (self.chains.get(&chain), self.revisions.get(&chain).copied())
            else {
                continue;
            };
            if !participants(rendered).contains(&self.facts.node) {
                continue;
            }
            if self.id.is_some() && self.is_applied(&Part::Chain(chain.clone())) {
                self.outbox
                    .put(&self.place(&chain), &AppliedChain { revision });
            } else {
                self.unacknowledged.insert(chain);
            }
        }
    }

    fn place(&self, chain: &ObjectName) -> Key {
        let (node, chain) = (self.facts.node.clone(), chain.clone());
        Key::AppliedChain { node, chain }
    }

    /// Who else has to have `chain` for packets to pass it.
    pub(super) fn elsewhere(&self, chain: &ObjectName) -> Option<Elsewhere> {
        let mut nodes = participants(self.chains.get(chain)?);
        nodes.remove(&self.facts.node);
        let revision = *self.revisions.get(chain)?;
        let chain = chain.clone();
        (!nodes.is_empty()).then_some(Elsewhere {
            chain,
            revision,
            nodes,
        })
    }

    /// Whether the record of this node's progress is one that it stands behind.
    pub(super) fn is_acknowledged(&self, chain: &ObjectName) -> bool {
        self.revisions.contains_key(chain)
    }
}

/// The nodes of a chain's hops and ends.
fn participants(chain: &RenderedChain) -> BTreeSet<NodeName> {
    let hops = chain.hops.iter().map(|hop| hop.node.clone());
    let ends = chain.entries.iter().chain(&chain.exits);
    hops.chain(ends.map(|end| end.node.clone())).collect()
}
