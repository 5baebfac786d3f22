//! Packet functions on interfaces: an extension of ours, which real VPP does not know.

use std::path::Path;

use vpp_api::interface_types::InterfaceIndex;
use vpp_api::memclnt::ControlPing;
use vpp_api::weft_function::{
    WeftFunctionAddReplace, WeftFunctionDel, WeftFunctionDetails, WeftFunctionDump,
    WeftFunctionInterfaceDump, WeftFunctionInterfaceSet,
};
use vpp_api::{ApiError, FixedString};

use crate::target::Target;
use crate::traffic::{LEFT, LEFT6, NOTHING, RIGHT, RIGHT6, targets};
use crate::wire::{Wires, tcp_of, udp_of};

/// Packets sent together while a function is swapped.
const VOLLEY: usize = 50;
/// What passes the dataplane from left to right.
const PASSED: [&str; 1] = ["1: 10.77.40.2 > 10.77.41.2 ttl 63 udp 5>6"];

/// The dataplanes that have functions; of those that have not, that they say so by their message table.
async fn with_functions() -> Vec<Target> {
    let mut having = Vec::new();
    for target in targets().await {
        if target.is_vpp() {
            let asked = target.api.dump(&WeftFunctionDump::default()).await;
            assert!(asked.is_err(), "the message is of ours");
            eprintln!(
                "SKIPPED: packet functions on vpp, which answers: {}",
                asked.unwrap_err()
            );
        } else {
            having.push(target);
        }
    }
    having
}

fn function(name: &str, module: &Path) -> WeftFunctionAddReplace {
    WeftFunctionAddReplace {
        name: FixedString::new(name).unwrap(),
        module: FixedString::new(&module.to_string_lossy()).unwrap(),
        ..WeftFunctionAddReplace::default()
    }
}

async fn add(target: &Target, request: &WeftFunctionAddReplace) -> u32 {
    target.api.request(request).await.unwrap().function_index
}

fn set(on: InterfaceIndex, is_input: bool, function_index: u32) -> WeftFunctionInterfaceSet {
    WeftFunctionInterfaceSet {
        sw_if_index: on,
        is_input,
        function_index,
    }
}

async fn details(target: &Target, function_index: u32) -> WeftFunctionDetails {
    let dump = WeftFunctionDump { function_index };
    target.api.dump(&dump).await.unwrap().remove(0)
}

