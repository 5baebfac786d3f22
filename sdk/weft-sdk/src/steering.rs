//! The trait that picks instances, the picture it sees and the choice it answers with.

use serde::{Deserialize, Serialize};

use crate::Fault;
use crate::classifier::{Chain, Endpoint};

/// Decides which pod serves a hop for which there are several.
pub trait Steering {
    /// Takes the configuration, a JSON document (`null` if there is none).
    ///
    /// # Errors
    /// A [`Fault`] that the operator can act on; [`crate::config::parse`] makes one from a bad document.
    fn configure(&mut self, config: &str) -> Result<(), Fault>;

    /// Picks for one hop. Moving a hop breaks the state of running flows: keep [`HopView::current`] unless there
    /// is a reason.
    ///
    /// # Errors
    /// A [`Fault`]; the choice in force stays.
    fn choose(&self, view: &HopView) -> Result<Choice, Fault>;
}

/// A hop of one chain and the pods that could serve it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HopView {
    /// Grows with every change of the chain's specification.
    pub revision: u64,
    /// Hops before this one carry the node chosen in this round, hops behind it the one in force.
    pub chain: Chain,
    /// Index in `chain.hops`.
    pub hop: usize,
    /// Where traffic comes from.
    pub sources: Vec<Endpoint>,
    /// Where it goes to, if the chain says so.
    pub destinations: Option<Vec<Endpoint>>,
    /// Two or more, sorted by id; each is attached and has the hop's interfaces.
    pub candidates: Vec<Candidate>,
    /// The candidate that serves the hop now, if one does.
    pub current: Option<String>,
}

impl HopView {
    /// The hop's name.
    #[must_use]
    pub fn hop_name(&self) -> &str {
        self.chain.hops.get(self.hop).map_or("", |hop| &hop.name)
    }

    /// The candidate that serves the hop now, if one does.
    #[must_use]
    pub fn current(&self) -> Option<&Candidate> {
        let current = self.current.as_deref()?;
        self.candidates.iter().find(|c| c.id == current)
    }

    /// The node that packets of this hop come from: that of the hop before, or of the sources if they share one.
    #[must_use]
    pub fn node_before(&self) -> Option<&str> {
        match self.hop.checked_sub(1) {
            Some(before) => self.chain.hops.get(before)?.node.as_deref(),
            None => {
                let (first, rest) = self.sources.split_first()?;
                let same = rest.iter().all(|source| source.node == first.node);
                same.then_some(first.node.as_str())
            }
        }
    }
}

/// A pod that could serve the hop.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Candidate {
    /// Names it in the answer.
    pub id: String,
    /// Kubernetes node it runs on.
    pub node: String,
    /// What is known of its links.
    pub health: Health,
    /// Hops it serves beside this one, in all chains.
    pub hops_served: u32,
    /// Its labels.
    pub labels: Vec<(String, String)>,
}

/// What the agent on a candidate's node last saw of its links.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Health {
    /// It serves no hop, so nobody looked.
    #[default]
    Unknown,
    /// Its links carry packets.
    Up,
    /// One of them does not.
    Down,
    /// A state of a later contract.
    Other(String),
}

/// Who serves the hop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Choice {
    /// The host picks as it does without a module.
    NoOpinion,
    /// This candidate.
    One(String),
    /// One of these, drawn with these odds. The draw depends on the names of chain, hop and candidates only, so
    /// many chains together follow the weights and each stays where it is.
    Weighted(Vec<Share>),
}

/// A candidate's odds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Share {
    /// Its id.
    pub instance: String,
    /// Not zero.
    pub weight: u32,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Hop;

    #[test]
    fn packets_come_from_the_hop_before_or_from_the_sources_if_they_share_a_node() {
        let endpoint = |node: &str| Endpoint {
            node: node.into(),
            ..Endpoint::default()
        };
        let hop = |node: &str| Hop {
            node: Some(node.into()),
            ..Hop::default()
        };
        let mut view = HopView {
            sources: vec![endpoint("n1"), endpoint("n1")],
            ..HopView::default()
        };
        view.chain.hops = vec![hop("n2"), hop("n3")];
        assert_eq!(view.node_before(), Some("n1"));
        view.hop = 1;
        assert_eq!(view.node_before(), Some("n2"));
        view.hop = 0;
        view.sources.push(endpoint("n2"));
        assert_eq!(view.node_before(), None);
        view.sources.clear();
        assert_eq!(view.node_before(), None);
    }
}
