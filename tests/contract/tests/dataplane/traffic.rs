//! What becomes of packets: the same frames into each dataplane, the same out of it.

use vpp_api::acl::{AclAddReplace, AclInterfaceSetAclList};
use vpp_api::acl_types::{AclAction, AclRule};
use vpp_api::cnat::{
    CnatEndpoint, CnatEndpointTuple, CnatSessionDump, CnatTranslation, CnatTranslationUpdate,
    FeatureCnatEnableDisable,
};
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::ip::{IpRoute, IpRouteAddDel};
use vpp_api::ip_types::{AddressFamily, IpProto};
use vpp_api::ipip::{IpipAddTunnel, IpipTunnel};
use vpp_api::l2::SwInterfaceSetL2Xconnect;
use vpp_api::npol::{
    NpolConfigurePolicies, NpolEntryData, NpolEntryType, NpolPolicyCreate, NpolPolicyDefault,
    NpolPolicyItem, NpolPortRange, NpolRule, NpolRuleAction, NpolRuleCreate, NpolRuleEntry,
};
use vpp_api::urpf::{UrpfMode, UrpfUpdateV2};
use vpp_api::vxlan::VxlanAddDelTunnelV3;

use crate::target::{Target, path, prefix};
use crate::wire::{Wires, address, around, echo_request, in_vxlan, tcp_of, udp_of, up};

pub(crate) const LEFT: &str = "10.77.40.2";
pub(crate) const RIGHT: &str = "10.77.41.2";
pub(crate) const LEFT6: &str = "fd77:40::2";
pub(crate) const RIGHT6: &str = "fd77:41::2";

/// Nothing comes out.
pub(crate) const NOTHING: [&str; 0] = [];

/// Dataplanes that put their sockets where this test may look.
pub(crate) async fn targets() -> Vec<Target> {
    let all = Target::all().await;
    all.into_iter()
        .filter(|target| target.child.is_some())
        .collect()
}

#[tokio::test]
async fn packets_are_routed_and_what_cannot_be_is_answered() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        let mut check = |packet: &[u8], expected: &[&str]| {
            assert_eq!(wires.exchange(0, packet), expected, "{}", target.name);
        };
        check(
            &udp_of((LEFT, RIGHT), (5, 6), 64),
            &["1: 10.77.40.2 > 10.77.41.2 ttl 63 udp 5>6"],
        );
        check(
            &udp_of((LEFT6, RIGHT6), (5, 6), 64),
            &["1: fd77:40::2 > fd77:41::2 ttl 63 udp 5>6"],
        );
        check(
            &udp_of((LEFT, RIGHT), (5, 6), 1),
            &["0: 10.77.40.1 > 10.77.40.2 ttl 255 icmp 11/0 about 10.77.40.2 > 10.77.41.2 5>6"],
        );
        check(
            &udp_of((LEFT6, RIGHT6), (5, 6), 1),
            &["0: fd77:40::1 > fd77:40::2 ttl 255 icmp 3/0 about fd77:40::2 > fd77:41::2 5>6"],
        );
        check(
            &echo_request((LEFT, "10.77.41.1"), 9),
            &["0: 10.77.41.1 > 10.77.40.2 ttl 64 icmp 0/0 id 9"],
        );
        check(
            &echo_request((LEFT6, "fd77:41::1"), 9),
            &["0: fd77:41::1 > fd77:40::2 ttl 64 icmp 129/0 id 9"],
        );
        check(&udp_of((LEFT, "10.99.0.1"), (5, 6), 64), &NOTHING);
    }
}

/// An access list that lets one protocol and port range pass.
pub(crate) fn acl(action: AclAction, proto: IpProto, ports: (u16, u16)) -> AclAddReplace {
    let rule = AclRule {
        is_permit: action,
        src_prefix: prefix("0.0.0.0/0"),
        dst_prefix: prefix("0.0.0.0/0"),
        proto,
        srcport_or_icmptype_last: u16::MAX,
        dstport_or_icmpcode_first: ports.0,
        dstport_or_icmpcode_last: ports.1,
        ..AclRule::default()
    };
    AclAddReplace {
        acl_index: u32::MAX,
        r: vec![rule],
        ..AclAddReplace::default()
    }
}

