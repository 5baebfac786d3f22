//! Buffers that change hands, and a server that lies about them.

use super::*;
use crate::arena::{ArenaConfig, ArenaError, BufferArena, BufferDesc};

struct ZeroCopy {
    rx: RxQueue,
    tx: TxQueue,
    client_rx: ZeroCopyRx,
    client_tx: ZeroCopyTx,
    hostile: [RingMemory; 2],
}

fn zero_copy(arena: &BufferArena) -> ZeroCopy {
    let Pair {
        server,
        client,
        hostile,
    } = pair(Memory::Arenas(vec![arena.region()]));
    let (mut rx, mut tx) = server.into_copy().unwrap();
    let (mut client_rx, mut client_tx) = client.into_zero_copy().unwrap();
    ZeroCopy {
        rx: rx.remove(0),
        tx: tx.remove(0),
        client_rx: client_rx.remove(0),
        client_tx: client_tx.remove(0),
        hostile,
    }
}

fn arena(slots: u32) -> BufferArena {
    BufferArena::new(ArenaConfig {
        slots,
        slot_size: 256,
        headroom: 16,
    })
    .unwrap()
}

#[test]
fn buffer_received_on_one_link_is_sent_on_another_uncopied() {
    let mut arena = arena(64);
    let (mut left, mut right) = (zero_copy(&arena), zero_copy(&arena));
    let mut burst = [BufferDesc::default(); 64];
    for round in 0..1000 {
        assert_eq!(left.client_rx.take_burst(&mut arena, &mut burst), Ok(0));
        let frames = [frame(round, 100), frame(round + 1, 500)];
        assert_eq!(left.tx.send_burst(&[&frames[0], &frames[1]]), Ok(2));
        assert_eq!(left.client_rx.take_burst(&mut arena, &mut burst), Ok(4));
        assert_eq!(
            burst[..4].iter().map(|b| b.more).collect::<Vec<_>>(),
            [false, true, true, false]
        );
        arena
            .write(&BufferDesc { len: 1, ..burst[0] }, b"!")
            .unwrap();
        assert_eq!(right.client_tx.give_burst(&mut arena, &burst[..4]), Ok(4));
        let seen = received(&mut right.rx);
        assert_eq!(seen[0], [b"!", &frames[0][1..]].concat());
        assert_eq!(seen[1], frames[1]);
    }
    right.client_tx.reclaim(&mut arena).unwrap();
    assert_eq!(arena.free_slots(), 64 - 8);
    assert_eq!(left.client_rx.recover(&mut arena), Ok(8));
    assert_eq!(right.client_tx.recover(&mut arena), Ok(0));
    assert_eq!(arena.free_slots(), 64);
}

#[test]
fn slot_can_be_given_once_and_only_by_its_owner() {
    let mut arena = arena(16);
    let mut link = zero_copy(&arena);
    let buffer = arena.alloc().unwrap();
    let not_owned = |slot| Err(BurstError::Arena(ArenaError::NotOwned(slot)));
    assert_eq!(
        link.client_tx.give_burst(&mut arena, &[buffer, buffer]),
        not_owned(buffer.slot)
    );
    assert_eq!(link.rx.peek(8), Ok(0), "nothing of a bad burst is sent");
    assert_eq!(link.client_tx.give_burst(&mut arena, &[buffer]), Ok(1));
    assert_eq!(
        link.client_tx.give_burst(&mut arena, &[buffer]),
        not_owned(buffer.slot)
    );
    assert_eq!(
        arena.free(buffer.slot),
        Err(ArenaError::NotOwned(buffer.slot))
    );

    let other = arena.alloc().unwrap();
    let outside = BufferDesc {
        offset: 200,
        len: 57,
        ..other
    };
    let error = BurstError::Arena(ArenaError::OutsideSlot(other.slot));
    assert_eq!(
        link.client_tx.give_burst(&mut arena, &[outside]),
        Err(error)
    );
    let endless = BufferDesc {
        more: true,
        ..other
    };
    let error = BurstError::Arena(ArenaError::Unfinished);
    assert_eq!(
        link.client_tx.give_burst(&mut arena, &[endless]),
        Err(error)
    );
    let mut stranger = BufferArena::new(ArenaConfig::default()).unwrap();
    let error = BurstError::Arena(ArenaError::OtherArena);
    assert_eq!(link.client_tx.give_burst(&mut stranger, &[]), Err(error));
    assert_eq!(arena.free(other.slot), Ok(()));
}

