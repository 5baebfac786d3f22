//! Follows packets through the objects of all nodes, as the dataplane would.

use std::collections::BTreeMap;
use std::net::IpAddr;

use model::{MacAddr, NodeName, OnFailure};
use proptest::prelude::*;

use crate::object::{Device, IfTag, Key, L2, Object, Objects};
use crate::test_support::{Scene, scene, tag_of};

#[derive(Debug, PartialEq, Eq)]
enum Fate {
    /// Not steered.
    Straight,
    /// Through these hops to the end on a node.
    Arrived(NodeName, Vec<String>),
    /// Handed to the dead link of a hop.
    DiedAt(String),
    Lost(String),
}

struct World<'a> {
    scene: &'a Scene,
    nodes: BTreeMap<NodeName, Objects>,
}

const STEPS_MAX: usize = 32;

impl<'a> World<'a> {
    fn new(scene: &'a Scene) -> Self {
        let names = scene.nodes.keys();
        let nodes = names.map(|n| (n.clone(), scene.desired(n))).collect();
        Self { scene, nodes }
    }

    /// The fate of a packet of one pod to another; `is_answer` from the web port.
    fn send(&self, from: &str, to: &str, is_answer: bool) -> Fate {
        let (node, _) = self.scene.pod(from);
        let to = self.scene.pod(to).1.interfaces[0].addresses[0];
        let objects = &self.nodes[node];
        let bound = objects.keys().find_map(|key| {
            let Key::PolicyBinding(policy, tag) = key else {
                return None;
            };
            let is_bound = *tag == tag_of(from, "eth0");
            (is_bound && permits(objects, *policy, to, is_answer)).then_some(*policy)
        });
        let Some(Object::Policy {
            next_hop,
            interface,
            ..
        }) = bound.and_then(|policy| objects.get(&Key::Policy(policy)))
        else {
            return Fate::Straight;
        };
        let Some(Object::Neighbour { mac }) =
            objects.get(&Key::Neighbour(interface.clone(), *next_hop))
        else {
            return Fate::Lost(format!("{next_hop} has no address"));
        };
        self.walk(node, interface, *mac)
    }

    fn walk(&self, node: &NodeName, rx: &IfTag, dst: MacAddr) -> Fate {
        let (mut node, mut rx, mut hops) = (node.clone(), rx.clone(), Vec::new());
        for _ in 0..STEPS_MAX {
            let objects = &self.nodes[&node];
            let out = match objects.get(&Key::L2(rx.clone())) {
                Some(Object::L2(L2::Xconnect { to })) => to.clone(),
                Some(Object::L2(L2::Bridge { id, group, .. })) => {
                    if bvi_mac(objects, *id) == Some(dst) {
                        return Fate::Arrived(node, hops);
                    }
                    match bridge(objects, *id, &rx, *group, dst) {
                        Ok(out) => out,
                        Err(why) => return Fate::Lost(format!("{node} {rx}: {why}")),
                    }
                }
                _ => return Fate::Lost(format!("{node} {rx}: not switched")),
            };
            let Some(Object::Interface { device, .. }) = objects.get(&Key::Interface(out.clone()))
            else {
                return Fate::Lost(format!("{node} {out}: absent"));
            };
            if let Device::Vxlan { src, dst: far, vni } = device {
                match self.peer(*far, *src, *vni) {
                    Some(there) => (node, rx) = there,
                    None => return Fate::Lost(format!("{node} {out}: nobody answers")),
                }
                continue;
            }
            match self.through_hop(&out) {
                Ok((hop, port)) => {
                    hops.push(hop);
                    rx = port;
                }
                Err(fate) => return fate,
            }
        }
        Fate::Lost("goes round".to_owned())
    }

    /// The other end of a tunnel.
    fn peer(&self, at: IpAddr, of: IpAddr, vni: u32) -> Option<(NodeName, IfTag)> {
        let node = self.scene.nodes.values().find(|n| n.underlay == at)?;
        let wanted = Device::Vxlan {
            src: at,
            dst: of,
            vni,
        };
        self.nodes[&node.name].iter().find_map(|entry| match entry {
            (Key::Interface(tag), Object::Interface { device, .. }) if *device == wanted => {
                Some((node.name.clone(), tag.clone()))
            }
            _ => None,
        })
    }

    fn through_hop(&self, port: &IfTag) -> Result<(String, IfTag), Fate> {
        for hop in &self.scene.chain.hops {
            let (left, right) = (tag_of(&hop.name, "left"), tag_of(&hop.name, "right"));
            if *port != left && *port != right {
                continue;
            }
            if self.scene.down.contains(&hop.name) {
                return Err(Fate::DiedAt(hop.name.clone()));
            }
            let other = if *port == left { right } else { left };
            return Ok((hop.name.clone(), other));
        }
        Err(Fate::Lost(format!("{port} is no hop's")))
    }
}

fn permits(objects: &Objects, policy: u32, to: IpAddr, is_answer: bool) -> bool {
    let Some(Object::Policy { acl, .. }) = objects.get(&Key::Policy(policy)) else {
        return false;
    };
    let Some(Object::Acl { rules }) = objects.get(&Key::Acl(acl.clone())) else {
        return false;
    };
    rules.iter().any(|rule| {
        let port = if is_answer {
            rule.src_ports
        } else {
            rule.dst_ports
        };
        rule.permit && rule.dst.contains(&to) && port == model::PortRange::one(80)
    })
}