#[tokio::test]
async fn a_reflecting_acl_lets_answers_pass_and_nothing_else() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        let reflect = acl(AclAction::PermitReflect, IpProto::Udp, (53, 53));
        let tcp = acl(AclAction::PermitReflect, IpProto::Tcp, (80, 80));
        let both = AclAddReplace {
            r: [reflect.r, tcp.r].concat(),
            ..AclAddReplace {
                acl_index: u32::MAX,
                ..AclAddReplace::default()
            }
        };
        let inbound = target.api.request(&both).await.unwrap().acl_index;
        let deny = acl(AclAction::Deny, IpProto::Udp, (0, u16::MAX));
        let outbound = target.api.request(&deny).await.unwrap().acl_index;
        let apply = AclInterfaceSetAclList {
            sw_if_index: wires.ports[0],
            n_input: 1,
            acls: vec![inbound, outbound],
        };
        target.ok(&apply).await;
        let mut check = |side: usize, packet: &[u8], expected: &[&str]| {
            assert_eq!(wires.exchange(side, packet), expected, "{}", target.name);
        };
        let answer = udp_of((RIGHT, LEFT), (53, 1000), 64);
        check(1, &answer, &NOTHING);
        check(
            0,
            &udp_of((LEFT, RIGHT), (1000, 53), 64),
            &["1: 10.77.40.2 > 10.77.41.2 ttl 63 udp 1000>53"],
        );
        check(
            1,
            &answer,
            &["0: 10.77.41.2 > 10.77.40.2 ttl 63 udp 53>1000"],
        );
        check(0, &udp_of((LEFT, RIGHT), (1000, 54), 64), &NOTHING);
        check(1, &udp_of((RIGHT, LEFT), (53, 1001), 64), &NOTHING);
        check(1, &tcp_of((RIGHT, LEFT), (80, 2000), SYN | ACK), &NOTHING);
        check(
            0,
            &tcp_of((LEFT, RIGHT), (2000, 80), SYN),
            &["1: 10.77.40.2 > 10.77.41.2 ttl 63 tcp 2000>80"],
        );
        check(
            1,
            &tcp_of((RIGHT, LEFT), (80, 2000), SYN | ACK),
            &["0: 10.77.41.2 > 10.77.40.2 ttl 63 tcp 80>2000"],
        );
    }
}

const SYN: u8 = 2;
const ACK: u8 = 16;

pub(crate) async fn cnat(target: &Target, wires: &Wires) {
    for sw_if_index in wires.ports {
        target
            .ok(&FeatureCnatEnableDisable {
                sw_if_index,
                enable_disable: true,
            })
            .await;
    }
}

fn endpoint(address: &str, port: u16) -> CnatEndpoint {
    CnatEndpoint {
        addr: address.parse().unwrap(),
        sw_if_index: InterfaceIndex::NONE,
        if_af: if address.contains(':') {
            AddressFamily::Ip6
        } else {
            AddressFamily::Ip4
        },
        port,
    }
}

#[tokio::test]
async fn a_service_is_its_back_end_both_ways() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        cnat(&target, &wires).await;
        for (vip, backend, none) in [("10.96.0.1", RIGHT, "0.0.0.0"), ("fd96::1", RIGHT6, "::")] {
            let path = CnatEndpointTuple {
                dst_ep: endpoint(backend, 8080),
                src_ep: endpoint(none, 0),
                flags: 0,
            };
            let translation = CnatTranslation {
                vip: endpoint(vip, 80),
                ip_proto: IpProto::Tcp,
                paths: vec![path],
                ..CnatTranslation::default()
            };
            target.ok(&CnatTranslationUpdate { translation }).await;
        }
        let mut check = |side: usize, packet: &[u8], expected: &[&str]| {
            assert_eq!(wires.exchange(side, packet), expected, "{}", target.name);
        };
        check(
            0,
            &tcp_of((LEFT, "10.96.0.1"), (3000, 80), SYN),
            &["1: 10.77.40.2 > 10.77.41.2 ttl 63 tcp 3000>8080"],
        );
        check(
            1,
            &tcp_of((RIGHT, LEFT), (8080, 3000), SYN | ACK),
            &["0: 10.96.0.1 > 10.77.40.2 ttl 63 tcp 80>3000"],
        );
        check(
            0,
            &tcp_of((LEFT6, "fd96::1"), (3000, 80), SYN),
            &["1: fd77:40::2 > fd77:41::2 ttl 63 tcp 3000>8080"],
        );
        check(
            1,
            &tcp_of((RIGHT6, LEFT6), (8080, 3000), SYN | ACK),
            &["0: fd96::1 > fd77:40::2 ttl 63 tcp 80>3000"],
        );
        // What is no service passes as it is.
        check(
            0,
            &udp_of((LEFT, RIGHT), (3000, 53), 64),
            &["1: 10.77.40.2 > 10.77.41.2 ttl 63 udp 3000>53"],
        );
        let sessions = target.api.dump(&CnatSessionDump::default()).await.unwrap();
        assert_eq!(sessions.len(), 6, "two of each flow on {}", target.name);
    }
}

