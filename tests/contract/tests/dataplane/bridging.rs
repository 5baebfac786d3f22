//! Tagged frames between the members of a bridge domain. The ports themselves keep routing what has no tag.

use packet::MacAddr;
use vpp_api::ethernet_types::MacAddress;
use vpp_api::interface::{CreateLoopback, CreateVlanSubif};
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::l2::{
    BridgeDomainAddDelV2, BridgeDomainSetLearnLimit, L2InterfaceVlanTagRewrite, L2PortType,
    SwInterfaceSetL2Bridge,
};

use crate::target::{BRIDGE, Target};
use crate::traffic::{NOTHING, targets};
use crate::wire::{Wires, address, echo_request, host_mac, udp_of, up};

const HERE: &str = "10.77.60.2";
const THERE: &str = "10.77.60.3";
const BVI: MacAddr = MacAddr([2, 0x77, 0, 0, 3, 0]);

/// A member of the bridge domain that takes frames of one VLAN without their tag.
async fn member(target: &Target, sw_if_index: InterfaceIndex, vlan_id: u32, shg: u8) {
    let create = CreateVlanSubif {
        sw_if_index,
        vlan_id,
    };
    let sub = target.api.request(&create).await.unwrap().sw_if_index;
    up(target, sub).await;
    join(target, sub, L2PortType::Normal, shg).await;
    target
        .ok(&L2InterfaceVlanTagRewrite {
            sw_if_index: sub,
            // Pop one tag.
            vtr_op: 3,
            push_dot1q: 1,
            ..L2InterfaceVlanTagRewrite::default()
        })
        .await;
}

async fn join(target: &Target, rx_sw_if_index: InterfaceIndex, port_type: L2PortType, shg: u8) {
    target
        .ok(&SwInterfaceSetL2Bridge {
            rx_sw_if_index,
            bd_id: BRIDGE,
            port_type,
            shg,
            enable: true,
        })
        .await;
}

async fn bridge(target: &Target, ports: [InterfaceIndex; 2]) {
    target
        .ok(&BridgeDomainAddDelV2 {
            bd_id: BRIDGE,
            flood: true,
            uu_flood: true,
            forward: true,
            learn: true,
            is_add: true,
            ..BridgeDomainAddDelV2::default()
        })
        .await;
    member(target, ports[0], 10, 0).await;
    for vlan_id in [20, 30] {
        member(target, ports[1], vlan_id, 1).await;
    }
    let create = CreateLoopback {
        mac_address: MacAddress(BVI.0),
    };
    let bvi = target.api.request(&create).await.unwrap().sw_if_index;
    up(target, bvi).await;
    join(target, bvi, L2PortType::Bvi, 0).await;
    address(target, bvi, "10.77.60.1/24").await;
}

#[tokio::test]
async fn a_bridge_floods_learns_and_has_an_interface_of_its_own() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        bridge(&target, wires.ports).await;
        let mut check = |side: usize, to: MacAddr, vlan: u16, packet: &[u8], expected: &[&str]| {
            let said = wires.exchange_tagged(side, to, vlan, packet);
            assert_eq!(said, expected, "{}", target.name);
        };
        let (forth, back) = (
            udp_of((HERE, THERE), (5, 6), 64),
            udp_of((THERE, HERE), (6, 5), 64),
        );
        check(
            0,
            host_mac(1),
            10,
            &forth,
            &[
                "1: vlan [20] 10.77.60.2 > 10.77.60.3 ttl 64 udp 5>6",
                "1: vlan [30] 10.77.60.2 > 10.77.60.3 ttl 64 udp 5>6",
            ],
        );
        check(
            1,
            host_mac(0),
            20,
            &back,
            &["0: vlan [10] 10.77.60.3 > 10.77.60.2 ttl 64 udp 6>5"],
        );
        check(
            0,
            host_mac(1),
            10,
            &forth,
            &["1: vlan [20] 10.77.60.2 > 10.77.60.3 ttl 64 udp 5>6"],
        );
        // Members of one split horizon group do not hear each other.
        check(
            1,
            MacAddr([0xff; 6]),
            30,
            &back,
            &["0: vlan [10] 10.77.60.3 > 10.77.60.2 ttl 64 udp 6>5"],
        );
        check(0, host_mac(1), 11, &forth, &NOTHING);
        // Through the bridge's own interface into the other subnet.
        check(
            0,
            BVI,
            10,
            &udp_of((HERE, "10.77.41.2"), (5, 6), 64),
            &["1: 10.77.60.2 > 10.77.41.2 ttl 63 udp 5>6"],
        );
        check(
            0,
            MacAddr([2, 9, 9, 9, 9, 9]),
            10,
            &echo_request((HERE, "10.77.60.1"), 3),
            &[
                "1: vlan [20] 10.77.60.2 > 10.77.60.1 ttl 64 icmp 8/0 id 3",
                "1: vlan [30] 10.77.60.2 > 10.77.60.1 ttl 64 icmp 8/0 id 3",
            ],
        );
    }
}

#[tokio::test]
async fn a_bridge_at_its_limit_forwards_what_it_does_not_learn() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        bridge(&target, wires.ports).await;
        let limit = |learn_limit| BridgeDomainSetLearnLimit {
            bd_id: BRIDGE,
            learn_limit,
        };
        let (forth, back) = (
            udp_of((HERE, THERE), (5, 6), 64),
            udp_of((THERE, HERE), (6, 5), 64),
        );
        for (learn_limit, ports) in [(0, 2), (1, 2), (2, 1)] {
            target.ok(&limit(learn_limit)).await;
            wires.exchange_tagged(0, host_mac(1), 10, &forth);
            wires.exchange_tagged(1, host_mac(0), 20, &back);
            let said = wires.exchange_tagged(0, host_mac(1), 10, &forth);
            assert_eq!(said.len(), ports, "{}: {learn_limit} {said:?}", target.name);
        }
    }
}