#[tokio::test]
async fn a_function_sees_what_comes_in_and_goes_out_where_it_is_attached() {
    let Some(module) = guests::example("header-counter") else {
        return;
    };
    for target in with_functions().await {
        let mut wires = Wires::new(&target).await;
        let [left, right] = wires.ports;
        let index = add(&target, &function("counter", &module)).await;
        for (on, is_input) in [(left, true), (left, false), (right, false)] {
            target.ok(&set(on, is_input, index)).await;
        }
        let dump = WeftFunctionInterfaceDump { sw_if_index: left };
        let attached = target.api.dump(&dump).await.unwrap();
        let sides: Vec<_> = attached
            .iter()
            .map(|d| (d.sw_if_index, d.is_input, d.function_index))
            .collect();
        assert_eq!(sides, [(left, true, index), (left, false, index)]);

        let packet = udp_of((LEFT, RIGHT), (5, 6), 64);
        assert_eq!(wires.exchange(0, &packet), PASSED);
        let back = tcp_of((RIGHT6, LEFT6), (80, 9), 2);
        assert_eq!(
            wires.exchange(1, &back),
            ["0: fd77:41::2 > fd77:40::2 ttl 63 tcp 80>9"]
        );
        let seen = details(&target, index).await;
        // In on the left, out on the right, and out on the left for the answer.
        assert_eq!(
            (seen.packets, seen.drops, seen.changed),
            (3, 0, 0),
            "{seen:?}"
        );
        assert_eq!((seen.undecided, seen.faults), (0, 0), "{seen:?}");
        assert_eq!(seen.name.as_str(), "counter");
        assert!(
            seen.about.as_str().starts_with("header-counter "),
            "{seen:?}"
        );
        assert_eq!(seen.module.as_str(), module.to_string_lossy());
        assert_eq!(
            (seen.memory_mib, seen.deadline_ms, seen.fail_open),
            (64, 50, false)
        );

        let delete = WeftFunctionDel {
            function_index: index,
        };
        assert!(target.api.request(&delete).await.is_err(), "it is attached");
        for (on, is_input) in [(left, true), (left, false), (right, false)] {
            target.ok(&set(on, is_input, u32::MAX)).await;
        }
        assert_eq!(wires.exchange(0, &packet), PASSED);
        assert_eq!(details(&target, index).await.packets, 3, "it is off");
        target.ok(&delete).await;
        assert!(target.api.request(&delete).await.is_err(), "it is gone");
        let all = WeftFunctionDump::default();
        assert!(target.api.dump(&all).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_function_that_fails_is_open_or_closed_and_its_successor_serves() {
    for target in with_functions().await {
        let mut wires = Wires::new(&target).await;
        let dir = target.dir.path();
        let trap = guests::function(dir, "trap", "unreachable");
        let good = guests::function(dir, "good", guests::FORWARD);
        let packet = udp_of((LEFT, RIGHT), (5, 6), 64);
        for (fail_open, expected) in [(true, &PASSED[..]), (false, &NOTHING)] {
            let request = |module| WeftFunctionAddReplace {
                fail_open,
                ..function("either", module)
            };
            let index = add(&target, &request(&trap)).await;
            target.ok(&set(wires.ports[0], true, index)).await;
            assert_eq!(
                wires.exchange(0, &packet),
                expected,
                "fail_open {fail_open}"
            );
            let seen = details(&target, index).await;
            assert_eq!(
                (seen.packets, seen.undecided, seen.faults),
                (1, 1, 1),
                "{seen:?}"
            );
            assert!(seen.last_fault.contains("unreachable"), "{seen:?}");
            assert_eq!(
                add(&target, &request(&good)).await,
                index,
                "the same function"
            );
            assert_eq!(wires.exchange(0, &packet), PASSED, "fail_open {fail_open}");
            target.ok(&set(wires.ports[0], true, u32::MAX)).await;
            let function_index = index;
            target.ok(&WeftFunctionDel { function_index }).await;
        }
    }
}

#[tokio::test]
async fn swaps_under_traffic_lose_nothing_and_keep_what_was_counted() {
    let Some(module) = guests::example("header-counter") else {
        return;
    };
    for target in with_functions().await {
        let mut wires = Wires::new(&target).await;
        let index = add(&target, &function("turns", &module)).await;
        target.ok(&set(wires.ports[0], true, index)).await;
        let packets = vec![udp_of((LEFT, RIGHT), (5, 6), 64); VOLLEY];
        let other = target.impatient().await;
        let swap = WeftFunctionAddReplace {
            config: r#"{"count": true}"#.into(),
            ..function("turns", &module)
        };
        let mut volleys = 0;
        for round in 1..=5 {
            let (api, swap) = (target.api.clone(), swap.clone());
            let swap = tokio::spawn(async move { api.request(&swap).await });
            // A client that swaps nothing is answered while the module is compiled.
            other.request(&ControlPing::default()).await.unwrap();
            loop {
                let is_last = swap.is_finished();
                let packets = packets.clone();
                let passing = tokio::task::spawn_blocking(move || {
                    let passed = wires.exchange_all(0, &packets);
                    (wires, passed)
                });
                let (back, passed) = passing.await.unwrap();
                wires = back;
                volleys += 1;
                assert_eq!(passed, [PASSED[0]; VOLLEY], "round {round}");
                if is_last {
                    break;
                }
            }
            assert_eq!(swap.await.unwrap().unwrap().function_index, index);
        }
        let seen = details(&target, index).await;
        assert_eq!(
            (seen.packets, seen.undecided, seen.faults),
            (volleys * VOLLEY as u64, 0, 0),
            "{seen:?}"
        );
    }
}

#[tokio::test]
async fn what_is_no_function_is_refused_and_what_serves_stays() {
    for target in with_functions().await {
        let mut wires = Wires::new(&target).await;
        let dir = target.dir.path();
        let good = guests::function(dir, "good", guests::FORWARD);
        let index = add(&target, &function("it", &good)).await;
        target.ok(&set(wires.ports[0], true, index)).await;
        let noise = dir.join("noise.wasm");
        std::fs::write(&noise, b"no module").unwrap();
        let refused = [
            (function("it", &noise), ApiError::InitFailed),
            (
                function("it", Path::new("/nowhere.wasm")),
                ApiError::SyscallError1,
            ),
            (function("", &good), ApiError::InvalidValue),
            (
                WeftFunctionAddReplace {
                    deadline_ms: 60_000,
                    ..function("it", &good)
                },
                ApiError::InvalidValue,
            ),
        ];
        for (request, code) in refused {
            target.refuses(&request, &[code]).await;
        }
        let nowhere = set(InterfaceIndex(0xffff_fff0), true, index);
        target
            .refuses(&nowhere, &[ApiError::InvalidSwIfIndex])
            .await;
        assert!(
            target
                .api
                .request(&set(wires.ports[0], true, 999))
                .await
                .is_err()
        );
        let packet = udp_of((LEFT, RIGHT), (5, 6), 64);
        assert_eq!(wires.exchange(0, &packet), PASSED);
        assert_eq!(
            details(&target, index).await.packets,
            1,
            "the one that served"
        );
    }
}
