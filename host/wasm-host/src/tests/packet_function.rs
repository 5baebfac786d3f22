use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::time::Duration;

use weft_sdk::test::ports;
use weft_sdk::{Descriptor, Nanos, descriptor};

use super::fixtures::{TABLE, engines, packet_function, packet_function_that_saves};
use crate::{Arena, Grants, Limits, ModuleFault, PacketInstance, PacketModule, REFUSED, Setup};

const SLOT: u32 = 2048;
const SLOTS: u32 = 64;

fn arena() -> Arena {
    Arena::new(SLOTS, SLOT).expect("an arena")
}

fn load(bytes: &[u8]) -> PacketModule {
    PacketModule::load(&engines(), bytes, &Grants::default()).expect("loads")
}

fn start(arena: &Arena, bytes: &[u8]) -> Result<PacketInstance, ModuleFault> {
    let setup = Setup {
        config: "{}",
        ports: &ports(),
        batch_max: 64,
        worker: 0,
        workers: 1,
        limits: Limits {
            deadline: Duration::from_millis(50),
            ..Limits::default()
        },
    };
    load(bytes).instantiate(arena.window(), &setup)
}

fn process(instance: &mut PacketInstance) -> Result<(Descriptor, u32), ModuleFault> {
    let mut table = [Descriptor::received(SLOT + 64, 60, 0)];
    let report = instance.process(&mut table, Nanos(1))?;
    Ok((table[0], report.bad_verdicts))
}

/// Forwards the first packet to port 1 after writing `0xab` to its first byte.
fn touch() -> Vec<u8> {
    let body = format!(
        "(i32.store8 (i32.add (local.get $window) (i32.load (i32.const {TABLE}))) (i32.const 0xab))
         (i32.store8 (i32.const {}) (i32.const 1))
         (i32.store8 (i32.const {}) (i32.const 1))",
        TABLE + 6,
        TABLE + 8
    );
    packet_function(TABLE, &body)
}

#[test]
fn an_edit_in_the_module_is_seen_by_whoever_holds_the_region_and_back() {
    let arena = arena();
    let peer = File::from(arena.as_fd().try_clone_to_owned().expect("a second handle"));
    peer.write_all_at(&[1, 2, 3], u64::from(SLOT) + 64)
        .expect("the peer writes a frame");
    let mut instance = start(&arena, &touch()).expect("starts");
    let (answer, bad) = process(&mut instance).expect("works");
    assert_eq!(
        (answer.verdict, answer.port, bad),
        (descriptor::FORWARD, 1, 0)
    );
    let mut seen = [0; 3];
    peer.read_exact_at(&mut seen, u64::from(SLOT) + 64)
        .expect("the peer reads");
    assert_eq!(seen, [0xab, 2, 3]);
}

#[test]
fn the_last_byte_of_the_window_can_be_read_and_the_next_one_traps() {
    let arena = arena();
    for (beyond, traps) in [(0, false), (1, true), (1 << 20, true)] {
        let offset = arena.window().bytes() - 1 + beyond;
        let body =
            format!("(drop (i32.load8_u (i32.add (local.get $window) (i32.const {offset}))))");
        let mut instance = start(&arena, &packet_function(TABLE, &body)).expect("starts");
        assert_eq!(process(&mut instance).is_err(), traps, "{beyond} beyond");
    }
}

#[test]
fn memory_the_module_asks_for_later_lies_behind_the_window() {
    let arena = arena();
    arena.write(0, b"frame").expect("inside");
    let body = "(local $old i32)
        (local.set $old (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))
        (memory.fill (local.get $old) (i32.const 0xff) (i32.const 65536))";
    let mut instance = start(&arena, &packet_function(TABLE, body)).expect("starts");
    process(&mut instance).expect("works");
    let mut frame = [0; 5];
    arena.read(0, &mut frame).expect("inside");
    assert_eq!(&frame, b"frame");
}

