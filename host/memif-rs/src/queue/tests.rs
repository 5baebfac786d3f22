//! Two ends of a link over shared memory, without sockets, and a peer that writes what it likes into it.

mod zero_copy;

use std::{
    os::fd::{AsFd, OwnedFd},
    sync::{Arc, atomic::AtomicBool},
};

use proptest::prelude::*;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::*;
use crate::{
    config::{ClientConfig, Memory},
    handshake::Negotiated,
    limits::Limits,
    link::{self, Link, Offer, Peer},
    sys::Mapping,
    text::Text,
};

const LOG2: u8 = 3;

struct Pair {
    server: Link,
    client: Link,
    /// The peer's own view of the rings: to the server, then to the client.
    hostile: [RingMemory; 2],
}

fn pair(memory: Memory) -> Pair {
    let negotiated = Negotiated {
        to_server: 1,
        to_client: 1,
        log2_ring_size: LOG2,
        regions_max: 16,
        app: Text::default(),
    };
    let config = ClientConfig {
        memory,
        ..ClientConfig::default()
    };
    let (offer, layout) = Offer::new(&negotiated, &config).unwrap();
    let fd: OwnedFd = layout.regions[0].fd.try_clone().unwrap();
    let len = usize::try_from(layout.regions[0].size).unwrap();
    let mapping = Arc::new(Mapping::new(fd.as_fd(), len).unwrap());
    let view = |offset: u32| {
        RingMemory::new(&mapping, offset as usize, RingSize::new(LOG2).unwrap()).unwrap()
    };
    let hostile = [
        view(layout.to_server[0].offset),
        view(layout.to_client[0].offset),
    ];
    let up = Arc::new(AtomicBool::new(true));
    let server = link::open(layout, &Limits::default(), Peer::default(), &up).unwrap();
    let client = offer.accept(Peer::default(), &up).unwrap();
    Pair {
        server,
        client,
        hostile,
    }
}

struct Copying {
    /// Server's queues.
    rx: RxQueue,
    tx: TxQueue,
    /// Client's queues.
    client_rx: RxQueue,
    client_tx: TxQueue,
    hostile: [RingMemory; 2],
}

fn copying(buffer_size: u32) -> Copying {
    let Pair {
        server,
        client,
        hostile,
    } = pair(Memory::Copy { buffer_size });
    let (mut rx, mut tx) = server.into_copy().unwrap();
    let (mut client_rx, mut client_tx) = client.into_copy().unwrap();
    Copying {
        rx: rx.remove(0),
        tx: tx.remove(0),
        client_rx: client_rx.remove(0),
        client_tx: client_tx.remove(0),
        hostile,
    }
}

fn bytes(packet: &RxPacket<'_>) -> Vec<u8> {
    let mut out = vec![0; packet.len()];
    assert_eq!(packet.copy_out(0, &mut out), out.len());
    out
}

fn received(rx: &mut RxQueue) -> Vec<Vec<u8>> {
    rx.peek(usize::MAX).unwrap();
    let packets = rx.packets().map(|packet| bytes(&packet)).collect();
    rx.release_all();
    packets
}

fn frame(seed: usize, len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| u8::try_from((seed * 31 + at * 7) % 251).unwrap())
        .collect()
}

fn rings(fd: impl AsFd) -> bool {
    let mut fds = [PollFd::new(&fd, PollFlags::IN)];
    poll(
        &mut fds,
        Some(&Timespec {
            tv_sec: 0,
            tv_nsec: 0,
        }),
    )
    .unwrap()
        == 1
}

#[test]
fn frames_arrive_in_order_many_times_around_the_ring() {
    let Copying {
        mut rx,
        mut tx,
        mut client_rx,
        mut client_tx,
        ..
    } = copying(256);
    // 16 bit indices wrap too.
    for round in 0..20_000 {
        let count = round % 9;
        let frames: Vec<_> = (0..count)
            .map(|place| frame(round + place, 1 + place * 3))
            .collect();
        let slices: Vec<&[u8]> = frames.iter().map(Vec::as_slice).collect();
        let fits = count.min(1 << LOG2);
        assert_eq!(client_tx.send_burst(&slices).unwrap(), fits);
        assert_eq!(received(&mut rx), frames[..fits]);
        assert_eq!(tx.send_burst(&slices).unwrap(), fits);
        assert_eq!(received(&mut client_rx), frames[..fits]);
    }
}

