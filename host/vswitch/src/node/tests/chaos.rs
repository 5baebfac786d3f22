//! Arbitrary bytes through a switch that has everything configured.

use proptest::prelude::*;

use super::*;
use crate::acl::{AclAction, AclRule};
use crate::bridge::PortType;
use crate::interface::{DeviceSpec, LinkMode};
use crate::route::RoutePath;
use crate::sr::{Behavior, LocalsidSpec, PolicyKind, PolicySpec, ProxyWay, Steered};
use crate::tunnel::VxlanSpec;
use crate::{Family, Gso, Offload, SwIfIndex};

fn everything() -> (Lab, Vec<SwIfIndex>) {
    let mut lab = Lab::new();
    let a = lab.routed("a", &["10.0.0.1/24", "2001:db8:a::1/64"]);
    let b = lab.routed("b", &["10.0.1.1/24", "2001:db8:b::1/64"]);
    let [c, d, e] = ["c", "d", "e"].map(|name| lab.device(name));
    for port in [c, d] {
        lab.dp
            .set_l2_bridge(port, 5, PortType::Normal, 0, true)
            .unwrap();
    }
    lab.dp.set_l2_xconnect(e, b, true).unwrap();
    let bvi = lab.dp.create_loopback(host(99), None).unwrap();
    lab.dp.set_flags(bvi, true).unwrap();
    lab.dp
        .add_del_address(bvi, true, prefix("10.0.2.1/24"))
        .unwrap();
    lab.dp
        .set_l2_bridge(bvi, 5, PortType::Bvi, 0, true)
        .unwrap();
    for (src, dst) in [("10.0.1.1", "10.0.1.2"), ("2001:db8:b::1", "2001:db8:b::2")] {
        lab.neighbor(b, dst, host(2));
        let spec = VxlanSpec {
            src: addr(src),
            dst: addr(dst),
            vni: 0x11_1111,
            ..VxlanSpec::default()
        };
        let tunnel = lab.dp.vxlan_add_del_tunnel_v3(true, spec).unwrap();
        lab.dp.set_flags(tunnel, true).unwrap();
        lab.dp
            .set_l2_bridge(tunnel, 5, PortType::Normal, 1, true)
            .unwrap();
    }
    let rules = vec![
        AclRule {
            proto: 17,
            ..AclRule::any(AclAction::Permit, Family::V4)
        },
        AclRule::any(AclAction::Permit, Family::V6),
    ];
    let acl = lab.dp.acl_add_replace(None, "", rules).unwrap();
    lab.dp
        .acl_interface_set_acl_list(c, &[acl], &[acl])
        .unwrap();
    lab.dp
        .abf_policy_add_del(1, acl, &[RoutePath::via(addr("10.0.2.9"), bvi)], true)
        .unwrap();
    lab.dp
        .abf_itf_attach_add_del(1, a, 1, Family::V4, true)
        .unwrap();
    let spec = DeviceSpec {
        name: "tun".to_owned(),
        mode: LinkMode::Ip,
        ..DeviceSpec::default()
    };
    let tun = lab.dp.create_device_interface(spec).unwrap();
    lab.dp.set_flags(tun, true).unwrap();
    lab.dp
        .add_del_address(tun, true, prefix("10.0.3.1/24"))
        .unwrap();
    lab.dp.ip6_enable_disable(tun, true).unwrap();
    segment_routing(&mut lab, [a, b, d]);
    lab.worker.trace_start(crate::trace::TraceSpec {
        max: u32::MAX,
        ..Default::default()
    });
    (lab, vec![a, b, c, d, e, tun])
}

/// Every behaviour as fc02::1, ::2, ...; steering of fc03::/16, 10.7.0.0/16 and of the frames of `port`.
fn segment_routing(lab: &mut Lab, [a, b, port]: [SwIfIndex; 3]) {
    let (v4, v6) = (addr("10.0.1.2"), addr("2001:db8:b::2"));
    let sid = |text: &str| text.parse::<std::net::Ipv6Addr>().unwrap();
    let (next_hop4, next_hop) = ([10, 0, 1, 2].into(), sid("2001:db8:b::2"));
    let way = |next_hop, back| ProxyWay {
        next_hop,
        out: b,
        back,
    };
    let behaviors = [
        Behavior::End,
        Behavior::X { on: b, next_hop },
        Behavior::T { table: 0 },
        Behavior::Dx2 { on: b },
        Behavior::Dx6 { on: b, next_hop },
        Behavior::Dx4 {
            on: b,
            next_hop: next_hop4,
        },
        Behavior::Dt6 { table: 0 },
        Behavior::Dt4 { table: 0 },
        Behavior::Un,
        Behavior::Ua { on: b, next_hop },
        Behavior::DynamicProxy(way(Some(v4), a)),
        Behavior::DynamicProxy(way(None, port)),
        Behavior::Masquerading(way(Some(v6), b)),
        Behavior::StaticProxy {
            way: way(Some(v6), a),
            src: next_hop,
            path: vec![next_hop; 3],
        },
    ];
    for (n, behavior) in (1..).zip(behaviors) {
        let micro = matches!(behavior, Behavior::Un | Behavior::Ua { .. });
        let spec = LocalsidSpec {
            sid: sid(&format!("fc02:{n:x}::{}", if micro { 0 } else { n })),
            prefix_len: if micro { 48 } else { 128 },
            usid_len: if micro { 16 } else { 0 },
            psp: n == 2,
            fib_table: 0,
            behavior,
        };
        lab.dp.sr_localsid_add(spec).unwrap();
    }
    for (n, to) in (1u16..).zip(["fc03::/16", "10.7.0.0/16"]) {
        let spec = PolicySpec {
            bsid: sid(&format!("fc01::{n}")),
            kind: PolicyKind::Spray,
            is_encap: n == 2,
            fib_table: 0,
            encap_src: next_hop,
            segments: vec![sid("2001:db8:b::2"); 3],
            weight: 1,
        };
        lab.dp.sr_policy_add(&spec).unwrap();
        let steered = Steered::L3 {
            table: 0,
            prefix: prefix(to),
        };
        lab.dp.sr_steering_add(steered, spec.bsid).unwrap();
    }
}

