//! Two ends of a ring in every interleaving, by loom.
//!
//! Part of every test run of the crate: two threads with at most four stores each take milliseconds.

use loom::sync::Arc;
use loom::thread;

mod atomic {
    pub(crate) use loom::sync::atomic::{AtomicU16, AtomicU64, Ordering, fence};
}

#[expect(
    clippy::duplicate_mod,
    reason = "the same source with other atomics is what is tested"
)]
#[path = "ring_order.rs"]
mod ring_order;

use atomic::{AtomicU16, AtomicU64};

/// A ring of one entry: each frame reuses the memory of the one before.
struct Ring {
    head: AtomicU16,
    tail: AtomicU16,
    flags: AtomicU16,
    slot: [AtomicU64; 2],
}

fn ring() -> Arc<Ring> {
    Arc::new(Ring {
        head: AtomicU16::new(0),
        tail: AtomicU16::new(0),
        flags: AtomicU16::new(ring_order::FLAG_MASK_INTERRUPT),
        slot: [AtomicU64::new(0), AtomicU64::new(0)],
    })
}

#[test]
fn a_descriptor_is_seen_whole_and_never_before_or_after_its_time() {
    loom::model(|| {
        let ring = ring();
        let theirs = Arc::clone(&ring);
        let producer = thread::spawn(move || {
            ring_order::write_words(&theirs.slot, [11, 12]);
            ring_order::publish(&theirs.head, 1);
            // The slot is free only when the consumer has given it back.
            if ring_order::observe(&theirs.tail) == 1 {
                ring_order::write_words(&theirs.slot, [21, 22]);
                ring_order::publish(&theirs.head, 2);
            }
        });
        if ring_order::observe(&ring.head) == 1 {
            assert_eq!(ring_order::read_words(&ring.slot), [11, 12]);
            ring_order::publish(&ring.tail, 1);
            if ring_order::observe(&ring.head) == 2 {
                assert_eq!(ring_order::read_words(&ring.slot), [21, 22]);
            }
        }
        producer.join().unwrap();
    });
}

#[test]
fn a_receiver_that_goes_to_sleep_is_woken_or_sees_the_frame() {
    loom::model(|| {
        let ring = ring();
        let theirs = Arc::clone(&ring);
        let producer = thread::spawn(move || {
            ring_order::publish(&theirs.head, 1);
            ring_order::wants_interrupt(&theirs.flags)
        });
        ring_order::set_interrupts(&ring.flags, true);
        let sleeps = ring_order::observe(&ring.head) == 0;
        let rang = producer.join().unwrap();
        assert!(rang || !sleeps, "asleep with a frame in the ring");
    });
}
