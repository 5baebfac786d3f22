#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers of a test are small"
)]

use packet::ipv4::{self, Ipv4};
use packet::ipv6::Ipv6;
use packet::{proto, tcp};

use super::routing::two_subnets;
use super::*;
use crate::offload::{Caps, segment};
use crate::reassembly::{Outcome, Reassembler};
use crate::{ApiError, Family, Gso, Offload, SwIfIndex};

/// A packet that may be cut on its way.
fn soft(mut packet: Vec<u8>) -> Vec<u8> {
    ipv4::set_word(&mut packet, 6, 0);
    packet
}

fn finish(sent: &Sent) -> Vec<Vec<u8>> {
    let mut frames = Vec::new();
    segment(&sent.1, &sent.2, &mut vec![0; 70_000], |f| {
        frames.push(f.to_vec());
    })
    .unwrap();
    frames
}

/// Puts frames together as their receiver does, and gives the packet.
fn join(frames: &[Vec<u8>]) -> Vec<u8> {
    let (mut reassembler, tables) = (Reassembler::default(), crate::Tables::default());
    for (n, bytes) in frames.iter().enumerate() {
        let (head, rest) = bytes.split_at(bytes.len().min(crate::HEAD_MAX));
        let tail = crate::Tail {
            slot: 0,
            offset: 0,
            len: rest.len() as u32,
        };
        let mut frame = crate::Frame::empty();
        frame
            .reset(SwIfIndex(1), head.len(), Some(tail), Offload::default())
            .unwrap()
            .copy_from_slice(head);
        frame.meta.l3 = 14;
        let outcome = reassembler.take(&frame, &tables, crate::Nanos(1), |room| {
            room.copy_from_slice(rest);
            room.len()
        });
        let last = n + 1 == frames.len();
        assert_eq!(outcome, if last { Outcome::Ready } else { Outcome::Kept });
    }
    let mut got = Vec::new();
    reassembler.drain(|whole| got = whole.bytes[14..].to_vec());
    got
}

#[test]
fn an_ip4_packet_is_cut_to_the_mtu_unless_it_forbids_that() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.9", host(2));
    lab.dp.set_mtu(b, [600, 0, 0, 0]).unwrap();
    let packet = udp("10.0.0.9", "10.0.1.9", (1, 2), 1400);
    let hard = eth(own_mac(a), host(1), &packet);
    lab.neighbor(a, "10.0.0.9", host(1));
    assert!(lab.text(a, &hard).contains("icmp 3/4 rest [0, 0, 2, 88]"));
    let sent = lab.send(a, &eth(own_mac(a), host(1), &soft(packet.clone())));
    let lens: Vec<_> = sent.iter().map(|s| (s.0, s.1.len())).collect();
    assert_eq!(lens, [(b, 14 + 596), (b, 14 + 596), (b, 14 + 20 + 256)]);
    for (_, bytes, _) in &sent {
        let ip = Ipv4::new_checked(&bytes[14..]).unwrap();
        assert!(ip.checksum_ok() && ip.is_fragment() && ip.ttl() == 63);
    }
    let whole = join(&sent.iter().map(|s| s.1.clone()).collect::<Vec<_>>());
    assert_eq!(whole[20..], packet[20..]);
}

#[test]
fn unfinished_checksums_are_finished_before_their_packet_is_cut() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.9", host(2));
    lab.dp.set_mtu(b, [600, 0, 0, 0]).unwrap();
    let mut packet = soft(udp("10.0.0.9", "10.0.1.9", (1, 2), 1400));
    let pseudo = packet::checksum::fold(packet::checksum::pseudo4(
        [10, 0, 0, 9].into(),
        [10, 0, 1, 9].into(),
        17,
        1408,
    ));
    packet[26..28].copy_from_slice(&pseudo.to_be_bytes());
    let offload = Offload {
        needs_csum: true,
        csum_start: 34,
        csum_offset: 6,
        ..Offload::default()
    };
    let sent = lab.send_with(a, &eth(own_mac(a), host(1), &packet), offload);
    assert_eq!(sent.len(), 1);
    assert!(sent[0].2.needs_software(Caps {
        csum: true,
        gso: true
    }));
    let frames = finish(&sent[0]);
    assert_eq!(
        frames.iter().map(Vec::len).collect::<Vec<_>>(),
        [610, 610, 290]
    );
    let whole = join(&frames);
    let sum = packet::checksum::pseudo4([10, 0, 0, 9].into(), [10, 0, 1, 9].into(), 17, 1408);
    assert_eq!(
        packet::checksum::fold(packet::checksum::add(sum, &whole[20..])),
        0xffff
    );
}