/// Frames that get far: valid ones with a few bytes changed and cut anywhere.
fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let mut vxlan = vec![0; 16];
    packet::udp::emit(&mut vxlan, 50_000, 4789, 8 + 8 + 14 + 32, 0);
    packet::vxlan::emit(&mut vxlan[8..], 0x11_1111);
    vxlan.extend(eth(
        host(1),
        host(2),
        &udp("10.0.0.2", "10.0.0.1", (1, 2), 4),
    ));
    let mut seeds = vec![
        udp("10.0.0.9", "10.0.1.9", (1, 2), 300),
        echo("10.0.0.9", "10.0.0.1", 30),
        echo("2001:db8:a::9", "2001:db8:a::1", 30),
        udp("2001:db8:a::9", "2001:db8:b::2", (1, 2), 300),
        ip("10.0.1.2", "10.0.1.1", 17, 64, &vxlan),
        udp("10.0.0.9", "10.7.1.9", (1, 2), 300),
        udp("2001:db8:a::9", "fc03::9", (1, 2), 300),
        ip("2001:db8:b::2", "2001:db8:b::1", 17, 64, &vxlan),
        ip("10.0.0.9", "10.0.1.9", 6, 1, &[0; 60]),
        ip("2001:db8:a::9", "ff02::1:ff00:1", 58, 255, &[135; 32]),
        ip(
            "2001:db8:a::9",
            "2001:db8:b::2",
            0,
            255,
            &[
                43, 0, 1, 4, 0, 0, 0, 0, 44, 0, 0, 0, 0, 0, 0, 0, 17, 0, 0, 1, 0, 0, 0, 0,
            ],
        ),
    ];
    let inner = udp("10.0.0.9", "10.0.1.2", (1, 2), 100);
    for n in 1..15 {
        let at = format!("fc02:{n:x}::{}", if matches!(n, 9 | 10) { 0 } else { n });
        for (left, protocol) in [(1, 4), (0, 4), (0, 41), (0, 143)] {
            let mut bytes = srh(&at, left, protocol);
            bytes.extend(&inner);
            seeds.push(ip("2001:db8:a::9", &at, 43, 64, &bytes));
        }
    }
    let edits = proptest::collection::vec((0usize..120, any::<u8>()), 0..4);
    (
        prop::sample::select(seeds),
        any::<u8>(),
        edits,
        0usize..500,
        any::<bool>(),
    )
        .prop_map(|(packet, to, edits, cut, with_link)| {
            let mut frame = if with_link {
                eth(own_mac(SwIfIndex(u32::from(to % 8))), host(1), &packet)
            } else {
                packet
            };
            for (at, value) in edits {
                if let Some(byte) = frame.get_mut(at) {
                    *byte = value;
                }
            }
            frame.truncate(cut.max(1));
            frame
        })
}

fn srh(at: &str, left: u8, protocol: u8) -> Vec<u8> {
    let path = [at, "2001:db8:b::2"].map(|sid| sid.parse().unwrap());
    let mut bytes = vec![0; packet::srh::header_len(2)];
    packet::srh::emit(&mut bytes, protocol, &path);
    packet::srh::set_segments_left(&mut bytes, left);
    bytes
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn no_bytes_make_the_graph_panic_or_lose_count(frames in proptest::collection::vec((0usize..6, prop_oneof![mutated(), proptest::collection::vec(any::<u8>(), 0..300)], any::<u16>(), 0u8..6), 1..12)) {
        let (mut lab, ports) = everything();
        for (port, frame, word, kind) in frames {
            let gso = [Gso::None, Gso::None, Gso::None, Gso::Tcp4, Gso::Tcp6, Gso::Udp][usize::from(kind)];
            let offload = Offload { needs_csum: kind > 1, csum_start: word % 400, csum_offset: word % 50, gso, gso_size: word, hdr_len: word, ..Offload::default() };
            for (_, bytes, offload) in lab.send_with(ports[port], &frame, offload) {
                let _ = crate::offload::segment(&bytes, &offload, &mut [0; 2048], |_| ());
            }
        }
        let _ = lab.worker.trace().to_string();
    }
}
