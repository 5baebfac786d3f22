//! Segment routing of packets.

use vpp_api::interface_types::InterfaceIndex;
use vpp_api::sr::{SrLocalsidAddDel, SrPolicyAdd, SrSetEncapSource, SrSteeringAddDel, Srv6SidList};
use vpp_api::sr_types::{SrBehavior, SrSteer};

use crate::target::{Target, prefix};
use crate::traffic::{LEFT, LEFT6, RIGHT6, route, targets};
use crate::wire::{Wires, around, routed, udp_of};

#[tokio::test]
async fn segments_are_followed_and_ended() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        policy(&target, wires.ports[1]).await;
        local_sids(&target, wires.ports[0]).await;
        let mut check = |side: usize, packet: &[u8], expected: &str| {
            assert_eq!(wires.exchange(side, packet), [expected], "{}", target.name);
        };
        check(
            0,
            &udp_of((LEFT, "10.9.0.5"), (5, 6), 64),
            "1: fcff:1:: > fcff:2::1 ttl 63 [10.77.40.2 > 10.9.0.5 ttl 63 udp 5>6]",
        );
        check(
            0,
            &udp_of((LEFT6, "fd77:9::5"), (5, 6), 64),
            "1: fcff:1:: > fcff:2::1 ttl 63 [fd77:40::2 > fd77:9::5 ttl 63 udp 5>6]",
        );
        let (inner4, inner6) = (
            udp_of(("10.9.0.5", LEFT), (6, 5), 64),
            udp_of(("fd77:9::5", LEFT6), (6, 5), 64),
        );
        for (sid, inner, expected) in [
            (
                "fcff:1::4",
                &inner4,
                "0: 10.9.0.5 > 10.77.40.2 ttl 63 udp 6>5",
            ),
            (
                "fcff:1::14",
                &inner4,
                "0: 10.9.0.5 > 10.77.40.2 ttl 63 udp 6>5",
            ),
            (
                "fcff:1::6",
                &inner6,
                "0: fd77:9::5 > fd77:40::2 ttl 63 udp 6>5",
            ),
            (
                "fcff:1::16",
                &inner6,
                "0: fd77:9::5 > fd77:40::2 ttl 63 udp 6>5",
            ),
        ] {
            check(1, &around((RIGHT6, sid), inner), expected);
        }
    }
}

#[tokio::test]
async fn lists_of_segments_are_carried_and_worked_off() {
    for target in targets().await {
        let mut wires = Wires::new(&target).await;
        policy(&target, wires.ports[1]).await;
        let bsid_addr = "fcff:1::c".parse().unwrap();
        let mut sids = Srv6SidList {
            num_sids: 2,
            weight: 1,
            ..Srv6SidList::default()
        };
        sids.sids[0] = "fcff:2::1".parse().unwrap();
        sids.sids[1] = "fcff:3::1".parse().unwrap();
        target
            .ok(&SrPolicyAdd {
                bsid_addr,
                is_encap: true,
                sids,
                ..SrPolicyAdd::default()
            })
            .await;
        target
            .ok(&SrSteeringAddDel {
                bsid_addr,
                prefix: prefix("10.9.1.0/24"),
                traffic_type: SrSteer::Ipv4,
                ..SrSteeringAddDel::default()
            })
            .await;
        for (at, end_psp) in [("fcff:1::e", false), ("fcff:1::f", true)] {
            target
                .ok(&SrLocalsidAddDel {
                    localsid: at.parse().unwrap(),
                    behavior: SrBehavior::End,
                    end_psp,
                    ..SrLocalsidAddDel::default()
                })
                .await;
        }
        let mut check = |side: usize, packet: &[u8], expected: &str| {
            assert_eq!(wires.exchange(side, packet), [expected], "{}", target.name);
        };
        let inner = udp_of((LEFT, "10.9.1.5"), (5, 6), 64);
        check(
            0,
            &inner,
            "1: fcff:1:: > fcff:2::1 ttl 63 srh fcff:3::1 fcff:2::1 left 1 [10.77.40.2 > 10.9.1.5 ttl 63 udp 5>6]",
        );
        check(
            0,
            &routed(LEFT6, ["fcff:1::e", "fcff:2::9"], &inner),
            "1: fd77:40::2 > fcff:2::9 ttl 63 srh fcff:2::9 fcff:1::e left 0 [10.77.40.2 > 10.9.1.5 ttl 64 udp 5>6]",
        );
        check(
            0,
            &routed(LEFT6, ["fcff:1::f", "fcff:2::9"], &inner),
            "1: fd77:40::2 > fcff:2::9 ttl 63 [10.77.40.2 > 10.9.1.5 ttl 64 udp 5>6]",
        );
    }
}

/// Steers two networks into a policy of one segment behind the right host.
async fn policy(target: &Target, right: InterfaceIndex) {
    let mut far = route("fcff:2::/48", RIGHT6, right);
    far.route.paths[0].proto = vpp_api::fib_types::FibPathNhProto::Ip6;
    target.ok(&far).await;
    target
        .ok(&SrSetEncapSource {
            encaps_source: "fcff:1::".parse().unwrap(),
        })
        .await;
    let bsid_addr = "fcff:1::b".parse().unwrap();
    let mut sids = Srv6SidList {
        num_sids: 1,
        weight: 1,
        ..Srv6SidList::default()
    };
    sids.sids[0] = "fcff:2::1".parse().unwrap();
    target
        .ok(&SrPolicyAdd {
            bsid_addr,
            is_encap: true,
            sids,
            ..SrPolicyAdd::default()
        })
        .await;
    for (to, traffic_type) in [
        ("10.9.0.0/24", SrSteer::Ipv4),
        ("fd77:9::/64", SrSteer::Ipv6),
    ] {
        target
            .ok(&SrSteeringAddDel {
                bsid_addr,
                prefix: prefix(to),
                traffic_type,
                ..SrSteeringAddDel::default()
            })
            .await;
    }
}

async fn local_sids(target: &Target, left: InterfaceIndex) {
    for (at, behavior, sw_if_index, next_hop) in [
        ("fcff:1::4", SrBehavior::Dt4, InterfaceIndex(0), "::"),
        ("fcff:1::6", SrBehavior::Dt6, InterfaceIndex(0), "::"),
        ("fcff:1::14", SrBehavior::Dx4, left, LEFT),
        ("fcff:1::16", SrBehavior::Dx6, left, LEFT6),
    ] {
        target
            .ok(&SrLocalsidAddDel {
                localsid: at.parse().unwrap(),
                behavior,
                sw_if_index,
                nh_addr: next_hop.parse().unwrap(),
                ..SrLocalsidAddDel::default()
            })
            .await;
    }
}
