use expect_test::{Expect, expect};

use super::*;
use crate::test_support::{chain_name, cluster, spec};

fn check(facts: &Facts, spec: &ChainSpec, expected: &Expect) {
    let text = match plan(&chain_name(), spec, &[], &Picks::new(), facts) {
        Ok(rendered) => show(&rendered),
        Err(unready) => format!("{}: {unready}", unready.reason()),
    };
    expected.assert_eq(&text);
}

fn show(r: &RenderedChain) -> String {
    let end = |e: &ChainEnd| {
        let pods: Vec<_> = e.pods.iter().map(|p| p.pod.name.as_str()).collect();
        format!("{}({} {} for {})", e.node, e.address, e.mac, pods.join("+"))
    };
    let mut words: Vec<String> = r.entries.iter().map(end).collect();
    for (segment, hop) in r.segments.iter().zip(&r.hops) {
        words.push(format!("-{}->", segment.vni));
        words.push(format!("{}[{}@{}]", hop.name, hop.pod.name, hop.node));
    }
    words.push(format!("-{}->", r.segments.last().map_or(0, |s| s.vni)));
    words.extend(r.exits.iter().map(end));
    words.join(" ")
}

#[test]
fn a_chain_over_two_nodes_gets_ends_numbers_and_instances() {
    check(
        &cluster(),
        &spec(),
        &expect![
            "n1(192.168.64.1 02:fe:c0:a8:40:01 for client) -4096-> firewall[firewall@n1] -4097-> limiter[limiter@n2] -4098-> n2(192.168.64.2 02:fe:c0:a8:40:02 for server)"
        ],
    );
}

#[test]
fn a_chain_without_destination_ends_behind_its_last_hop() {
    let open = ChainSpec {
        destination: None,
        ..spec()
    };
    check(
        &cluster(),
        &open,
        &expect![
            "n1(192.168.64.1 02:fe:c0:a8:40:01 for client) -4096-> firewall[firewall@n1] -4097-> limiter[limiter@n2] -4098-> n2(192.168.64.2 02:fe:c0:a8:40:02 for )"
        ],
    );
}

#[test]
fn what_is_missing_is_said() {
    let mut facts = cluster();
    facts
        .attachments
        .remove(&ObjectName::parse("default", "limiter").unwrap());
    check(
        &facts,
        &spec(),
        &expect![
            "PodNotAttached: hop `limiter`: pod `default/limiter` matches but is not attached yet"
        ],
    );
    facts
        .pods
        .remove(&ObjectName::parse("default", "limiter").unwrap());
    check(
        &facts,
        &spec(),
        &expect![
            "NoPod: hop `limiter`: no pod matches its selector; hint: start one with those labels"
        ],
    );
    let mut wrong = spec();
    wrong.hops[0].output = "east".to_owned();
    check(
        &facts,
        &wrong,
        &expect![
            "NoSuchInterface: hop `firewall`: pod `default/firewall` has no interface `east`; hint: add `east/memif/stub` to its annotation `weft.dev/interfaces`"
        ],
    );
    wrong.hops[0].output = "eth0".to_owned();
    check(
        &facts,
        &wrong,
        &expect![
            "WrongInterfaceType: hop `firewall`: interface `eth0` of pod `default/firewall` is a tap; hint: a chain needs a memif"
        ],
    );
    facts.config = None;
    check(
        &facts,
        &spec(),
        &expect!["NoClusterConfig: cluster configuration is not in the store yet"],
    );
}

#[test]
fn a_plan_keeps_its_numbers_and_instances() {
    let mut facts = cluster();
    let first = plan(&chain_name(), &spec(), &[], &Picks::new(), &facts).unwrap();
    facts.rendered.insert(chain_name(), first.clone());
    // A pod that would come first by name does not take the hop over.
    let pod = facts.pods[&ObjectName::parse("default", "firewall").unwrap()].clone();
    let earlier = ObjectName::parse("default", "a-firewall").unwrap();
    let mut attachment =
        facts.attachments[&ObjectName::parse("default", "firewall").unwrap()].clone();
    attachment.pod = earlier.clone();
    facts.pods.insert(earlier.clone(), pod);
    facts.attachments.insert(earlier, attachment);
    assert_eq!(
        plan(&chain_name(), &spec(), &[], &Picks::new(), &facts).unwrap(),
        first
    );
}

#[test]
fn two_chains_share_no_number() {
    let mut facts = cluster();
    let first = plan(&chain_name(), &spec(), &[], &Picks::new(), &facts).unwrap();
    facts.rendered.insert(chain_name(), first.clone());
    let other = ObjectName::parse("default", "other").unwrap();
    let second = plan(&other, &spec(), &[], &Picks::new(), &facts).unwrap();
    let vnis = |r: &RenderedChain| r.segments.iter().map(|s| s.vni).collect::<Vec<_>>();
    assert!(vnis(&second).iter().all(|v| !vnis(&first).contains(v)));
    let addresses = |r: &RenderedChain| {
        r.entries
            .iter()
            .chain(&r.exits)
            .map(|e| e.address)
            .collect::<Vec<_>>()
    };
    assert!(
        addresses(&second)
            .iter()
            .all(|a| !addresses(&first).contains(a))
    );
}

#[test]
fn a_chain_of_which_every_hop_is_bypassed_lets_nothing_enter() {
    let mut facts = cluster();
    let around = model::HopState {
        input_up: false,
        output_up: false,
        bypassed: true,
    };
    for (hop, node, all) in [("firewall", "n1", false), ("limiter", "n2", true)] {
        let node = model::NodeName::parse(node).unwrap();
        facts
            .hop_states
            .insert((chain_name(), hop.to_owned(), node), around);
        assert_eq!(
            plan(&chain_name(), &spec(), &[], &Picks::new(), &facts)
                .unwrap()
                .bypassed,
            all,
            "{hop}"
        );
    }
}

#[test]
fn a_picked_pod_serves_its_hop_while_it_fits() {
    let mut facts = cluster();
    crate::test_support::add_pod(&mut facts, "standby", ("cnf", "firewall"), "n2", 9);
    let standby = ObjectName::parse("default", "standby").unwrap();
    let picks = Picks::from([("firewall".to_owned(), standby.clone())]);
    let picked = plan(&chain_name(), &spec(), &[], &picks, &facts).unwrap();
    assert_eq!(
        (&picked.hops[0].pod, picked.hops[0].node.as_str()),
        (&standby, "n2")
    );
    facts.rendered.insert(chain_name(), picked.clone());
    // A pick is not needed to stay.
    let kept = plan(&chain_name(), &spec(), &[], &Picks::new(), &facts).unwrap();
    assert_eq!(kept, picked);
    facts.attachments.remove(&standby);
    let left = plan(&chain_name(), &spec(), &[], &picks, &facts).unwrap();
    assert_eq!(left.hops[0].pod.name, "firewall");
}
