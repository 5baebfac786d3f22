use std::collections::BTreeSet;

use expect_test::expect;
use proptest::prelude::*;

use super::*;
use crate::test_support::{facts, node_name, record, scene, tag_of};
use crate::{node, pod};

fn text(ops: &[Op]) -> String {
    ops.iter().map(|op| format!("{op}\n")).collect()
}

/// What is wrong with the order of `ops` on `observed`: something made before what it needs, or
/// taken away or exchanged under its users.
fn disorder(ops: &[Op], observed: &Objects) -> Vec<String> {
    let mut now = observed.clone();
    let mut wrong = Vec::new();
    for op in ops {
        match op {
            Op::Create { key, .. } if now.contains_key(key) => wrong.push(format!("twice: {op}")),
            Op::Update { key, from, to } if now.get(key) != Some(from) || !from.can_become(to) => {
                wrong.push(format!("no such change: {op}"));
            }
            Op::Delete { key, object } if now.get(key) != Some(object) => {
                wrong.push(format!("not there: {op}"));
            }
            Op::Create { .. } | Op::Update { .. } | Op::Delete { .. } => {}
        }
        if let Op::Create { key, object }
        | Op::Update {
            key, to: object, ..
        } = op
        {
            let missing = object.needs(key).into_iter().find(|n| !now.contains_key(n));
            wrong.extend(missing.map(|need| format!("{op} lacks {need}")));
        }
        op.apply(&mut now);
        if let Op::Delete { key: gone, .. } = op {
            let user = now.iter().find(|(k, o)| o.needs(k).contains(gone));
            wrong.extend(user.map(|(user, _)| format!("{op} under {user}")));
        }
    }
    wrong
}

/// One of many states of a node: some pods, other hops down, another chain, other peers.
fn state(pick: (u8, u8, u8, u8)) -> Objects {
    const CHAINS: [&str; 5] = [
        "client@n1 | firewall@n1! limiter@n2? | server@n2",
        "client@n1 | firewall@n1? limiter@n1? | server@n1",
        "client@n1 more@n2 | firewall@n1? | server@n1 other@n3",
        "client@n1 | firewall@n2? limiter@n1! | *",
        "more@n2 | firewall@n1? limiter@n1? | other@n3",
    ];
    let (chain, down, peers, drop) = pick;
    let mut scene = scene(CHAINS[usize::from(chain) % CHAINS.len()]);
    for (bit, name) in ["firewall", "limiter"].into_iter().enumerate() {
        if down >> bit & 1 == 1 {
            scene.down.insert(name.to_owned());
        }
    }
    if peers & 1 == 1 {
        scene.nodes.get_mut(&node_name(2)).unwrap().underlay = [192, 168, 16, 99].into();
    }
    let mut objects = scene.desired(&node_name(1));
    // What an agent that died on the way may have left.
    let torn = Key::Interface(tag_of("client", "eth0"));
    if let Some(Object::Interface { up, tagged, .. }) = objects.get_mut(&torn) {
        (*up, *tagged) = (drop & 1 == 0, drop & 2 == 0);
    }
    objects
}

proptest! {
    #[test]
    fn any_state_becomes_any_other_in_an_order_that_works(
        from in any::<(u8, u8, u8, u8)>(),
        to in any::<(u8, u8, u8, u8)>(),
    ) {
        let (observed, desired) = (state(from), state(to));
        let ops = diff(&desired, &observed);
        prop_assert_eq!(disorder(&ops, &observed), Vec::<String>::new());
        let mut now = observed;
        ops.iter().for_each(|op| op.apply(&mut now));
        prop_assert_eq!(&now, &desired);
        prop_assert_eq!(diff(&desired, &now), Vec::new());
    }

    #[test]
    fn any_state_is_made_of_nothing_and_leaves_nothing(pick in any::<(u8, u8, u8, u8)>()) {
        let (state, nothing) = (state(pick), Objects::new());
        for (desired, observed) in [(&state, &nothing), (&nothing, &state)] {
            let ops = diff(desired, observed);
            prop_assert_eq!(ops.len(), state.len());
            prop_assert_eq!(disorder(&ops, observed), Vec::<String>::new());
        }
    }

    #[test]
    fn every_need_has_a_smaller_key_and_is_desired(pick in any::<(u8, u8, u8, u8)>()) {
        let objects = state(pick);
        for (key, object) in &objects {
            for need in object.needs(key) {
                prop_assert!(need < *key, "{need} is made after {key}");
                prop_assert!(objects.contains_key(&need), "{key} lacks {need}");
            }
        }
    }

    #[test]
    fn the_keys_that_differ_are_enough(
        from in any::<(u8, u8, u8, u8)>(),
        to in any::<(u8, u8, u8, u8)>(),
    ) {
        let (observed, desired) = (state(from), state(to));
        let all: BTreeSet<Key> = desired.keys().chain(observed.keys()).cloned().collect();
        let dirty = all.into_iter().filter(|k| desired.get(k) != observed.get(k)).collect();
        prop_assert_eq!(diff_keys(&desired, &observed, &dirty), diff(&desired, &observed));
    }
}

