//! Frames: mostly ones that get far.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use proptest::prelude::*;
use proptest::sample::select;
use vswitch::Family;

use super::{address, any_host_mac, family};
use crate::wire::{Arp, BROADCAST, Body, Data, Frame, L4, Mac, Packet, VXLAN_PORT};
use crate::world::{self, DEVICES, If, PEER_MAC, TUNNELS, UPLINK, VNIS};

/// A frame and the device that receives it.
pub fn frame() -> BoxedStrategy<(If, Frame)> {
    prop_oneof![
        8 => DEVICES.prop_flat_map(|on| (Just(on), plain(on))),
        1 => tunnelled().prop_map(|frame| (UPLINK, frame)),
    ]
    .boxed()
}

fn plain(on: If) -> BoxedStrategy<Frame> {
    let dst = prop_oneof![
        6 => Just(world::mac_of(on)),
        2 => any_host_mac(),
        1 => select(super::LOOPBACKS.to_vec()).prop_map(world::mac_of),
        1 => Just(BROADCAST),
        1 => Just([1, 0, 0x5e, 0, 0, 1]),
    ];
    let src = prop_oneof![
        8 => (0..3_u8).prop_map(move |n| world::host_mac(on, n)),
        1 => any_host_mac(),
        1 => Just([3, 0, 0, 0, 0, 9] as Mac),
    ];
    let body = prop_oneof![
        8 => family().prop_flat_map(move |family| packet(on, family)).prop_map(Body::Ip),
        2 => arp(on).prop_map(Body::Arp),
        1 => (select(vec![0x8100_u16, 0x88cc]), 0..2_u8).prop_map(|(kind, vlan)| {
            let mut bytes = vec![0; 46];
            bytes[1] = vlan;
            Body::Other { kind, bytes }
        }),
    ];
    (dst, src, body)
        .prop_map(|(dst, src, body)| Frame { dst, src, body })
        .boxed()
}

fn packet(on: If, family: Family) -> BoxedStrategy<Packet> {
    let near = match family {
        Family::V4 => world::host(on, 9, family),
        Family::V6 => IpAddr::V6(world::link_local(world::host_mac(on, 1))),
    };
    let src = prop_oneof![
        6 => (0..4_u8).prop_map(move |n| world::host(on, n, family)),
        2 => address(family),
        1 => Just(near),
    ];
    let odd = match family {
        Family::V4 => vec![
            Ipv4Addr::BROADCAST.into(),
            Ipv4Addr::new(224, 0, 0, 1).into(),
            Ipv4Addr::new(10, 1, 0, 255).into(),
            Ipv4Addr::new(10, 2, 0, 0).into(),
        ],
        Family::V6 => vec![
            IpAddr::V6(Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1)),
            IpAddr::V6(world::link_local(world::mac_of(on))),
            IpAddr::V6(world::link_local(world::host_mac(on, 1))),
        ],
    };
    let own = match family {
        Family::V4 => world::own_addresses(on)[0].addr,
        Family::V6 => world::own_addresses(on)[3].addr,
    };
    let dst = prop_oneof![8 => address(family), 2 => Just(own), 1 => select(odd)];
    let ttl = prop_oneof![6 => Just(64_u8), 2 => 0..3_u8, 1 => Just(255_u8)];
    (src, dst, ttl, (1..=u16::MAX, any::<bool>()), upper(family))
        .prop_map(|(src, dst, ttl, (ident, dont_fragment), l4)| Packet {
            src,
            dst,
            ttl,
            ident,
            tos: 0,
            dont_fragment,
            l4,
        })
        .boxed()
}

fn upper(family: Family) -> BoxedStrategy<L4> {
    let ports = || {
        (
            select(vec![1_u16, 80, 8000, 40_000]),
            select(vec![1_u16, 53, 443, 30_000]),
        )
    };
    let (echo, unreachable, other) = match family {
        Family::V4 => (8, 3, 0),
        Family::V6 => (128, 1, 129),
    };
    let icmp = (select(vec![echo, echo, unreachable, other]), payload());
    prop_oneof![
        4 => (ports(), payload()).prop_map(|(ports, data)| L4::Udp {
            ports,
            data: Data::Bytes(data),
        }),
        2 => (ports(), select(vec![2_u8, 0x10, 0x12]), payload())
            .prop_map(|(ports, flags, data)| L4::Tcp { ports, flags, data }),
        2 => icmp.prop_map(|(kind, mut data)| {
            data.splice(0..0, [0, 7, 0, 1]);
            L4::Icmp { kind, code: 0, data }
        }),
        1 => payload().prop_map(|data| L4::Other { protocol: 89, data }),
    ]
    .boxed()
}

/// Lengths around the end of the head and around usual MTUs.
fn payload() -> BoxedStrategy<Vec<u8>> {
    let len = prop_oneof![
        6 => 0..40_usize,
        2 => 120..180_usize,
        1 => 500..600_usize,
        1 => 1400..1530_usize,
    ];
    (len, any::<u8>())
        .prop_map(|(len, start)| {
            (0..len)
                .map(|at| start.wrapping_add(u8::try_from(at % 251).unwrap_or(0)))
                .collect()
        })
        .boxed()
}

fn arp(on: If) -> BoxedStrategy<Arp> {
    let v4 = |ip| match ip {
        IpAddr::V4(v4) => v4,
        IpAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    };
    let sender = prop_oneof![
        6 => (0..4_u8).prop_map(move |n| world::host(on, n, Family::V4)),
        1 => address(Family::V4),
    ];
    let target = prop_oneof![
        6 => Just(world::own_addresses(on)[0].addr),
        1 => address(Family::V4),
    ];
    let mac = (0..4_u8).prop_map(move |n| world::host_mac(on, n));
    (any::<bool>(), mac, sender, target)
        // An announcement (sender and target are one) moves known neighbours only; that is tested in the engine.
        .prop_filter("announcement", |(_, _, sender, target)| sender != target)
        .prop_map(move |(is_reply, mac, sender, target)| Arp {
            is_reply,
            sender: (mac, v4(sender)),
            target: ([0; 6], v4(target)),
        })
        .boxed()
}

/// What comes out of the tunnels' other end, and what looks like it.
fn tunnelled() -> BoxedStrategy<Frame> {
    let inner = (4..6_u32).prop_flat_map(plain);
    let vni = prop_oneof![8 => Just(None), 1 => (1000..1020_u32).prop_map(Some)];
    (0..TUNNELS.len(), inner, vni)
        .prop_map(|(tunnel, inner, vni)| {
            let (dst, src) = world::tunnel_ends(tunnel);
            let data = Data::Vxlan {
                vni: vni.unwrap_or(VNIS[tunnel]),
                inner: Box::new(inner),
            };
            let packet = Packet {
                src,
                dst,
                ttl: 254,
                ident: 0,
                tos: 0,
                dont_fragment: true,
                l4: L4::Udp {
                    ports: (0xc001, VXLAN_PORT),
                    data,
                },
            };
            Frame {
                dst: world::mac_of(UPLINK),
                src: PEER_MAC,
                body: Body::Ip(packet),
            }
        })
        .boxed()
}