#[tokio::test]
async fn a_policy_asks_the_first_packet_of_a_flow() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        cnat(&target, &wires).await;
        let range = NpolPortRange { start: 53, end: 53 };
        let matches = vec![NpolRuleEntry {
            is_src: false,
            r#type: NpolEntryType::PortRange,
            data: NpolEntryData::of(&range).unwrap(),
            ..NpolRuleEntry::default()
        }];
        let rule = NpolRule {
            action: NpolRuleAction::Allow,
            matches,
            ..NpolRule::default()
        };
        let rule_id = target
            .api
            .request(&NpolRuleCreate { rule })
            .await
            .unwrap()
            .rule_id;
        let items = vec![NpolPolicyItem {
            is_inbound: true,
            rule_id,
        }];
        let create = NpolPolicyCreate { rules: items };
        let policy_id = target.api.request(&create).await.unwrap().policy_id;
        target
            .ok(&NpolConfigurePolicies {
                sw_if_index: wires.ports[0].0,
                num_rx_policies: 1,
                policy_default_rx: NpolPolicyDefault::Deny,
                policy_default_tx: NpolPolicyDefault::Deny,
                policy_ids: vec![policy_id],
                ..NpolConfigurePolicies::default()
            })
            .await;
        let mut check = |side: usize, packet: &[u8], expected: &[&str]| {
            assert_eq!(wires.exchange(side, packet), expected, "{}", target.name);
        };
        check(1, &udp_of((RIGHT, LEFT), (7, 53), 64), &NOTHING);
        check(0, &udp_of((LEFT, RIGHT), (4000, 54), 64), &NOTHING);
        check(
            0,
            &udp_of((LEFT, RIGHT), (4000, 53), 64),
            &["1: 10.77.40.2 > 10.77.41.2 ttl 63 udp 4000>53"],
        );
        check(
            1,
            &udp_of((RIGHT, LEFT), (53, 4000), 64),
            &["0: 10.77.41.2 > 10.77.40.2 ttl 63 udp 53>4000"],
        );
        check(1, &udp_of((RIGHT, LEFT), (53, 4001), 64), &NOTHING);
        check(
            0,
            &udp_of((LEFT6, RIGHT6), (4000, 53), 64),
            &["1: fd77:40::2 > fd77:41::2 ttl 63 udp 4000>53"],
        );
        check(0, &udp_of((LEFT6, RIGHT6), (4000, 54), 64), &NOTHING);
    }
}

async fn source_check(target: &Target, sw_if_index: InterfaceIndex, mode: UrpfMode) {
    for af in [AddressFamily::Ip4, AddressFamily::Ip6] {
        let request = UrpfUpdateV2 {
            is_input: true,
            mode,
            af,
            sw_if_index,
            table_id: u32::MAX,
        };
        target.ok(&request).await;
    }
}

