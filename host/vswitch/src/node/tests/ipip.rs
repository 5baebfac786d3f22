use super::*;
use crate::offload::segment;
use crate::route::RoutePath;
use crate::tunnel::{IpipFlags, IpipSpec};
use crate::{ApiError, Gso, Offload, SwIfIndex};

struct Node {
    lab: Lab,
    pod: SwIfIndex,
    uplink: SwIfIndex,
    tunnel: SwIfIndex,
}

/// A node with a pod network `own_net` that reaches `peer_net` through a tunnel.
fn node(ends: (&str, &str), nets: (&str, &str), flags: IpipFlags) -> Node {
    let mut lab = Lab::new();
    lab.step = 1000;
    let pod = lab.routed("pod", &[nets.0]);
    let len = if addr(ends.0).is_ipv4() { 24 } else { 64 };
    let uplink = lab.routed("uplink", &[&format!("{}/{len}", ends.0)]);
    lab.neighbor(uplink, ends.1, own_mac(SwIfIndex(2)));
    let spec = IpipSpec {
        instance: None,
        src: addr(ends.0),
        dst: addr(ends.1),
        table_id: 0,
        flags,
        dscp: 10,
    };
    let tunnel = lab.dp.ipip_add_tunnel(spec).unwrap();
    assert!(!lab.dp.interface(tunnel).unwrap().link_up);
    lab.dp.set_flags(tunnel, true).unwrap();
    assert!(lab.dp.interface(tunnel).unwrap().link_up);
    lab.dp.set_unnumbered(tunnel, Some(pod)).unwrap();
    let path = RoutePath {
        sw_if_index: tunnel,
        ..RoutePath::of_kind(crate::route::PathKind::Normal, prefix(nets.1).family())
    };
    let to = prefix(nets.1).masked();
    lab.dp
        .ip_route_add_del(0, to, &[path], true, false)
        .unwrap();
    Node {
        lab,
        pod,
        uplink,
        tunnel,
    }
}

const V4: (&str, &str) = ("192.168.16.1", "192.168.16.2");
const V6: (&str, &str) = ("2001:db8::1", "2001:db8::2");
const PODS4: (&str, &str) = ("10.1.1.1/24", "10.1.2.1/24");
const PODS6: (&str, &str) = ("2001:db8:a::1/64", "2001:db8:b::1/64");

fn swap<T: Copy>(pair: (T, T)) -> (T, T) {
    (pair.1, pair.0)
}

#[test]
fn packets_of_both_families_cross_tunnels_over_both_families() {
    for ends in [V4, V6] {
        for (nets, hosts) in [
            (PODS4, ("10.1.1.9", "10.1.2.9")),
            (PODS6, ("2001:db8:a::9", "2001:db8:b::9")),
        ] {
            let mut a = node(ends, nets, IpipFlags::default());
            let mut b = node(swap(ends), swap(nets), IpipFlags::default());
            b.lab.neighbor(b.pod, hosts.1, host(2));
            let inner = udp(hosts.0, hosts.1, (1, 2), 700);
            let sent = a.lab.send(a.pod, &eth(own_mac(a.pod), host(1), &inner));
            assert_eq!(sent.len(), 1, "{:?}", a.lab.drops());
            assert_eq!(sent[0].0, a.uplink);
            let outer = if ends == V4 { 20 } else { 40 };
            assert_eq!(sent[0].1.len(), 14 + outer + inner.len());
            let got = b.lab.send(b.uplink, &sent[0].1);
            assert_eq!(got.len(), 1, "{:?}", b.lab.drops());
            assert_eq!(got[0].0, b.pod);
            assert!(decode(&got[0].1).contains("ttl 62"));
            assert_eq!(b.lab.dp.interface_counters(b.tunnel).rx.packets, 1);
            assert_eq!(
                a.lab.dp.interface_counters(a.tunnel).tx.bytes,
                inner.len() as u64
            );
        }
    }
}

#[test]
fn the_outer_header_takes_over_what_the_flags_say() {
    let first = |flags| {
        let mut a = node(V4, PODS4, flags);
        let mut inner = udp("10.1.1.9", "10.1.2.9", (1, 2), 7);
        packet::ipv4::set_word(&mut inner, 0, 0x45ba);
        a.lab
            .send(a.pod, &eth(own_mac(a.pod), host(1), &inner))
            .remove(0)
            .1[14..34]
            .to_vec()
    };
    let plain = first(IpipFlags::default());
    assert_eq!(
        (plain[1], plain[6], plain[8], plain[9]),
        (10 << 2, 0, 64, 4)
    );
    let copied = first(IpipFlags {
        copy_df: true,
        copy_dscp: true,
        copy_ecn: true,
        copy_hop_limit: true,
        ..IpipFlags::default()
    });
    assert_eq!((copied[1], copied[6], copied[8]), (0xba, 0x40, 63));
}

