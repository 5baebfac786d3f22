//! The last wait of an ADD: until the chains that select the pod carry its packets.
//!
//! Where this node has an end of the chain, the ADD's own batch already steers the pod. What is waited
//! for is the controller: it tells the other nodes, and it alone can give this node a first end.

use std::time::Duration;

use model::ObjectName;
use render::chain::{Cover, cover, fails_closed};
use render::{LocalPod, Op, Part};
use tokio::time::Instant;
use tonic::Status;

use super::Agent;
use crate::event::{Answer, Attached, Elsewhere};

/// How long the controller has to name a pod that is steered here already.
const CONFIRM: Duration = Duration::from_secs(2);
/// How long it has to give this node a first end of a chain.
const FIRST_END: Duration = Duration::from_secs(10);

/// An ADD that waits.
pub(super) struct Chained {
    attachment: Attached,
    since: Instant,
    answer: Answer<Vec<Elsewhere>>,
}

/// A chain that selects a pod, and how far it has got.
struct Selected {
    chain: ObjectName,
    cover: Cover,
    /// What this node should have for it is there.
    is_applied: bool,
}

impl Selected {
    const fn is_done(&self) -> bool {
        matches!(self.cover, Cover::Named) && self.is_applied
    }

    const fn patience(&self) -> Duration {
        match self.cover {
            Cover::NoEnd => FIRST_END,
            Cover::Here | Cover::Named => CONFIRM,
        }
    }
}

impl Agent {
    pub(super) fn await_chains(&mut self, attachment: Attached, answer: Answer<Vec<Elsewhere>>) {
        let since = Instant::now();
        self.chained.push(Chained {
            attachment,
            since,
            answer,
        });
    }

    /// When the first of the waiting ADDs has waited long enough.
    pub(super) fn chained_until(&self) -> Option<Instant> {
        let ends = self.chained.iter().filter_map(|waiting| {
            let pod = self.pod_of(&waiting.attachment).ok()?;
            let open = self.selected(&pod).into_iter().filter(|s| !s.is_done());
            open.map(|s| waiting.since + s.patience()).min()
        });
        ends.min()
    }

    /// Answers those whose wait is over.
    pub(super) fn answer_chained(&mut self) {
        for waiting in std::mem::take(&mut self.chained) {
            match self.verdict(&waiting) {
                Some(verdict) => drop(waiting.answer.send(verdict)),
                None => self.chained.push(waiting),
            }
        }
    }

    /// `None`: go on waiting.
    fn verdict(&self, waiting: &Chained) -> Option<Result<Vec<Elsewhere>, Status>> {
        let pod = match self.pod_of(&waiting.attachment) {
            Ok(pod) => pod,
            Err(gone) => return Some(Err(gone)),
        };
        let (done, open): (Vec<_>, Vec<_>) =
            self.selected(&pod).into_iter().partition(Selected::is_done);
        let waited = waiting.since.elapsed();
        let may_wait = |s: &Selected| self.is_store_up && waited < s.patience();
        if open.iter().any(may_wait) {
            return None;
        }
        for selected in &open {
            let chain = &selected.chain;
            if selected.cover == Cover::NoEnd && self.chains.get(chain).is_some_and(fails_closed) {
                let problem = format!(
                    "chain `{chain}` selects the pod and has no end on this node, and a hop of it fails closed; hint: are store and `weft controller` running?"
                );
                return Some(Err(Status::unavailable(problem)));
            }
            tracing::warn!(
                %chain, cover = ?selected.cover, container = waiting.attachment.container_id,
                "the controller has not named the pod; it is attached all the same"
            );
        }
        let others = done.iter().filter_map(|s| self.elsewhere(&s.chain));
        Some(Ok(others.collect()))
    }

    fn selected(&self, pod: &LocalPod) -> Vec<Selected> {
        let chains = self.chains.iter();
        let selecting = chains.filter_map(|(name, chain)| {
            let cover = cover(&self.facts, chain, pod)?;
            let is_applied = self.is_applied(&Part::Chain(name.clone()));
            let chain = name.clone();
            Some(Selected {
                chain,
                cover,
                is_applied,
            })
        });
        selecting.collect()
    }

    /// The dataplane has acknowledged all objects of a part.
    pub(super) fn is_applied(&self, part: &Part) -> bool {
        let keys = self.plan.keys_of(part);
        let desired = self.plan.objects();
        let is_here = keys
            .iter()
            .all(|key| self.observed.get(key) == desired.get(key));
        let mut under_way = self.in_flight.values().flat_map(|batch| &batch.ops);
        is_here && !under_way.any(|op: &Op| keys.contains(op.key()))
    }
}
