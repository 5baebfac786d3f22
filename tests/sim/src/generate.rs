//! Strategies for worlds, changes and frames. Values come from small pools, so that they meet each other.

use std::net::{IpAddr, Ipv4Addr};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use vswitch::acl::{AclAction, AclRule, PortRange};
use vswitch::bridge::{BridgeFlags, PortType};
use vswitch::route::{PathKind, RoutePath};
use vswitch::{Family, Prefix, SwIfIndex};

use crate::step::{Change, Step};
use crate::wire::Mac;
use crate::world::{
    self, BRIDGES, INTERFACES, If, LOOPBACKS, PEER_MAC, TABLES, TUNNELS, UNDERLAY, UPLINK,
};

mod frame;

pub use frame::frame;

/// A node as one would build it: three routed ports, a bridge domain with two ports, a BVI and both tunnels.
pub fn basis() -> Vec<Change> {
    let mut all = Vec::new();
    for family in [Family::V4, Family::V6] {
        all.push(Change::Table(UPLINK, family, UNDERLAY));
    }
    for (tunnel, len) in [(0, 24), (1, 64)] {
        let (addr, peer) = world::tunnel_ends(tunnel);
        all.push(Change::Address(UPLINK, Prefix { addr, len }, true));
        all.push(Change::Neighbor(UPLINK, peer, PEER_MAC, true));
    }
    all.extend(INTERFACES.map(|on| Change::Up(on, true)));
    for on in [1, 2, 3, LOOPBACKS[0]] {
        let [first, .., v6] = world::own_addresses(on);
        all.push(Change::Address(on, first, true));
        all.push(Change::Address(on, v6, true));
        for family in [Family::V4, Family::V6] {
            let ip = world::host(on, 0, family);
            all.push(Change::Neighbor(on, ip, world::host_mac(on, 0), true));
        }
    }
    let bd_id = BRIDGES[0];
    for (on, kind, group) in [
        (4, PortType::Normal, 0),
        (5, PortType::Normal, 0),
        (LOOPBACKS[0], PortType::Bvi, 0),
        (TUNNELS[0], PortType::Normal, 1),
        (TUNNELS[1], PortType::Normal, 1),
    ] {
        all.push(Change::Bridge {
            on,
            bd_id,
            kind,
            group,
        });
    }
    all
}

/// Steps of a run: a change now and then, frames in between.
pub fn steps(max: usize) -> BoxedStrategy<Vec<Step>> {
    let step = prop_oneof![
        2 => change().prop_map(Step::Change),
        3 => frame().prop_map(|(on, frame)| Step::Receive(on, frame)),
    ];
    vec(step, 1..max).boxed()
}

/// Any change.
pub fn change() -> BoxedStrategy<Change> {
    prop_oneof![
        2 => of_interface(),
        3 => of_address(),
        6 => of_route(),
        4 => of_bridge(),
        3 => of_acl(),
        2 => of_policy(),
    ]
    .boxed()
}

fn of_interface() -> BoxedStrategy<Change> {
    prop_oneof![
        3 => (interface(), prop::bool::weighted(0.7)).prop_map(|(on, up)| Change::Up(on, up)),
        1 => (interface(), select(vec![576, 1280, 1500, 9000]))
            .prop_map(|(on, mtu)| Change::Mtu(on, mtu)),
        1 => (interface(), family(), any::<bool>())
            .prop_map(|(on, family, on_off)| Change::EnableIp(on, family, on_off)),
    ]
    .boxed()
}

fn of_address() -> BoxedStrategy<Change> {
    let address = (interface(), 0..4_usize, prop::bool::weighted(0.6))
        .prop_map(|(on, n, add)| Change::Address(on, world::own_addresses(on)[n], add));
    let loan = (interface(), prop::option::of(interface()))
        .prop_map(|(on, lender)| Change::Unnumbered(on, lender));
    let table = (interface(), family(), select(TABLES.to_vec()))
        .prop_map(|(on, family, table)| Change::Table(on, family, table));
    let neighbor = (interface(), 0..4_u8, family(), 0..4_u8, any::<bool>()).prop_map(
        |(on, n, family, mac, add)| {
            let ip = world::host(on, n, family);
            Change::Neighbor(on, ip, world::host_mac(on, mac), add)
        },
    );
    prop_oneof![4 => address, 1 => loan, 1 => table, 4 => neighbor].boxed()
}

