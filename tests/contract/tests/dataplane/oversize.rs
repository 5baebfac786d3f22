//! Packets that do not fit a link, and packets that lists lead elsewhere.

use vpp_api::ApiError;
use vpp_api::abf::{AbfItfAttach, AbfItfAttachAddDel, AbfPolicy, AbfPolicyAddDel};
use vpp_api::acl_types::AclAction;
use vpp_api::interface::SwInterfaceSetMtu;
use vpp_api::ip::{
    IpPathMtu, IpPathMtuGet, IpPathMtuReplaceBegin, IpPathMtuReplaceEnd, IpPathMtuUpdate, IpRoute,
    IpRouteAddDel,
};
use vpp_api::ip_types::IpProto;

use crate::target::{TABLE, path, prefix};
use crate::traffic::{LEFT, LEFT6, NOTHING, RIGHT, RIGHT6, acl, targets};
use crate::wire::{Wires, long_udp_of, udp_of};

#[tokio::test]
async fn a_packet_too_big_for_a_link_is_cut_or_refused() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        target
            .ok(&SwInterfaceSetMtu {
                sw_if_index: wires.ports[1],
                mtu: [1300, 0, 0, 0],
            })
            .await;
        let mut check = |packet: &[u8], expected: &[&str]| {
            assert_eq!(wires.exchange(0, packet), expected, "{}", target.name);
        };
        check(
            &long_udp_of((LEFT, RIGHT), 1280, true),
            &["1: 10.77.40.2 > 10.77.41.2 ttl 63 udp 5>6"],
        );
        check(
            &long_udp_of((LEFT, RIGHT), 1281, true),
            &[
                "1: 10.77.40.2 > 10.77.41.2 ttl 63 part 0+1280",
                "1: 10.77.40.2 > 10.77.41.2 ttl 63 part 1280+1",
            ],
        );
        check(
            &long_udp_of((LEFT, RIGHT), 1281, false),
            &["0: 10.77.40.1 > 10.77.40.2 ttl 255 icmp 3/4 about 10.77.40.2 > 10.77.41.2 5>6"],
        );
        check(
            &long_udp_of((LEFT6, RIGHT6), 1261, true),
            &["0: fd77:40::1 > fd77:40::2 ttl 255 icmp 2/0 about fd77:40::2 > fd77:41::2 5>6"],
        );
    }
}

#[tokio::test]
async fn a_policy_leads_what_its_list_permits_elsewhere() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        let list = acl(AclAction::Permit, IpProto::Udp, (53, 53));
        let acl_index = target.api.request(&list).await.unwrap().acl_index;
        let policy = AbfPolicy {
            policy_id: 7,
            acl_index,
            paths: vec![path(RIGHT, wires.ports[1])],
        };
        target
            .ok(&AbfPolicyAddDel {
                is_add: true,
                policy,
            })
            .await;
        let attach = AbfItfAttach {
            policy_id: 7,
            sw_if_index: wires.ports[0],
            priority: 1,
            is_ipv6: false,
        };
        target
            .ok(&AbfItfAttachAddDel {
                is_add: true,
                attach,
            })
            .await;
        let mut check = |port: u16, expected: &[&str]| {
            let packet = udp_of((LEFT, "10.99.0.1"), (5, port), 64);
            assert_eq!(wires.exchange(0, &packet), expected, "{}", target.name);
        };
        check(53, &["1: 10.77.40.2 > 10.99.0.1 ttl 63 udp 5>53"]);
        check(54, &NOTHING);
    }
}

fn path_mtu(to: &str, path_mtu: u16) -> IpPathMtuUpdate {
    IpPathMtuUpdate {
        pmtu: IpPathMtu {
            nh: to.parse().unwrap(),
            path_mtu,
            ..IpPathMtu::default()
        },
    }
}

#[tokio::test]
async fn a_packet_too_big_for_a_path_is_cut_or_refused() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        let far = IpRouteAddDel {
            is_add: true,
            route: IpRoute {
                prefix: prefix("10.99.0.0/16"),
                paths: vec![path(RIGHT, wires.ports[1])],
                ..IpRoute::default()
            },
            ..IpRouteAddDel::default()
        };
        target.ok(&far).await;
        target.ok(&path_mtu(RIGHT, 1300)).await;
        target.ok(&path_mtu("10.99.0.1", 1200)).await;
        target.ok(&path_mtu(RIGHT6, 1300)).await;
        let mut elsewhere = path_mtu(RIGHT, 1300);
        elsewhere.pmtu.table_id = TABLE;
        target.refuses(&elsewhere, &[ApiError::NoSuchTable]).await;
        let dump = || target.api.cursor_dump(IpPathMtuGet::default());
        let mut listed: Vec<_> = dump()
            .await
            .unwrap()
            .iter()
            .map(|details| (details.pmtu.nh.to_string(), details.pmtu.path_mtu))
            .collect();
        listed.sort();
        let all = [("10.77.41.2", 1300), ("10.99.0.1", 1200), (RIGHT6, 1300)];
        assert_eq!(listed, all.map(|(to, mtu)| (to.to_owned(), mtu)));
        let mut check = |packet: &[u8], expected: &[&str]| {
            assert_eq!(wires.exchange(0, packet), expected, "{}", target.name);
        };
        check(
            &long_udp_of((LEFT, RIGHT), 1281, true),
            &[
                "1: 10.77.40.2 > 10.77.41.2 ttl 63 part 0+1280",
                "1: 10.77.40.2 > 10.77.41.2 ttl 63 part 1280+1",
            ],
        );
        check(
            &long_udp_of((LEFT, RIGHT), 1281, false),
            &["0: 10.77.40.1 > 10.77.40.2 ttl 255 icmp 3/4 about 10.77.40.2 > 10.77.41.2 5>6"],
        );
        check(
            &long_udp_of((LEFT6, RIGHT6), 1261, true),
            &["0: fd77:40::1 > fd77:40::2 ttl 255 icmp 2/0 about fd77:40::2 > fd77:41::2 5>6"],
        );
        check(
            &long_udp_of((LEFT, "10.99.0.1"), 1181, true),
            &[
                "1: 10.77.40.2 > 10.99.0.1 ttl 63 part 0+1176",
                "1: 10.77.40.2 > 10.99.0.1 ttl 63 part 1176+5",
            ],
        );
        target.ok(&IpPathMtuReplaceBegin {}).await;
        target.ok(&path_mtu("10.99.0.1", 1200)).await;
        target.ok(&IpPathMtuReplaceEnd {}).await;
        assert_eq!(dump().await.unwrap().len(), 1, "{}", target.name);
        check(
            &long_udp_of((LEFT, RIGHT), 1281, false),
            &["1: 10.77.40.2 > 10.77.41.2 ttl 63 udp 5>6"],
        );
    }
}