#[test]
fn a_function_that_never_returns_is_stopped_and_replaced() {
    let arena = arena();
    arena.write(SLOT + 64, b"frame").expect("inside");
    let mut stuck = start(&arena, &packet_function(TABLE, "(loop (br 0))")).expect("starts");
    let mut table = [Descriptor {
        verdict: descriptor::FORWARD,
        ..Descriptor::received(64, 60, 0)
    }];
    let fault = stuck.process(&mut table, Nanos(1)).expect_err("stopped");
    assert!(matches!(fault, ModuleFault::Deadline(_)), "{fault}");
    assert_eq!(
        table[0].verdict,
        descriptor::DROP,
        "nothing is sent on behalf of a dead function"
    );
    assert!(matches!(stuck.counters(), Err(ModuleFault::Dead)));
    drop(stuck);
    let mut next = start(&arena, &touch()).expect("the window outlives its instances");
    process(&mut next).expect("works");
    let mut frame = [0; 5];
    arena.read(SLOT + 64, &mut frame).expect("inside");
    assert_eq!(&frame, b"\xabrame");
}

#[test]
fn a_function_that_takes_all_memory_is_refused_it() {
    let body = "(loop (br_if 0 (i32.ne (memory.grow (i32.const 64)) (i32.const -1)))) unreachable";
    let mut instance = start(&arena(), &packet_function(TABLE, body)).expect("starts");
    let fault = process(&mut instance).expect_err("refused");
    assert!(matches!(fault, ModuleFault::OutOfMemory(_)), "{fault}");
}

#[test]
fn state_beyond_the_limit_is_refused_by_name_and_the_function_goes_on() {
    let (arena, state_bytes_max) = (arena(), Limits::default().state_bytes);
    for (bytes, fits) in [(state_bytes_max, true), (state_bytes_max + 1, false)] {
        // The memory behind the window, zeroes, is the state.
        let save = format!(
            "(i32.store (i32.const 640) (i32.mul (memory.grow (i32.const 257)) (i32.const 65536)))
             (i32.store (i32.const 644) (i32.const {bytes}))
             (i32.const 640)"
        );
        let function = packet_function_that_saves(TABLE, "", &save);
        let mut instance = start(&arena, &function).expect("starts");
        match instance.save() {
            Ok(state) => assert!(fits && state.len() == bytes, "{} bytes", state.len()),
            Err(ModuleFault::StateTooLarge { bytes: seen, max }) => {
                assert_eq!((fits, seen, max), (false, bytes, state_bytes_max));
            }
            Err(fault) => panic!("{bytes} bytes: {fault}"),
        }
        process(&mut instance).expect("the instance lives on");
    }
}

#[test]
fn a_verdict_that_makes_no_sense_drops_the_packet_and_is_counted() {
    for (field, value, width) in [
        (0, "0", "32"),
        (0, "-1", "32"),
        (4, "2000", "16"),
        (6, "2", "8"),
        (8, "7", "8"),
    ] {
        let store = if width == "32" {
            "i32.store".into()
        } else {
            format!("i32.store{width}")
        };
        let body = format!(
            "(i32.store8 (i32.const {}) (i32.const 1)) ({store} (i32.const {}) (i32.const {value}))",
            TABLE + 8,
            TABLE + field
        );
        let mut instance = start(&arena(), &packet_function(TABLE, &body)).expect("starts");
        let (answer, bad) = process(&mut instance).expect("works");
        let refused = Descriptor {
            verdict: REFUSED,
            ..Descriptor::received(SLOT + 64, 60, 0)
        };
        assert_eq!((answer, bad), (refused, 1), "field {field}");
    }
}

#[test]
fn a_descriptor_table_that_is_not_the_modules_own_is_refused() {
    for table in [65536 - 16, 65536, 65536 + 4096, u32::MAX - 8] {
        let fault = start(&arena(), &packet_function(table, ""))
            .err()
            .expect("refused");
        assert!(matches!(&fault, ModuleFault::Host(_)), "{table}: {fault}");
    }
}

#[test]
fn a_batch_that_is_too_large_is_refused_before_it_runs() {
    let mut instance = start(&arena(), &touch()).expect("starts");
    let mut table = [Descriptor::received(0, 60, 0); 65];
    assert!(instance.process(&mut table, Nanos(0)).is_err());
    process(&mut instance).expect("the instance lives on");
}
