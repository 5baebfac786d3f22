use super::*;
use crate::bridge::PortType;
use crate::vlan::{RewriteOp, RewriteSpec, SubSpec};
use crate::{ApiError, Offload, SwIfIndex};

/// Puts tags (type and id, outer first) into a frame.
fn tagged(frame: &[u8], tags: &[(u16, u16)]) -> Vec<u8> {
    let mut out = frame[..12].to_vec();
    for (kind, id) in tags {
        out.extend(kind.to_be_bytes());
        out.extend(id.to_be_bytes());
    }
    out.extend(&frame[12..]);
    out
}

fn vlan(frame: &[u8], id: u16) -> Vec<u8> {
    tagged(frame, &[(0x8100, id)])
}

fn subif(lab: &mut Lab, parent: SwIfIndex, id: u32) -> SwIfIndex {
    let sub = lab.dp.create_vlan_subif(parent, id).unwrap();
    lab.dp.set_flags(sub, true).unwrap();
    sub
}

fn only(sent: &[Sent]) -> (SwIfIndex, &[u8]) {
    assert_eq!(sent.len(), 1);
    (sent[0].0, &sent[0].1)
}

/// A trunk with VLAN 10 and an access port, all routed.
fn routed() -> (Lab, SwIfIndex, SwIfIndex, SwIfIndex) {
    let mut lab = Lab::new();
    let trunk = lab.routed("trunk", &["10.0.0.1/24"]);
    let access = lab.routed("access", &["10.1.0.1/24"]);
    let sub = subif(&mut lab, trunk, 10);
    lab.dp
        .add_del_address(sub, true, prefix("10.10.0.1/24"))
        .unwrap();
    lab.neighbor(access, "10.1.0.2", host(2));
    (lab, trunk, access, sub)
}

#[test]
fn a_subinterface_routes_its_vlan_and_the_parent_what_is_untagged() {
    let (mut lab, trunk, access, sub) = routed();
    let up = eth(
        own_mac(trunk),
        host(1),
        &udp("10.10.0.9", "10.1.0.2", (1, 2), 300),
    );
    let sent = lab.send(trunk, &vlan(&up, 10));
    let (on, bytes) = only(&sent);
    assert_eq!(on, access);
    assert!(decode(bytes).contains("ttl 63 udp 1 > 2 length 308"));
    // Down: asked for by ARP with the tag, then sent with the tag.
    let down = eth(
        own_mac(access),
        host(2),
        &udp("10.1.0.2", "10.10.0.9", (2, 1), 300),
    );
    let sent = lab.send(access, &down);
    let (on, bytes) = only(&sent);
    assert_eq!((on, &bytes[12..18]), (trunk, &[0x81, 0, 0, 10, 8, 6][..]));
    lab.neighbor(sub, "10.10.0.9", host(1));
    let sent = lab.send(access, &down);
    let (on, bytes) = only(&sent);
    assert_eq!((on, &bytes[12..18]), (trunk, &[0x81, 0, 0, 10, 8, 0][..]));
    assert_eq!(bytes.len(), down.len() + 4);
    // Untagged packets and tags that only carry a priority are the parent's.
    let plain = eth(
        own_mac(trunk),
        host(1),
        &udp("10.0.0.9", "10.1.0.2", (1, 2), 30),
    );
    assert_eq!(only(&lab.send(trunk, &plain)).0, access);
    assert_eq!(only(&lab.send(trunk, &vlan(&plain, 0xe000))).0, access);
    assert!(lab.send(trunk, &vlan(&plain, 11)).is_empty());
    assert_eq!(
        lab.drops(),
        [
            "ethernet-input: unknown vlan = 1",
            "ip4-arp: ARP requests sent = 1"
        ]
    );
    let (of_trunk, of_sub) = (
        lab.dp.interface_counters(trunk),
        lab.dp.interface_counters(sub),
    );
    assert_eq!((of_trunk.rx.packets, of_sub.rx.packets), (4, 1));
    assert_eq!((of_trunk.tx.packets, of_sub.tx.packets), (2, 2));
}