#[test]
fn large_frames_are_chained_and_put_together_again() {
    let Copying {
        mut rx,
        mut tx,
        mut client_rx,
        mut client_tx,
        ..
    } = copying(64);
    for len in [63, 64, 65, 128, 200, 512] {
        let sent = frame(len, len);
        assert!(client_tx.push(&[&sent[..10], &sent[10..]]).unwrap());
        client_tx.commit();
        assert_eq!(rx.peek(8).unwrap(), 1);
        let packet = rx.packet(0).unwrap();
        assert_eq!(packet.segment_count(), len.div_ceil(64));
        assert_eq!(bytes(&packet), sent);
        let mut middle = [0; 20];
        assert_eq!(packet.copy_out(40, &mut middle), 20.min(len - 40));
        assert_eq!(middle[..20.min(len - 40)], sent[40..len.min(60)]);
        rx.release_all();

        assert!(tx.push(&[&sent]).unwrap());
        tx.commit();
        assert_eq!(received(&mut client_rx), [sent]);
    }
}

#[test]
fn frame_that_does_not_fit_leaves_no_trace() {
    let Copying {
        mut rx,
        mut tx,
        mut client_rx,
        mut client_tx,
        ..
    } = copying(64);
    let (large, small) = (frame(1, 64 * 9), frame(2, 64 * 5));
    for queue in [&mut client_tx, &mut tx] {
        assert!(!queue.push(&[&large]).unwrap());
        assert!(queue.push(&[&small]).unwrap());
        assert!(!queue.push(&[&small]).unwrap());
        assert_eq!(queue.reserve(8).unwrap(), 3);
        queue.commit();
    }
    assert_eq!(received(&mut rx), std::slice::from_ref(&small));
    assert_eq!(received(&mut client_rx), [small]);
    // Abandoned parts must not have shrunk the buffers.
    for _ in 0..4 {
        let full = frame(3, 64 * 8);
        assert!(tx.push(&[&full]).unwrap());
        tx.commit();
        assert_eq!(received(&mut client_rx), [full]);
    }
}

#[test]
fn frame_is_not_seen_before_commit() {
    let Copying {
        mut rx,
        mut client_tx,
        ..
    } = copying(64);
    assert!(client_tx.push(&[b"hidden"]).unwrap());
    assert_eq!(rx.peek(8).unwrap(), 0);
    client_tx.commit();
    assert_eq!(rx.peek(8).unwrap(), 1);
}

#[test]
fn released_part_of_a_burst_is_gone_and_the_rest_is_shown_again() {
    let Copying {
        mut rx,
        mut client_tx,
        ..
    } = copying(64);
    client_tx.send_burst(&[b"a", b"b", b"c"]).unwrap();
    assert_eq!(rx.peek(2).unwrap(), 2);
    rx.release(1);
    assert!(rx.packet(0).is_none());
    assert_eq!(received(&mut rx), [b"b".to_vec(), b"c".to_vec()]);
}

#[test]
fn packet_goes_from_link_to_link_with_a_new_head() {
    let mut from = copying(100);
    let mut to = copying(48);
    let sent = frame(5, 250);
    from.client_tx.send_burst(&[&sent]).unwrap();
    assert_eq!(from.rx.peek(1).unwrap(), 1);
    let packet = from.rx.packet(0).unwrap();
    assert!(
        to.tx
            .push_with_tail(b"new head", Some((&packet, 30, 220)))
            .unwrap()
    );
    to.tx.commit();
    from.rx.release_all();
    let expected = [&b"new head"[..], &sent[30..]].concat();
    assert_eq!(received(&mut to.client_rx), [expected]);
}

