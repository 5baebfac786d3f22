//! Error codes and effects of changes, as an API client sees them.

use packet::MacAddr;

use super::*;
use crate::acl::{AclAction, AclRule};
use crate::bridge::{BridgeSpec, PortType};
use crate::event::Event;
use crate::id::Nanos;
use crate::interface::{DeviceSpec, LinkMode};
use crate::lab::{addr, host, own_mac, prefix};
use crate::neighbor::NeighborFlags;
use crate::prefix::Prefix;
use crate::route::{PathKind, RoutePath};
use crate::tunnel::VxlanSpec;

const BAD: SwIfIndex = SwIfIndex(77);

fn device(dp: &mut Dataplane, name: &str) -> SwIfIndex {
    dp.create_device_interface(DeviceSpec {
        name: name.to_owned(),
        ..DeviceSpec::default()
    })
    .unwrap()
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> i32 {
    result.map_or_else(ApiError::retval, |_| 0)
}

#[test]
fn interface_changes_answer_as_vpp() {
    let mut dp = Dataplane::new();
    let a = device(&mut dp, "a");
    assert_eq!(a, SwIfIndex(1));
    assert_eq!(
        code(dp.create_device_interface(DeviceSpec {
            name: "a".to_owned(),
            ..DeviceSpec::default()
        })),
        -79
    );
    assert_eq!(code(dp.set_flags(BAD, true)), -2);
    assert_eq!(code(dp.delete_interface(SwIfIndex::LOCAL0)), -2);
    let loopback = dp.create_loopback(MacAddr::ZERO, Some(3)).unwrap();
    assert_eq!(
        dp.interface(loopback).unwrap().mac.to_string(),
        "de:ad:00:00:00:03"
    );
    assert_eq!(code(dp.create_loopback(MacAddr::ZERO, Some(3))), -31);
    assert_eq!(code(dp.delete_loopback(a)), -2);
    assert_eq!(code(dp.delete_interface(loopback)), -2);
    dp.tag(a, true, "owner=x").unwrap();
    assert_eq!(dp.interface(a).unwrap().tag, "owner=x");
    dp.tag(a, false, "").unwrap();
    assert_eq!(dp.interface(a).unwrap().tag, "");
    assert_eq!(dp.interface_by_name("loop3"), Some(loopback));
    dp.set_flags(a, true).unwrap();
    dp.set_flags(a, true).unwrap();
    dp.delete_interface(a).unwrap();
    let mut notices = Vec::new();
    while let Some(notice) = dp.poll_notice() {
        notices.push(notice);
    }
    assert_eq!(
        notices,
        [
            Notice::InterfaceFlags {
                sw_if_index: a,
                admin_up: true,
                link_up: false
            },
            Notice::InterfaceDeleted { sw_if_index: a }
        ]
    );
    assert_eq!(device(&mut dp, "b"), a);
}

#[test]
fn addresses_and_tables_answer_as_vpp() {
    let mut dp = Dataplane::new();
    let (a, b) = (device(&mut dp, "a"), device(&mut dp, "b"));
    assert_eq!(code(dp.set_table(a, Family::V4, 9)), -3);
    dp.ip_table_add_del(Family::V4, 9, "nine", true).unwrap();
    dp.set_table(a, Family::V4, 9).unwrap();
    dp.add_del_address(a, true, prefix("10.0.0.1/24")).unwrap();
    assert_eq!(
        code(dp.add_del_address(a, true, prefix("10.0.0.1/24"))),
        -105
    );
    assert_eq!(code(dp.set_table(a, Family::V4, 0)), -114);
    assert_eq!(code(dp.set_table(a, Family::V6, 0)), 0);
    dp.add_del_address(b, true, prefix("10.0.0.2/24")).unwrap();
    assert_eq!(
        code(dp.add_del_address(a, false, prefix("10.0.0.9/24"))),
        -60
    );
    for overlap in ["10.0.0.9/32", "10.0.0.9/24", "10.0.0.9/8"] {
        let c = device(&mut dp, "c");
        assert_eq!(
            code(dp.add_del_address(c, true, prefix(overlap))),
            -105,
            "{overlap}"
        );
        dp.delete_interface(c).unwrap();
    }
    // A second address of the same prefix on the same interface keeps the connected route alive.
    dp.add_del_address(b, true, prefix("10.0.0.3/24")).unwrap();
    dp.add_del_address(b, false, prefix("10.0.0.2/24")).unwrap();
    assert!(dp.ip_route_lookup(0, prefix("10.0.0.0/24"), true).is_ok());
    assert_eq!(code(dp.ip_route_lookup(0, prefix("10.0.0.2/32"), true)), -6);
    dp.address_replace_begin();
    dp.add_del_address(a, true, prefix("10.0.0.1/24")).unwrap();
    dp.address_replace_end();
    assert_eq!(
        (
            dp.addresses(a, Family::V4).len(),
            dp.addresses(b, Family::V4).len()
        ),
        (1, 0)
    );
    assert_eq!(code(dp.ip_route_lookup(0, prefix("10.0.0.0/24"), true)), -6);
    dp.set_unnumbered(b, Some(a)).unwrap();
    assert_eq!(code(dp.set_table(b, Family::V4, 9)), -114);
    assert_eq!(dp.unnumbered_dump(), [(b, a)]);
    dp.ip_table_add_del(Family::V4, 9, "", false).unwrap();
    assert!(
        dp.ip_tables().iter().any(|t| t.table_id == 9),
        "a table in use stays"
    );
}

#[test]
fn routes_are_replaced_extended_and_swept_as_vpp() {
    let mut dp = Dataplane::new();
    let a = device(&mut dp, "a");
    let via = |hop: &str| RoutePath::via(addr(hop), a);
    let target = prefix("10.5.0.0/16");
    let hops = |dp: &Dataplane| -> Vec<String> {
        dp.ip_route_lookup(0, target, true).map_or_else(
            |_| Vec::new(),
            |r| r.paths.iter().map(|p| p.next_hop.to_string()).collect(),
        )
    };
    assert_eq!(code(dp.ip_route_add_del(0, target, &[], true, false)), -52);
    assert_eq!(
        code(dp.ip_route_add_del(8, target, &[via("10.0.0.2")], true, false)),
        -3
    );
    assert_eq!(
        code(dp.ip_route_add_del(
            0,
            target,
            &[RoutePath::via(addr("10.0.0.2"), BAD)],
            true,
            false
        )),
        -2
    );
    let elsewhere = RoutePath {
        table_id: 8,
        ..RoutePath::of_kind(PathKind::Normal, Family::V4)
    };
    assert_eq!(
        code(dp.ip_route_add_del(0, target, &[elsewhere], true, false)),
        -3
    );
    let stats = dp
        .ip_route_add_del(0, prefix("10.5.7.7/16"), &[via("10.0.0.2")], true, false)
        .unwrap();
    assert_eq!(
        dp.ip_route_add_del(0, target, &[via("10.0.0.3")], true, true)
            .unwrap(),
        stats
    );
    assert_eq!(hops(&dp), ["10.0.0.2", "10.0.0.3"]);
    dp.ip_route_add_del(0, target, &[via("10.0.0.2")], false, true)
        .unwrap();
    assert_eq!(hops(&dp), ["10.0.0.3"]);
    dp.ip_route_add_del(0, target, &[via("10.0.0.4")], true, false)
        .unwrap();
    assert_eq!(hops(&dp), ["10.0.0.4"]);
    dp.ip_route_add_del(0, prefix("10.6.0.0/16"), &[via("10.0.0.4")], true, false)
        .unwrap();
    dp.ip_table_replace_begin(Family::V4, 0).unwrap();
    dp.ip_route_add_del(0, target, &[via("10.0.0.4")], true, false)
        .unwrap();
    dp.ip_table_replace_end(Family::V4, 0).unwrap();
    assert_eq!(code(dp.ip_route_lookup(0, prefix("10.6.0.0/16"), true)), -6);
    dp.ip_route_add_del(0, target, &[], false, false).unwrap();
    assert_eq!(hops(&dp), [] as [&str; 0]);
    assert_eq!(code(dp.ip_route_add_del(0, target, &[], false, false)), 0);
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn no_object_leaks_when_everything_is_deleted() {
    let mut dp = Dataplane::new();
    let census = |dp: &Dataplane| {
        let balances = dp.tables.load_balances.iter().count();
        (dp.routes.len(), balances, dp.path_lists.len())
    };
    let fresh = census(&dp);
    let (a, b) = (device(&mut dp, "a"), device(&mut dp, "b"));
    for (on, ip) in [(a, "10.0.0.1/24"), (b, "2001:db8::1/64")] {
        dp.set_flags(on, true).unwrap();
        dp.add_del_address(on, true, prefix(ip)).unwrap();
    }
    dp.ip_neighbor_add_del(
        a,
        addr("10.0.0.2"),
        host(1),
        NeighborFlags::default(),
        true,
        Nanos(0),
    )
    .unwrap();
    dp.handle_event(
        Event::NeighborLearned {
            sw_if_index: b,
            ip: addr("2001:db8::2"),
            mac: host(2),
        },
        Nanos(5),
    );
    dp.ip_route_add_del(
        0,
        prefix("10.5.0.0/16"),
        &[
            RoutePath::via(addr("10.0.0.2"), a),
            RoutePath::via(addr("10.0.0.3"), a),
        ],
        true,
        false,
    )
    .unwrap();
    let acl = dp
        .acl_add_replace(None, "", vec![AclRule::any(AclAction::Permit, Family::V4)])
        .unwrap();
    dp.abf_policy_add_del(1, acl, &[RoutePath::via(addr("10.0.0.7"), a)], true)
        .unwrap();
    dp.abf_itf_attach_add_del(1, b, 0, Family::V4, true)
        .unwrap();
    dp.set_l2_bridge(b, 4, PortType::Normal, 0, true).unwrap();
    dp.handle_event(
        Event::MacLearned {
            bridge: 0,
            mac: host(3),
            sw_if_index: b,
        },
        Nanos(0),
    );
    assert_eq!(dp.l2fib(4).len(), 1);
    dp.delete_interface(b).unwrap();
    dp.delete_interface(a).unwrap();
    dp.abf_policy_add_del(1, acl, &[RoutePath::via(addr("10.0.0.7"), a)], false)
        .unwrap();
    dp.acl_del(acl).unwrap();
    dp.bridge_domain_add_del(Some(4), None).unwrap();
    assert_eq!(census(&dp), fresh);
    assert_eq!(
        (
            dp.tables.adjacencies.iter().count(),
            dp.tables.adjacency_of.len(),
            dp.tables.macs.len()
        ),
        (0, 0, 0)
    );
    assert!(dp.routes_on.is_empty() && dp.ip_neighbors(Family::V6, None).is_empty());
}

#[test]
fn bridges_answer_as_vpp() {
    let mut dp = Dataplane::new();
    let a = device(&mut dp, "a");
    let tun = dp
        .create_device_interface(DeviceSpec {
            name: "tun".to_owned(),
            mode: LinkMode::Ip,
            ..DeviceSpec::default()
        })
        .unwrap();
    let (l0, l1) = (
        dp.create_loopback(MacAddr::ZERO, None).unwrap(),
        dp.create_loopback(MacAddr::ZERO, None).unwrap(),
    );
    let spec = || Some(BridgeSpec::default());
    assert_eq!(code(dp.bridge_domain_add_del(Some(0), spec())), -121);
    assert_eq!(code(dp.bridge_domain_add_del(Some(1 << 24), spec())), -122);
    assert_eq!(dp.bridge_domain_add_del(None, spec()).unwrap(), 1);
    assert_eq!(code(dp.bridge_domain_add_del(Some(1), spec())), -119);
    assert_eq!(code(dp.bridge_domain_add_del(Some(2), None)), -6);
    assert_eq!(
        code(dp.set_l2_bridge(BAD, 1, PortType::Normal, 0, true)),
        -2
    );
    assert_eq!(
        code(dp.set_l2_bridge(tun, 1, PortType::Normal, 0, true)),
        -151
    );
    assert_eq!(code(dp.set_l2_xconnect(a, tun, true)), -151);
    dp.set_l2_bridge(l0, 1, PortType::Bvi, 0, true).unwrap();
    assert_eq!(code(dp.set_l2_bridge(l1, 1, PortType::Bvi, 0, true)), -152);
    dp.set_l2_bridge(a, 1, PortType::Normal, 2, true).unwrap();
    assert_eq!(code(dp.bridge_domain_add_del(Some(1), None)), -120);
    let info = dp.bridge_domains().next().unwrap();
    assert_eq!((info.bvi, info.members), (Some(l0), vec![(l0, 0), (a, 2)]));
    assert!(dp.l2fib(1)[0].flags.bvi_mac);
    for port in [a, l0] {
        dp.set_l2_bridge(port, 1, PortType::Normal, 0, false)
            .unwrap();
    }
    assert_eq!(code(dp.bridge_domain_add_del(Some(1), None)), 0);
    let b = device(&mut dp, "b");
    dp.set_l2_xconnect(a, b, true).unwrap();
    assert_eq!(dp.xconnects(), [(a, b)]);
    dp.delete_interface(b).unwrap();
    assert!(dp.xconnects().is_empty());
}

#[test]
#[expect(clippy::too_many_lines, reason = "one story, told in order")]
fn tunnels_lists_and_policies_answer_as_vpp() {
    let mut dp = Dataplane::new();
    let spec = VxlanSpec {
        src: addr("10.0.0.1"),
        dst: addr("10.0.0.2"),
        vni: 5,
        ..VxlanSpec::default()
    };
    assert_eq!(
        code(dp.vxlan_add_del_tunnel_v3(
            true,
            VxlanSpec {
                dst: spec.src,
                ..spec
            }
        )),
        -82
    );
    assert_eq!(
        code(dp.vxlan_add_del_tunnel_v3(
            true,
            VxlanSpec {
                dst: addr("::1"),
                ..spec
            }
        )),
        -7
    );
    assert_eq!(
        code(dp.vxlan_add_del_tunnel_v3(
            true,
            VxlanSpec {
                encap_table: 4,
                ..spec
            }
        )),
        -3
    );
    let tunnel = dp.vxlan_add_del_tunnel_v3(true, spec).unwrap();
    assert_eq!(dp.interface(tunnel).unwrap().name, "vxlan_tunnel0");
    assert!(dp.interface(tunnel).unwrap().admin_up);
    assert_eq!(code(dp.vxlan_add_del_tunnel_v3(true, spec)), -75);
    assert_eq!(
        code(dp.vxlan_add_del_tunnel_v3(
            true,
            VxlanSpec {
                vni: 6,
                instance: Some(0),
                ..spec
            }
        )),
        -147
    );
    assert_eq!(
        code(dp.vxlan_add_del_tunnel_v3(false, VxlanSpec { vni: 6, ..spec })),
        -6
    );
    assert_eq!(
        dp.vxlan_add_del_tunnel_v3(
            false,
            VxlanSpec {
                dst_port: 4789,
                ..spec
            }
        ),
        Ok(tunnel)
    );

    let a = device(&mut dp, "a");
    let host_bits = AclRule {
        src: Prefix {
            addr: addr("10.0.0.1"),
            len: 8,
        },
        ..AclRule::any(AclAction::Permit, Family::V4)
    };
    assert_eq!(code(dp.acl_add_replace(None, "", vec![host_bits])), -57);
    assert_eq!(code(dp.acl_add_replace(Some(0), "", vec![])), -6);
    let acl = dp.acl_add_replace(Some(u32::MAX), "t", vec![]).unwrap();
    assert_eq!(
        code(dp.acl_interface_set_acl_list(a, &[acl, acl], &[])),
        -116
    );
    assert_eq!(code(dp.acl_interface_set_acl_list(a, &[9], &[])), -6);
    dp.acl_interface_set_acl_list(a, &[acl], &[]).unwrap();
    assert_eq!(code(dp.acl_del(acl)), -142);
    dp.acl_interface_set_acl_list(a, &[], &[acl]).unwrap();
    assert_eq!(code(dp.acl_del(acl)), -143);
    dp.acl_interface_set_acl_list(a, &[], &[]).unwrap();

    let path = RoutePath::via(addr("10.0.0.2"), a);
    assert_eq!(code(dp.abf_policy_add_del(1, acl, &[], true)), -7);
    assert_eq!(
        code(dp.abf_itf_attach_add_del(1, a, 0, Family::V4, true)),
        -6
    );
    dp.abf_policy_add_del(1, acl, &[path], true).unwrap();
    let other = dp.acl_add_replace(None, "", vec![]).unwrap();
    assert_eq!(code(dp.abf_policy_add_del(1, other, &[path], true)), -7);
    assert_eq!(code(dp.acl_del(acl)), -149);
    dp.abf_itf_attach_add_del(1, a, 0, Family::V4, true)
        .unwrap();
    assert_eq!(
        code(dp.abf_itf_attach_add_del(1, a, 0, Family::V6, true)),
        -116
    );
    dp.abf_itf_attach_add_del(1, a, 0, Family::V4, false)
        .unwrap();
    assert_eq!(
        code(dp.abf_itf_attach_add_del(1, a, 0, Family::V4, false)),
        -6
    );
    dp.abf_policy_add_del(1, acl, &[path], false).unwrap();
    assert_eq!(code(dp.acl_del(acl)), 0);
}

#[test]
fn static_neighbors_are_not_replaced_by_learned_ones() {
    let mut dp = Dataplane::new();
    let a = device(&mut dp, "a");
    dp.set_mac(a, own_mac(a)).unwrap();
    let fixed = NeighborFlags {
        is_static: true,
        no_fib_entry: false,
    };
    dp.ip_neighbor_add_del(a, addr("10.0.0.2"), host(1), fixed, true, Nanos(1))
        .unwrap();
    dp.handle_event(
        Event::NeighborLearned {
            sw_if_index: a,
            ip: addr("10.0.0.2"),
            mac: host(9),
        },
        Nanos(2),
    );
    let known = dp.ip_neighbors(Family::V4, Some(a));
    assert_eq!((known[0].mac, known[0].updated), (host(1), Nanos(1)));
    assert_eq!(
        code(dp.ip_neighbor_add_del(a, addr("10.0.0.3"), host(1), fixed, false, Nanos(1))),
        -6
    );
    dp.ip_neighbor_replace_begin();
    dp.ip_neighbor_replace_end();
    assert!(dp.ip_neighbors(Family::V4, None).is_empty());
}