#[test]
fn a_subinterface_answers_arp_and_ping_with_its_tag() {
    let (mut lab, trunk, _, sub) = routed();
    let ping = vlan(
        &eth(own_mac(trunk), host(1), &echo("10.10.0.9", "10.10.0.1", 40)),
        10,
    );
    lab.neighbor(sub, "10.10.0.9", host(1));
    let sent = lab.send(trunk, &ping);
    let (on, bytes) = only(&sent);
    assert_eq!(
        (on, bytes.len(), &bytes[..6]),
        (trunk, ping.len(), &host(1).0[..])
    );
    let mut ask = vec![0; 42];
    packet::ethernet::emit(
        &mut ask,
        packet::MacAddr::BROADCAST,
        host(1),
        packet::ethernet::ARP,
    );
    packet::arp::Arp {
        operation: packet::arp::Operation::Request,
        sender_mac: host(1),
        sender_ip: [10, 10, 0, 9].into(),
        target_mac: packet::MacAddr::ZERO,
        target_ip: [10, 10, 0, 1].into(),
    }
    .emit(&mut ask[14..]);
    let sent = lab.send(trunk, &vlan(&ask, 10));
    assert_eq!(&only(&sent).1[12..18], &[0x81, 0, 0, 10, 8, 6]);
}

#[test]
fn the_most_exact_match_wins() {
    let mut lab = Lab::new();
    let (trunk, out) = (lab.device("trunk"), lab.device("out"));
    let two = SubSpec {
        one_tag: false,
        two_tags: true,
        ..SubSpec::vlan(5)
    };
    let specs = [
        SubSpec {
            id: 1,
            inner: 7,
            ..two
        },
        SubSpec {
            id: 2,
            inner_any: true,
            exact_match: false,
            ..two
        },
        SubSpec {
            id: 3,
            ..SubSpec::vlan(5)
        },
        SubSpec {
            id: 4,
            exact_match: false,
            ..SubSpec::vlan(6)
        },
        SubSpec {
            id: 5,
            dot1ad: true,
            inner: 7,
            ..two
        },
        SubSpec {
            id: 6,
            default: true,
            one_tag: false,
            exact_match: false,
            outer: 0,
            ..SubSpec::vlan(0)
        },
    ];
    let subs = specs.map(|spec| {
        let sub = lab.dp.create_subif(trunk, spec).unwrap();
        lab.dp.set_flags(sub, true).unwrap();
        lab.dp.set_l2_xconnect(sub, out, true).unwrap();
        sub
    });
    let bytes = eth(host(1), host(2), &udp("10.0.0.1", "10.0.0.2", (1, 2), 300));
    let q = |id| (0x8100, id);
    let cases: [(&[(u16, u16)], u32); 7] = [
        (&[q(5), q(7)], 1),
        (&[q(5), q(8)], 2),
        (&[q(5)], 3),
        (&[q(6), q(9)], 4),
        (&[q(6), q(9), q(9)], 4),
        (&[(0x88a8, 5), q(7)], 5),
        (&[q(77)], 6),
    ];
    for (tags, id) in cases {
        let before: Vec<_> = subs.map(|s| lab.dp.interface_counters(s).rx.packets).into();
        let wire = tagged(&bytes, tags);
        // A cross-connect without rewrite changes nothing.
        assert_eq!(only(&lab.send(trunk, &wire)), (out, &wire[..]));
        let took: Vec<_> = (0..subs.len())
            .filter(|i| lab.dp.interface_counters(subs[*i]).rx.packets > before[*i])
            .map(|i| specs[i].id)
            .collect();
        assert_eq!(took, [id], "{tags:?}");
    }
}

