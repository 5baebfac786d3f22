use std::collections::BTreeMap;

use model::{NodeName, Selector};

use super::*;
use crate::object::{AclTag, Key, Object, Objects};
use crate::test_support::{Scene, scene};

fn select(value: &str) -> Option<Selector> {
    Some(Selector {
        match_labels: BTreeMap::from([("app".to_owned(), value.to_owned())]),
        match_expressions: Vec::new(),
    })
}

fn labelled(scene: &mut Scene, pod: &str, app: &str) {
    let labels = BTreeMap::from([("app".to_owned(), app.to_owned())]);
    scene.pod_mut(pod).labels = Some(labels);
}

/// The quickstart, and on each node a pod that the controller has not named.
fn with_new_pods() -> Scene {
    let mut scene = scene("client@n1 | firewall@n1! limiter@n2? | server@n2");
    (scene.chain.source, scene.chain.destination) = (select("client"), select("server"));
    for (pod, app) in [
        ("new@n1", "client"),
        ("newserver@n2", "server"),
        ("lost@n2", "client"),
        ("stranger@n1", "other"),
    ] {
        scene.add_pod(pod, &[]);
        labelled(&mut scene, pod.split('@').next().unwrap(), app);
    }
    scene
}

fn objects(scene: &Scene, node: &str) -> (Facts, Objects) {
    let facts = scene.facts(&NodeName::parse(node).unwrap());
    let objects = crate::chain::chain(&facts, &scene.chain);
    (facts, objects)
}

fn bound(objects: &Objects) -> Vec<String> {
    let tags = objects.keys().filter_map(|key| {
        if let Key::PolicyBinding(_, tag) = key {
            Some(tag.to_string())
        } else {
            None
        }
    });
    tags.collect()
}

fn tag(pod: &str) -> String {
    crate::pod::tag(pod, "eth0").to_string()
}

#[test]
fn a_selected_pod_is_steered_before_the_controller_names_it() {
    let scene = with_new_pods();
    let (_, first) = objects(&scene, "n1");
    let steered = bound(&first);
    assert!(steered.contains(&tag("client")) && steered.contains(&tag("new")));
    assert_eq!(steered.len(), 2, "{steered:?}");
    let (_, second) = objects(&scene, "n2");
    let answering = bound(&second);
    assert!(answering.contains(&tag("server")) && answering.contains(&tag("newserver")));
    assert_eq!(
        answering.len(),
        2,
        "`lost` has no entry here: {answering:?}"
    );
}

#[test]
fn packets_to_a_selected_pod_of_this_node_take_the_chain_too() {
    let mut scene = scene("client@n1 | firewall@n1! | server@n1");
    (scene.chain.source, scene.chain.destination) = (select("client"), select("server"));
    scene.add_pod("new@n1", &[]);
    let rules = |scene: &Scene| -> usize {
        let (_, objects) = objects(scene, "n1");
        let forward = objects
            .iter()
            .filter_map(|(key, object)| match (key, object) {
                (Key::Acl(AclTag { .. }), Object::Acl { rules }) => Some(rules.len()),
                _ => None,
            });
        forward.sum()
    };
    let before = rules(&scene);
    labelled(&mut scene, "new", "server");
    assert_eq!(rules(&scene), before + 1);
}

#[test]
fn cover_says_what_is_still_missing() {
    let mut scene = with_new_pods();
    let cover_of = |scene: &Scene, node: &str, pod: &str| {
        let (facts, _) = objects(scene, node);
        cover(&facts, &scene.chain, scene.pod(pod).1)
    };
    labelled(&mut scene, "client", "client");
    assert_eq!(cover_of(&scene, "n1", "client"), Some(Cover::Named));
    assert_eq!(cover_of(&scene, "n1", "new"), Some(Cover::Here));
    assert_eq!(cover_of(&scene, "n2", "lost"), Some(Cover::NoEnd));
    assert_eq!(cover_of(&scene, "n1", "stranger"), None);
    // Its successor of the same name has another address.
    scene.chain.entries[0].pods[0].addresses = vec!["10.1.1.99".parse().unwrap()];
    assert_eq!(cover_of(&scene, "n1", "client"), Some(Cover::Here));
}

#[test]
fn a_pod_without_known_labels_or_of_another_namespace_is_not_selected() {
    let mut scene = with_new_pods();
    scene.chain.source = Some(Selector::default());
    scene.pod_mut("new").labels = None;
    let other = ObjectName::parse("elsewhere", "stranger").unwrap();
    scene.pod_mut("stranger").pod = Some(other);
    let (_, first) = objects(&scene, "n1");
    let steered = bound(&first);
    assert!(!steered.contains(&tag("new")) && !steered.contains(&tag("stranger")));
}

#[test]
fn a_chain_concerns_its_members_and_nobody_else() {
    let scene = with_new_pods();
    let concerned = |pod: &str| concerns(&scene.chain, scene.pod(pod).1);
    assert!(concerned("client") && concerned("new") && concerned("firewall"));
    assert!(!concerned("stranger"));
}
