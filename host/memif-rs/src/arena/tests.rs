use rustix::fs::{SealFlags, fcntl_get_seals, ftruncate};

use super::*;

fn arena() -> BufferArena {
    BufferArena::new(ArenaConfig {
        slots: 4,
        slot_size: 2048,
        headroom: 128,
    })
    .unwrap()
}

#[test]
fn impossible_shapes_are_refused() {
    for (slots, slot_size, headroom) in [(0, 2048, 0), (4, 0, 0), (4, 64, 64), (1 << 21, 4096, 0)] {
        let made = BufferArena::new(ArenaConfig {
            slots,
            slot_size,
            headroom,
        });
        assert_eq!(
            made.unwrap_err(),
            ArenaError::Shape,
            "{slots} x {slot_size}"
        );
    }
}

#[test]
fn memory_file_cannot_be_resized_by_whoever_gets_it() {
    let arena = arena();
    let region = arena.region();
    let seals = fcntl_get_seals(&*region).unwrap();
    assert!(seals.contains(SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL));
    assert!(ftruncate(&*region, 0).is_err());
    assert!(ftruncate(&*region, 1 << 20).is_err());
}

#[test]
fn slot_is_freed_once() {
    let mut arena = arena();
    let buffer = arena.alloc().unwrap();
    assert_eq!(arena.free_slots(), 3);
    assert_eq!(arena.free(buffer.slot), Ok(()));
    assert_eq!(
        arena.free(buffer.slot),
        Err(ArenaError::NotOwned(buffer.slot))
    );
    assert_eq!(arena.free(77), Err(ArenaError::NotOwned(77)));
    assert_eq!(arena.free_slots(), 4);
}

#[test]
fn bytes_are_only_reached_inside_slots_that_the_caller_owns() {
    let mut arena = arena();
    let buffer = arena.alloc().unwrap();
    assert_eq!((buffer.offset, buffer.len), (128, 1920));
    arena.write(&buffer, b"packet").unwrap();
    let mut seen = [0; 6];
    assert_eq!(arena.read(&buffer, &mut seen), Ok(6));
    assert_eq!(&seen, b"packet");
    assert!(arena.write(&buffer, &[0; 1921]).is_err());
    let beyond = BufferDesc {
        offset: 2000,
        len: 49,
        ..buffer
    };
    assert_eq!(
        arena.read(&beyond, &mut seen),
        Err(ArenaError::OutsideSlot(buffer.slot))
    );
    let wrapping = BufferDesc {
        offset: u32::MAX,
        len: 2,
        ..buffer
    };
    assert_eq!(
        arena.read(&wrapping, &mut seen),
        Err(ArenaError::OutsideSlot(buffer.slot))
    );
    let free = BufferDesc {
        slot: buffer.slot + 1,
        ..buffer
    };
    assert_eq!(
        arena.read(&free, &mut seen),
        Err(ArenaError::NotOwned(free.slot))
    );
    assert!(
        arena
            .write(&BufferDesc { slot: 4, ..buffer }, b"x")
            .is_err()
    );
}

#[test]
fn window_offset_and_buffer_convert_into_each_other() {
    let arena = arena();
    let buffer = BufferDesc {
        slot: 2,
        offset: 130,
        len: 60,
        more: false,
    };
    assert_eq!(arena.window_offset(&buffer), Some(2 * 2048 + 130));
    assert_eq!(arena.desc_at(2 * 2048 + 130, 60), Some(buffer));
    assert_eq!(arena.desc_at(2 * 2048 + 130, 2000), None);
    assert_eq!(arena.desc_at(4 * 2048, 0), None);
}

#[test]
fn all_slots_of_a_queue_come_back_and_no_others() {
    let mut arena = arena();
    let (one, other) = (arena.register(), arena.register());
    arena.take(one).unwrap();
    arena.take(one).unwrap();
    let kept = arena.take(other).unwrap();
    assert_eq!(arena.give_back_all(one), 2);
    assert_eq!(arena.free_slots(), 3);
    assert_eq!(arena.give_back(kept, one), Err(ArenaError::NotOwned(kept)));
    assert_eq!(arena.give_back(kept, other), Ok(()));
}