#[test]
fn plain_copy_call_cuts_what_does_not_fit_and_tells_the_length() {
    let Copying {
        mut rx,
        mut client_tx,
        ..
    } = copying(64);
    client_tx.send_burst(&[b"long frame", b"b", b"c"]).unwrap();
    let (mut one, mut two) = ([0; 4], [0; 4]);
    let mut lengths = [0; 2];
    let count = rx
        .recv_burst(&mut [&mut one, &mut two], &mut lengths)
        .unwrap();
    assert_eq!((count, &one, lengths), (2, b"long", [10, 1]));
    assert_eq!(received(&mut rx), [b"c".to_vec()]);
}

#[test]
fn doorbell_rings_only_for_a_receiver_that_sleeps() {
    let Copying {
        mut rx,
        mut tx,
        mut client_rx,
        mut client_tx,
        ..
    } = copying(64);
    for (tx, rx) in [(&mut client_tx, &mut rx), (&mut tx, &mut client_rx)] {
        tx.send_burst(&[b"polled"]).unwrap();
        assert!(!rings(&*rx));
        assert!(rx.arm().unwrap(), "a packet waits");
        rx.peek(8).unwrap();
        rx.release_all();
        assert!(!rx.arm().unwrap());
        assert!(!rings(&*rx));
        tx.send_burst(&[b"wakes"]).unwrap();
        assert!(rings(&*rx));
        rx.acknowledge();
        assert!(!rings(&*rx));
        rx.disarm();
        tx.send_burst(&[b"polled"]).unwrap();
        assert!(!rings(&*rx));
    }
}

#[test]
fn server_names_what_a_hostile_client_does_and_stays_away() {
    let good = |len| Descriptor {
        flags: 0,
        region: 0,
        length: len,
        offset: 4096,
        metadata: 0,
    };
    let next = |len| Descriptor {
        flags: FLAG_NEXT,
        ..good(len)
    };
    let cases: Vec<(Vec<Descriptor>, u16, RingError)> = vec![
        (vec![good(64)], 9, RingError::IndexJump(9)),
        (
            vec![good(64)],
            0u16.wrapping_sub(1),
            RingError::IndexJump(u16::MAX),
        ),
        (
            vec![Descriptor {
                region: 1,
                ..good(1)
            }],
            1,
            RingError::UnknownRegion(1),
        ),
        (
            vec![Descriptor {
                offset: u32::MAX,
                ..good(1)
            }],
            1,
            RingError::OutsideRegion(0),
        ),
        (vec![good(u32::MAX)], 1, RingError::OutsideRegion(0)),
        (vec![next(1); 8], 8, RingError::ChainTooLong),
    ];
    for (descriptors, head, error) in cases {
        let Copying {
            mut rx, hostile, ..
        } = copying(64);
        for (index, descriptor) in (0..).zip(descriptors) {
            hostile[0].set_descriptor(index, descriptor);
        }
        hostile[0].set_head(head);
        assert_eq!(rx.peek(8), Err(error));
        hostile[0].set_head(0);
        assert_eq!(rx.peek(8), Err(error), "a breach is not forgiven");
        assert_eq!(rx.arm(), Err(error));
    }
}

#[test]
fn server_does_not_write_where_a_hostile_client_points() {
    let outside = Descriptor {
        offset: 1 << 30,
        length: 64,
        ..Descriptor::default()
    };
    let elsewhere = Descriptor {
        region: 3,
        length: 64,
        ..Descriptor::default()
    };
    for (bad, error) in [
        (outside, RingError::OutsideRegion(0)),
        (elsewhere, RingError::UnknownRegion(3)),
    ] {
        let Copying {
            mut tx, hostile, ..
        } = copying(64);
        hostile[1].set_descriptor(0, bad);
        assert_eq!(tx.push(&[b"x"]), Err(error));
        assert_eq!(tx.reserve(1), Err(error));
    }
    let Copying {
        mut tx, hostile, ..
    } = copying(64);
    hostile[1].set_head(100);
    assert_eq!(tx.push(&[b"x"]), Err(RingError::IndexJump(100)));
    // Buffers without room: the ring is full for ever, and that is all.
    let Copying {
        mut tx, hostile, ..
    } = copying(64);
    for index in 0..8 {
        hostile[1].set_descriptor(
            index,
            Descriptor {
                length: 0,
                ..Descriptor::default()
            },
        );
    }
    assert_eq!(tx.push(&[b"x"]), Ok(false));
}

