//! What people are told about a chain.

use model::rendered::{Condition, HopStatus};
use model::{ChainSpec, ChainStatus, FlowAction, FlowMatch, FlowRule, ObjectName, PortRange};

use crate::facts::Facts;
use crate::modules::ModuleError;
use crate::plan::Unready;

/// What one round found out about a chain beside the facts.
pub(crate) struct Round<'a> {
    pub(crate) classified: Option<&'a ModuleError>,
    pub(crate) steered: Option<&'a ModuleError>,
    pub(crate) unready: Option<&'a Unready>,
    pub(crate) metrics: Vec<String>,
}

/// The status of `chain` after one round.
pub(crate) fn status(
    chain: &ObjectName,
    spec: &ChainSpec,
    facts: &Facts,
    round: Round<'_>,
) -> ChainStatus {
    let rendered = facts.rendered.get(chain);
    let hops: Vec<HopStatus> = spec
        .hops
        .iter()
        .map(|hop| {
            let bound = rendered.and_then(|r| r.hops.iter().find(|h| h.name == hop.name));
            let state = bound.and_then(|h| {
                facts
                    .hop_states
                    .get(&(chain.clone(), h.name.clone(), h.node.clone()))
                    .copied()
            });
            HopStatus {
                name: hop.name.clone(),
                pod: bound.map(|h| h.pod.clone()),
                node: bound.map(|h| h.node.clone()),
                state,
            }
        })
        .collect();
    let steered = spec.steering.as_ref();
    let steered = steered.map(|_| steered_condition(round.steered, rendered.is_some()));
    let first = classified_condition(round.classified, rendered.is_some());
    let conditions = std::iter::once(first).chain(steered).chain([
        rendered_condition(round.unready, rendered.is_some()),
        ready_condition(&hops, rendered.is_some()),
    ]);
    ChainStatus {
        observed_generation: spec.generation,
        conditions: conditions.collect(),
        metrics: round.metrics,
        hops,
        rules: rendered
            .map(|r| r.rules.iter().map(in_words).collect())
            .unwrap_or_default(),
    }
}

fn condition(kind: &str, status: bool, reason: &str, message: String) -> Condition {
    Condition {
        kind: kind.to_owned(),
        status,
        reason: reason.to_owned(),
        message,
    }
}

fn steered_condition(error: Option<&ModuleError>, chosen: bool) -> Condition {
    match error {
        None => condition("Steered", true, "ChoiceAccepted", String::new()),
        Some(error) => {
            let rest = if chosen {
                "; the last good choice stays in force"
            } else {
                "; the first candidate by name serves"
            };
            condition("Steered", false, error.reason(), format!("{error}{rest}"))
        }
    }
}

fn classified_condition(error: Option<&ModuleError>, has_rules: bool) -> Condition {
    match error {
        None => condition("Classified", true, "RulesAccepted", String::new()),
        Some(error) => {
            let rest = if has_rules {
                "; the last good rules stay in force"
            } else {
                "; no rules yet, traffic goes straight"
            };
            condition(
                "Classified",
                false,
                error.reason(),
                format!("{error}{rest}"),
            )
        }
    }
}

fn rendered_condition(unready: Option<&Unready>, rendered: bool) -> Condition {
    match unready {
        Some(why) => {
            let rest = if rendered {
                "; the former wiring stays in force"
            } else {
                ""
            };
            condition("Rendered", false, why.reason(), format!("{why}{rest}"))
        }
        None if rendered => condition("Rendered", true, "Rendered", String::new()),
        None => condition(
            "Rendered",
            false,
            "NotClassified",
            "waiting for rules".to_owned(),
        ),
    }
}

fn ready_condition(hops: &[HopStatus], rendered: bool) -> Condition {
    let down: Vec<&str> = hops
        .iter()
        .filter(|h| !h.state.is_some_and(|s| s.is_up()))
        .map(|h| h.name.as_str())
        .collect();
    let bypassed = hops.iter().any(|h| h.state.is_some_and(|s| s.bypassed));
    if !rendered {
        condition("Ready", false, "NotRendered", String::new())
    } else if down.is_empty() {
        condition("Ready", true, "AllHopsUp", String::new())
    } else {
        let reason = if bypassed { "HopBypassed" } else { "HopDown" };
        condition("Ready", false, reason, format!("down: {}", down.join(", ")))
    }
}

/// A rule as one line: `web: tcp any -> 10.1.2.0/24 port 80: enter-chain`.
fn in_words(rule: &FlowRule) -> String {
    let FlowMatch {
        src,
        dst,
        protocol,
        src_ports,
        dst_ports,
    } = &rule.matches;
    let net = |n: &Option<ipnet::IpNet>| n.map_or_else(|| "any".to_owned(), |n| n.to_string());
    let ports = |p: &PortRange| match *p {
        PortRange::ANY => String::new(),
        PortRange { first, last } if first == last => format!(" port {first}"),
        PortRange { first, last } => format!(" ports {first}-{last}"),
    };
    let protocol = format!("{protocol:?}").to_lowercase();
    let action = match rule.action {
        FlowAction::EnterChain => "enter-chain",
        FlowAction::Bypass => "bypass",
        FlowAction::Drop => "drop",
    };
    format!(
        "{}: {protocol} {}{} -> {}{}: {action}",
        rule.id,
        net(src),
        ports(src_ports),
        net(dst),
        ports(dst_ports),
    )
}
