//! A packet function in service: it fails, is replaced, is swapped.

use weft_sdk::test::{SLOT_BYTES, ports};
use weft_sdk::{Descriptor, Nanos, descriptor};

use super::fixtures::{TABLE, engines, example, packet_function, packet_function_that_saves};
use crate::{Arena, Grants, Limits, ModuleFault, PacketModule, PacketService, ServiceSetup};

const SLOTS: u32 = 64;
const AT: u32 = SLOT_BYTES + 64;

fn setup(config: &str, limits: Limits) -> ServiceSetup {
    ServiceSetup {
        config: config.to_owned(),
        ports: ports(),
        batch_max: 64,
        worker: 0,
        workers: 1,
        limits,
    }
}

fn service(arena: &Arena, bytes: &[u8]) -> PacketService {
    let module = PacketModule::load(&engines(), bytes, &Grants::default()).expect("loads");
    let setup = setup("{}", Limits::default());
    PacketService::start(module, arena.window().clone(), setup).expect("starts")
}

/// What becomes of a frame with this first octet.
#[expect(clippy::unwrap_in_result, reason = "a test ends where it fails")]
fn send(service: &mut PacketService, arena: &Arena, first: u8) -> Result<u8, ModuleFault> {
    arena.write(AT, &[first]).expect("inside");
    let mut table = [Descriptor::received(AT, 60, 0)];
    let answer = service.process(&mut table, Nanos(1));
    assert!(answer.is_ok() || table[0].verdict == descriptor::DROP);
    answer.map(|_| table[0].port)
}

/// Forwards to port 1 how often it was called since it started, in the first octet; traps on a frame that begins
/// with 0xff.
fn counting(port: u8) -> Vec<u8> {
    let frame = format!("(i32.add (local.get $window) (i32.load (i32.const {TABLE})))");
    packet_function(
        TABLE,
        &format!(
            "(if (i32.eq (i32.load8_u {frame}) (i32.const 0xff)) (then unreachable))
             (i32.store (i32.const 768) (i32.add (i32.load (i32.const 768)) (i32.const 1)))
             (i32.store8 {frame} (i32.load (i32.const 768)))
             (i32.store8 (i32.const {}) (i32.const {port}))
             (i32.store8 (i32.const {}) (i32.const 1))",
            TABLE + 6,
            TABLE + 8
        ),
    )
}

fn count(arena: &Arena) -> u8 {
    let mut octet = [0];
    arena.read(AT, &mut octet).expect("inside");
    octet[0]
}

#[test]
fn the_same_module_serves_on_after_a_trap_with_a_fresh_instance() {
    let arena = Arena::new(SLOTS, SLOT_BYTES).expect("an arena");
    let mut service = service(&arena, &counting(1));
    for round in 0..20 {
        for calls in 1..4 {
            assert_eq!(send(&mut service, &arena, 0).expect("forwarded"), 1);
            assert_eq!(count(&arena), calls, "round {round}");
        }
        let fault = send(&mut service, &arena, 0xff).expect_err("traps");
        assert!(matches!(fault, ModuleFault::Trap(_)), "{fault}");
    }
    let (faults, last) = service.faults();
    assert!(
        faults == 20 && last.contains("unreachable"),
        "{faults} {last}"
    );
}

#[test]
fn a_function_that_does_nothing_but_fail_is_started_ever_more_rarely() {
    const MS: u64 = 1_000_000;
    let arena = Arena::new(SLOTS, SLOT_BYTES).expect("an arena");
    let mut service = service(&arena, &packet_function(TABLE, "unreachable"));
    let mut tried = Vec::new();
    for at in 0..10_000 {
        let mut table = [Descriptor::received(AT, 60, 0)];
        let fault = service
            .process(&mut table, Nanos(at * MS))
            .expect_err("fails");
        assert_eq!(table[0].verdict, descriptor::DROP);
        if matches!(fault, ModuleFault::Trap(_)) {
            tried.push(at);
        } else {
            assert!(matches!(fault, ModuleFault::Resting), "{fault}");
        }
    }
    assert_eq!(tried[..6], [0, 1, 11, 31, 71, 151]);
    assert_eq!(service.faults().0, tried.len() as u64);
    assert!(tried.len() < 15, "{tried:?}");
}

#[test]
fn a_successor_serves_the_next_batch_and_all_of_it() {
    let arena = Arena::new(SLOTS, SLOT_BYTES).expect("an arena");
    let mut running = service(&arena, &counting(1));
    assert_eq!(send(&mut running, &arena, 0).expect("forwarded"), 1);
    running
        .swap(service(&arena, &counting(0)))
        .expect("swapped");
    assert_eq!(send(&mut running, &arena, 0).expect("forwarded"), 0);
    assert_eq!(count(&arena), 1, "the successor is new");
    // One that cannot start never gets to be a successor, and the one in service does not notice.
    let broken = PacketModule::load(
        &engines(),
        &packet_function(u32::MAX - 8, ""),
        &Grants::default(),
    );
    let setup = setup("{}", Limits::default());
    let broken = PacketService::start(broken.expect("loads"), arena.window().clone(), setup);
    assert!(broken.is_err());
    assert_eq!(send(&mut running, &arena, 0).expect("forwarded"), 0);
    assert_eq!(count(&arena), 2);
}

