//! One round: every chain is classified and planned, and what differs from the store is written.

use model::record;
use model::{ChainSpec, Key, ObjectName, RenderedChain};

use crate::classify::Classify;
use crate::facts::Facts;
use crate::plan::{self, Picks};
use crate::status::{Round, status};
use crate::steer::{self, Steer};

/// A change to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Write {
    Put(String, Vec<u8>),
    Delete(String),
}

/// Decides the writes of this round. `facts` takes the new records in as if they were written, so
/// that chains of one round do not claim the same numbers; when a write fails, the caller reads the
/// store anew.
pub(crate) fn reconcile(facts: &mut Facts, modules: &mut (impl Classify + Steer)) -> Vec<Write> {
    let mut writes = Vec::new();
    remove_orphans(facts, &mut writes);
    let chains: Vec<(ObjectName, ChainSpec)> = facts
        .chains
        .iter()
        .map(|(n, s)| (n.clone(), s.clone()))
        .collect();
    for (chain, spec) in &chains {
        one(chain, spec, facts, modules, &mut writes);
    }
    modules.forget(|chain| !facts.chains.contains_key(chain));
    writes
}

fn remove_orphans(facts: &mut Facts, writes: &mut Vec<Write>) {
    let Facts {
        chains,
        rendered,
        status,
        ..
    } = facts;
    rendered.retain(|name, _| {
        keep(
            chains.contains_key(name),
            &Key::RenderedChain(name.clone()),
            writes,
        )
    });
    status.retain(|name, _| {
        keep(
            chains.contains_key(name),
            &Key::ChainStatus(name.clone()),
            writes,
        )
    });
}

fn keep(wanted: bool, key: &Key, writes: &mut Vec<Write>) -> bool {
    if !wanted {
        writes.push(Write::Delete(key.to_string()));
    }
    wanted
}

fn one(
    chain: &ObjectName,
    spec: &ChainSpec,
    facts: &mut Facts,
    modules: &mut (impl Classify + Steer),
    writes: &mut Vec<Write>,
) {
    let answer = modules.classify(chain, spec, facts);
    let fault = answer.as_ref().err();
    if let Some(fault) = fault {
        tracing::warn!(%chain, reason = fault.reason(), "{fault}");
    }
    // The last good rules live in the rendered chain, so they survive a restart of the controller.
    let rules = match &answer {
        Ok(rules) => Some(rules.clone()),
        Err(_) => facts.rendered.get(chain).map(|r| r.rules.clone()),
    };
    // The last good choice lives there, too.
    let (picks, lost) = match &rules {
        Some(_) => steer::picks(chain, spec, facts, modules),
        None => (Picks::new(), None),
    };
    if let Some(lost) = &lost {
        tracing::warn!(%chain, reason = lost.reason(), "{lost}");
    }
    let unready = rules.and_then(|rules| {
        let planned = plan::plan(chain, spec, &rules, &picks, facts);
        planned.map(|next| render(next, facts, writes)).err()
    });
    if let Some(unready) = &unready {
        tracing::info!(%chain, reason = unready.reason(), "{unready}");
    }
    let round = Round {
        classified: fault,
        steered: lost.as_ref(),
        unready: unready.as_ref(),
        metrics: modules.figures(spec),
    };
    let status = status(chain, spec, facts, round);
    if facts.status.get(chain) != Some(&status) {
        put(&Key::ChainStatus(chain.clone()), &status, writes);
        facts.status.insert(chain.clone(), status);
    }
}

fn render(next: RenderedChain, facts: &mut Facts, writes: &mut Vec<Write>) {
    let chain = next.chain.clone();
    let former = facts.rendered.get(&chain).cloned();
    if former.as_ref() == Some(&next) {
        return;
    }
    if let Some(former) = &former {
        facts.rewired(former, &next);
    }
    put(&Key::RenderedChain(chain.clone()), &next, writes);
    facts.rendered.insert(chain, next);
}

fn put<T: serde::Serialize>(key: &Key, value: &T, writes: &mut Vec<Write>) {
    let key = key.to_string();
    match record::encode(&key, value) {
        Ok(bytes) => writes.push(Write::Put(key, bytes)),
        Err(error) => tracing::error!(%error, "record is not written"),
    }
}

#[cfg(test)]
mod tests;
