use model::rendered::HopState;
use model::{ChainStatus, FlowAction, FlowMatch, FlowProtocol, FlowRule, NodeName, PortRange};

use super::*;
use crate::modules::ModuleError;
use crate::test_support::{chain_name, cluster, spec};

/// A classifier that answers what the test says.
struct Answers(Result<Vec<FlowRule>, ModuleError>);

impl Classify for Answers {
    fn classify(
        &mut self,
        _: &ObjectName,
        _: &ChainSpec,
        _: &Facts,
    ) -> Result<Vec<FlowRule>, ModuleError> {
        self.0.clone()
    }
}

/// Nothing is steered here.
impl Steer for Answers {
    fn steer(
        &mut self,
        _: &ObjectName,
        _: &model::SteeringSpec,
        _: weft_sdk::HopView,
    ) -> Result<weft_sdk::Choice, ModuleError> {
        unreachable!("no chain names a steering module")
    }

    fn figures(&self, _: &ChainSpec) -> Vec<String> {
        Vec::new()
    }

    fn forget(&mut self, _: impl Fn(&ObjectName) -> bool) {}
}

fn rule() -> FlowRule {
    FlowRule {
        id: "web".to_owned(),
        priority: 10,
        matches: FlowMatch {
            src: None,
            dst: None,
            protocol: FlowProtocol::Tcp,
            src_ports: PortRange::ANY,
            dst_ports: PortRange::one(80),
        },
        action: FlowAction::EnterChain,
    }
}

fn keys(writes: &[Write]) -> Vec<&str> {
    writes
        .iter()
        .map(|w| match w {
            Write::Put(key, _) | Write::Delete(key) => key.as_str(),
        })
        .collect()
}

fn reasons(status: &ChainStatus) -> Vec<(&str, bool)> {
    status
        .conditions
        .iter()
        .map(|c| (c.reason.as_str(), c.status))
        .collect()
}

#[test]
fn a_chain_is_rendered_once_and_then_left_alone() {
    let mut facts = cluster();
    facts.chains.insert(chain_name(), spec());
    let mut classifier = Answers(Ok(vec![rule()]));
    let writes = reconcile(&mut facts, &mut classifier);
    assert_eq!(
        keys(&writes),
        [
            "/weft/v1/rendered-chains/default/web",
            "/weft/v1/chain-status/default/web"
        ]
    );
    assert_eq!(reconcile(&mut facts, &mut classifier), []);
}

#[test]
fn a_module_that_fails_leaves_the_last_good_rules_in_force() {
    let mut facts = cluster();
    facts.chains.insert(chain_name(), spec());
    reconcile(&mut facts, &mut Answers(Ok(vec![rule()])));
    let mut broken = Answers(Err(ModuleError::Missing {
        module: "web.wasm".to_owned(),
    }));
    let writes = reconcile(&mut facts, &mut broken);
    assert_eq!(keys(&writes), ["/weft/v1/chain-status/default/web"]);
    assert_eq!(facts.rendered[&chain_name()].rules, [rule()]);
    let status = &facts.status[&chain_name()];
    assert_eq!(reasons(status)[0], ("ModuleNotFound", false));
    assert!(
        status.conditions[0]
            .message
            .contains("last good rules stay")
    );
}

#[test]
fn without_any_good_rules_nothing_is_rendered() {
    let mut facts = cluster();
    facts.chains.insert(chain_name(), spec());
    let mut broken = Answers(Err(ModuleError::Missing {
        module: "web.wasm".to_owned(),
    }));
    reconcile(&mut facts, &mut broken);
    assert!(facts.rendered.is_empty());
}

#[test]
fn a_chain_that_is_gone_takes_its_records_along() {
    let mut facts = cluster();
    facts.chains.insert(chain_name(), spec());
    let mut classifier = Answers(Ok(Vec::new()));
    reconcile(&mut facts, &mut classifier);
    facts.chains.clear();
    let writes = reconcile(&mut facts, &mut classifier);
    assert_eq!(writes.len(), 2);
    assert!(writes.iter().all(|w| matches!(w, Write::Delete(_))));
}

#[test]
fn the_status_follows_the_hops() {
    let mut facts = cluster();
    facts.chains.insert(chain_name(), spec());
    let mut classifier = Answers(Ok(vec![rule()]));
    let up = HopState {
        input_up: true,
        output_up: true,
        bypassed: false,
    };
    for (hop, node) in [("firewall", "n1"), ("limiter", "n2")] {
        let key = (chain_name(), hop.to_owned(), NodeName::parse(node).unwrap());
        facts.hop_states.insert(key, up);
    }
    reconcile(&mut facts, &mut classifier);
    assert_eq!(
        reasons(&facts.status[&chain_name()])[2],
        ("AllHopsUp", true)
    );
    let key = (
        chain_name(),
        "limiter".to_owned(),
        NodeName::parse("n2").unwrap(),
    );
    facts.hop_states.insert(
        key,
        HopState {
            input_up: false,
            output_up: false,
            bypassed: true,
        },
    );
    reconcile(&mut facts, &mut classifier);
    assert_eq!(
        reasons(&facts.status[&chain_name()])[2],
        ("HopBypassed", false)
    );
}
