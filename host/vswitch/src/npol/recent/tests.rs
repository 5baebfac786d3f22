use std::collections::BTreeMap;

use packet::tcp::ACK;
use proptest::prelude::*;

use super::*;
use crate::offload::Offload;
use crate::track::{Kind, Packet};

/// A frame whose L3 header is its start.
fn frame(bytes: &[u8], rx: u32) -> Frame {
    let mut frame = Frame::empty();
    let room = frame.reset(SwIfIndex(rx), bytes.len(), None, Offload::default());
    room.unwrap().copy_from_slice(bytes);
    frame
}

/// A packet of few addresses and ports, so that some of them meet; often of a kind that is not remembered.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    let fields = (0..4u8, 0..4u8, 0..3u8, 0..3u8);
    let kinds = (any::<bool>(), 0..4usize, 0..5usize, 0..8usize, 28..64usize);
    (fields, kinds).prop_map(
        |((src, dst, sport, dport), (v6, protocol, flags, shape, len))| {
            let mut bytes = vec![0; len];
            let protocol = [6, 17, 17, 132][protocol];
            let l4 = if v6 { 40 } else { 20 };
            if v6 {
                bytes[0] = 0x60;
                bytes[5] = u8::try_from(len.saturating_sub(l4)).unwrap();
                bytes[6] = protocol;
            } else {
                bytes[0] = if shape == 0 { 0x46 } else { 0x45 };
                bytes[3] = u8::try_from(len).unwrap();
                let fragment = [[0, 9], [0x20, 0], [0x40, 0]].get(shape.wrapping_sub(1));
                bytes[6..8].copy_from_slice(fragment.unwrap_or(&[0, 0]));
                bytes[9] = protocol;
            }
            let ends = if v6 { [23, 39] } else { [15, 19] };
            let places = ends.into_iter().chain([l4 + 1, l4 + 3, l4 + 13]);
            for (at, value) in places.zip([src, dst, sport, dport, [ACK, SYN, FIN, RST, 0][flags]])
            {
                if let Some(byte) = bytes.get_mut(at) {
                    *byte = value;
                }
            }
            bytes
        },
    )
}

/// A key as a value of its own.
fn key(frame: &Frame) -> Option<Vec<u64>> {
    let v4 = FlowKey::of_v4(frame).map(|key| key.words.to_vec());
    let v6 = FlowKey::of_v6(frame).map(|key| key.words.to_vec());
    assert!(v4.is_none() || v6.is_none());
    v4.or(v6)
}

proptest! {
    #[test]
    fn packets_have_one_key_exactly_when_they_are_one_direction_from_one_interface(
        all in prop::collection::vec((bytes(), 1..3u32), 1..40),
    ) {
        let mut seen = BTreeMap::new();
        for (bytes, rx) in &all {
            let Some(key) = key(&frame(bytes, *rx)) else { continue };
            let packet = Packet::parse(bytes, Scope::new(*rx)).unwrap();
            prop_assert_eq!(packet.first_fragment, None);
            if let Kind::Tcp { flags } = packet.kind {
                prop_assert_eq!(flags & (SYN | FIN | RST), 0);
            } else {
                prop_assert_eq!(packet.kind, Kind::Datagram);
            }
            let of_key = seen.entry(key).or_insert(packet.tuple);
            prop_assert_eq!(*of_key, packet.tuple);
        }
        let tuples: std::collections::BTreeSet<_> = seen.values().collect();
        prop_assert_eq!(tuples.len(), seen.len());
    }

    #[test]
    fn nothing_is_said_to_pass_but_what_was_remembered_to(
        steps in prop::collection::vec((bytes(), 1..3u32, 2..4u32, any::<[bool; 2]>(), 1..4u32, 0..3u32), 1..200),
    ) {
        let mut flows = RecentFlows::<2>::new();
        // By direction and hook: interface, epoch and tick.
        let mut model = BTreeMap::new();
        for (bytes, rx, tx, [remember, leaves], epoch, tick) in &steps {
            let frame = frame(bytes, *rx);
            let Some(key) = FlowKey::of_v4(&frame) else { continue };
            let (hook, on) = if *leaves { (Hook::Tx, *tx) } else { (Hook::Rx, *rx) };
            let of = (key.words, hook);
            if *remember {
                flows.remember(&key, (hook, SwIfIndex(on)), *epoch, *tick);
                model.insert(of, (on, *epoch, *tick));
            }
            let was = |hook, on| model.get(&(key.words, hook)) == Some(&(on, *epoch, *tick));
            let onward = flows.enters(&key, *epoch, *tick);
            prop_assert!(onward.is_none() || was(Hook::Rx, *rx));
            let passes = flows.leaves(&key, SwIfIndex(*tx), *epoch, *tick);
            prop_assert!(!passes || was(Hook::Tx, *tx));
            if let Some(onward) = onward {
                prop_assert_eq!(onward.allows(SwIfIndex(*tx), *epoch, *tick), passes);
            }
        }
    }
}

