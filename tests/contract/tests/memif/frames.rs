//! What one end sends arrives at the other: whole, in order, counted alike.

use std::time::Instant;

use memif_rs::{ArenaConfig, BufferArena, BufferDesc, Client, ClientConfig, Limits, Memory};

use crate::lab::{Lab, ROLES, Role, Wanted, connected};
use crate::traffic::{
    FRAMES, bounce, bytes_of, check_generated, drained, frame, send, take, wait_for,
};

#[test]
fn frames_that_dpdk_makes_arrive_whole() {
    let Some(lab) = Lab::new() else { return };
    for role in ROLES {
        let mut end = lab.end(role);
        let peer = lab.testpmd(role.other(), "", &["--forward-mode=txonly", "--txpkts=300"]);
        let (mut rx, _tx) = end.link().into_copy().unwrap();
        for frame in take(&mut rx[0], FRAMES) {
            check_generated(&frame.bytes, 300);
            assert_eq!(frame.segments, 1);
        }
        assert!(peer.stop().sent >= FRAMES, "{role:?}");
    }
}

#[test]
fn frames_larger_than_a_buffer_are_chained_both_ways() {
    let Some(lab) = Lab::new() else { return };
    for role in ROLES {
        let mut end = lab.end_with(
            role,
            Wanted {
                buffer_size: 1024,
                ..Wanted::default()
            },
        );
        let args = ["--forward-mode=txonly", "--txpkts=1600"];
        let peer = lab.testpmd(role.other(), ",bsize=1024", &args);
        let (mut rx, _tx) = end.link().into_copy().unwrap();
        for frame in take(&mut rx[0], FRAMES) {
            check_generated(&frame.bytes, 1600);
            assert_eq!(frame.segments, 2, "{role:?}");
        }
        drop((peer, end));

        let mut end = lab.end_with(
            role,
            Wanted {
                buffer_size: 512,
                ..Wanted::default()
            },
        );
        let peer = lab.testpmd(role.other(), ",bsize=512", &["--forward-mode=rxonly"]);
        let (_rx, mut tx) = end.link().into_copy().unwrap();
        for number in 0..FRAMES {
            send(&mut tx[0], &frame(number));
        }
        wait_for("DPDK to take all frames", || {
            drained(&mut tx[0]).then_some(())
        });
        let counted = peer.stop();
        assert_eq!(
            (counted.received, counted.bytes),
            (FRAMES, bytes_of(FRAMES)),
            "{role:?}"
        );
    }
}

#[test]
fn dpdk_counts_every_frame_sent_to_it() {
    let Some(lab) = Lab::new() else { return };
    for role in ROLES {
        let mut end = lab.end(role);
        let peer = lab.testpmd(role.other(), "", &["--forward-mode=rxonly"]);
        let (_rx, mut tx) = end.link().into_copy().unwrap();
        for number in 0..FRAMES {
            send(&mut tx[0], &frame(number));
        }
        wait_for("DPDK to take all frames", || {
            drained(&mut tx[0]).then_some(())
        });
        let counted = peer.stop();
        assert_eq!(
            (counted.received, counted.bytes),
            (FRAMES, bytes_of(FRAMES)),
            "{role:?}"
        );
    }
}

#[test]
fn frames_forwarded_by_dpdk_come_back_in_order_with_swapped_addresses() {
    let Some(lab) = Lab::new() else { return };
    for role in ROLES {
        let mut end = lab.end(role);
        let peer = lab.testpmd(role.other(), "", &["--forward-mode=macswap"]);
        let (mut rx, mut tx) = end.link().into_copy().unwrap();
        bounce(&mut rx[0], &mut tx[0]);
        let counted = peer.stop();
        assert_eq!(
            (counted.received, counted.sent),
            (FRAMES, FRAMES),
            "{role:?}"
        );
    }
}

#[test]
fn two_queues_are_two_wires() {
    let Some(lab) = Lab::new() else { return };
    for role in ROLES {
        let mut end = lab.end_with(
            role,
            Wanted {
                queues: 2,
                ..Wanted::default()
            },
        );
        let args = ["--forward-mode=macswap", "--rxq=2", "--txq=2"];
        let _peer = lab.testpmd(role.other(), "", &args);
        let (mut rx, mut tx) = end.link().into_copy().unwrap();
        assert_eq!((rx.len(), tx.len()), (2, 2));
        for queue in 0..2 {
            bounce(&mut rx[queue], &mut tx[queue]);
            assert_eq!(rx[1 - queue].peek(1), Ok(0), "a frame changed wires");
        }
    }
}

#[test]
fn zero_copy_client_bounces_the_buffers_of_a_dpdk_server() {
    let Some(lab) = Lab::new() else { return };
    let mut arena = BufferArena::new(ArenaConfig::default()).unwrap();
    let _peer = lab.testpmd(Role::Server, "", &["--forward-mode=txonly", "--txpkts=200"]);
    let config = ClientConfig {
        memory: Memory::Arenas(vec![arena.region()]),
        ..ClientConfig::default()
    };
    let mut client = Client::new(lab.address(), 0, config, Limits::default()).unwrap();
    let link = wait_for("the link", || {
        client.drive(Instant::now()).unwrap();
        client.poll_event().and_then(connected)
    });
    let (mut rx, mut tx) = link.into_zero_copy().unwrap();
    let mut burst = [BufferDesc::default(); 64];
    let mut taken = 0;
    wait_for("the frames", || {
        let count = rx[0].take_burst(&mut arena, &mut burst).unwrap();
        for buffer in &burst[..count] {
            let mut bytes = vec![0; buffer.len as usize];
            arena.read(buffer, &mut bytes).unwrap();
            check_generated(&bytes, 200);
        }
        let given = tx[0].give_burst(&mut arena, &burst[..count]).unwrap();
        for buffer in &burst[given..count] {
            arena.free(buffer.slot).unwrap();
        }
        taken += count;
        (taken >= FRAMES).then_some(())
    });
    client.shutdown();
    let back =
        rx.remove(0).recover(&mut arena).unwrap() + tx.remove(0).recover(&mut arena).unwrap();
    assert!(back > 0);
    assert_eq!(arena.free_slots(), 4096);
}