#[test]
fn bridged_vlans_are_untagged_inside_and_tagged_again_on_their_way_out() {
    let mut lab = Lab::new();
    let (trunk, access) = (lab.device("trunk"), lab.device("access"));
    let subs = [10, 20].map(|id| subif(&mut lab, trunk, id));
    for sub in subs {
        let spec = RewriteSpec {
            op: RewriteOp::Pop1,
            ..RewriteSpec::default()
        };
        lab.dp.vlan_tag_rewrite(sub, spec).unwrap();
    }
    for port in [subs[0], subs[1], access] {
        lab.dp
            .set_l2_bridge(port, 5, PortType::Normal, 0, true)
            .unwrap();
    }
    let bytes = eth(host(2), host(1), &udp("10.0.0.1", "10.0.0.2", (1, 2), 300));
    let sent = lab.send(trunk, &vlan(&bytes, 10));
    let mut got: Vec<_> = sent
        .iter()
        .map(|(on, bytes, _)| (*on, bytes.clone()))
        .collect();
    got.sort();
    assert_eq!(got, [(trunk, vlan(&bytes, 20)), (access, bytes.clone())]);
    let back = eth(host(1), host(2), &udp("10.0.0.2", "10.0.0.1", (2, 1), 300));
    assert_eq!(
        only(&lab.send(access, &back)),
        (trunk, &vlan(&back, 10)[..])
    );
}

#[test]
fn offload_work_follows_the_tags() {
    let (mut lab, trunk, access, sub) = routed();
    lab.neighbor(sub, "10.10.0.9", host(1));
    let offload = Offload {
        needs_csum: true,
        csum_start: 34,
        csum_offset: 6,
        ..Offload::default()
    };
    let down = eth(
        own_mac(access),
        host(2),
        &udp("10.1.0.2", "10.10.0.9", (2, 1), 300),
    );
    let sent = lab.send_with(access, &down, offload);
    assert_eq!(sent[0].2.csum_start, 38);
    let up = vlan(
        &eth(
            own_mac(trunk),
            host(1),
            &udp("10.10.0.9", "10.1.0.2", (1, 2), 3),
        ),
        10,
    );
    let offload = Offload {
        csum_start: 38,
        ..offload
    };
    assert_eq!(lab.send_with(trunk, &up, offload)[0].2.csum_start, 34);
}

#[test]
fn subinterfaces_are_refused_as_vpp_refuses_them_and_go_with_their_parent() {
    let mut lab = Lab::new();
    let (trunk, other) = (lab.device("trunk"), lab.device("other"));
    let sub = lab.dp.create_vlan_subif(trunk, 10).unwrap();
    let dp = &mut lab.dp;
    assert_eq!(dp.interface(sub).unwrap().name, "trunk.10");
    for vlan in [0, 4096] {
        assert_eq!(
            dp.create_vlan_subif(trunk, vlan),
            Err(ApiError::InvalidVlan)
        );
    }
    assert_eq!(
        dp.create_vlan_subif(trunk, 10),
        Err(ApiError::VlanAlreadyExists)
    );
    let same = SubSpec {
        id: 11,
        ..SubSpec::vlan(10)
    };
    assert_eq!(dp.create_subif(trunk, same), Err(ApiError::Unspecified));
    let untagged = SubSpec {
        id: 12,
        one_tag: false,
        no_tags: true,
        ..SubSpec::vlan(0)
    };
    assert_eq!(dp.create_subif(trunk, untagged), Err(ApiError::Unspecified));
    assert_eq!(dp.delete_subif(trunk), Err(ApiError::InvalidSubSwIfIndex));
    let pop2 = RewriteSpec {
        op: RewriteOp::Pop2,
        ..RewriteSpec::default()
    };
    assert_eq!(
        dp.vlan_tag_rewrite(sub, pop2),
        Err(ApiError::InvalidVlanTagCount)
    );
    dp.set_flags(trunk, false).unwrap();
    assert_eq!(dp.set_flags(sub, true), Err(ApiError::Unspecified));
    dp.set_mac(trunk, host(9)).unwrap();
    assert_eq!(dp.interface(sub).unwrap().mac, host(9));
    dp.set_l2_xconnect(other, sub, true).unwrap();
    dp.delete_interface(trunk).unwrap();
    assert_eq!(dp.interface(sub).err(), Some(ApiError::InvalidSwIfIndex));
    assert!(dp.xconnects().is_empty());
}
