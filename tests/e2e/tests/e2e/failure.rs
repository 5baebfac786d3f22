//! What fails, and what happens then (DESIGN section 9), on traffic that goes on meanwhile.

use serde_json::Value;

use crate::lab::{Lab, report, succeed};

const CLIENT: &str = "quickstart/client";
const SERVER: &str = "quickstart/server";

fn restarted(lab: &Lab, process: &str, former: Option<i64>) -> i64 {
    let found = netns::eventually(
        "the process runs again",
        || lab.process_id(process),
        |pid| pid.is_some() && *pid != former,
    );
    found.unwrap()
}

#[test]
fn a_killed_agent_costs_no_packet_and_leaves_no_double_state() {
    let Some(lab) = Lab::quickstart("a_killed_agent_costs_no_packet_and_leaves_no_double_state")
    else {
        return;
    };
    let server = lab.address(SERVER);
    let before = lab.node_status("node-1");
    let sender = lab.start_traffic(CLIENT, &server, 443, 500, 2000);
    let agent = lab.process_id("agent@node-1");
    succeed(lab.weft(&["lab", "kill", "agent@node-1"]));
    restarted(&lab, "agent@node-1", agent);
    let sent = report(sender);
    assert_eq!(
        (&sent["sent"], &sent["lost"], &sent["duplicated"]),
        (&2000.into(), &0.into(), &0.into()),
        "{sent:#}"
    );
    netns::eventually(
        "the agent adopts what is there",
        || lab.node_status("node-1"),
        |now| now["applied"] == before["applied"] && now["desired"] == before["desired"],
    );
    let interfaces = |state: &Value| state["interfaces"].as_array().map(Vec::len);
    assert_eq!(interfaces(&lab.node_status("node-1")), interfaces(&before));
}

#[test]
fn a_killed_vswitch_comes_back_with_the_same_pods() {
    let Some(lab) = Lab::quickstart("a_killed_vswitch_comes_back_with_the_same_pods") else {
        return;
    };
    let (client, server) = (lab.address(CLIENT), lab.address(SERVER));
    let vswitch = lab.process_id("vswitch@node-2");
    succeed(lab.weft(&["lab", "kill", "vswitch@node-2"]));
    restarted(&lab, "vswitch@node-2", vswitch);
    for port in [7000, 443] {
        netns::eventually(
            "traffic flows again",
            || lab.traffic(CLIENT, &server, port, 20),
            |sent| sent["lost"] == 0,
        );
    }
    assert_eq!((lab.address(CLIENT), lab.address(SERVER)), (client, server));
}

#[test]
fn new_pods_come_up_while_the_store_is_away() {
    let Some(lab) = Lab::start("new_pods_come_up_while_the_store_is_away", 1) else {
        return;
    };
    let pod = |name: &str, command: &str| {
        format!(
            "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}}}\nspec: {{containers: [{{name: c, command: [{command}]}}]}}\n"
        )
    };
    succeed(lab.apply(&pod("server", "weft, probe, serve, --udp, '7000'")));
    succeed(lab.weft(&["lab", "stop", "store"]));
    netns::eventually(
        "the store is gone",
        || lab.process_id("store"),
        Option::is_none,
    );
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("late.yaml");
    std::fs::write(&file, pod("late", "sleep, infinity")).unwrap();
    // Without waiting for readiness: that asks the store.
    succeed(lab.weft(&["lab", "apply", "--wait", "0", file.to_str().unwrap()]));
    netns::eventually(
        "the pod runs",
        || lab.status()["pods"]["default/late"]["process"]["pid"].as_i64(),
        Option::is_some,
    );
    let server = lab.address("default/server");
    let sent = lab.traffic("default/late", &server, 7000, 50);
    assert_eq!(sent["lost"], 0, "{sent:#}");
    succeed(lab.weft(&["lab", "start", "store"]));
    netns::eventually(
        "the store answers again",
        || lab.status()["store_problem"].clone(),
        Value::is_null,
    );
}
