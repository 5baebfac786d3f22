use weft_sdk::packet::checksum;
use weft_sdk::test::{Frames, ports, run};

use super::*;

const MILLI: u64 = 1_000_000;

/// An Ethernet frame of `length` bytes with an IPv4 packet from `10.0.0.<last>`.
fn frame(last: u8, length: usize) -> Vec<u8> {
    let total = u16::try_from(length - 14).expect("short");
    let mut ip = vec![
        0x45, 0, 0, 0, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, last, 10, 1, 0, 1,
    ];
    ip[2..4].copy_from_slice(&total.to_be_bytes());
    let sum = checksum::of(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00];
    frame.extend(ip);
    frame.resize(length, 0);
    frame
}

fn limiter(config: &str) -> RateLimiter {
    let mut limiter = RateLimiter::default();
    limiter
        .configure(config, &ports())
        .expect("a good configuration");
    limiter
}

/// How many of `count` equal frames pass when they come at once.
fn passed(limiter: &mut RateLimiter, port: u8, at: u64, count: usize, frame: &[u8]) -> usize {
    let frames = (0..count).fold(Frames::from_port(port).at(Nanos(at)), |all, _| {
        all.frame(frame)
    });
    run(limiter, frames)
        .iter()
        .filter(|fate| fate.is_forwarded())
        .count()
}

fn counter(limiter: &RateLimiter, name: &str) -> u64 {
    let counters = limiter.counters();
    counters
        .iter()
        .find(|(n, _)| n == name)
        .unwrap_or_else(|| panic!("{name}"))
        .1
}

#[test]
fn a_burst_passes_and_then_the_rate_holds() {
    let mut limiter = limiter(r#"{"pps":1000,"burstPackets":10}"#);
    let frame = frame(1, 60);
    assert_eq!(passed(&mut limiter, 0, 0, 30, &frame), 10);
    assert_eq!(passed(&mut limiter, 0, 0, 30, &frame), 0);
    assert_eq!(passed(&mut limiter, 0, 5 * MILLI, 30, &frame), 5);
    assert_eq!(
        passed(&mut limiter, 0, 3_600_000 * MILLI, 30, &frame),
        10,
        "the bucket has a brim"
    );
    for (name, count) in [
        ("seen", 120),
        ("passed", 25),
        ("dropped", 95),
        ("dropped.pps", 95),
    ] {
        assert_eq!(counter(&limiter, name), count, "{name}");
    }
}

#[test]
fn bytes_are_limited_by_length() {
    let mut limiter = limiter(r#"{"bps":8000000,"burstBytes":3000}"#);
    assert_eq!(passed(&mut limiter, 0, 0, 4, &frame(1, 1000)), 3);
    assert_eq!(passed(&mut limiter, 0, MILLI, 30, &frame(1, 100)), 10);
    assert_eq!(counter(&limiter, "dropped.bps"), 21);
}

#[test]
fn a_packet_that_one_bucket_denies_costs_the_other_nothing() {
    let mut limiter = limiter(r#"{"pps":1000,"burstPackets":5,"bps":8000,"burstBytes":100}"#);
    assert_eq!(passed(&mut limiter, 0, 0, 3, &frame(1, 1000)), 0);
    assert_eq!(passed(&mut limiter, 0, 0, 1, &frame(1, 100)), 1);
}

#[test]
fn directions_do_not_share_a_bucket_and_may_be_left_alone() {
    let frame = frame(1, 60);
    let mut both = limiter(r#"{"pps":1,"burstPackets":2}"#);
    assert_eq!(passed(&mut both, 0, 0, 5, &frame), 2);
    assert_eq!(passed(&mut both, 1, 0, 5, &frame), 2);
    let mut left = limiter(r#"{"pps":1,"burstPackets":2,"from":["left"]}"#);
    assert_eq!(passed(&mut left, 0, 0, 5, &frame), 2);
    assert_eq!(passed(&mut left, 1, 0, 5, &frame), 5);
}

#[test]
fn each_source_has_its_own_bucket_and_the_table_is_bounded() {
    let mut limiter = limiter(r#"{"pps":1,"burstPackets":2,"per":"source","sourcesMax":8}"#);
    for last in 0..8 {
        assert_eq!(
            passed(&mut limiter, 0, u64::from(last), 3, &frame(last, 60)),
            2,
            "{last}"
        );
    }
    assert_eq!(counter(&limiter, "sources.evicted"), 0);
    assert_eq!(passed(&mut limiter, 0, 100, 3, &frame(9, 60)), 2);
    assert_eq!(counter(&limiter, "sources.evicted"), 1);
    assert_eq!(
        passed(&mut limiter, 0, 100, 3, &frame(7, 60)),
        0,
        "the idle one went, not this one"
    );
}

#[test]
fn what_is_not_ip_passes_for_free() {
    let mut limiter = limiter(r#"{"pps":1,"burstPackets":1}"#);
    let mut arp = vec![0xff; 42];
    arp[12..14].copy_from_slice(&[0x08, 0x06]);
    assert_eq!(passed(&mut limiter, 0, 0, 9, &arp), 9);
    assert_eq!(passed(&mut limiter, 0, 0, 9, &frame(1, 60)), 1);
}

#[test]
fn time_that_steps_back_gives_no_tokens() {
    let mut limiter = limiter(r#"{"pps":1000,"burstPackets":1}"#);
    let frame = frame(1, 60);
    assert_eq!(passed(&mut limiter, 0, 10 * MILLI, 1, &frame), 1);
    assert_eq!(passed(&mut limiter, 0, 0, 1, &frame), 0);
    assert_eq!(passed(&mut limiter, 0, 10 * MILLI, 1, &frame), 0);
}

#[test]
fn a_bad_configuration_names_the_field() {
    for (config, field) in [
        ("{}", "pps"),
        (r#"{"pps":0}"#, "pps"),
        (r#"{"bps":0}"#, "bps"),
        (r#"{"pps":1,"burstPackets":0}"#, "burstPackets"),
        (r#"{"pps":1,"burstBytes":2000000000}"#, "burstBytes"),
        (r#"{"pps":1,"from":["left","up"]}"#, "from[1]"),
        (r#"{"pps":1,"sourcesMax":0}"#, "sourcesMax"),
    ] {
        let fault = RateLimiter::default()
            .configure(config, &ports())
            .expect_err(config);
        assert_eq!(fault.field.as_deref(), Some(field), "{config}");
    }
}
