//! A node as a runtime sees it: `weft-vswitch`, the agent and `weft-cni` with real namespaces and
//! packets. Needs root; says SKIPPED where that or a binary is missing.

#![expect(clippy::print_stderr, reason = "a skipped test must be seen")]

mod lab;

use std::time::Duration;

use lab::{Lab, Ping, wait_for};

#[test]
fn pods_of_one_node_reach_each_other_and_leave_nothing_behind() {
    let Some(mut lab) = Lab::start("reach") else {
        return;
    };
    let a = lab.pod("a");
    let b = lab.pod("b");
    let (first, second) = (lab.add(&a), lab.add(&b));
    assert_ne!(first, second);
    lab.ping(&a, &second, 3);
    lab.check(&a);
    lab.del(&a);
    lab.del(&a);
    lab.del(&b);
    assert!(!lab.has_link(&a, "eth0"));
    wait_for("the dataplane to forget both pods", || {
        let state = lab.describe();
        state.interfaces.iter().all(|i| !i.tag.contains("pod/")) && state.failed.is_empty()
    });
}

#[test]
fn a_killed_agent_adopts_the_dataplane_and_no_packet_is_lost() {
    let Some(mut lab) = Lab::start("adopt") else {
        return;
    };
    let a = lab.pod("a");
    let b = lab.pod("b");
    lab.add(&a);
    let address = lab.add(&b);
    lab.ping(&a, &address, 1);
    let ping = Ping::start(&a, &address);
    lab.kill_agent();
    lab.start_agent();
    wait_for("the agent to adopt", || {
        let state = lab.describe();
        state.resyncs > 0 && state.desired > 0 && state.applied == state.desired
    });
    let state = lab.describe();
    assert_eq!(state.operations, 0, "adoption touched something: {state:?}");
    let (sent, received) = ping.stop();
    assert!(
        sent > 0 && received + 1 >= sent,
        "{received} of {sent} answers"
    );
    let c = lab.pod("c");
    assert_ne!(
        lab.add(&c),
        address,
        "the address of a living pod was given away"
    );
    lab.check(&b);
}

#[test]
fn a_killed_dataplane_comes_back_with_the_same_pods() {
    let Some(mut lab) = Lab::start("replay") else {
        return;
    };
    let a = lab.pod("a");
    let b = lab.pod("b");
    lab.add(&a);
    let address = lab.add(&b);
    lab.ping(&a, &address, 1);
    lab.kill_vswitch();
    wait_for(
        "the agent to notice",
        || !lab.describe().connected["dataplane"],
    );
    lab.start_vswitch();
    wait_for("the pods to be back", || lab.can_ping(&a, &address));
    lab.check(&a);
    lab.check(&b);
}

#[test]
fn pods_come_up_while_the_store_is_away() {
    let Some(mut lab) = Lab::start("alone") else {
        return;
    };
    lab.stop_store();
    let a = lab.pod("a");
    let b = lab.pod("b");
    lab.add(&a);
    let address = lab.add(&b);
    lab.ping(&a, &address, 1);
    lab.kill_agent();
    lab.start_agent();
    wait_for("the agent to serve from its journal", || lab.is_ready());
    let c = lab.pod("c");
    lab.add(&c);
    lab.ping(&c, &address, 1);
}

#[test]
fn the_plugin_holds_to_the_cni_specification() {
    let Some(script) = lab::spec_check() else {
        return;
    };
    let Some(lab) = Lab::start("spec") else {
        return;
    };
    let output = lab.run_script(&script, Duration::from_secs(240));
    assert!(output.contains(" 0 failed"), "{output}");
    eprintln!("{}", output.lines().last().unwrap_or_default());
}