fn bvi_mac(objects: &Objects, bridge: u32) -> Option<MacAddr> {
    objects
        .iter()
        .find_map(|(key, object)| match (key, object) {
            (
                Key::L2(tag),
                Object::L2(L2::Bridge {
                    id, is_bvi: true, ..
                }),
            ) if *id == bridge => match objects.get(&Key::Interface(tag.clone())) {
                Some(Object::Interface {
                    device: Device::Loopback { mac, .. },
                    ..
                }) => Some(*mac),
                _ => None,
            },
            _ => None,
        })
}

fn bridge(
    objects: &Objects,
    id: u32,
    rx: &IfTag,
    rx_group: u8,
    dst: MacAddr,
) -> Result<IfTag, &'static str> {
    let Some(Object::MacEntry { interface }) = objects.get(&Key::MacEntry(id, dst)) else {
        return Err("unknown address");
    };
    if interface == rx {
        return Err("reflection");
    }
    match objects.get(&Key::L2(interface.clone())) {
        Some(Object::L2(L2::Bridge { id: of, group, .. })) if *of == id => {
            if *group != 0 && *group == rx_group {
                return Err("split horizon");
            }
            Ok(interface.clone())
        }
        _ => Err("entry of a stranger"),
    }
}

/// What has to become of a packet.
fn expected(scene: &Scene, to: &str, is_answer: bool) -> Fate {
    let mut hops = Vec::new();
    let mut on_the_way: Vec<_> = scene.chain.hops.iter().collect();
    if is_answer {
        on_the_way.reverse();
    }
    for hop in on_the_way {
        let is_dead = scene.down.contains(&hop.name) || scene.gone.contains(&hop.name);
        match (is_dead, hop.on_failure) {
            (false, _) => hops.push(hop.name.clone()),
            (true, OnFailure::FailOpen) => {}
            (true, OnFailure::FailClosed) => return Fate::DiedAt(hop.name.clone()),
        }
    }
    Fate::Arrived(scene.pod(to).0.clone(), hops)
}

/// The one case that the module documentation leaves to the controller.
fn has_no_way_in(scene: &Scene, from: &str, to: &str) -> bool {
    let chain = &scene.chain;
    let home = &chain.hops[0].node;
    let is_far = |ends: &[model::ChainEnd]| ends.iter().any(|e| e.node != *home);
    let is_here = |ends: &[model::ChainEnd]| ends.iter().any(|e| e.node == *home);
    chain.hops.iter().all(|h| h.node == *home)
        && [&chain.entries, &chain.exits]
            .iter()
            .all(|ends| is_far(ends) && is_here(ends))
        && scene.pod(to).0 == home
        && scene.pod(from).0 != home
}

const HOPS: [&str; 3] = ["one", "two", "three"];

fn check_all(scene: &Scene) {
    let world = World::new(scene);
    let names = |ends: &[model::ChainEnd]| -> Vec<String> {
        let pods = ends.iter().flat_map(|e| &e.pods);
        pods.map(|p| p.pod.name.clone()).collect()
    };
    let (sources, destinations) = (names(&scene.chain.entries), names(&scene.chain.exits));
    for source in &sources {
        for destination in &destinations {
            for (from, to, is_answer) in [(source, destination, false), (destination, source, true)]
            {
                let fate = world.send(from, to, is_answer);
                let wanted = expected(scene, to, is_answer);
                let is_empty = matches!(&wanted, Fate::Arrived(_, hops) if hops.is_empty());
                if is_empty && fate == Fate::Straight {
                    continue;
                }
                if is_empty && is_answer && has_no_way_in(scene, from, to) {
                    assert!(matches!(fate, Fate::Lost(_)), "{from} to {to}: {fate:?}");
                    continue;
                }
                if let (Fate::Lost(_), Fate::DiedAt(hop)) = (&fate, &wanted)
                    && scene.gone.contains(hop)
                {
                    continue;
                }
                assert_eq!(fate, wanted, "{from} to {to}");
            }
        }
    }
}

proptest! {
    #[test]
    fn every_packet_meets_the_hops_that_work_in_order(
        sources in proptest::collection::btree_set(1..=3_u8, 1..=3),
        destinations in proptest::collection::btree_set(1..=3_u8, 1..=3),
        hops in proptest::collection::vec((1..=3_u8, any::<bool>(), 0..3_u8), 1..=3),
    ) {
        let words = |name: &str, nodes: &std::collections::BTreeSet<u8>| {
            let all: Vec<_> = nodes.iter().map(|n| format!("{name}{n}@n{n}")).collect();
            all.join(" ")
        };
        let mut text = words("source", &sources) + " |";
        let (mut down, mut gone) = (Vec::new(), Vec::new());
        for (name, (node, is_open, health)) in HOPS.iter().zip(&hops) {
            text += &format!(" {name}@n{node}{}", if *is_open { '?' } else { '!' });
            match health {
                1 => down.push(*name),
                2 => gone.push(*name),
                _ => {}
            }
        }
        text += &format!(" | {}", words("destination", &destinations));
        check_all(&scene(&text).with_down(&down).with_gone(&gone));
    }
}

#[test]
fn a_lost_packet_is_noticed() {
    let scene = scene("client@n1 | firewall@n2! | server@n1");
    let mut world = World::new(&scene);
    assert_eq!(
        world.send("client", "server", false),
        Fate::Arrived(scene.pod("server").0.clone(), vec!["firewall".to_owned()])
    );
    let far = world.nodes.get_mut(scene.pod("firewall").0).unwrap();
    far.remove(&Key::L2(tag_of("firewall", "right")));
    assert!(matches!(
        world.send("client", "server", false),
        Fate::Lost(_)
    ));
}