fn of_route() -> BoxedStrategy<Change> {
    let of_family = |family| {
        let table = select(vec![0, 0, 0, 1, 1, 2]);
        let paths = vec(path(family), 0..4);
        (
            table,
            prefix(family),
            paths,
            prop::bool::weighted(0.8),
            any::<bool>(),
        )
            .prop_map(
                |(table, prefix, paths, is_add, is_multipath)| Change::Route {
                    table,
                    prefix,
                    paths,
                    is_add,
                    is_multipath,
                },
            )
    };
    prop_oneof![2 => of_family(Family::V4), 1 => of_family(Family::V6)].boxed()
}

fn of_bridge() -> BoxedStrategy<Change> {
    let bd_id = || select(BRIDGES.to_vec());
    let join = (interface(), bd_id(), 0..3_u8, 0..8_u8).prop_map(|(on, bd_id, group, kind)| {
        // One interface only is ever the port for unknown addresses, a loopback most often the BVI.
        let kind = match (on, kind) {
            (5, 0..=1) => PortType::UuFwd,
            (on, 0..=5) if LOOPBACKS.contains(&on) => PortType::Bvi,
            (_, 7..) => PortType::Bvi,
            _ => PortType::Normal,
        };
        Change::Bridge {
            on,
            bd_id,
            kind,
            group,
        }
    });
    let flags = (bd_id(), prop::bool::weighted(0.6), any::<[bool; 4]>()).prop_map(
        |(bd_id, is_set, [learn, forward, flood, uu_flood])| {
            let flags = BridgeFlags {
                learn,
                forward,
                flood,
                uu_flood,
                ..BridgeFlags::default()
            };
            Change::BridgeFlags(bd_id, is_set, flags)
        },
    );
    let entry = (
        bd_id(),
        any_host_mac(),
        interface(),
        any::<[bool; 2]>(),
        0..5_u8,
    )
        .prop_map(
            |(bd_id, mac, on, [is_static, is_add], filter)| Change::L2Fib {
                bd_id,
                mac,
                on,
                is_static,
                is_filter: filter == 0,
                is_add,
            },
        );
    prop_oneof![
        4 => join,
        2 => flags,
        2 => entry,
        1 => (interface(), interface()).prop_map(|(rx, tx)| Change::Xconnect(rx, tx)),
        1 => interface().prop_map(Change::LeaveL2),
    ]
    .boxed()
}

fn of_acl() -> BoxedStrategy<Change> {
    let rules = prop_oneof![rule(Family::V4), rule(Family::V6)];
    let places = || vec(0..4_usize, 0..3);
    prop_oneof![
        4 => (0..4_usize, vec(rules, 0..5)).prop_map(|(place, rules)| Change::Acl(place, rules)),
        1 => (0..4_usize).prop_map(Change::AclDelete),
        4 => (interface(), places(), places())
            .prop_map(|(on, input, output)| Change::AclApply(on, input, output)),
    ]
    .boxed()
}

fn of_policy() -> BoxedStrategy<Change> {
    // A policy's number says its family, so that paths fit the packets it takes.
    let family_of = |id: u32| {
        if id.is_multiple_of(2) {
            Family::V4
        } else {
            Family::V6
        }
    };
    let policy = (0..4_u32).prop_flat_map(move |id| {
        let paths = vec(path(family_of(id)), 0..3);
        (Just(id), 0..4_usize, paths, prop::bool::weighted(0.8)).prop_map(
            |(id, acl, paths, is_add)| Change::AbfPolicy {
                id,
                acl,
                paths,
                is_add,
            },
        )
    });
    let attach = (0..4_u32, interface(), 0..3_u32, prop::bool::weighted(0.8)).prop_map(
        move |(id, on, priority, is_add)| Change::AbfAttach {
            id,
            on,
            priority,
            family: family_of(id),
            is_add,
        },
    );
    prop_oneof![policy, attach].boxed()
}

