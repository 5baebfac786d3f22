#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers of a test are small"
)]

use proptest::prelude::*;

use super::*;
use crate::fragment::Fragmenter;
use crate::lab::{eth, host, udp};
use crate::{HEAD_MAX, Offload, Tail};

const RX: SwIfIndex = SwIfIndex(3);

/// The pieces of a packet, as frames.
fn pieces(packet: &[u8], limit: usize) -> Vec<Vec<u8>> {
    let mut cutter = Fragmenter::new(packet, packet.len(), limit, 77).unwrap();
    let skip = cutter.skip();
    let mut out = Vec::new();
    while let Some(piece) = cutter.next_piece() {
        let bytes = [piece.header, &packet[skip + piece.from..skip + piece.to]].concat();
        out.push(eth(host(1), host(2), &bytes));
    }
    out
}

/// A packet that may be cut.
fn packet(v6: bool, len: usize) -> Vec<u8> {
    if v6 {
        return udp("2001:db8::1", "2001:db8::2", (1, 2), len);
    }
    let mut packet = udp("10.0.0.1", "10.0.0.2", (1, 2), len);
    ipv4::set_word(&mut packet, 6, 0);
    packet
}

fn give(
    reassembler: &mut Reassembler,
    bytes: &[u8],
    now: Nanos,
) -> Result<Option<Whole<'static>>, DropReason> {
    let mut frame = Frame::empty();
    let (head, rest) = bytes.split_at(bytes.len().min(HEAD_MAX));
    let tail = Tail {
        slot: 0,
        offset: 0,
        len: rest.len() as u32,
    };
    frame
        .reset(RX, head.len(), Some(tail), Offload::default())
        .unwrap()
        .copy_from_slice(head);
    frame.meta.l3 = 14;
    let outcome = reassembler.take(&frame, &Tables::default(), now, |room| {
        room.copy_from_slice(rest);
        rest.len()
    });
    match outcome {
        Outcome::Kept => Ok(None),
        Outcome::Dropped(reason) => Err(reason),
        Outcome::Ready => {
            let mut got = None;
            reassembler.drain(|whole| {
                got = Some(Whole {
                    bytes: whole.bytes.to_vec().leak(),
                    ..whole
                });
            });
            assert!(!reassembler.is_ready());
            Ok(got)
        }
    }
}

proptest! {
    #[test]
    fn any_order_of_pieces_gives_the_packet_back(len in 600usize..20_000, limit in 500usize..1500, v6: bool, seed: u64) {
        let packet = packet(v6, len);
        let mut pieces = pieces(&packet, limit);
        let (mut state, count) = (seed | 1, pieces.len());
        for at in (1..count).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            pieces.swap(at, (state >> 33) as usize % (at + 1));
        }
        let mut reassembler = Reassembler::default();
        let mut got = None;
        for (n, piece) in pieces.iter().enumerate() {
            got = give(&mut reassembler, piece, Nanos(1)).unwrap();
            prop_assert_eq!(got.is_some(), n + 1 == count);
        }
        let got = got.unwrap();
        prop_assert_eq!(got.rx, RX);
        prop_assert_eq!(got.fragment_size > 0, v6, "only IPv6 must keep the size");
        prop_assert!(usize::from(got.fragment_size) <= limit);
        prop_assert_eq!(&got.bytes[14..], &packet);
    }
}

#[test]
fn an_overlap_dooms_the_packet_and_a_duplicate_does_not() {
    let (old, other) = (
        pieces(&packet(false, 3000), 1000),
        pieces(&packet(false, 3000), 900),
    );
    let mut reassembler = Reassembler::default();
    give(&mut reassembler, &old[0], Nanos(1)).unwrap();
    assert_eq!(
        give(&mut reassembler, &old[0], Nanos(1)).err(),
        Some(DropReason::FragmentDuplicate)
    );
    assert_eq!(
        give(&mut reassembler, &other[1], Nanos(1)).err(),
        Some(DropReason::FragmentOverlap)
    );
    for piece in &old[1..] {
        assert_eq!(
            give(&mut reassembler, piece, Nanos(1)).err(),
            Some(DropReason::FragmentOverlap)
        );
    }
}

#[test]
fn pieces_come_together_in_time_or_not_at_all() {
    let all = pieces(&packet(true, 1500), 1000);
    let mut reassembler = Reassembler::default();
    give(&mut reassembler, &all[0], Nanos(0)).unwrap();
    let late = Nanos(201_000_000);
    assert!(give(&mut reassembler, &all[1], late).unwrap().is_none());
    assert!(give(&mut reassembler, &all[0], late).unwrap().is_some());
}

#[test]
fn only_so_many_packets_are_under_way() {
    let mut reassembler = Reassembler::default();
    for ident in 0..=PACKETS_MAX {
        let mut packet = packet(false, 2000);
        ipv4::set_word(&mut packet, 4, ident as u16);
        let got = give(&mut reassembler, &pieces(&packet, 1500)[0], Nanos(1));
        assert_eq!(
            got.err(),
            (ident == PACKETS_MAX).then_some(DropReason::ReassemblyLimit)
        );
    }
}

#[test]
fn a_piece_that_reaches_beyond_a_packet_is_refused() {
    let mut piece = pieces(&packet(false, 3000), 1500).remove(0);
    ipv4::set_word(&mut piece[14..], 6, ipv4::FLAG_MF | 0x1fff);
    assert_eq!(
        give(&mut Reassembler::default(), &piece, Nanos(1)).err(),
        Some(DropReason::FragmentMalformed)
    );
}
