//! Picks for each hop the instance that works, is near, and serves the fewest hops.
//!
//! Configuration: `{"near": true, "moveAt": 2}`; both default to the values shown. An instance whose links are down
//! is never picked while another one is left. `near` prefers the node that packets come from. A hop stays with its
//! instance until that one serves `moveAt` hops more than the best: moving breaks the state of running flows.

use std::cmp::Reverse;

use serde::Deserialize;
use weft_sdk::prelude::*;
use weft_sdk::{log, metrics};

/// Picks by health, nearness and load.
#[derive(Debug, Default)]
pub struct LeastLoaded {
    config: Config,
}

#[derive(Debug, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct Config {
    near: bool,
    move_at: u32,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            near: true,
            move_at: 2,
        }
    }
}

impl Steering for LeastLoaded {
    fn configure(&mut self, config: &str) -> Result<(), Fault> {
        let config: Config = config::parse(config)?;
        if config.move_at == 0 {
            let message = "0 would move hops between equals without end";
            return Err(Fault::invalid("moveAt", message));
        }
        self.config = config;
        Ok(())
    }

    fn choose(&self, view: &HopView) -> Result<Choice, Fault> {
        let grade = |candidate: &Candidate| self.grade(view, candidate);
        // The first of equals by id: the same view gives the same answer.
        let best = view.candidates.iter().min_by_key(|c| grade(c));
        let Some(best) = best.filter(|best| best.health != Health::Down) else {
            return Ok(Choice::NoOpinion);
        };
        match view.current() {
            Some(current) if !self.is_worth_moving(view, current, best) => {
                Ok(Choice::One(current.id.clone()))
            }
            current => {
                tell(view, current, best);
                Ok(Choice::One(best.id.clone()))
            }
        }
    }
}

impl LeastLoaded {
    /// The lower the better.
    fn grade(&self, view: &HopView, candidate: &Candidate) -> (bool, Reverse<bool>, u32) {
        (
            candidate.health == Health::Down,
            Reverse(self.is_near(view, candidate)),
            candidate.hops_served,
        )
    }

    fn is_near(&self, view: &HopView, candidate: &Candidate) -> bool {
        self.config.near && view.node_before() == Some(&candidate.node)
    }

    fn is_worth_moving(&self, view: &HopView, current: &Candidate, best: &Candidate) -> bool {
        let nearer = self.is_near(view, best) && !self.is_near(view, current);
        let lighter = current.hops_served >= best.hops_served.saturating_add(self.config.move_at);
        let as_near = self.is_near(view, best) == self.is_near(view, current);
        current.health == Health::Down || nearer || (as_near && lighter)
    }
}

/// Counts the pick where the operator grants metrics; a module that asked for them does not load elsewhere.
fn tell(view: &HopView, from: Option<&Candidate>, to: &Candidate) {
    let kind = if from.is_some() { "moved" } else { "placed" };
    let labels = [("hop", view.hop_name()), ("kind", kind)];
    if let Err(error) = metrics::counter_add("picks_total", &labels, 1) {
        log::warn(&format!("pick is not counted: {error}"));
    }
    let from = from.map_or("nowhere", |candidate| &candidate.id);
    let chain = format!("{}/{}", view.chain.namespace, view.chain.name);
    let fields = [("chain", chain.as_str()), ("from", from), ("to", &to.id)];
    log::emit(log::Level::Info, "hop is placed", &fields);
}

weft_sdk::export_steering!(LeastLoaded);

#[cfg(test)]
mod tests;
