#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers of a test are small"
)]

mod super_frames;

use packet::ethernet::{self, Ethernet};
use packet::ipv4::{self, Ipv4};
use packet::ipv6::{self, Ipv6};
use packet::{MacAddr, proto, tcp, vxlan};
use proptest::prelude::*;

use super::*;

const A4: std::net::Ipv4Addr = std::net::Ipv4Addr::new(10, 0, 0, 1);
const B4: std::net::Ipv4Addr = std::net::Ipv4Addr::new(10, 0, 0, 2);
const A6: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1);
const B6: std::net::Ipv6Addr = std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2);

/// Prepends an IP header for `protocol`.
fn ip(is_v6: bool, protocol: u8, payload: &[u8]) -> Vec<u8> {
    let len = u16::try_from(payload.len()).unwrap();
    let mut out = vec![0; if is_v6 { 40 } else { 20 }];
    if is_v6 {
        ipv6::Header {
            traffic_class: 0,
            flow_label: 0,
            payload_len: len,
            next_header: protocol,
            hop_limit: 64,
            src: A6,
            dst: B6,
        }
        .emit(&mut out);
    } else {
        ipv4::Header {
            tos: 0,
            total_len: len + 20,
            ident: 100,
            fragment_word: ipv4::FLAG_DF,
            ttl: 64,
            protocol,
            src: A4,
            dst: B4,
        }
        .emit(&mut out);
    }
    out.extend(payload);
    out
}

fn eth(payload: &[u8]) -> Vec<u8> {
    let kind = if payload[0] >> 4 == 6 {
        ethernet::IPV6
    } else {
        ethernet::IPV4
    };
    let mut out = ethernet::header(MacAddr([2; 6]), MacAddr([4; 6]), kind).to_vec();
    out.extend(payload);
    out
}

fn tcp_segment(len: usize) -> Vec<u8> {
    let mut out = vec![0; 20];
    tcp::Header {
        src_port: 1,
        dst_port: 2,
        seq: u32::MAX - 999,
        ack: 5,
        flags: tcp::ACK | tcp::PSH | tcp::FIN | tcp::CWR,
        window: 9,
        checksum: 0,
    }
    .emit(&mut out);
    out.extend((0..len).map(|i| (i % 251) as u8));
    out
}

/// Checks IP lengths and every checksum of an IP packet, and gives the upper layer.
fn check_ip(packet: &[u8]) -> &[u8] {
    let (upper, protocol, pseudo) = if packet[0] >> 4 == 6 {
        let view = Ipv6::new_checked(packet).unwrap();
        assert_eq!(usize::from(view.payload_len()) + 40, packet.len());
        (
            &packet[40..],
            view.next_header(),
            checksum::pseudo6(
                view.src(),
                view.dst(),
                view.next_header(),
                packet.len() as u32 - 40,
            ),
        )
    } else {
        let view = Ipv4::new_checked(packet).unwrap();
        assert!(view.checksum_ok());
        assert_eq!(usize::from(view.total_len()), packet.len());
        (
            &packet[20..],
            view.protocol(),
            checksum::pseudo4(
                view.src(),
                view.dst(),
                view.protocol(),
                packet.len() as u16 - 20,
            ),
        )
    };
    if protocol == proto::UDP {
        assert_eq!(
            usize::from(u16::from_be_bytes([upper[4], upper[5]])),
            upper.len()
        );
    }
    if !(protocol == proto::UDP && upper[6..8] == [0, 0]) {
        assert_eq!(checksum::fold(checksum::add(pseudo, upper)), 0xffff);
    }
    upper
}

#[test]
fn tcp_is_split_and_every_segment_is_valid() {
    for is_v6 in [false, true] {
        let frame = eth(&ip(is_v6, proto::TCP, &tcp_segment(2500)));
        let gso = if is_v6 { Gso::Tcp6 } else { Gso::Tcp4 };
        let offload = Offload {
            gso,
            gso_size: 1000,
            ..Offload::default()
        };
        let mut segments = Vec::new();
        assert_eq!(
            segment(&frame, &offload, &mut [0; 2000], |s| segments
                .push(s.to_vec())),
            Ok(3)
        );
        let mut data: Vec<u8> = Vec::new();
        for (number, bytes) in segments.iter().enumerate() {
            let upper = check_ip(Ethernet::new_checked(bytes).unwrap().payload());
            let view = tcp::Tcp::new_checked(upper).unwrap();
            assert_eq!(
                view.seq(),
                (u32::MAX - 999).wrapping_add(number as u32 * 1000)
            );
            let expected = [
                tcp::ACK | tcp::CWR,
                tcp::ACK,
                tcp::ACK | tcp::PSH | tcp::FIN,
            ][number];
            assert_eq!(view.flags(), expected);
            data.extend(&upper[20..]);
        }
        assert_eq!(data, tcp_segment(2500)[20..]);
    }
}

