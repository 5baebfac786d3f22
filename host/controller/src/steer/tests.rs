use std::time::Duration;

use model::rendered::HopState;
use model::{FlowRule, NodeName};

use super::*;
use crate::classify::Classify;
use crate::reconcile::reconcile;
use crate::test_support::{add_pod, chain_name, cluster, spec};

/// Steering that answers what the test says, and remembers what it was asked.
struct Asked {
    answer: Result<Choice, ModuleError>,
    views: Vec<HopView>,
}

impl Asked {
    fn answering(answer: Result<Choice, ModuleError>) -> Self {
        Self {
            answer,
            views: Vec::new(),
        }
    }

    fn one(pod: &str) -> Self {
        Self::answering(Ok(Choice::One(format!("default/{pod}"))))
    }
}

impl Steer for Asked {
    fn steer(
        &mut self,
        _: &ObjectName,
        _: &SteeringSpec,
        view: HopView,
    ) -> Result<Choice, ModuleError> {
        self.views.push(view);
        self.answer.clone()
    }

    fn figures(&self, _: &ChainSpec) -> Vec<String> {
        vec!["s.wasm: asked 1".to_owned()]
    }

    fn forget(&mut self, _: impl Fn(&ObjectName) -> bool) {}
}

impl Classify for Asked {
    fn classify(
        &mut self,
        _: &ObjectName,
        _: &ChainSpec,
        _: &Facts,
    ) -> Result<Vec<FlowRule>, ModuleError> {
        Ok(Vec::new())
    }
}

fn steered() -> ChainSpec {
    ChainSpec {
        steering: Some(SteeringSpec {
            module: "s.wasm".to_owned(),
            config: serde_json::json!({}),
        }),
        ..spec()
    }
}

/// The usual cluster with a second firewall, on the other node.
fn with_standby() -> Facts {
    let mut facts = cluster();
    add_pod(&mut facts, "standby", ("cnf", "firewall"), "n2", 9);
    facts.chains.insert(chain_name(), steered());
    facts
}

fn serving(facts: &Facts) -> String {
    let rendered = &facts.rendered[&chain_name()];
    let hops = rendered.hops.iter().map(|hop| hop.pod.name.as_str());
    hops.collect::<Vec<_>>().join(" ")
}

fn failed() -> ModuleError {
    ModuleError::Fault {
        module: "s.wasm".to_owned(),
        reason: "ModuleTrapped",
        why: "unreachable".to_owned(),
    }
}

fn see(facts: &mut Facts, hop: &str, node: &str, up: bool) {
    let place = (chain_name(), hop.to_owned(), NodeName::parse(node).unwrap());
    let state = HopState {
        input_up: up,
        output_up: up,
        bypassed: false,
    };
    facts.hop_states.insert(place, state);
}

#[test]
fn the_choice_decides_who_serves_and_is_asked_only_where_there_is_one() {
    let mut facts = with_standby();
    let mut module = Asked::one("standby");
    reconcile(&mut facts, &mut module);
    assert_eq!(serving(&facts), "standby limiter");
    let [view] = &module.views[..] else {
        panic!("the limiter has one candidate: {:?}", module.views);
    };
    assert_eq!(view.hop_name(), "firewall");
    assert_eq!(view.node_before(), Some("n1"));
    let ids = view
        .candidates
        .iter()
        .map(|c| (c.id.as_str(), c.node.as_str()));
    assert_eq!(
        ids.collect::<Vec<_>>(),
        [("default/firewall", "n1"), ("default/standby", "n2")]
    );
    assert_eq!(view.current, None);
    assert_eq!(facts.status[&chain_name()].metrics, ["s.wasm: asked 1"]);

    reconcile(&mut facts, &mut module);
    assert_eq!(module.views[1].current.as_deref(), Some("default/standby"));
    let mut back = Asked::one("firewall");
    reconcile(&mut facts, &mut back);
    assert_eq!(serving(&facts), "firewall limiter");
}

#[test]
fn a_chain_without_steering_asks_nobody() {
    let mut facts = with_standby();
    facts.chains.insert(chain_name(), spec());
    let mut module = Asked::one("standby");
    reconcile(&mut facts, &mut module);
    assert_eq!(
        (serving(&facts).as_str(), module.views.len()),
        ("firewall limiter", 0)
    );
}

#[test]
fn a_module_that_fails_leaves_the_last_good_choice_and_says_so() {
    let mut facts = with_standby();
    reconcile(&mut facts, &mut Asked::one("standby"));
    reconcile(&mut facts, &mut Asked::answering(Err(failed())));
    assert_eq!(serving(&facts), "standby limiter");
    let condition = &facts.status[&chain_name()].conditions[1];
    let words = (
        condition.kind.as_str(),
        condition.status,
        condition.reason.as_str(),
    );
    assert_eq!(words, ("Steered", false, "ModuleTrapped"));
    assert!(
        condition.message.contains("last good choice stays"),
        "{condition:?}"
    );
    // Without a good choice the chain still works.
    let mut fresh = with_standby();
    reconcile(&mut fresh, &mut Asked::answering(Err(failed())));
    assert_eq!(serving(&fresh), "firewall limiter");
    reconcile(&mut facts, &mut Asked::one("standby"));
    assert!(facts.status[&chain_name()].conditions[1].status);
}

