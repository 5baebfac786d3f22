//! A node as a runtime sees it: `weft-vswitch`, the agent and `weft-cni` with real namespaces and
//! packets. Needs root; says SKIPPED where that or a binary is missing.

#![expect(clippy::print_stderr, reason = "a skipped test must be seen")]
#![expect(clippy::unwrap_used, reason = "the helpers below serve tests only")]

mod lab;

use std::time::Duration;

use lab::{Lab, Options, Ping, cluster, wait_for};

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
    wait_for("the counters of both pods to show the pings", || {
        let state = lab.describe();
        let pods = state.interfaces.iter().filter(|i| i.tag.contains("pod/"));
        let counted = pods
            .map(|i| i.rx_packets.min(i.tx_packets))
            .collect::<Vec<_>>();
        counted.len() == 2 && counted.iter().all(|packets| *packets >= 3)
    });
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

#[test]
fn the_first_agent_brings_its_configuration_into_an_empty_store() {
    let Some(lab) = Lab::start("bring") else {
        return;
    };
    let stored = lab.store_get("/weft/v1/config").unwrap();
    assert_eq!(stored["podCidr"], "10.1.0.0/16");
    lab.store_put("/weft/v1/config", &cluster(9000));
    wait_for("the agent to refuse", || !lab.is_ready());
    let reasons = lab.describe().not_ready;
    assert!(
        reasons[0].contains("`mtu` is 1450 here and 9000 there"),
        "{reasons:?}"
    );
    lab.store_put("/weft/v1/config", &cluster(1450));
    wait_for("the agent to agree", || lab.is_ready());
}

#[test]
fn a_node_without_a_configuration_waits_for_the_store_s_and_keeps_it() {
    let options = Options {
        without_cluster: true,
        ..Options::default()
    };
    let Some(mut lab) = Lab::prepare("told", options) else {
        return;
    };
    lab.start_agent();
    lab.store_put("/weft/v1/config", &cluster(1400));
    wait_for("the node to be ready", || lab.is_ready());
    let a = lab.pod("a");
    assert!(lab.add(&a).starts_with("10.1.1."));
    assert_eq!(lab.mtu(&a), 1400);
    // A node with pods does not need the store to know what its cluster is like.
    lab.stop_store();
    lab.kill_agent();
    lab.start_agent();
    wait_for("the node to be ready without store", || lab.is_ready());
    lab.check(&a);
}

#[test]
fn a_node_number_that_another_node_holds_is_not_used() {
    let Some(mut lab) = Lab::prepare("twin", Options::default()) else {
        return;
    };
    std::fs::create_dir(lab.path("state")).unwrap();
    std::fs::write(lab.path("state").join("node.json"), "7").unwrap();
    lab.store_put("/weft/v1/node-ids/7", &"twin".into());
    lab.start_agent();
    wait_for("the clash to be seen", || {
        !lab.describe().not_ready.is_empty()
    });
    assert!(!lab.is_ready());
    let reasons = lab.describe().not_ready;
    assert!(
        reasons[0].contains("number 7 of this node belongs to node `twin`"),
        "{reasons:?}"
    );
    assert_eq!(
        lab.store_get("/weft/v1/nodes/node-1"),
        None,
        "it was published"
    );
    lab.store_delete("/weft/v1/node-ids/7");
    wait_for("the number to be the node's", || lab.is_ready());
}

#[test]
fn an_uplink_that_loses_its_carrier_is_reported() {
    let name = format!("wu{}", std::process::id() % 100_000);
    let (near, far) = (format!("{name}a"), format!("{name}b"));
    let options = Options {
        uplink: Some(near.clone()),
        ..Options::default()
    };
    let Some(mut lab) = Lab::prepare("carrier", options) else {
        return;
    };
    let ip = |arguments: &str| {
        let done = std::process::Command::new("ip")
            .args(arguments.split(' '))
            .status();
        assert!(done.unwrap().success(), "ip {arguments}");
    };
    ip(&format!("link add {near} up type veth peer name {far}"));
    ip(&format!("link set {far} up"));
    lab.start_agent();
    wait_for("the node to be ready", || lab.is_ready());
    let uplink = |lab: &Lab| {
        let state = lab.describe();
        let interface = state.interfaces.iter().find(|i| i.tag == "weft/uplink");
        (
            state.connected.get("uplink").copied(),
            interface.map(|i| i.up),
        )
    };
    wait_for("the uplink to be up", || {
        uplink(&lab) == (Some(true), Some(true))
    });
    ip(&format!("link set {far} down"));
    wait_for("the loss", || uplink(&lab) == (Some(false), Some(false)));
    ip(&format!("link set {far} up"));
    wait_for("the return", || uplink(&lab) == (Some(true), Some(true)));
    ip(&format!("link del {near}"));
    wait_for("the device's end", || uplink(&lab).0 == Some(false));
}