#[test]
fn a_tunnelled_gso_frame_is_split_inside_and_outside() {
    for (outer_v6, inner_v6) in [(false, false), (false, true), (true, false), (true, true)] {
        let inner = eth(&ip(inner_v6, proto::TCP, &tcp_segment(3000)));
        let mut datagram = vec![0; 16];
        udp::emit(&mut datagram, 5555, vxlan::PORT, inner.len() as u16 + 16, 0);
        vxlan::emit(&mut datagram[8..], 7);
        datagram.extend(&inner);
        let frame = eth(&ip(outer_v6, proto::UDP, &datagram));
        let inner_l3 = (frame.len() - inner.len() + 14) as u16;
        let tunnel = if outer_v6 {
            Tunnel::V6 { l3: 14, inner_l3 }
        } else {
            Tunnel::V4 { l3: 14, inner_l3 }
        };
        let gso = if inner_v6 { Gso::Tcp6 } else { Gso::Tcp4 };
        let offload = Offload {
            gso,
            gso_size: 1400,
            tunnel,
            ..Offload::default()
        };
        assert!(
            offload.to_virtio().is_none()
                && offload.needs_software(Caps {
                    csum: true,
                    gso: true
                })
        );
        let mut count = 0;
        segment(&frame, &offload, &mut [0; 2000], |bytes| {
            let datagram = check_ip(&bytes[14..]);
            check_ip(&datagram[8 + 8 + 14..]);
            count += 1;
        })
        .unwrap();
        assert_eq!(count, 3);
    }
}

#[test]
fn udp_segments_have_their_own_length() {
    let mut datagram = vec![0; 8];
    udp::emit(&mut datagram, 1, 2, 8 + 900, 0);
    datagram.extend([3; 900]);
    let frame = eth(&ip(false, proto::UDP, &datagram));
    let offload = Offload {
        gso: Gso::Udp,
        gso_size: 400,
        ..Offload::default()
    };
    let mut sizes = Vec::new();
    segment(&frame, &offload, &mut [0; 2000], |bytes| {
        sizes.push(check_ip(&bytes[14..]).len());
    })
    .unwrap();
    assert_eq!(sizes, [408, 408, 108]);
}

#[test]
fn pending_checksum_is_completed() {
    let mut segment = tcp_segment(33);
    let pseudo = checksum::fold(checksum::pseudo4(A4, B4, proto::TCP, 53));
    segment[16..18].copy_from_slice(&pseudo.to_be_bytes());
    let mut frame = eth(&ip(false, proto::TCP, &segment));
    let offload = Offload {
        needs_csum: true,
        csum_start: 34,
        csum_offset: 16,
        ..Offload::default()
    };
    complete_checksum(&mut frame, &offload).unwrap();
    check_ip(&frame[14..]);
}

proptest! {
    #[test]
    fn lying_metadata_never_panics(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0u8..4, gso_size: u16,
                                   csum_start in 0u16..400, csum_offset in 0u16..400, l3 in 0u16..400, inner_l3 in 0u16..400, tunnel in 0u8..3) {
        let gso = [Gso::None, Gso::Tcp4, Gso::Tcp6, Gso::Udp][usize::from(kind)];
        let tunnel = [Tunnel::None, Tunnel::V4 { l3, inner_l3 }, Tunnel::V6 { l3, inner_l3 }][usize::from(tunnel)];
        let offload = Offload { needs_csum: true, csum_start, csum_offset, gso, gso_size, hdr_len: 0, tunnel, ..Offload::default() };
        let _ = segment(&bytes, &offload, &mut [0; 512], |_| ());
        let _ = complete_checksum(&mut bytes, &offload);
    }
}