#[test]
fn super_frames_and_long_packets_cross_a_tunnel() {
    for ends in [V4, V6] {
        let mut a = node(ends, PODS4, IpipFlags::default());
        let mut b = node(swap(ends), swap(PODS4), IpipFlags::default());
        b.lab.neighbor(b.pod, "10.1.2.9", host(2));
        let mut segment_bytes = vec![0; 20];
        packet::tcp::Header {
            src_port: 1,
            dst_port: 2,
            flags: packet::tcp::ACK,
            ..packet::tcp::Header::default()
        }
        .emit(&mut segment_bytes);
        segment_bytes.extend([5; 4000]);
        let inner = ip("10.1.1.9", "10.1.2.9", 6, 64, &segment_bytes);
        let offload = Offload {
            needs_csum: true,
            csum_start: 34,
            csum_offset: 16,
            gso: Gso::Tcp4,
            gso_size: 1460,
            hdr_len: 54,
            ..Offload::default()
        };
        let sent = a
            .lab
            .send_with(a.pod, &eth(own_mac(a.pod), host(1), &inner), offload);
        let mut wire = Vec::new();
        segment(&sent[0].1, &sent[0].2, &mut [0; 2000], |f| {
            wire.push(f.to_vec());
        })
        .unwrap();
        assert_eq!(wire.len(), 3);
        for frame in wire {
            assert!(frame.len() <= 1514);
            let got = b.lab.send(b.uplink, &frame);
            decode(&got[0].1);
        }
        // Too long for the uplink with its outer header: cut outside, put together at the other end.
        let sent = a.lab.send(
            a.pod,
            &eth(
                own_mac(a.pod),
                host(1),
                &udp("10.1.1.9", "10.1.2.9", (1, 2), 1472),
            ),
        );
        assert_eq!(sent.len(), 2, "{:?}", a.lab.drops());
        let got: Vec<_> = sent
            .iter()
            .flat_map(|s| b.lab.send(b.uplink, &s.1))
            .collect();
        assert_eq!(
            (got.len(), got[0].1.len()),
            (1, 1514),
            "{:?}",
            b.lab.drops()
        );
    }
}

#[test]
fn a_packet_of_no_tunnel_is_refused_or_dropped() {
    let mut a = node(V4, PODS4, IpipFlags::default());
    let inner = udp("10.1.2.9", "10.1.1.9", (1, 2), 7);
    let foreign = ip("192.168.16.77", V4.0, 4, 64, &inner);
    assert!(
        a.lab
            .send(a.uplink, &eth(own_mac(a.uplink), host(7), &foreign))
            .is_empty()
    );
    assert_eq!(a.lab.drops(), ["ipip-input: no such ipip tunnel = 1"]);
    let dp = &mut a.lab.dp;
    let spec = *dp.ipip_tunnels().next().unwrap().1;
    assert_eq!(dp.ipip_add_tunnel(spec), Err(ApiError::IfAlreadyExists));
    assert_eq!(
        dp.ipip_add_tunnel(IpipSpec {
            dst: spec.src,
            ..spec
        }),
        Err(ApiError::SameSrcDst)
    );
    assert_eq!(
        dp.ipip_add_tunnel(IpipSpec {
            dst: addr("::1"),
            ..spec
        }),
        Err(ApiError::InvalidProtocol)
    );
    assert_eq!(
        dp.ipip_add_tunnel(IpipSpec {
            table_id: 9,
            ..spec
        }),
        Err(ApiError::NoSuchFib)
    );
    dp.ipip_del_tunnel(a.tunnel).unwrap();
    assert_eq!(dp.ipip_del_tunnel(a.tunnel), Err(ApiError::NoSuchEntry));
    a.lab.neighbor(a.uplink, "192.168.16.77", host(7));
    let text = a
        .lab
        .text(a.uplink, &eth(own_mac(a.uplink), host(7), &foreign));
    assert!(text.contains("icmp 3/2"), "{text}");
}