#[test]
fn without_an_opinion_a_hop_stays_where_it_is() {
    let mut facts = with_standby();
    reconcile(&mut facts, &mut Asked::one("standby"));
    reconcile(&mut facts, &mut Asked::answering(Ok(Choice::NoOpinion)));
    assert_eq!(serving(&facts), "standby limiter");
}

#[test]
fn candidates_come_with_their_health_and_load() {
    let mut facts = with_standby();
    let other = ObjectName::parse("default", "other").unwrap();
    facts.chains.insert(other, spec());
    reconcile(&mut facts, &mut Asked::one("firewall"));
    see(&mut facts, "firewall", "n1", false);
    let mut module = Asked::one("firewall");
    reconcile(&mut facts, &mut module);
    let firewall = &module.views[0].candidates[0];
    // It serves the same hop in `other`, which has no steering.
    assert_eq!((firewall.hops_served, &firewall.health), (1, &Health::Down));
    let standby = &module.views[0].candidates[1];
    assert_eq!(
        (standby.hops_served, &standby.health),
        (0, &Health::Unknown)
    );
}

#[test]
fn what_was_seen_of_a_pod_is_not_held_against_its_successor() {
    let mut facts = with_standby();
    add_pod(&mut facts, "standby", ("cnf", "firewall"), "n1", 9);
    reconcile(&mut facts, &mut Asked::one("firewall"));
    see(&mut facts, "firewall", "n1", false);
    reconcile(&mut facts, &mut Asked::one("standby"));
    let mut module = Asked::one("standby");
    reconcile(&mut facts, &mut module);
    let health: Vec<_> = module.views[0]
        .candidates
        .iter()
        .map(|c| &c.health)
        .collect();
    assert_eq!(health, [&Health::Down, &Health::Unknown], "left while down");
    // A pod that is attached anew starts afresh.
    let firewall = ObjectName::parse("default", "firewall").unwrap();
    facts.attachments.get_mut(&firewall).unwrap().container_id = "c-anew".to_owned();
    let mut module = Asked::one("standby");
    reconcile(&mut facts, &mut module);
    assert_eq!(module.views[0].candidates[0].health, Health::Unknown);
}

/// The firewall's health as a module sees it that then picks `pod`.
fn health_of_firewall(facts: &mut Facts, pod: &str) -> Health {
    let mut module = Asked::one(pod);
    reconcile(facts, &mut module);
    module.views[0].candidates[0].health.clone()
}

/// The firewall is chosen, goes down, and is left.
fn leave_firewall(facts: &mut Facts) {
    reconcile(facts, &mut Asked::one("firewall"));
    assert_eq!(serving(facts), "firewall limiter");
    see(facts, "firewall", "n1", false);
    assert_eq!(health_of_firewall(facts, "standby"), Health::Down);
    assert_eq!(serving(facts), "standby limiter");
}

#[test]
fn a_pod_that_was_left_is_tried_again_after_ever_longer_waits() {
    let mut facts = with_standby();
    let mut now = Duration::from_secs(1000);
    facts.pass(now);
    for wait in [5, 10, 20, 40, 80, 160, 320, 320] {
        leave_firewall(&mut facts);
        let due = now + Duration::from_secs(wait);
        assert!(!facts.pass(due - Duration::from_millis(1)), "{wait} s");
        let health = health_of_firewall(&mut facts, "standby");
        assert_eq!(health, Health::Down, "within {wait} s");
        assert!(facts.pass(due), "a round is due after {wait} s");
        assert!(!facts.pass(due), "and only one");
        let health = health_of_firewall(&mut facts, "standby");
        assert_eq!(health, Health::Unknown, "after {wait} s");
        now = due;
    }
    // One that serves for long begins anew.
    reconcile(&mut facts, &mut Asked::one("firewall"));
    see(&mut facts, "firewall", "n1", true);
    now += LEFT_DOWN_MAX;
    facts.pass(now);
    leave_firewall(&mut facts);
    assert!(facts.pass(now + LEFT_DOWN_MIN));
}

#[test]
fn waits_of_pods_that_are_gone_are_forgotten() {
    let mut facts = with_standby();
    leave_firewall(&mut facts);
    let firewall = ObjectName::parse("default", "firewall").unwrap();
    facts.attachments.remove(&firewall);
    assert!(!facts.pass(LEFT_DOWN_MIN), "nobody waits for it");
    assert!(facts.left_down.is_empty());
}

#[test]
fn weights_are_followed_by_many_hops_and_each_stays() {
    let share = |instance: &str, weight| Share {
        instance: instance.to_owned(),
        weight,
    };
    let three = [share("a", 1), share("b", 3), share("c", 4)];
    let places = || (0..8000).map(|n| format!("default/chain-{n}/hop"));
    let mut counts = BTreeMap::new();
    for place in places() {
        let drawn = draw(&place, &three).unwrap();
        *counts.entry(drawn).or_insert(0) += 1;
        // Without `c`, only the hops of `c` move.
        let rest = draw(&place, &three[..2]).unwrap();
        assert!(drawn == "c" || rest == drawn, "{place}");
    }
    for (instance, expected) in [("a", 1000_i32), ("b", 3000), ("c", 4000)] {
        assert!((counts[instance] - expected).abs() < 200, "{counts:?}");
    }
    assert_eq!(draw("x", &[share("a", u32::MAX)]), Some("a"));
}
