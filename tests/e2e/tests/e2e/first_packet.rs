//! The very first packet of a pod: it arrives, and it takes the chain.

use serde_json::Value;

use crate::lab::{Lab, succeed};

const ROUNDS: u32 = 6;

/// A pod that sends one datagram as its first act.
fn sender(namespace: &str, name: &str, node: u32, target: &str, port: u16) -> String {
    let send = format!(
        "weft probe send --proto udp --target {target} --port {port} --count 1 --wait 3 --report /run/weft/first.json; sleep infinity"
    );
    format!(
        "apiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, namespace: {namespace}, labels: {{app: client}}}}\nspec:\n  nodeSelector: {{kubernetes.io/hostname: node-{node}}}\n  containers: [{{name: c, command: [sh, -c, \"{send}\"]}}]\n"
    )
}

/// What a sender reports, once it has.
fn first_report(lab: &Lab, pod: &str) -> Value {
    netns::eventually(
        "the pod reports its first packet",
        || {
            let arguments = ["lab", "exec", pod, "--", "cat", "/run/weft/first.json"];
            let output = lab.weft(&arguments);
            serde_json::from_slice::<Value>(&output.stdout).unwrap_or_default()
        },
        |report| report["sent"].is_u64(),
    )
}

/// Every other pod is on a node that had no source of the chain before, which costs that node an end.
#[test]
fn the_first_packet_of_a_new_source_takes_the_chain() {
    let Some(lab) = Lab::quickstart("the_first_packet_of_a_new_source_takes_the_chain") else {
        return;
    };
    let server = lab.address("quickstart/server");
    for round in 1..=ROUNDS {
        let before = ["quickstart/firewall", "quickstart/limiter"].map(|cnf| lab.received(cnf));
        let name = format!("late-{round}");
        let manifest = sender("quickstart", &name, 1 + round % 2, &server, 443);
        succeed(lab.apply(&manifest));
        let report = first_report(&lab, &format!("quickstart/{name}"));
        assert_eq!(report["lost"], 0, "round {round}: {report:#}");
        let after = ["quickstart/firewall", "quickstart/limiter"].map(|cnf| lab.received(cnf));
        for (before, after) in before.iter().zip(&after) {
            let passed = [after[0] - before[0], after[1] - before[1]];
            assert_eq!(passed, [1, 1], "round {round}: question and answer");
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("late.yaml");
        std::fs::write(&file, manifest).unwrap();
        succeed(lab.weft(&["lab", "delete", file.to_str().unwrap()]));
    }
}

#[test]
fn the_first_packet_to_another_node_is_answered() {
    let Some(lab) = Lab::start("the_first_packet_to_another_node_is_answered", 2) else {
        return;
    };
    let server = "apiVersion: v1\nkind: Pod\nmetadata: {name: server}\nspec:\n  nodeSelector: {kubernetes.io/hostname: node-2}\n  containers: [{name: c, command: [weft, probe, serve, --udp, '7000']}]\n";
    succeed(lab.apply(server));
    for node in ["node-1", "node-2"] {
        netns::eventually(
            "the nodes know each other",
            || lab.node_status(node),
            |state| {
                let interfaces = state["interfaces"].as_array();
                let has_tunnel = interfaces.is_some_and(|all| {
                    all.iter().any(|i| {
                        i["tag"]
                            .as_str()
                            .is_some_and(|t| t.starts_with("weft/mesh/"))
                    })
                });
                has_tunnel && state["applied"] == state["desired"]
            },
        );
    }
    let target = lab.address("default/server");
    succeed(lab.apply(&sender("default", "first", 1, &target, 7000)));
    let report = first_report(&lab, "default/first");
    assert_eq!(
        (&report["sent"], &report["lost"]),
        (&1.into(), &0.into()),
        "{report:#}"
    );
}
