use expect_test::{Expect, expect};
use model::{FlowAction, ReturnPath};

use super::*;
use crate::object::Key;
use crate::test_support::{Scene, node_name, rule, scene};

mod walk;

/// Chain objects of nodes 1 and 2.
fn check(scene: &Scene, expected: &Expect) {
    let mut text = String::new();
    for id in [1, 2] {
        let objects = chain(&scene.facts(&node_name(id)), &scene.chain);
        if !objects.is_empty() {
            text.push_str(&format!("n{id}:\n{}", scene.listing(&objects)));
        }
    }
    expected.assert_eq(&text);
}

const QUICKSTART: &str = "client@n1 | firewall@n1! limiter@n2? | server@n2";
const ONE_NODE: &str = "client@n1 | firewall@n1! limiter@n1? | server@n1";
const ALL_OPEN: &str = "client@n1 client2@n2 | firewall@n1? | server@n1";

#[test]
fn the_quickstart_is_wired_over_two_nodes() {
    check(
        &scene(QUICKSTART),
        &expect![[r#"
        n1:
        acl weft/chain/4096/e7f4207e: permit 0.0.0.0/0 10.1.2.2/32 proto 6 to 80-80
        interface weft/end/4096: loopback 4096 02:fe:00:02:01:01
        interface weft/segment/4097/2: vxlan 192.168.16.1 192.168.16.2 vni 4097
        bridge 4096: weft/end/4096
        l2 weft/end/4096: bridge 4096 bvi group 0
        l2 weft/pod/firewall/left: bridge 4096 group 0
        l2 weft/pod/firewall/right: to weft/segment/4097/2
        l2 weft/segment/4097/2: to weft/pod/firewall/right
        address 192.168.64.11/32 on weft/end/4096: set
        neighbour 192.168.64.22 on weft/end/4096: at 02:fe:00:02:02:02
        mac 02:fe:00:02:02:02 in bridge 4096: to weft/pod/firewall/left
        policy 0xe7f4207e: weft/chain/4096/e7f4207e via 192.168.64.22 weft/end/4096
        policy 0xe7f4207e on weft/pod/client/eth0: v4 priority 10
        n2:
        acl weft/chain/4096/1e2153e5: permit 0.0.0.0/0 10.1.1.2/32 proto 6 from 80-80
        interface weft/end/4098: loopback 4098 02:fe:00:02:02:02
        interface weft/segment/4097/1: vxlan 192.168.16.2 192.168.16.1 vni 4097
        bridge 4098: weft/end/4098
        l2 weft/end/4098: bridge 4098 bvi group 0
        l2 weft/pod/limiter/left: to weft/segment/4097/1
        l2 weft/pod/limiter/right: bridge 4098 group 0
        l2 weft/segment/4097/1: to weft/pod/limiter/left
        address 192.168.64.22/32 on weft/end/4098: set
        neighbour 192.168.64.11 on weft/end/4098: at 02:fe:00:02:01:01
        mac 02:fe:00:02:01:01 in bridge 4098: to weft/pod/limiter/right
        policy 0x1e2153e5: weft/chain/4096/1e2153e5 via 192.168.64.11 weft/end/4098
        policy 0x1e2153e5 on weft/pod/server/eth0: v4 priority 20
    "#]],
    );
}

#[test]
fn hops_of_one_node_need_no_tunnel() {
    check(
        &scene(ONE_NODE),
        &expect![[r#"
        n1:
        acl weft/chain/4096/1e2153e5: permit 0.0.0.0/0 10.1.1.2/32 proto 6 from 80-80
        acl weft/chain/4096/e7f13d55: permit 0.0.0.0/0 10.1.1.3/32 proto 6 to 80-80
        interface weft/end/4096: loopback 4096 02:fe:00:02:01:01
        interface weft/end/4098: loopback 4098 02:fe:00:02:02:01
        bridge 4096: weft/end/4096
        bridge 4098: weft/end/4098
        l2 weft/end/4096: bridge 4096 bvi group 0
        l2 weft/end/4098: bridge 4098 bvi group 0
        l2 weft/pod/limiter/left: to weft/pod/firewall/right
        l2 weft/pod/limiter/right: bridge 4098 group 0
        l2 weft/pod/firewall/left: bridge 4096 group 0
        l2 weft/pod/firewall/right: to weft/pod/limiter/left
        address 192.168.64.11/32 on weft/end/4096: set
        address 192.168.64.21/32 on weft/end/4098: set
        neighbour 192.168.64.21 on weft/end/4096: at 02:fe:00:02:02:01
        neighbour 192.168.64.11 on weft/end/4098: at 02:fe:00:02:01:01
        mac 02:fe:00:02:02:01 in bridge 4096: to weft/pod/firewall/left
        mac 02:fe:00:02:01:01 in bridge 4098: to weft/pod/limiter/right
        policy 0x1e2153e5: weft/chain/4096/1e2153e5 via 192.168.64.11 weft/end/4098
        policy 0xe7f13d55: weft/chain/4096/e7f13d55 via 192.168.64.21 weft/end/4096
        policy 0x1e2153e5 on weft/pod/server/eth0: v4 priority 20
        policy 0xe7f13d55 on weft/pod/client/eth0: v4 priority 10
    "#]],
    );
}

#[test]
fn each_node_with_source_pods_has_an_entry() {
    check(
        &scene("a@n1 b@n2 | firewall@n1! | server@n2"),
        &expect![[r#"
            n1:
            acl weft/chain/4096/e7f4207e: permit 0.0.0.0/0 10.1.2.3/32 proto 6 to 80-80
            interface weft/end/4096: loopback 4096 02:fe:00:02:01:01
            interface weft/segment/4096/2: vxlan 192.168.16.1 192.168.16.2 vni 4096
            interface weft/segment/4097/2: vxlan 192.168.16.1 192.168.16.2 vni 4097
            bridge 4096: weft/end/4096
            bridge 4097: weft/end/4097
            l2 weft/end/4096: bridge 4096 bvi group 0
            l2 weft/pod/firewall/left: bridge 4096 group 0
            l2 weft/pod/firewall/right: bridge 4097 group 0
            l2 weft/segment/4096/2: bridge 4096 group 1
            l2 weft/segment/4097/2: bridge 4097 group 2
            address 192.168.64.11/32 on weft/end/4096: set
            neighbour 192.168.64.22 on weft/end/4096: at 02:fe:00:02:02:02
            mac 02:fe:00:02:01:02 in bridge 4096: to weft/segment/4096/2
            mac 02:fe:00:02:02:02 in bridge 4096: to weft/pod/firewall/left
            mac 02:fe:00:02:01:01 in bridge 4097: to weft/pod/firewall/right
            mac 02:fe:00:02:01:02 in bridge 4097: to weft/pod/firewall/right
            mac 02:fe:00:02:02:02 in bridge 4097: to weft/segment/4097/2
            policy 0xe7f4207e: weft/chain/4096/e7f4207e via 192.168.64.22 weft/end/4096
            policy 0xe7f4207e on weft/pod/a/eth0: v4 priority 10
            n2:
            acl weft/chain/4096/1e2153e5: permit 0.0.0.0/0 10.1.1.2/32 proto 6 from 80-80
            acl weft/chain/4096/1e24370e: permit 0.0.0.0/0 10.1.2.2/32 proto 6 from 80-80
            acl weft/chain/4096/e7f4207e: permit 0.0.0.0/0 10.1.2.3/32 proto 6 to 80-80
            interface weft/end/4096: loopback 4096 02:fe:00:02:01:02
            interface weft/end/4097: loopback 4097 02:fe:00:02:02:02
            interface weft/segment/4096/1: vxlan 192.168.16.2 192.168.16.1 vni 4096
            interface weft/segment/4097/1: vxlan 192.168.16.2 192.168.16.1 vni 4097
            bridge 4096: weft/end/4096
            bridge 4097: weft/end/4097
            l2 weft/end/4096: bridge 4096 bvi group 0
            l2 weft/end/4097: bridge 4097 bvi group 0
            l2 weft/segment/4096/1: bridge 4096 group 1
            l2 weft/segment/4097/1: bridge 4097 group 2
            address 192.168.64.12/32 on weft/end/4096: set
            address 192.168.64.22/32 on weft/end/4097: set
            neighbour 192.168.64.22 on weft/end/4096: at 02:fe:00:02:02:02
            neighbour 192.168.64.11 on weft/end/4097: at 02:fe:00:02:01:01
            neighbour 192.168.64.12 on weft/end/4097: at 02:fe:00:02:01:02
            mac 02:fe:00:02:02:02 in bridge 4096: to weft/segment/4096/1
            mac 02:fe:00:02:01:01 in bridge 4097: to weft/segment/4097/1
            mac 02:fe:00:02:01:02 in bridge 4097: to weft/segment/4097/1
            policy 0x1e2153e5: weft/chain/4096/1e2153e5 via 192.168.64.11 weft/end/4097
            policy 0x1e24370e: weft/chain/4096/1e24370e via 192.168.64.12 weft/end/4097
            policy 0xe7f4207e: weft/chain/4096/e7f4207e via 192.168.64.22 weft/end/4096
            policy 0x1e2153e5 on weft/pod/server/eth0: v4 priority 20
            policy 0x1e24370e on weft/pod/server/eth0: v4 priority 20
            policy 0xe7f4207e on weft/pod/b/eth0: v4 priority 10
        "#]],
    );
}

#[test]
fn a_hop_that_fails_open_is_bypassed() {
    check(
        &scene(QUICKSTART).with_down(&["limiter"]),
        &expect![[r#"
        n1:
        acl weft/chain/4096/e7f4207e: permit 0.0.0.0/0 10.1.2.2/32 proto 6 to 80-80
        interface weft/end/4096: loopback 4096 02:fe:00:02:01:01
        interface weft/segment/4097/2: vxlan 192.168.16.1 192.168.16.2 vni 4097
        bridge 4096: weft/end/4096
        l2 weft/end/4096: bridge 4096 bvi group 0
        l2 weft/pod/firewall/left: bridge 4096 group 0
        l2 weft/pod/firewall/right: to weft/segment/4097/2
        l2 weft/segment/4097/2: to weft/pod/firewall/right
        address 192.168.64.11/32 on weft/end/4096: set
        neighbour 192.168.64.22 on weft/end/4096: at 02:fe:00:02:02:02
        mac 02:fe:00:02:02:02 in bridge 4096: to weft/pod/firewall/left
        policy 0xe7f4207e: weft/chain/4096/e7f4207e via 192.168.64.22 weft/end/4096
        policy 0xe7f4207e on weft/pod/client/eth0: v4 priority 10
        n2:
        acl weft/chain/4096/1e2153e5: permit 0.0.0.0/0 10.1.1.2/32 proto 6 from 80-80
        interface weft/end/4098: loopback 4098 02:fe:00:02:02:02
        interface weft/segment/4097/1: vxlan 192.168.16.2 192.168.16.1 vni 4097
        bridge 4098: weft/end/4098
        l2 weft/end/4098: bridge 4098 bvi group 0
        l2 weft/segment/4097/1: bridge 4098 group 0
        address 192.168.64.22/32 on weft/end/4098: set
        neighbour 192.168.64.11 on weft/end/4098: at 02:fe:00:02:01:01
        mac 02:fe:00:02:01:01 in bridge 4098: to weft/segment/4097/1
        policy 0x1e2153e5: weft/chain/4096/1e2153e5 via 192.168.64.11 weft/end/4098
        policy 0x1e2153e5 on weft/pod/server/eth0: v4 priority 20
    "#]],
    );
}

#[test]
fn a_hop_that_fails_closed_stays_where_it_is() {
    let objects = |scene: &Scene| chain(&scene.facts(&node_name(1)), &scene.chain);
    let down = scene(QUICKSTART).with_down(&["firewall"]);
    assert_eq!(objects(&down), objects(&scene(QUICKSTART)));
    let states = hop_states(&down.facts(&node_name(1)), &down.chain);
    assert_eq!(
        states,
        [(
            "firewall".to_owned(),
            HopState {
                input_up: false,
                output_up: false,
                bypassed: false
            }
        )]
    );
}

#[test]
fn a_chain_whose_hops_are_all_bypassed_here_only_relays_for_others() {
    check(
        &scene(ALL_OPEN).with_down(&["firewall"]),
        &expect![[r#"
        n1:
        interface weft/end/4096: loopback 4096 02:fe:00:02:01:01
        interface weft/end/4097: loopback 4097 02:fe:00:02:02:01
        interface weft/segment/4096/2: vxlan 192.168.16.1 192.168.16.2 vni 4096
        bridge 4096: weft/end/4096
        bridge 4097: weft/end/4097
        l2 weft/end/4096: bridge 4096 bvi group 0
        l2 weft/end/4097: bridge 4097 bvi group 0
        l2 weft/segment/4096/2: bridge 4097 group 1
        address 192.168.64.11/32 on weft/end/4096: set
        address 192.168.64.21/32 on weft/end/4097: set
        mac 02:fe:00:02:01:02 in bridge 4097: to weft/segment/4096/2
        n2:
        acl weft/chain/4096/e7f13d55: permit 0.0.0.0/0 10.1.1.3/32 proto 6 to 80-80
        interface weft/end/4096: loopback 4096 02:fe:00:02:01:02
        interface weft/segment/4096/1: vxlan 192.168.16.2 192.168.16.1 vni 4096
        bridge 4096: weft/end/4096
        l2 weft/end/4096: bridge 4096 bvi group 0
        l2 weft/segment/4096/1: bridge 4096 group 1
        address 192.168.64.12/32 on weft/end/4096: set
        neighbour 192.168.64.21 on weft/end/4096: at 02:fe:00:02:02:01
        mac 02:fe:00:02:02:01 in bridge 4096: to weft/segment/4096/1
        policy 0xe7f13d55: weft/chain/4096/e7f13d55 via 192.168.64.21 weft/end/4096
        policy 0xe7f13d55 on weft/pod/client2/eth0: v4 priority 10
    "#]],
    );
}

#[test]
fn direct_return_steers_no_answers() {
    check(
        &scene(QUICKSTART).with_return(ReturnPath::Direct),
        &expect![[r#"
            n1:
            acl weft/chain/4096/e7f4207e: permit 0.0.0.0/0 10.1.2.2/32 proto 6 to 80-80
            interface weft/end/4096: loopback 4096 02:fe:00:02:01:01
            interface weft/segment/4097/2: vxlan 192.168.16.1 192.168.16.2 vni 4097
            bridge 4096: weft/end/4096
            l2 weft/end/4096: bridge 4096 bvi group 0
            l2 weft/pod/firewall/left: bridge 4096 group 0
            l2 weft/pod/firewall/right: to weft/segment/4097/2
            l2 weft/segment/4097/2: to weft/pod/firewall/right
            address 192.168.64.11/32 on weft/end/4096: set
            neighbour 192.168.64.22 on weft/end/4096: at 02:fe:00:02:02:02
            mac 02:fe:00:02:02:02 in bridge 4096: to weft/pod/firewall/left
            policy 0xe7f4207e: weft/chain/4096/e7f4207e via 192.168.64.22 weft/end/4096
            policy 0xe7f4207e on weft/pod/client/eth0: v4 priority 10
            n2:
            interface weft/end/4098: loopback 4098 02:fe:00:02:02:02
            interface weft/segment/4097/1: vxlan 192.168.16.2 192.168.16.1 vni 4097
            bridge 4098: weft/end/4098
            l2 weft/end/4098: bridge 4098 bvi group 0
            l2 weft/pod/limiter/left: to weft/segment/4097/1
            l2 weft/pod/limiter/right: bridge 4098 group 0
            l2 weft/segment/4097/1: to weft/pod/limiter/left
            address 192.168.64.22/32 on weft/end/4098: set
            mac 02:fe:00:02:01:01 in bridge 4098: to weft/pod/limiter/right
        "#]],
    );
}

#[test]
fn an_open_destination_leads_on_from_the_last_hop() {
    check(
        &scene("client@n1 | firewall@n1! limiter@n2? | *"),
        &expect![[r#"
            n1:
            acl weft/chain/4096/e7f4207e: permit 0.0.0.0/0 0.0.0.0/0 proto 6 to 80-80
            interface weft/end/4096: loopback 4096 02:fe:00:02:01:01
            interface weft/segment/4097/2: vxlan 192.168.16.1 192.168.16.2 vni 4097
            bridge 4096: weft/end/4096
            l2 weft/end/4096: bridge 4096 bvi group 0
            l2 weft/pod/firewall/left: bridge 4096 group 0
            l2 weft/pod/firewall/right: to weft/segment/4097/2
            l2 weft/segment/4097/2: to weft/pod/firewall/right
            address 192.168.64.11/32 on weft/end/4096: set
            neighbour 192.168.64.22 on weft/end/4096: at 02:fe:00:02:02:02
            mac 02:fe:00:02:02:02 in bridge 4096: to weft/pod/firewall/left
            policy 0xe7f4207e: weft/chain/4096/e7f4207e via 192.168.64.22 weft/end/4096
            policy 0xe7f4207e on weft/pod/client/eth0: v4 priority 10
            n2:
            acl weft/chain/4096/1e2153e5: permit 0.0.0.0/0 10.1.1.2/32 proto 6 from 80-80
            interface weft/end/4098: loopback 4098 02:fe:00:02:02:02
            interface weft/segment/4097/1: vxlan 192.168.16.2 192.168.16.1 vni 4097
            bridge 4098: weft/end/4098
            l2 weft/end/4098: bridge 4098 bvi group 0
            l2 weft/pod/limiter/left: to weft/segment/4097/1
            l2 weft/pod/limiter/right: bridge 4098 group 0
            l2 weft/segment/4097/1: to weft/pod/limiter/left
            address 192.168.64.22/32 on weft/end/4098: set
            neighbour 192.168.64.11 on weft/end/4098: at 02:fe:00:02:01:01
            mac 02:fe:00:02:01:01 in bridge 4098: to weft/pod/limiter/right
            policy 0x1e2153e5: weft/chain/4096/1e2153e5 via 192.168.64.11 weft/end/4098
            policy 0x1e2153e5 on weft/mesh: v4 priority 20
            policy 0x1e2153e5 on weft/pod/limiter/eth0: v4 priority 20
            policy 0x1e2153e5 on weft/uplink: v4 priority 20
        "#]],
    );
}

#[test]
fn rules_become_access_lists_by_priority() {
    let mut scene = scene("client@n1 | firewall@n1! | server@n2").with_rules(vec![
        rule(30, 0, FlowAction::EnterChain),
        rule(10, 22, FlowAction::Bypass),
        rule(20, 25, FlowAction::Drop),
        rule(40, 26, FlowAction::Drop),
    ]);
    scene.chain.return_path = ReturnPath::Direct;
    let facts = scene.facts(&node_name(1));
    let mut objects = chain(&facts, &scene.chain);
    objects.extend(drops(&facts, [&scene.chain]));
    objects.retain(|key, _| matches!(key, Key::Acl(_) | Key::AclBinding(..)));
    expect![[r#"
        acl weft/chain/4096/e7f4207e: deny 0.0.0.0/0 10.1.2.2/32 proto 6 to 22-22, deny 0.0.0.0/0 10.1.2.2/32 proto 6 to 25-25, permit 0.0.0.0/0 10.1.2.2/32
        acl weft/drop/client: permit 0.0.0.0/0 10.1.2.2/32 proto 6 to 22-22, deny 0.0.0.0/0 10.1.2.2/32 proto 6 to 25-25, permit 0.0.0.0/0 10.1.2.2/32, deny 0.0.0.0/0 10.1.2.2/32 proto 6 to 26-26, permit 0.0.0.0/0 0.0.0.0/0, permit ::/0 ::/0
        acl weft/drop/client on weft/pod/client/eth0: set
    "#]].assert_eq(&scene.listing(&objects));
}

#[test]
fn two_chains_that_drop_share_the_list_of_a_pod() {
    let drop = |port| {
        let rules = vec![
            rule(10, port, FlowAction::Drop),
            rule(20, 0, FlowAction::EnterChain),
        ];
        scene("client@n1 | firewall@n1! | server@n2").with_rules(rules)
    };
    let (first, second) = (drop(25), drop(26));
    let facts = first.facts(&node_name(1));
    let objects = drops(&facts, [&first.chain, &second.chain]);
    expect![[r#"
        acl weft/drop/client: deny 0.0.0.0/0 10.1.2.2/32 proto 6 to 25-25, deny 0.0.0.0/0 10.1.2.2/32 proto 6 to 26-26, permit 0.0.0.0/0 0.0.0.0/0, permit ::/0 ::/0
        acl weft/drop/client on weft/pod/client/eth0: set
    "#]].assert_eq(&first.listing(&objects));
}

#[test]
fn a_chain_without_a_segment_beside_each_hop_is_not_wired() {
    let mut scene = scene(QUICKSTART);
    scene.chain.segments.pop();
    check(&scene, &expect![[""]]);
}
