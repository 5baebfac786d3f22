//! The same source, native and sandboxed, must decide the same about the same frames.

use weft_sdk::packet::checksum;
use weft_sdk::test::{Fate, Frames, SLOT_BYTES, ports, run};
use weft_sdk::{Nanos, PacketFunction};

use super::fixtures::{engines, example};
use crate::{Arena, Grants, Limits, PacketInstance, PacketModule, Setup};

const SLOTS: u32 = 64;
const FRAMES: usize = 600;

struct Sandboxed {
    arena: Arena,
    module: PacketModule,
    instance: PacketInstance,
}

fn sandboxed(name: &str, config: &str) -> Option<Sandboxed> {
    let bytes = example(name)?;
    let module = PacketModule::load(&engines(), &bytes, &Grants::default()).expect("loads");
    let arena = Arena::new(SLOTS, SLOT_BYTES).expect("an arena");
    let instance = instance(&module, &arena, config);
    Some(Sandboxed {
        arena,
        module,
        instance,
    })
}

fn instance(module: &PacketModule, arena: &Arena, config: &str) -> PacketInstance {
    let setup = Setup {
        config,
        ports: &ports(),
        batch_max: 64,
        worker: 0,
        workers: 1,
        limits: Limits::default(),
    };
    module.instantiate(arena.window(), &setup).expect("starts")
}

impl Sandboxed {
    fn run(&mut self, frames: &Frames) -> Vec<Fate> {
        let mut layout = frames.lay_out();
        self.arena.write(0, &layout.window).expect("fits");
        let report = self
            .instance
            .process(&mut layout.table, layout.now)
            .expect("works");
        assert_eq!(report.bad_verdicts, 0);
        self.arena.read(0, &mut layout.window).expect("fits");
        layout.fates()
    }
}

/// A repeatable stream of frames: few addresses and ports, so that flows meet, and some that are damaged.
fn stream(seed: u64) -> impl Iterator<Item = (u8, Vec<u8>)> {
    let mut state = seed;
    let mut next = move |below: u64| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u8::try_from((state >> 33) % below).expect("small")
    };
    std::iter::repeat_with(move || {
        let (port, protocol) = (next(2), [6, 6, 17, 1][usize::from(next(4))]);
        let (a, b) = ([10, next(2) * 9, 0, next(3)], [10, 1, 0, next(3)]);
        let (src, dst) = if port == 0 { (a, b) } else { (b, a) };
        let ports = if port == 0 {
            [4, next(4), 0, 80]
        } else {
            [0, 80, 4, next(4)]
        };
        let mut ip = vec![0x45, 0, 0, 40, 0, 0, 0, 0, 64, protocol, 0, 0];
        ip.extend(src.into_iter().chain(dst));
        let sum = checksum::of(&ip);
        ip[10..12].copy_from_slice(&sum.to_be_bytes());
        let mut frame = vec![2, 0, 0, 0, 0, 2, 2, 0, 0, 0, 0, 1, 0x08, 0x00];
        frame.extend(
            ip.into_iter()
                .chain(ports)
                .chain([0; 8])
                .chain([0x50, 0x10 | next(2), 0, 0]),
        );
        frame.extend([0; 4]);
        match next(20) {
            0 => frame.truncate(usize::from(next(54))),
            1 => frame[12..14].copy_from_slice(&[0x08, 0x06]),
            _ => {}
        }
        (port, frame)
    })
}

fn check(name: &str, config: &str, native: &mut dyn PacketFunction) {
    let Some(mut sandboxed) = sandboxed(name, config) else {
        return;
    };
    native
        .configure(config, &ports())
        .expect("a good configuration");
    let mut frames = stream(7).take(FRAMES).peekable();
    let (mut now, mut forwarded) = (0, 0);
    for size in [1, 7, 64].into_iter().cycle() {
        if frames.peek().is_none() {
            break;
        }
        now += 700_000_000;
        let batch = frames
            .by_ref()
            .take(size)
            .fold(Frames::from_port(0).at(Nanos(now)), |all, (port, frame)| {
                all.then_from_port(port).frame(frame)
            });
        let fates = run(native, &batch);
        assert_eq!(fates, sandboxed.run(&batch), "batch at {now}");
        forwarded += fates.iter().filter(|fate| fate.is_forwarded()).count();
    }
    assert!(
        forwarded > FRAMES / 10 && forwarded < FRAMES,
        "{forwarded}: both verdicts are met"
    );
    assert_eq!(
        sandboxed.instance.counters().expect("counts"),
        native.counters()
    );
}

#[test]
fn the_firewall_decides_the_same_native_and_sandboxed() {
    let config = r#"{"rules": [
        {"name": "guests", "action": "deny", "src": "10.9.0.0/16"},
        {"name": "web", "action": "allow", "from": "left", "protocol": "tcp", "ports": [80]}],
        "connections": {"max": 16, "idleSeconds": 60}}"#;
    check("firewall", config, &mut firewall::Firewall::default());
}

#[test]
fn the_rate_limiter_decides_the_same_native_and_sandboxed() {
    let config =
        r#"{"pps": 10, "burstPackets": 8, "bps": 16000, "burstBytes": 4000, "per": "source"}"#;
    check(
        "rate-limiter",
        config,
        &mut rate_limiter::RateLimiter::default(),
    );
}

#[test]
fn a_hot_swap_on_the_same_window_keeps_flows_and_frames() {
    let config = r#"{"rules": [{"name": "out", "action": "allow", "from": "left"}]}"#;
    let Some(mut old) = sandboxed("firewall", config) else {
        return;
    };
    let (_, request) = stream(1)
        .find(|(port, frame)| *port == 0 && frame.len() == 54)
        .expect("one");
    let mut reply = request.clone();
    let (src, dst) = (request[26..30].to_vec(), request[30..34].to_vec());
    reply[26..30].copy_from_slice(&dst);
    reply[30..34].copy_from_slice(&src);
    reply[34..36].copy_from_slice(&request[36..38]);
    reply[36..38].copy_from_slice(&request[34..36]);
    assert!(old.run(&Frames::from_port(0).frame(request))[0].is_forwarded());

    let state = old.instance.save().expect("state");
    let mut new = instance(&old.module, &old.arena, config);
    let version = old.instance.about().version.clone();
    assert_eq!(old.instance.about().name, "firewall");
    let back = Frames::from_port(1).frame(reply);
    let stranger = instance(&old.module, &old.arena, config);
    new.restore(&version, &state).expect("takes over");
    old.instance = new;
    assert!(
        old.run(&back)[0].is_forwarded(),
        "the successor knows the flow"
    );
    old.instance = stranger;
    assert!(
        !old.run(&back)[0].is_forwarded(),
        "one that was told nothing does not"
    );
}

#[test]
fn a_configuration_the_module_refuses_is_its_fault_with_the_field() {
    let Some(sandboxed) = sandboxed("firewall", "{}") else {
        return;
    };
    let setup = Setup {
        config: r#"{"connections":{"max":0}}"#,
        ports: &ports(),
        batch_max: 64,
        worker: 0,
        workers: 1,
        limits: Limits::default(),
    };
    let refused = sandboxed
        .module
        .instantiate(sandboxed.arena.window(), &setup);
    let fault = refused.err().expect("refused");
    assert!(
        matches!(&fault, crate::ModuleFault::Fault(f) if f.field.as_deref() == Some("connections.max")),
        "{fault}"
    );
}