#[test]
fn a_new_pod_touches_only_what_names_it() {
    let before = scene("client@n1 | firewall@n1! | server@n2");
    let mut after = scene("client@n1 | firewall@n1! | server@n2");
    after.add_pod("late@n1", &[]);
    let observed = before.desired(&node_name(1));
    let facts = after.facts(&node_name(1));
    let pod = pod::pod(&facts, &facts.pods["late"]);
    let ops = diff(&after.desired(&node_name(1)), &observed);
    let created: Objects = ops
        .iter()
        .map(|op| match op {
            Op::Create { key, object } => (key.clone(), object.clone()),
            Op::Update { .. } | Op::Delete { .. } => panic!("{op}"),
        })
        .collect();
    assert_eq!(created, pod);
}

#[test]
fn a_link_that_goes_down_rewires_only_the_ports_of_its_hop() {
    let up = scene("client@n1 | firewall@n1? limiter@n1! | server@n1");
    let down = scene("client@n1 | firewall@n1? limiter@n1! | server@n1").with_down(&["firewall"]);
    let [is, should] =
        [&up, &down].map(|scene| crate::chain::chain(&scene.facts(&node_name(1)), &scene.chain));
    expect![[r#"
        - mac 02:fe:00:02:02:01 in bridge 4096: to weft/pod/firewall/left
        - l2 weft/pod/firewall/right: to weft/pod/limiter/left
        - l2 weft/pod/firewall/left: bridge 4096 group 0
        - l2 weft/pod/limiter/left: to weft/pod/firewall/right
        + l2 weft/pod/limiter/left: bridge 4096 group 0
        + mac 02:fe:00:02:02:01 in bridge 4096: to weft/pod/limiter/left
    "#]]
    .assert_eq(&up.readable(text(&diff(&should, &is))));
    expect![[r#"
        - mac 02:fe:00:02:02:01 in bridge 4096: to weft/pod/limiter/left
        - l2 weft/pod/limiter/left: bridge 4096 group 0
        + l2 weft/pod/limiter/left: to weft/pod/firewall/right
        + l2 weft/pod/firewall/left: bridge 4096 group 0
        + l2 weft/pod/firewall/right: to weft/pod/limiter/left
        + mac 02:fe:00:02:02:01 in bridge 4096: to weft/pod/firewall/left
    "#]]
    .assert_eq(&up.readable(text(&diff(&is, &should))));
}

#[test]
fn what_leans_on_an_exchanged_object_is_made_anew() {
    let facts = facts(1);
    let old = node::peer(&facts, &record(2));
    let mut moved = record(2);
    moved.underlay = [192, 168, 16, 99].into();
    let new = node::peer(&facts, &moved);
    expect![[r#"
        - mac 02:fe:00:01:00:02 in bridge 1: to weft/mesh/2
        - l2 weft/mesh/2: bridge 1 group 1
        - interface weft/mesh/2: vxlan 192.168.16.1 192.168.16.2 vni 10
        + interface weft/mesh/2: vxlan 192.168.16.1 192.168.16.99 vni 10
        + l2 weft/mesh/2: bridge 1 group 1
        + mac 02:fe:00:01:00:02 in bridge 1: to weft/mesh/2
    "#]]
    .assert_eq(&text(&diff(&new, &old)));
}

#[test]
fn an_interface_that_lost_its_tag_is_completed_in_place() {
    let (desired, torn) = (state((0, 0, 0, 0)), state((0, 0, 0, 3)));
    let ops = diff(&desired, &torn);
    assert_eq!(ops.len(), 1, "{ops:?}");
    assert!(matches!(ops[0], Op::Update { .. }), "{ops:?}");
}
