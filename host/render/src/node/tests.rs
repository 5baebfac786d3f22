use expect_test::{Expect, expect};

use super::*;
use crate::test_support::{facts, record};
use crate::text::listing;

fn check(objects: &Objects, expected: &Expect) {
    expected.assert_eq(&listing(objects));
}

fn mesh_of(others: &[u16]) -> Objects {
    let facts = facts(1);
    let others = others.iter().map(|id| record(*id));
    others.flat_map(|other| peer(&facts, &other)).collect()
}

#[test]
fn a_node_alone_has_its_uplink_and_its_end_of_the_mesh() {
    check(
        &base(&facts(1)).unwrap(),
        &expect![[r#"
        interface weft/gateway: loopback 1 02:fe:00:00:00:01
        interface weft/mesh: loopback 2 02:fe:00:01:00:01
        interface weft/uplink: host eth1 02:e5:62:34:1d:ba
        bridge 1: weft/mesh
        l2 weft/mesh: bridge 1 bvi group 0
        address 10.1.1.1/32 on weft/gateway: set
        address 192.168.30.1/24 on weft/mesh: set
        address 192.168.16.1/24 on weft/uplink: set
    "#]],
    );
    check(&mesh_of(&[1]), &expect![[""]]);
}

#[test]
fn a_node_without_uplink_only_serves_its_own_pods() {
    let mut facts = facts(1);
    facts.uplink = None;
    check(
        &base(&facts).unwrap(),
        &expect![[r#"
        interface weft/gateway: loopback 1 02:fe:00:00:00:01
        address 10.1.1.1/32 on weft/gateway: set
    "#]],
    );
    check(&peer(&facts, &record(2)), &expect![[""]]);
}

#[test]
fn another_node_is_a_tunnel_a_neighbour_and_a_route() {
    check(
        &mesh_of(&[2]),
        &expect![[r#"
        interface weft/mesh/2: vxlan 192.168.16.1 192.168.16.2 vni 10
        l2 weft/mesh/2: bridge 1 group 1
        neighbour 192.168.30.2 on weft/mesh: at 02:fe:00:01:00:02
        mac 02:fe:00:01:00:02 in bridge 1: to weft/mesh/2
        route 10.1.2.0/24: via 192.168.30.2 weft/mesh
    "#]],
    );
}

#[test]
fn a_node_on_the_same_link_that_tells_its_mac_is_never_asked_for_it() {
    let told = NodeRecord {
        uplink_mac: Some(uplink_mac(&record(2).name, "eth1")),
        ..record(2)
    };
    let uplinks = |objects: Objects| -> Objects {
        let is_static = |key: &Key| matches!(key, Key::Neighbour(tag, _) if *tag == uplink());
        objects
            .into_iter()
            .filter(|(key, _)| is_static(key))
            .collect()
    };
    check(
        &uplinks(peer(&facts(1), &told)),
        &expect![[r#"
        neighbour 192.168.16.2 on weft/uplink: at 02:26:a1:ea:a3:cf
    "#]],
    );
    let far = NodeRecord {
        underlay: "192.168.17.2".parse().unwrap(),
        ..told
    };
    check(&uplinks(peer(&facts(1), &far)), &expect![[""]]);
}

#[test]
fn nodes_of_the_mesh_share_nothing_but_the_bridge_domain() {
    let (second, third) = (mesh_of(&[2]), mesh_of(&[3]));
    assert!(second.keys().all(|key| !third.contains_key(key)));
    assert_eq!(mesh_of(&[2, 3]).len(), second.len() + third.len());
}

#[test]
fn a_node_that_the_address_plan_cannot_hold_is_refused() {
    let far = Facts {
        id: NodeId(256),
        ..facts(1)
    };
    let refused = base(&far).unwrap_err().to_string();
    expect!["network `10.1.0.0/16` has no room for number 256; hint: use a shorter prefix"]
        .assert_eq(&refused);
}