#[test]
fn offered_buffers_are_not_taken_back_unnoticed() {
    let Copying {
        mut tx, hostile, ..
    } = copying(64);
    tx.send_burst(&[b"a", b"b", b"c"]).unwrap();
    hostile[1].set_head(1);
    assert!(matches!(
        tx.push(&[&[0; 600]]),
        Err(RingError::IndexJump(_))
    ));
}

#[test]
fn client_trusts_only_the_length_of_a_hostile_server() {
    let Copying {
        mut client_rx,
        hostile,
        ..
    } = copying(64);
    let lie = Descriptor {
        flags: 0,
        region: 9,
        length: 5,
        offset: u32::MAX,
        metadata: 0,
    };
    hostile[1].set_descriptor(0, lie);
    hostile[1].set_tail(1);
    assert_eq!(
        received(&mut client_rx).len(),
        1,
        "region and offset are the client's own"
    );
    hostile[1].set_descriptor(1, Descriptor { length: 65, ..lie });
    hostile[1].set_tail(2);
    assert_eq!(client_rx.peek(8), Err(RingError::TooLong(65)));

    let Copying {
        mut client_tx,
        hostile,
        ..
    } = copying(64);
    client_tx.send_burst(&[b"a"]).unwrap();
    hostile[0].set_tail(5);
    assert_eq!(
        client_tx.reserve(8),
        Err(RingError::IndexJump(1_u16.wrapping_sub(5)))
    );
}

#[test]
fn frame_whose_end_has_not_come_yet_waits() {
    let Copying {
        mut rx, hostile, ..
    } = copying(64);
    let part = Descriptor {
        flags: FLAG_NEXT,
        region: 0,
        length: 10,
        offset: 4096,
        metadata: 0,
    };
    hostile[0].set_descriptor(0, part);
    hostile[0].set_head(1);
    assert_eq!(rx.peek(8), Ok(0));
    assert_eq!(rx.peek(8), Ok(0), "an unfinished look is forgotten");
    hostile[0].set_descriptor(
        1,
        Descriptor {
            flags: 0,
            length: 20,
            ..part
        },
    );
    hostile[0].set_head(2);
    assert_eq!(rx.peek(8), Ok(1));
    let packet = rx.packet(0).unwrap();
    assert_eq!((packet.len(), packet.copy_out(0, &mut [0; 64])), (30, 30));
}

fn descriptor() -> impl Strategy<Value = Descriptor> {
    let near = (0_u16..4, 0_u16..3, 0_u32..9000, 0_u32..9000);
    let any = any::<(u16, u16, u32, u32)>();
    prop_oneof![3 => near, 1 => any].prop_map(|(flags, region, length, offset)| Descriptor {
        flags,
        region,
        length,
        offset,
        metadata: 0,
    })
}

proptest! {
    #[test]
    fn nothing_a_peer_writes_reaches_outside(
        steps in proptest::collection::vec(
            (proptest::collection::vec(descriptor(), 8), any::<bool>(), 0_u16..12, 0_u16..12, any::<u16>()),
            1..6,
        ),
    ) {
        let Copying { mut rx, mut tx, mut client_rx, mut client_tx, hostile } = copying(512);
        for (descriptors, wild, head, tail, index) in steps {
            for ring in &hostile {
                for (index, descriptor) in (0..).zip(&descriptors) {
                    ring.set_descriptor(index, *descriptor);
                }
                ring.set_head(if wild { index } else { ring.head().wrapping_add(head) });
                ring.set_tail(if wild { index } else { ring.tail().wrapping_add(tail) });
            }
            // Every copy below is bounds-checked in `sys`; a breach is an error, never a fault.
            let mut out = [0; 4096];
            for queue in [&mut rx, &mut client_rx] {
                if let Ok(count) = queue.peek(8) {
                    for packet in queue.packets() {
                        prop_assert_eq!(packet.copy_out(0, &mut out), packet.len().min(4096));
                    }
                    prop_assert!(count <= 8);
                    queue.release_all();
                }
            }
            for queue in [&mut tx, &mut client_tx] {
                let _breach_or_not = queue.push(&[&out[..1500]]);
                queue.commit();
            }
        }
    }
}