#[test]
fn slots_that_were_sent_come_back_when_the_ring_or_the_arena_needs_them() {
    for (slots, kept) in [(64, 8), (10, 2)] {
        let mut arena = arena(slots);
        let mut link = zero_copy(&arena);
        let entries = link.client_tx.ring_size();
        assert_eq!(entries, 8);
        let mut most = 0;
        for round in 0..100 {
            let burst = [arena.alloc().unwrap(), arena.alloc().unwrap()];
            assert_eq!(
                link.client_tx.give_burst(&mut arena, &burst),
                Ok(2),
                "{round}"
            );
            assert_eq!(received(&mut link.rx).len(), 2);
            most = most.max(slots as usize - arena.free_slots());
        }
        assert_eq!(most, kept, "of {slots}");
        assert!(link.client_tx.reclaim(&mut arena).is_ok());
        assert_eq!(arena.free_slots(), slots as usize);
    }
}

#[test]
fn full_ring_takes_whole_frames_only() {
    let mut arena = arena(32);
    let mut link = zero_copy(&arena);
    let mut burst: Vec<BufferDesc> = (0..9).map(|_| arena.alloc().unwrap()).collect();
    for buffer in &mut burst[6..8] {
        buffer.more = true;
    }
    assert_eq!(link.client_tx.give_burst(&mut arena, &burst), Ok(6));
    assert_eq!(link.client_tx.give_burst(&mut arena, &burst[6..]), Ok(0));
    assert_eq!(received(&mut link.rx).len(), 6);
    assert_eq!(link.client_tx.give_burst(&mut arena, &burst[6..]), Ok(3));
    assert_eq!(received(&mut link.rx)[0].len(), 3 * 240);
}

#[test]
fn empty_arena_starves_the_ring_until_slots_come_back() {
    let mut arena = arena(2);
    let mut link = zero_copy(&arena);
    let mut burst = [BufferDesc::default(); 64];
    link.client_rx.take_burst(&mut arena, &mut burst).unwrap();
    assert_eq!(link.tx.send_burst(&[b"a", b"b", b"c"]), Ok(2));
    assert_eq!(link.client_rx.take_burst(&mut arena, &mut burst), Ok(2));
    assert_eq!(link.tx.send_burst(&[b"c"]), Ok(0));
    arena.free(burst[0].slot).unwrap();
    assert_eq!(
        link.client_rx.take_burst(&mut arena, &mut burst[2..]),
        Ok(0)
    );
    assert_eq!(link.tx.send_burst(&[b"c"]), Ok(1));
}

#[test]
fn zero_copy_client_is_not_fooled_by_the_server() {
    let mut arena = arena(32);
    let mut burst = [BufferDesc::default(); 64];
    let mut link = zero_copy(&arena);
    link.client_rx.take_burst(&mut arena, &mut burst).unwrap();
    link.hostile[1].set_tail(9);
    let error = BurstError::Ring(RingError::IndexJump(9));
    assert_eq!(
        link.client_rx.take_burst(&mut arena, &mut burst),
        Err(error)
    );

    let mut link = zero_copy(&arena);
    link.client_rx.take_burst(&mut arena, &mut burst).unwrap();
    link.hostile[1].set_descriptor(
        0,
        Descriptor {
            length: 241,
            ..Descriptor::default()
        },
    );
    link.hostile[1].set_tail(1);
    let error = BurstError::Ring(RingError::TooLong(241));
    assert_eq!(
        link.client_rx.take_burst(&mut arena, &mut burst),
        Err(error)
    );

    let mut link = zero_copy(&arena);
    link.client_rx.take_burst(&mut arena, &mut burst).unwrap();
    for index in 0..8 {
        let next = Descriptor {
            flags: FLAG_NEXT,
            length: 1,
            ..Descriptor::default()
        };
        link.hostile[1].set_descriptor(index, next);
    }
    link.hostile[1].set_tail(8);
    let error = BurstError::Ring(RingError::ChainTooLong);
    assert_eq!(
        link.client_rx.take_burst(&mut arena, &mut burst),
        Err(error)
    );

    let mut link = zero_copy(&arena);
    link.hostile[0].set_tail(1);
    let error = BurstError::Ring(RingError::IndexJump(1));
    assert_eq!(link.client_tx.reclaim(&mut arena), Err(error));
}

#[test]
fn frame_larger_than_the_callers_slice_is_dropped_not_stuck() {
    let mut arena = arena(32);
    let mut link = zero_copy(&arena);
    let mut burst = [BufferDesc::default(); 2];
    link.client_rx.take_burst(&mut arena, &mut burst).unwrap();
    let long = frame(1, 240 * 3);
    link.tx.send_burst(&[&long, b"after"]).unwrap();
    assert_eq!(link.client_rx.take_burst(&mut arena, &mut burst), Ok(1));
    assert_eq!((burst[0].len, link.client_rx.frames_dropped()), (5, 1));
    assert_eq!(arena.free_slots(), 32 - 8 - 1);
}
