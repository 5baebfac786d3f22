//! Super-frames that are cut into trains, taken apart, and joined again.

use super::*;
use crate::offload::coalesce::Segment;

/// A TCP super-frame, whose checksum is pending, and its work.
fn tcp_frame(is_v6: bool, len: usize, gso_size: u16, flags: u8) -> (Vec<u8>, Offload) {
    let mut segment = tcp_segment(len);
    segment[13] = flags;
    let pseudo = if is_v6 {
        checksum::pseudo6(A6, B6, proto::TCP, segment.len() as u32)
    } else {
        checksum::pseudo4(A4, B4, proto::TCP, segment.len() as u16)
    };
    segment[16..18].copy_from_slice(&checksum::fold(pseudo).to_be_bytes());
    let frame = eth(&ip(is_v6, proto::TCP, &segment));
    let l4 = (frame.len() - segment.len()) as u16;
    let offload = Offload {
        needs_csum: true,
        csum_start: l4,
        csum_offset: 16,
        gso: if is_v6 { Gso::Tcp6 } else { Gso::Tcp4 },
        gso_size,
        hdr_len: l4 + 20,
        ecn: flags & tcp::CWR != 0,
        ..Offload::default()
    };
    (frame, offload)
}

/// The frame inside VXLAN.
fn encapsulated(outer_v6: bool, inner: &[u8], work: Offload) -> (Vec<u8>, Offload) {
    let mut datagram = vec![0; 16];
    let len = u16::try_from(inner.len() + 16).unwrap_or(u16::MAX);
    udp::emit(&mut datagram, 5555, vxlan::PORT, len, 0);
    vxlan::emit(&mut datagram[8..], 7);
    let mut frame = eth(&ip(outer_v6, proto::UDP, &datagram));
    let pushed = frame.len() as u16;
    frame.extend(inner);
    let inner_l3 = pushed + 14;
    let tunnel = if outer_v6 {
        Tunnel::V6 { l3: 14, inner_l3 }
    } else {
        Tunnel::V4 { l3: 14, inner_l3 }
    };
    let offload = Offload {
        csum_start: work.csum_start + pushed,
        hdr_len: work.hdr_len + pushed,
        tunnel,
        ..work
    };
    (frame, offload)
}

fn cut(frame: &[u8], offload: &Offload) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    segment(frame, offload, &mut [0; 70_000], |bytes| {
        out.push(bytes.to_vec());
    })
    .unwrap();
    out
}

/// Joins what can be joined; every segment is split into head and tail at `split`.
fn join(segments: &[Vec<u8>], split: usize) -> Vec<(Vec<u8>, Offload)> {
    let mut out = Vec::new();
    let mut give = |run: Option<Run<'_>>| {
        let Some(mut run) = run else { return };
        let (head, tail, _) = run.first();
        let alone = ([head, tail].concat(), Offload::default());
        out.push(run.whole().map_or(alone, |whole| {
            let bytes = [whole.headers, &whole.pieces.concat()].concat();
            (bytes, whole.offload)
        }));
    };
    let mut open: Option<Run<'_>> = None;
    for bytes in segments {
        let (head, tail) = bytes.split_at(split.min(bytes.len()));
        let next = Segment::of(head, tail, &Offload::default()).unwrap();
        if !open.as_mut().is_some_and(|run| run.take(next)) {
            give(open.replace(Run::new(next)));
        }
    }
    give(open);
    out
}