#[test]
fn a_predecessor_that_cannot_save_is_still_replaced() {
    let arena = Arena::new(SLOTS, SLOT_BYTES).expect("an arena");
    let stuck = packet_function_that_saves(TABLE, "", "(loop (br 0)) unreachable");
    let mut running = service(&arena, &stuck);
    let fault = running
        .swap(service(&arena, &counting(1)))
        .expect_err("no state");
    assert!(matches!(fault, ModuleFault::Deadline(_)), "{fault}");
    assert_eq!(send(&mut running, &arena, 0).expect("forwarded"), 1);
}

/// A UDP frame of one flow; `back` turns it around.
fn flow(number: u32, back: bool) -> Vec<u8> {
    let [_, a, b, c] = number.to_be_bytes();
    let (client, server) = ([10, a, b, c], [10, 255, 0, 1]);
    let (mut src, mut dst) = ((client, 4000_u16), (server, 53_u16));
    if back {
        std::mem::swap(&mut src, &mut dst);
    }
    let mut ip = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0];
    ip.extend(src.0.into_iter().chain(dst.0));
    let sum = weft_sdk::packet::checksum::of(&ip);
    ip[10..12].copy_from_slice(&sum.to_be_bytes());
    let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00];
    frame.extend(ip);
    frame.extend(src.1.to_be_bytes().into_iter().chain(dst.1.to_be_bytes()));
    frame.extend([0, 8, 0, 0]);
    frame
}

/// Sends one frame of each flow from `port`, 64 at a time; returns how many passed.
fn pass(service: &mut PacketService, arena: &Arena, port: u8, flows: &[u32], now: u64) -> usize {
    let mut passed = 0;
    for (batch, numbers) in flows.chunks(64).enumerate() {
        let mut table = Vec::with_capacity(64);
        for (slot, number) in (0_u32..).zip(numbers) {
            let frame = flow(*number, port == 1);
            arena.write(slot * SLOT_BYTES, &frame).expect("inside");
            let length = u16::try_from(frame.len()).expect("short");
            table.push(Descriptor::received(slot * SLOT_BYTES, length, port));
        }
        let at = Nanos(now + batch as u64);
        service.process(&mut table, at).expect("works");
        passed += table
            .iter()
            .filter(|d| d.verdict == descriptor::FORWARD)
            .count();
    }
    passed
}

#[test]
fn a_firewall_hands_over_more_flows_than_fit_as_text_and_the_youngest_where_none_fit() {
    const FLOWS: u32 = 200_000;
    let Some(bytes) = example("firewall") else {
        return;
    };
    let arena = Arena::new(SLOTS, SLOT_BYTES).expect("an arena");
    let module = PacketModule::load(&engines(), &bytes, &Grants::default()).expect("loads");
    let config = r#"{"rules": [{"name": "out", "action": "allow", "from": "left"}],
        "connections": {"max": 400000, "idleSeconds": 600}}"#;
    let start = |state_bytes| {
        let limits = Limits {
            state_bytes,
            ..Limits::default()
        };
        let (module, window) = (module.clone(), arena.window().clone());
        PacketService::start(module, window, setup(config, limits)).expect("starts")
    };
    let flows: Vec<u32> = (0..FLOWS).collect();
    let mut running = start(Limits::default().state_bytes);
    assert_eq!(pass(&mut running, &arena, 0, &flows, 0), FLOWS as usize);
    let known = pass(&mut running, &arena, 1, &flows, 10_000);
    assert!(
        known > FLOWS as usize * 99 / 100,
        "{known}: few sets are full"
    );

    running.swap(start(22 * 1000 + 1)).expect("handed over");
    assert_eq!(
        pass(&mut running, &arena, 1, &flows, 20_000),
        known,
        "all are known"
    );

    // The last thousand flows have just been seen last; a successor that takes no more knows those.
    let last = &flows[FLOWS as usize - 1000..];
    let recent = pass(&mut running, &arena, 1, last, 30_000);
    running
        .swap(start(Limits::default().state_bytes))
        .expect("handed over");
    assert_eq!(pass(&mut running, &arena, 1, last, 40_000), recent);
    assert_eq!(
        pass(&mut running, &arena, 1, &flows[..1000], 50_000),
        0,
        "the oldest had no room"
    );
}
