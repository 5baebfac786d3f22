use std::os::fd::AsFd as _;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, ftruncate, memfd_create};

use crate::{Arena, Window, WindowError};

#[test]
fn only_a_region_that_cannot_shrink_becomes_a_window() {
    let fd = memfd_create("weft-test", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)
        .expect("a memory file");
    ftruncate(&fd, 65536).expect("room");
    let refused = Window::shared(fd.as_fd(), 65536, 2048).expect_err("not sealed");
    assert!(matches!(refused, WindowError::NotSealed));
    fcntl_add_seals(&fd, SealFlags::SHRINK).expect("sealed");
    assert!(Window::shared(fd.as_fd(), 65536, 2048).is_ok());
    for (bytes, slot_bytes) in [
        (0, 2048),
        (65536, 0),
        (65536, 3000),
        (131_072, 2048),
        (6144, 2048),
    ] {
        let refused = Window::shared(fd.as_fd(), bytes, slot_bytes);
        assert!(
            matches!(refused, Err(WindowError::Size { .. })),
            "{bytes} {slot_bytes}"
        );
    }
}

#[test]
fn an_arena_keeps_its_bytes_and_its_bounds() {
    let arena = Arena::new(3, 2048).expect("an arena");
    let size = u32::try_from(arena.window().bytes()).expect("small");
    assert!(size >= 3 * 2048 && size.is_multiple_of(2048));
    arena.write(size - 4, b"tail").expect("inside");
    let mut back = [0; 4];
    arena.read(size - 4, &mut back).expect("inside");
    assert_eq!(&back, b"tail");
    assert!(matches!(
        arena.write(size - 3, b"tail"),
        Err(WindowError::Outside { .. })
    ));
    assert!(matches!(
        arena.read(u32::MAX, &mut back),
        Err(WindowError::Outside { .. })
    ));
    assert!(Arena::new(0, 2048).is_err() && Arena::new(1, 0).is_err());
    assert!(Arena::new(u32::MAX, 2048).is_err());
}

#[test]
fn an_arena_cannot_be_truncated_by_a_peer() {
    let arena = Arena::new(32, 2048).expect("an arena");
    assert!(ftruncate(arena.as_fd(), 0).is_err());
}