proptest! {
    #[test]
    fn trains_come_apart_into_what_software_cuts(len in 2usize..60_000, gso_size in 400u16..1500, outer_v6: bool, inner_v6: bool,
                                                  split in 144usize..250) {
        let (inner, work) = tcp_frame(inner_v6, len, gso_size, tcp::ACK | tcp::PSH | tcp::CWR);
        let (frame, offload) = encapsulated(outer_v6, &inner, work);
        let (head, tail) = frame.split_at(split.min(frame.len()));
        let Some(train) = Train::of(head, tail, &offload) else {
            prop_assert!(len <= usize::from(gso_size));
            return Ok(());
        };
        let mut got = Vec::new();
        train.each(&mut TrainRoom::default(), |offload, pieces| {
            let whole = pieces.concat();
            assert!(whole.len() <= 65_535 + 14);
            let datagrams = Datagrams::of(&whole[..whole.len().min(128)], whole.len(), offload);
            if offload.gso == Gso::None {
                let mut alone = whole;
                complete_checksum(&mut alone, offload).unwrap();
                got.push(alone);
                return;
            }
            let datagrams = datagrams.unwrap();
            assert_eq!(datagrams.dst_port(), vxlan::PORT);
            for number in 0..datagrams.count() {
                let (header, range, offload) = datagrams.datagram(number).unwrap();
                let mut packet = [header.bytes(), &whole[range]].concat();
                complete_checksum(&mut packet, &offload).unwrap();
                got.push(packet);
            }
            assert!(datagrams.datagram(datagrams.count()).is_none());
        }).unwrap();
        let mut expected = cut(&frame, &offload);
        for packet in expected.iter_mut().chain(&mut got) {
            let datagram = check_ip(&packet[14..]);
            check_ip(&datagram[8 + 8 + 14..]);
            // Over IPv4, software leaves the outer checksum out.
            let at = packet.len() - datagram.len() + 6;
            packet[at..at + 2].fill(0);
        }
        prop_assert_eq!(got, expected);
    }

    #[test]
    fn a_train_is_joined_to_the_frame_that_was_cut(len in 3000usize..60_000, gso_size in 400u16..1500, outer_v6: bool, inner_v6: bool,
                                                    near in 144usize..192) {
        let (inner, work) = tcp_frame(inner_v6, len, gso_size, tcp::ACK | tcp::PSH | tcp::CWR);
        let (frame, offload) = encapsulated(outer_v6, &inner, work);
        let (head, tail) = frame.split_at(192);
        let train = Train::of(head, tail, &offload).unwrap();
        let (mut got, mut payload) = (Vec::<Vec<u8>>::new(), Vec::<u8>::new());
        train.each(&mut TrainRoom::default(), |work, pieces| {
            let mut whole = pieces.concat();
            let (near, far) = whole.split_at_mut(near);
            let Some(datagrams) = Datagrams::of(near, near.len() + far.len(), work) else {
                assert_eq!(work.gso, Gso::None);
                return;
            };
            let joined = Joined::of(&datagrams, 0, near, far).unwrap();
            assert_eq!(joined.count, datagrams.count().min(64));
            let range = joined.move_together(&datagrams, far);
            let frame = [joined.head(), &far[range]].concat();
            assert_eq!(joined.offload.tunnel, offload.tunnel);
            payload.extend(&frame[usize::from(joined.offload.hdr_len)..]);
            got.extend(cut(&frame, &joined.offload));
        }).unwrap();
        for packet in &got {
            let datagram = check_ip(&packet[14..]);
            check_ip(&datagram[8 + 8 + 14..]);
        }
        let mut expected = cut(&frame, &offload);
        // A single packet at the end is no train.
        expected.truncate(got.len());
        prop_assert_eq!(&got, &expected);
        prop_assert_eq!(&payload[..], &frame[usize::from(offload.hdr_len)..][..payload.len()]);
    }

    #[test]
    fn what_is_cut_and_joined_is_as_before(len in 2usize..60_000, gso_size in 1000u16..9000, v6: bool, split in 74usize..250, cwr: bool) {
        let flags = tcp::ACK | tcp::PSH | if cwr { tcp::CWR } else { 0 };
        let (frame, offload) = tcp_frame(v6, len, gso_size, flags);
        let segments = cut(&frame, &offload);
        let joined = join(&segments, split);
        prop_assert_eq!(joined.len(), 1);
        if segments.len() > 1 {
            prop_assert_eq!(&joined[0], &(frame, offload));
        }
    }

    #[test]
    fn a_segment_with_any_bit_wrong_is_not_joined(v6: bool, at in any::<prop::sample::Index>(), bit in 0u8..8, second: bool, split in 74usize..250) {
        let (frame, offload) = tcp_frame(v6, 2000, 1000, tcp::ACK);
        let mut segments = cut(&frame, &offload);
        let wrong = &mut segments[usize::from(second)];
        let at = at.index(wrong.len());
        wrong[at] ^= 1 << bit;
        let [first, next] = [&segments[0], &segments[1]].map(|bytes| {
            let (head, tail) = bytes.split_at(split);
            Segment::of(head, tail, &Offload::default())
        });
        if let (Some(first), Some(next)) = (first, next) {
            prop_assert!(!Run::new(first).take(next), "byte {at}");
        }
    }

    #[test]
    fn lying_super_frames_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400), split in 0usize..400, kind in 0u8..4,
                                      gso_size: u16, l3 in 0u16..100, inner_l3 in 0u16..200, is_outer_v6: bool, shape: bool) {
        let mut bytes = bytes;
        if shape && bytes.len() > 120 {
            let (frame, _) = tcp_frame(kind == 2, 10, 5, tcp::ACK);
            let (outer, _) = encapsulated(is_outer_v6, &frame, Offload::default());
            let len = outer.len().min(bytes.len() - 30);
            bytes[..len].copy_from_slice(&outer[..len]);
        }
        let gso = [Gso::None, Gso::Tcp4, Gso::Tcp6, Gso::Udp][usize::from(kind)];
        let tunnel = if is_outer_v6 { Tunnel::V6 { l3, inner_l3 } } else { Tunnel::V4 { l3, inner_l3 } };
        let offload = Offload { needs_csum: true, gso, gso_size, tunnel, ..Offload::default() };
        let (head, tail) = bytes.split_at(split.min(bytes.len()));
        if let Some(train) = Train::of(head, tail, &offload) {
            let _ = train.each(&mut TrainRoom::default(), |_, _| ());
        }
        if let Some(datagrams) = Datagrams::of(head, bytes.len(), &Offload { tunnel: Tunnel::None, ..offload }) {
            for number in 0..datagrams.count() {
                let mut far = tail.to_vec();
                if let Some(joined) = Joined::of(&datagrams, number, head, &far) {
                    joined.move_together(&datagrams, &mut far);
                }
                if let Some((header, range, _)) = datagrams.datagram(number) {
                    assert!(range.end <= bytes.len() && header.bytes().len() <= range.start.max(62));
                }
            }
        }
        if let Some(first) = Segment::of(head, tail, &Offload::default()) {
            let _ = Run::new(first).take(first);
        }
    }
}

