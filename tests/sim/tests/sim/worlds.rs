//! Whole runs: changes and frames in any order.

use std::cell::RefCell;
use std::collections::BTreeMap;

use proptest::prelude::*;
use sim::check::{Teardown, cases, run};
use sim::generate::{basis, change, steps};
use sim::step::Step;
use vswitch::graph::DropReason;

fn teardown() -> impl Strategy<Value = Teardown> {
    prop_oneof![Just(Teardown::Orderly), Just(Teardown::InterfacesFirst)]
}

#[test]
fn every_frame_of_a_changing_node_becomes_what_the_model_says() {
    cases(1500, &(steps(40), teardown()), |(steps, teardown)| {
        run(&basis(), &steps, teardown).map(drop)
    });
}

#[test]
fn a_switch_that_starts_empty_follows_the_model() {
    cases(500, &(steps(80), teardown()), |(steps, teardown)| {
        run(&[], &steps, teardown).map(drop)
    });
}

#[test]
fn any_calls_followed_by_deletes_leave_nothing() {
    let calls = proptest::collection::vec(change().prop_map(Step::Change), 1..120);
    cases(500, &(calls, teardown()), |(calls, teardown)| {
        run(&basis(), &calls, teardown).map(drop)
    });
}

/// Without this, generators could decay until every packet dies at the first node and all tests still pass.
#[test]
fn generated_frames_meet_every_fate_that_the_model_knows() {
    let total = RefCell::new((0, BTreeMap::new()));
    cases(1500, &(steps(40), teardown()), |(steps, teardown)| {
        let seen = run(&basis(), &steps, teardown)?;
        let (sent, drops) = &mut *total.borrow_mut();
        *sent += seen.frames_sent;
        for (why, count) in seen.drops {
            *drops.entry(why).or_insert(0) += count;
        }
        Ok(())
    });
    let (sent, drops) = total.into_inner();
    assert!(sent > 1000, "{sent} frames left");
    let expected = [
        DropReason::InterfaceDown,
        DropReason::MacMismatch,
        DropReason::UnknownEthertype,
        DropReason::UnknownVlan,
        DropReason::IpDisabled,
        DropReason::SourceMulticast,
        DropReason::L2Reflection,
        DropReason::L2NoForward,
        DropReason::L2NoMembers,
        DropReason::AclDeny,
        DropReason::TtlExpired,
        DropReason::Multicast,
        DropReason::LinkLocal,
        DropReason::RouteDrop,
        DropReason::Unreachable,
        DropReason::MtuExceeded,
        DropReason::ArpSent,
        DropReason::NdSent,
        DropReason::NoSourceAddress,
        DropReason::ArpNotLocal,
        DropReason::ArpReplyLearned,
        DropReason::IcmpUnknown,
        DropReason::IcmpErrorSuppressed,
        DropReason::VxlanNoTunnel,
        DropReason::LoopbackTx,
    ];
    let missed: Vec<_> = expected
        .iter()
        .filter(|why| !drops.contains_key(why))
        .collect();
    assert!(missed.is_empty(), "never met: {missed:?}; met: {drops:?}");
}