/// A key of the set `set`, as packets have it.
fn key_in(set: usize, n: u64) -> FlowKey<2> {
    FlowKey { words: [n, 1], set }
}

#[test]
fn what_was_remembered_is_known_until_the_tick_or_the_policies_change() {
    let mut flows = RecentFlows::<2>::new();
    let (rx, tx) = ((Hook::Rx, SwIfIndex(1)), (Hook::Tx, SwIfIndex(2)));
    for n in 0..WAYS as u64 {
        let key = key_in(5, n);
        flows.remember(&key, rx, 3, 7);
        flows.remember(&key, tx, 4, 7);
    }
    for n in 0..WAYS as u64 {
        let key = key_in(5, n);
        let onward = flows.enters(&key, 3, 7).unwrap();
        assert!(onward.allows(SwIfIndex(2), 4, 7));
        assert!(flows.leaves(&key, SwIfIndex(2), 4, 7));
        assert_eq!(flows.enters(&key, 4, 7), None, "other policies");
        assert_eq!(flows.enters(&key, 3, 8), None, "another tick");
        assert!(!flows.leaves(&key, SwIfIndex(3), 4, 7), "another interface");
    }
    let one = key_in(5, 0);
    flows.remember(&one, rx, 3, 8);
    let onward = flows.enters(&one, 3, 8).unwrap();
    assert!(
        !onward.allows(SwIfIndex(2), 4, 8),
        "that was the tick before"
    );
}

#[test]
fn new_flows_take_the_places_of_past_ticks_only() {
    let mut flows = RecentFlows::<2>::new();
    let on = (Hook::Rx, SwIfIndex(1));
    for n in 0..100 {
        flows.remember(&key_in(9, n), on, 1, 7);
    }
    let known = |flows: &RecentFlows<2>, tick| {
        let is_known = |n: &u64| flows.enters(&key_in(9, *n), 1, tick).is_some();
        (0..100).filter(is_known).collect::<Vec<_>>()
    };
    assert_eq!(known(&flows, 7), [0, 1, 2, 3]);
    for n in 50..100 {
        flows.remember(&key_in(9, n), on, 1, 8);
    }
    assert_eq!(known(&flows, 8), [50, 51, 52, 53]);
}

#[test]
fn thousands_of_flows_find_a_place() {
    let mut flows = RecentFlows::<2>::new();
    let keys: Vec<_> = (0..8000_u32)
        .filter_map(|n| {
            let mut bytes = [0; 46];
            bytes[0] = 0x45;
            bytes[3] = 46;
            bytes[9] = proto::UDP;
            let src = (10 << 24 | 1 << 16 | 2) + n / 8 * 256;
            bytes[12..16].copy_from_slice(&src.to_be_bytes());
            bytes[16..20].copy_from_slice(&[10, 2, 0, 2]);
            bytes[21] = (n % 8).to_le_bytes()[0];
            FlowKey::of_v4(&frame(&bytes, 1))
        })
        .collect();
    assert_eq!(keys.len(), 8000);
    for key in &keys {
        flows.remember(key, (Hook::Rx, SwIfIndex(1)), 1, 7);
    }
    let known = keys.iter().filter(|key| flows.enters(key, 1, 7).is_some());
    let known = known.count();
    assert!(known > 7600, "{known} of 8000");
}

#[test]
fn what_is_known_of_the_way_out_goes_with_the_header_it_was_found_for() {
    let onward = Onward {
        on: 2,
        epoch: 1,
        tick: 7,
    };
    assert!(onward.allows(SwIfIndex(2), 1, 7));
    assert!(!onward.allows(SwIfIndex(3), 1, 7));
    assert!(!onward.allows(SwIfIndex(2), 2, 7));
    assert!(!onward.allows(SwIfIndex(2), 1, 8));
    let mut frame = frame(&[0x45; 60], 1);
    frame.let_onward(onward);
    assert_eq!(frame.onward(), Some(onward));
    frame.push(50).unwrap();
    assert_eq!(frame.onward(), None, "there is another header now");
    frame.meta.l3 = 50;
    assert_eq!(frame.onward(), Some(onward), "only a link header was added");
    assert!(frame.pull(50 + 20));
    frame.meta.l3 = 0;
    assert_eq!(frame.onward(), None, "this is what was inside");
    frame.let_onward(onward);
    frame.l3_mut()[15] = 1;
    assert_eq!(frame.onward(), None, "somebody edited it");
    frame.let_onward(onward);
    assert!(frame.set_l3(&[0x45; 40], None));
    assert_eq!(frame.onward(), None, "somebody replaced it");
}