/// A data segment whose headers are changed, with right checksums.
fn changed(change: impl FnOnce(&mut [u8])) -> Vec<u8> {
    let (frame, offload) = tcp_frame(false, 2000, 1000, tcp::ACK);
    let mut bytes = cut(&frame, &offload).remove(1);
    change(&mut bytes);
    ipv4::finish_header(&mut bytes[14..], 1040, ipv4::FLAG_DF);
    let pseudo = checksum::pseudo4(
        Ipv4::new_checked(&bytes[14..]).unwrap().src(),
        B4,
        proto::TCP,
        1020,
    );
    bytes[50..52].fill(0);
    let check = !checksum::fold(checksum::add(pseudo, &bytes[34..]));
    bytes[50..52].copy_from_slice(&check.to_be_bytes());
    bytes
}

#[test]
fn only_the_next_segment_of_the_same_flow_is_joined() {
    let (frame, offload) = tcp_frame(false, 2000, 1000, tcp::ACK);
    let first = cut(&frame, &offload).remove(0);
    let takes = |bytes: &[u8]| {
        let part = |bytes| Segment::of(bytes, &[], &Offload::default());
        part(bytes).is_some_and(|next| Run::new(part(&first).unwrap()).take(next))
    };
    assert!(takes(&changed(|_| ())));
    assert!(takes(&changed(|bytes| bytes[47] |= tcp::PSH)));
    type Change = fn(&mut [u8]);
    let others: [(&str, Change); 17] = [
        ("other MAC", |b| b[5] ^= 1),
        ("other source", |b| b[29] ^= 4),
        ("other port", |b| b[35] ^= 1),
        ("other class or ECN mark", |b| b[15] ^= 3),
        ("other time to live", |b| b[22] ^= 1),
        ("a gap of identifications", |b| b[19] ^= 8),
        ("a gap", |b| b[41] ^= 1),
        ("an overlap", |b| {
            b[38..42].copy_from_slice(&(u32::MAX - 999).to_be_bytes());
        }),
        ("another acknowledgement", |b| b[45] ^= 1),
        ("another window", |b| b[49] ^= 1),
        ("a reserved bit", |b| b[46] |= 1),
        ("SYN", |b| b[47] |= tcp::SYN),
        ("FIN", |b| b[47] |= tcp::FIN),
        ("RST", |b| b[47] |= tcp::RST),
        ("URG", |b| b[47] |= 0x20),
        ("CWR in the middle", |b| b[47] |= tcp::CWR),
        ("an ECN echo", |b| b[47] |= 0x40),
    ];
    for (what, change) in others {
        assert!(!takes(&changed(change)), "{what}");
    }
}

#[test]
fn a_run_ends_with_a_push_and_with_a_short_segment() {
    let (frame, offload) = tcp_frame(false, 3000, 1000, tcp::ACK);
    let mut segments = cut(&frame, &offload);
    segments[1][47] |= tcp::PSH;
    let check = u16::from_be_bytes([segments[1][50], segments[1][51]]);
    let check = checksum::update(check, 0, u16::from(tcp::PSH));
    segments[1][50..52].copy_from_slice(&check.to_be_bytes());
    let joined = join(&segments, 100);
    assert_eq!(joined.len(), 2);
    assert_eq!(
        (joined[0].0.len(), joined[0].0[47]),
        (2054, tcp::ACK | tcp::PSH)
    );
    let (frame, offload) = tcp_frame(false, 2500, 1000, tcp::ACK);
    let mut segments = cut(&frame, &offload);
    let (more, offload) = tcp_frame(false, 5500, 1000, tcp::ACK);
    segments.push(cut(&more, &offload)[2].clone());
    assert_eq!(join(&segments, 100).len(), 2);
}