#[test]
fn segments_of_a_tcp_super_frame_are_made_to_fit() {
    let (mut lab, a, b) = two_subnets();
    lab.neighbor(b, "10.0.1.9", host(2));
    lab.dp.set_mtu(b, [600, 0, 0, 0]).unwrap();
    let mut segment = vec![0; 20];
    tcp::Header {
        src_port: 1,
        dst_port: 2,
        flags: tcp::ACK,
        ..tcp::Header::default()
    }
    .emit(&mut segment);
    segment.extend([5; 4000]);
    let packet = soft(ip("10.0.0.9", "10.0.1.9", proto::TCP, 64, &segment));
    let offload = Offload {
        needs_csum: true,
        csum_start: 34,
        csum_offset: 16,
        gso: Gso::Tcp4,
        gso_size: 1360,
        hdr_len: 54,
        ..Offload::default()
    };
    let sent = lab.send_with(a, &eth(own_mac(a), host(1), &packet), offload);
    assert_eq!(sent[0].2.gso_size, 560);
    assert_eq!(finish(&sent[0]).len(), 8);
}

#[test]
fn the_outside_of_a_tunnel_is_cut_and_put_together_at_its_end() {
    use crate::bridge::PortType;
    use crate::tunnel::VxlanSpec;
    for v6 in [false, true] {
        let (own, peer, len) = if v6 {
            ("2001:db8::1", "2001:db8::2", 64)
        } else {
            ("192.168.16.1", "192.168.16.2", 24)
        };
        let node = |own: &str, peer: &str| {
            let mut lab = Lab::new();
            lab.step = 1000;
            let pod = lab.device("pod");
            let uplink = lab.routed("uplink", &[&format!("{own}/{len}")]);
            lab.neighbor(uplink, peer, own_mac(SwIfIndex(2)));
            let spec = VxlanSpec {
                src: addr(own),
                dst: addr(peer),
                vni: 10,
                ..VxlanSpec::default()
            };
            let tunnel = lab.dp.vxlan_add_del_tunnel_v3(true, spec).unwrap();
            lab.dp.set_flags(tunnel, true).unwrap();
            for port in [pod, tunnel] {
                lab.dp
                    .set_l2_bridge(port, 7, PortType::Normal, 0, true)
                    .unwrap();
            }
            (lab, pod, uplink)
        };
        let ((mut a, pod, uplink), (mut b, out, _)) = (node(own, peer), node(peer, own));
        let inner = eth(host(2), host(1), &udp("10.0.0.1", "10.0.0.2", (1, 2), 1472));
        let sent = a.send(pod, &inner);
        let wire: Vec<_> = sent.iter().flat_map(finish).collect();
        assert_eq!(wire.len(), 2, "{:?}", a.drops());
        assert!(wire.iter().all(|f| f.len() <= 1514));
        let mut got = Vec::new();
        for frame in &wire {
            got.extend(b.send(uplink, frame));
        }
        assert_eq!(got.len(), 1, "{:?} {:?}", b.drops(), b.reassembled);
        assert_eq!((got[0].0, &got[0].1), (out, &inner));
    }
}

