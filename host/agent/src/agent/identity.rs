//! Who the node is: its number, the address plan that follows from it, and what speaks against both.

use model::{ClusterConfig, NodeId};
use tonic::Status;

use super::{Agent, Link};

/// Why a node that works serves no ADD. What is attached already is left alone.
#[derive(Debug, Default)]
pub(super) struct Refusals {
    /// Its number is another node's.
    number: Option<String>,
    /// The store's configuration is another than the one that the node runs with.
    config: Option<String>,
}

impl Refusals {
    pub(super) fn reasons(&self) -> impl Iterator<Item = &String> {
        self.number.iter().chain(&self.config)
    }
}

impl Agent {
    /// Whether ADD can be served.
    pub(super) fn ready(&self) -> Result<NodeId, Status> {
        if let Some(reason) = self.refusals.reasons().next() {
            return Err(Status::failed_precondition(reason.clone()));
        }
        if self.link == Link::Down {
            let problem = "the dataplane is not connected; hint: is weft-vswitch or VPP running?";
            return Err(Status::unavailable(problem));
        }
        let unnumbered = "the node has no number yet; hint: is the store running?";
        self.id.ok_or_else(|| Status::unavailable(unnumbered))
    }

    /// The store says which number is ours.
    pub(super) fn claimed(&mut self, id: NodeId) {
        if self.refusals.number.take().is_some() {
            tracing::info!(%id, "the node's number is its own again");
        }
        self.become_node(id);
    }

    pub(super) fn no_number(&mut self, reason: String) {
        if self.refusals.number.as_ref() != Some(&reason) {
            tracing::error!(reason, "the node has no number of its own");
        }
        self.refusals.number = Some(reason);
    }

    /// The store's configuration; a node keeps the one that it started with.
    pub(super) fn config_stored(&mut self, stored: Option<&ClusterConfig>) {
        let conflict = stored.and_then(|stored| self.facts.cluster.conflict(stored));
        let reason = conflict.map(|what| {
            format!(
                "the node's cluster configuration is not the store's ({what}); hint: correct `cluster` in the agent's file or the store, and start the agent again"
            )
        });
        match &reason {
            Some(reason) if self.refusals.config.as_ref() != Some(reason) => {
                tracing::error!(reason, "configuration conflict");
            }
            None if self.refusals.config.is_some() => tracing::info!("no configuration conflict"),
            Some(_) | None => {}
        }
        self.refusals.config = reason;
    }

    /// The stored configuration cannot be read, say because its writer is newer.
    pub(super) fn config_unreadable(&mut self, problem: &model::record::RecordError) {
        let mut reason = format!("the cluster's configuration is refused: {problem}");
        if let Some(source) = std::error::Error::source(problem) {
            reason = format!("{reason}: {source}");
        }
        tracing::error!(reason, "configuration conflict");
        self.refusals.config = Some(reason);
    }

    /// Addresses of the node follow from its number.
    pub(super) fn become_node(&mut self, id: NodeId) {
        if self.id == Some(id) {
            return;
        }
        let net = match self.facts.cluster.node_pod_cidr(id) {
            Ok(net) => net,
            Err(problem) => {
                tracing::error!(%id, %problem, "the node's number is of no use");
                return;
            }
        };
        tracing::info!(%id, %net, "node number");
        let mut pool = render::ipam::Pool::new(net);
        let interfaces = self.facts.pods.values().flat_map(|p| &p.interfaces);
        for address in interfaces.flat_map(|i| &i.addresses) {
            pool.adopt(*address);
        }
        self.pool = Some(pool);
        self.id = Some(id);
        self.facts.id = id;
        if let Err(problem) = self.journal.set_node_id(id) {
            tracing::error!(%problem, "the node number is not kept");
        }
        self.publish_node();
        self.touch_all();
    }
}
