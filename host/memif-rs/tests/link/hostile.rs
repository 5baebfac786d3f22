//! Peers that are silent, broken or malicious.

use std::{
    os::fd::OwnedFd,
    time::{Duration, Instant},
};

use memif_rs::{
    DisconnectReason, Limits, ProtocolError, RegionError, SealPolicy,
    proto::{AddRing, MESSAGE_SIZE},
};
use proptest::prelude::*;
use rustix::fs::SealFlags;

use super::support::{
    Bench, Raw, client, event, exchange, init, memfd, readable, refused, ring_at, server, wait_for,
};

#[test]
fn silent_connections_time_out_and_do_not_lock_others_out() {
    let limits = Limits {
        connections_pending: 2,
        ..Limits::default()
    };
    let mut bench = Bench::at_limits(limits.clone());
    bench.serve(0, server("m"));
    let _silent: Vec<Raw> = (0..5).map(|_| Raw::connect(&bench)).collect();
    let start = Instant::now();
    bench.listener.drive(start).unwrap();
    let due = bench.listener.poll_timeout().unwrap();
    assert_eq!(due, start + limits.handshake_timeout);
    let mut now = due;
    for _ in 0..5 {
        let reason = wait_for("a timeout", || {
            now += limits.handshake_timeout;
            bench.listener.drive(now).unwrap();
            bench.listener.poll_event().and_then(refused)
        });
        assert_eq!(reason, DisconnectReason::HandshakeTimeout);
    }
    bench.client(0, client("c"));
    bench.link(0);
}

#[test]
fn unusable_memory_is_refused_by_name() {
    let sealed = SealFlags::SHRINK;
    let none = SealFlags::empty();
    let good = ring_at(0);
    let cases: Vec<(OwnedFd, u64, AddRing, DisconnectReason)> = vec![
        (
            memfd(8192, none),
            8192,
            good,
            RegionError::NotSealed(0).into(),
        ),
        (
            memfd(4096, sealed),
            8192,
            good,
            RegionError::TooShort(0).into(),
        ),
        (event(), 8192, good, RegionError::NotMemory(0).into()),
        (
            memfd(8192, sealed),
            8192,
            ring_at(8192 - 64),
            RegionError::RingOutside(0).into(),
        ),
        (
            memfd(8192, sealed),
            8192,
            ring_at(4),
            RegionError::RingOutside(0).into(),
        ),
        (
            memfd(8192, sealed),
            8192,
            ring_at(u32::MAX - 7),
            RegionError::RingOutside(0).into(),
        ),
        (
            memfd(8192, sealed),
            8192,
            good,
            RegionError::Cookie(0).into(),
        ),
    ];
    for (fd, size, ring, expected) in cases {
        let mut bench = Bench::new();
        bench.serve(0, server("m"));
        assert_eq!(bench.refusal_of(&fd, size, ring, &event()), expected);
    }
    let file = tempfile::tempfile().unwrap();
    file.set_len(8192).unwrap();
    let mut bench = Bench::new();
    bench.serve(0, server("m"));
    let reason = bench.refusal_of(&file.into(), 8192, good, &event());
    assert_eq!(reason, RegionError::NotSealed(0).into());
    let trusting = Limits {
        seals: SealPolicy::TrustPeer,
        ..Limits::default()
    };
    let mut bench = Bench::at_limits(trusting);
    bench.serve(0, server("m"));
    let reason = bench.refusal_of(&memfd(8192, none), 8192, good, &event());
    assert_eq!(reason, RegionError::Cookie(0).into());
}

#[test]
fn wake_up_descriptor_that_is_no_eventfd_is_refused() {
    let memory = memfd(8192, SealFlags::SHRINK);
    rustix::io::pwrite(&memory, &0x03E3_1F20_u32.to_ne_bytes(), 0).unwrap();
    let mut bench = Bench::new();
    bench.serve(0, server("m"));
    let reason = bench.refusal_of(&memory, 8192, ring_at(0), &memfd(8, SealFlags::empty()));
    assert_eq!(reason, ProtocolError::NotEventFd.into());
}

#[test]
fn wrong_sizes_and_surplus_descriptors_end_the_connection() {
    let init = init().encode();
    let cases: [(&[u8], usize, ProtocolError); 4] = [
        (&init[..100], 0, ProtocolError::MessageSize(100)),
        (&[3; 4000], 1, ProtocolError::MessageSize(4000)),
        (&init, 2, ProtocolError::TooManyFds),
        (&init, 20, ProtocolError::TooManyFds),
    ];
    for (bytes, fds, error) in cases {
        let mut bench = Bench::new();
        bench.serve(0, server("m"));
        let (kept, sent) = std::os::unix::net::UnixStream::pair().unwrap();
        let sent = OwnedFd::from(sent);
        let raw = Raw::connect(&bench);
        raw.send(bytes, &vec![&sent; fds]);
        assert_eq!(bench.server_event(refused), error.into());
        drop(sent);
        assert!(
            readable(&kept, Duration::from_secs(10)),
            "the listener keeps descriptors"
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, ..ProptestConfig::default() })]
    #[test]
    fn garbage_on_one_connection_does_not_disturb_another(
        messages in proptest::collection::vec(
            (0_u16..10, proptest::collection::vec(0_u8..4, MESSAGE_SIZE - 2), any::<bool>()),
            1..20,
        ),
    ) {
        let mut bench = Bench::new();
        bench.serve(1000, server("m"));
        bench.client(1000, client("c"));
        let (server, client) = bench.link(0);
        let raw = Raw::connect(&bench);
        let fd = memfd(4096, SealFlags::SHRINK);
        for (kind, rest, with_fd) in messages {
            let bytes = [kind.to_ne_bytes().to_vec(), rest].concat();
            raw.send(&bytes, &[&fd][..usize::from(with_fd)]);
            bench.step();
        }
        drop(raw);
        bench.server_event(refused);
        exchange(&mut client.into_copy().unwrap().1[0], &mut server.into_copy().unwrap().0[0]);
    }
}