#[tokio::test]
async fn sources_are_checked_strictly_or_loosely() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        let left = wires.ports[0];
        let (own, foreign, unknown) = (
            udp_of((LEFT, RIGHT), (5, 6), 64),
            udp_of(("10.77.41.9", RIGHT), (5, 6), 64),
            udp_of(("10.99.0.9", RIGHT), (5, 6), 64),
        );
        let passes = |from: &str| vec![format!("1: {from} > 10.77.41.2 ttl 63 udp 5>6")];
        source_check(&target, left, UrpfMode::Strict).await;
        assert_eq!(wires.exchange(0, &own), passes(LEFT), "{}", target.name);
        assert_eq!(wires.exchange(0, &foreign), NOTHING, "{}", target.name);
        source_check(&target, left, UrpfMode::Loose).await;
        assert_eq!(
            wires.exchange(0, &foreign),
            passes("10.77.41.9"),
            "{}",
            target.name
        );
        assert_eq!(wires.exchange(0, &unknown), NOTHING, "{}", target.name);
        source_check(&target, left, UrpfMode::Off).await;
        assert_eq!(
            wires.exchange(0, &unknown),
            passes("10.99.0.9"),
            "{}",
            target.name
        );
    }
}

#[tokio::test]
async fn packets_cross_an_ipip_tunnel() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        let tunnel = IpipTunnel {
            instance: u32::MAX,
            src: "10.77.41.1".parse().unwrap(),
            dst: RIGHT.parse().unwrap(),
            ..IpipTunnel::default()
        };
        let on = target
            .api
            .request(&IpipAddTunnel { tunnel })
            .await
            .unwrap()
            .sw_if_index;
        up(&target, on).await;
        address(&target, on, "10.77.50.1/24").await;
        target.ok(&route("10.98.0.0/16", "0.0.0.0", on)).await;
        let far = ("10.98.0.5", LEFT);
        // VPP lowers the hop limit of what it sends itself.
        let ttl = if target.is_vpp() { 63 } else { 64 };
        let inner = "10.77.40.2 > 10.98.0.5 ttl 63 udp 5>6";
        assert_eq!(
            wires.exchange(0, &udp_of((LEFT, far.0), (5, 6), 64)),
            [format!("1: 10.77.41.1 > 10.77.41.2 ttl {ttl} [{inner}]")],
            "{}",
            target.name
        );
        assert_eq!(
            wires.exchange(1, &around((RIGHT, "10.77.41.1"), &udp_of(far, (6, 5), 64))),
            ["0: 10.98.0.5 > 10.77.40.2 ttl 63 udp 6>5"],
            "{}",
            target.name
        );
    }
}

#[tokio::test]
async fn frames_cross_a_vxlan_tunnel() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        let create = VxlanAddDelTunnelV3 {
            src_address: "10.77.41.1".parse().unwrap(),
            dst_address: RIGHT.parse().unwrap(),
            vni: 7,
            decap_next_index: u32::MAX,
            instance: u32::MAX,
            ..VxlanAddDelTunnelV3::default()
        };
        let tunnel = target.api.request(&create).await.unwrap().sw_if_index;
        for (rx_sw_if_index, tx_sw_if_index) in [(wires.ports[0], tunnel), (tunnel, wires.ports[0])]
        {
            target
                .ok(&SwInterfaceSetL2Xconnect {
                    rx_sw_if_index,
                    tx_sw_if_index,
                    enable: true,
                })
                .await;
        }
        // The left port bridges now: its marker goes through the tunnel, so the right one asks.
        let inner = udp_of((LEFT, "10.1.1.1"), (5, 6), 64);
        assert_eq!(
            wires.exchange(1, &in_vxlan((RIGHT, "10.77.41.1"), 7, &inner)),
            ["0: 10.77.40.2 > 10.1.1.1 ttl 64 udp 5>6"],
            "{}",
            target.name
        );
        assert_eq!(
            wires.exchange(1, &in_vxlan((RIGHT, "10.77.41.1"), 8, &inner)),
            NOTHING,
            "{}",
            target.name
        );
        let ttl = if target.is_vpp() { 253 } else { 254 };
        let outer = format!("1: 10.77.41.1 > 10.77.41.2 ttl {ttl} vxlan 7");
        assert_eq!(
            wires.send_for(0, &inner, 1),
            [format!("{outer} [10.77.40.2 > 10.1.1.1 ttl 64 udp 5>6]")],
            "{}",
            target.name
        );
    }
}

pub(crate) fn route(to: &str, next_hop: &str, on: InterfaceIndex) -> IpRouteAddDel {
    IpRouteAddDel {
        is_add: true,
        route: IpRoute {
            prefix: prefix(to),
            paths: vec![path(next_hop, on)],
            ..IpRoute::default()
        },
        ..IpRouteAddDel::default()
    }
}