fn rule(family: Family) -> BoxedStrategy<AclRule> {
    // Ports below 49152: which one a tunnel takes above that is not known.
    let range = || {
        prop_oneof![
            2 => Just(PortRange::ANY),
            1 => (0..9000_u16, 0..9000_u16).prop_map(|(a, b)| PortRange {
                first: a.min(b),
                last: a.max(b),
            }),
        ]
    };
    let action = select(vec![AclAction::Permit, AclAction::Permit, AclAction::Deny]);
    let prefixes = (prefix(family), prefix(family), any::<[bool; 2]>());
    let proto = select(vec![0, 0, 1, 6, 17, 58, 89]);
    let flags = (select(vec![0, 2, 0x12]), select(vec![0, 2, 0x10]));
    (action, prefixes, proto, range(), range(), flags)
        .prop_map(
            move |(action, (src, dst, [any_src, any_dst]), proto, src_ports, dst_ports, flags)| {
                let or_any = |is_any, prefix| if is_any { Prefix::any(family) } else { prefix };
                AclRule {
                    action,
                    src: or_any(any_src, src),
                    dst: or_any(any_dst, dst),
                    proto,
                    src_ports,
                    dst_ports,
                    tcp_mask: flags.0,
                    tcp_value: flags.1,
                }
            },
        )
        .boxed()
}

fn path(family: Family) -> BoxedStrategy<RoutePath> {
    let of_kind = move |kind| Just(RoutePath::of_kind(kind, family));
    let normal = move |next_hop, on, table_id| RoutePath {
        next_hop,
        sw_if_index: on,
        table_id,
        ..RoutePath::of_kind(PathKind::Normal, family)
    };
    let nowhere = Prefix::any(family).addr;
    let kind = prop_oneof![
        6 => (interface(), 0..4_u8).prop_map(move |(on, n)| {
            RoutePath::via(world::host(on, n, family), SwIfIndex(on))
        }),
        2 => interface().prop_map(move |on| normal(nowhere, SwIfIndex(on), 0)),
        2 => (address(family), select(TABLES.to_vec()))
            .prop_map(move |(via, table)| normal(via, SwIfIndex::NONE, table)),
        1 => select(TABLES.to_vec()).prop_map(move |table| normal(nowhere, SwIfIndex::NONE, table)),
        1 => of_kind(PathKind::Drop),
        1 => of_kind(PathKind::Local),
        1 => of_kind(PathKind::IcmpUnreach),
        1 => of_kind(PathKind::IcmpProhibit),
    ];
    (kind, 0..4_u8, 0..2_u8)
        .prop_map(|(path, weight, preference)| RoutePath {
            weight,
            preference,
            ..path
        })
        .boxed()
}

fn prefix(family: Family) -> BoxedStrategy<Prefix> {
    let lengths = match family {
        Family::V4 => vec![0, 4, 7, 8, 9, 14, 15, 16, 17, 23, 24, 25, 30, 31, 32, 32],
        Family::V6 => vec![0, 7, 8, 16, 28, 30, 32, 33, 63, 64, 65, 120, 127, 128, 128],
    };
    (address(family), select(lengths))
        .prop_map(|(addr, len)| Prefix { addr, len }.masked())
        .boxed()
}

/// An address that somebody in the world has, or could have.
fn address(family: Family) -> BoxedStrategy<IpAddr> {
    let host = (interface(), 0..5_u8).prop_map(move |(on, n)| world::host(on, n, family));
    match family {
        Family::V4 => {
            let own =
                (interface(), 0..3_usize).prop_map(|(on, n)| world::own_addresses(on)[n].addr);
            let far = (0..4_u8, select(vec![0, 1, 128, 255]))
                .prop_map(|(c, d)| Ipv4Addr::new(20, 0, c, d).into());
            prop_oneof![6 => host, 2 => own, 3 => far].boxed()
        }
        Family::V6 => {
            let own = interface().prop_map(|on| world::own_addresses(on)[3].addr);
            let far = (0..4_u16, 0..3_u16).prop_map(|(b, z)| world::v6([0xfd20, b, z]));
            prop_oneof![6 => host, 2 => own, 3 => far].boxed()
        }
    }
}

fn any_host_mac() -> BoxedStrategy<Mac> {
    (interface(), 0..3_u8)
        .prop_map(|(on, n)| world::host_mac(on, n))
        .boxed()
}

fn interface() -> BoxedStrategy<If> {
    INTERFACES.boxed()
}

fn family() -> BoxedStrategy<Family> {
    select(vec![Family::V4, Family::V6]).boxed()
}