#[test]
fn ip6_packets_are_cut_by_their_source_only() {
    let (mut lab, a, b) = two_subnets();
    lab.step = 1000;
    lab.neighbor(a, "2001:db8:a::9", host(1));
    lab.neighbor(b, "2001:db8:b::9", host(2));
    lab.dp.set_mtu(b, [1280, 0, 0, 0]).unwrap();
    let packet = udp("2001:db8:a::9", "2001:db8:b::9", (1, 2), 1400);
    assert!(
        lab.text(a, &eth(own_mac(a), host(1), &packet))
            .contains("icmp6 2/0")
    );
    // A packet that comes in pieces for a feature that wants it whole leaves in pieces, none longer than before.
    lab.dp.reassembly_enable_disable(a, true, true).unwrap();
    let mut cutter = crate::fragment::Fragmenter::new(&packet, packet.len(), 700, 5).unwrap();
    let mut sent = Vec::new();
    while let Some(piece) = cutter.next_piece() {
        let bytes = [piece.header, &packet[40 + piece.from..40 + piece.to]].concat();
        sent.extend(lab.send(a, &eth(own_mac(a), host(1), &bytes)));
    }
    assert_eq!(sent.len(), 3);
    for (on, bytes, _) in &sent {
        let ip = Ipv6::new_checked(&bytes[14..]).unwrap();
        assert!(*on == b && bytes.len() <= 714 && ip.hop_limit() == 63);
    }
    assert_eq!(
        join(&sent.iter().map(|s| s.1.clone()).collect::<Vec<_>>())[40..],
        packet[40..]
    );
}

#[test]
fn long_pings_are_answered_in_pieces() {
    for (src, dst) in [("10.0.0.9", "10.0.0.1"), ("2001:db8:a::9", "2001:db8:a::1")] {
        let (mut lab, a, _) = two_subnets();
        lab.step = 1000;
        lab.neighbor(a, src, host(1));
        let mut packet = echo(src, dst, 3000);
        if packet[0] >> 4 == 4 {
            packet = soft(packet);
        }
        let mut cutter = crate::fragment::Fragmenter::new(&packet, packet.len(), 1500, 5).unwrap();
        let skip = cutter.skip();
        let mut sent = Vec::new();
        while let Some(piece) = cutter.next_piece() {
            let bytes = [piece.header, &packet[skip + piece.from..skip + piece.to]].concat();
            sent.extend(lab.send(a, &eth(own_mac(a), host(1), &bytes)));
        }
        assert_eq!(sent.len(), 3, "{:?} {:?}", lab.drops(), lab.reassembled);
        lab.dp.local_reassembly_enable_disable(false, false);
        let mut again = crate::fragment::Fragmenter::new(&packet, packet.len(), 1500, 5).unwrap();
        let piece = again.next_piece().unwrap();
        let bytes = [piece.header, &packet[skip..skip + piece.to]].concat();
        assert!(lab.send(a, &eth(own_mac(a), host(1), &bytes)).is_empty());
        assert!(lab.drops()[0].contains("fragments for this host are not reassembled = 1"));
    }
}

#[test]
fn limits_of_reassembly_are_per_family() {
    let (mut lab, a, _) = two_subnets();
    let few = crate::reassembly::Limits {
        fragments: 1,
        ..crate::reassembly::Limits::default()
    };
    lab.dp.reassembly_set(Family::V4, few);
    assert_eq!(lab.dp.reassembly_get(Family::V4).fragments, 1);
    assert_eq!(lab.dp.reassembly_get(Family::V6).fragments, 64);
    assert_eq!(
        lab.dp.reassembly_enable_disable(SwIfIndex(99), true, true),
        Err(ApiError::InvalidSwIfIndex)
    );
    lab.step = 1000;
    let packet = soft(echo("10.0.0.9", "10.0.0.1", 3000));
    let mut cutter = crate::fragment::Fragmenter::new(&packet, packet.len(), 1500, 5).unwrap();
    while let Some(piece) = cutter.next_piece() {
        let bytes = [piece.header, &packet[20 + piece.from..20 + piece.to]].concat();
        lab.send(a, &eth(own_mac(a), host(1), &bytes));
    }
    assert!(matches!(
        lab.reassembled[..],
        [Outcome::Kept, Outcome::Dropped(_), Outcome::Dropped(_)]
    ));
}
