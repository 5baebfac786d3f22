//! The quickstart: `weft lab run` says itself, with numbers, whether everything was seen.

use crate::lab::{Lab, succeed, weft};

#[test]
fn the_quickstart_demo_sees_all_that_it_promises() {
    let Some(lab) = Lab::start("the_quickstart_demo_sees_all_that_it_promises", 1) else {
        return;
    };
    // Another lab at the same time: they must not know of each other.
    let output = weft(&["lab", "run", "chains/quickstart"]);
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{text}\n{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert!(text.contains("checks passed, on real packets"), "{text}");
    assert!(
        lab.status()["nodes"]
            .as_array()
            .is_some_and(|n| n.len() == 1)
    );
}

#[test]
fn a_chain_that_is_deleted_leaves_its_traffic_going_straight() {
    let Some(lab) = Lab::quickstart("a_chain_that_is_deleted_leaves_its_traffic_going_straight")
    else {
        return;
    };
    let server = lab.address("quickstart/server");
    assert_eq!(
        lab.traffic("quickstart/client", &server, 443, 100)["lost"],
        0
    );
    succeed(lab.weft(&["lab", "delete", "chains/quickstart/20-chain.yaml"]));
    // Port 8080 is denied by the firewall, so an answer proves the straight way.
    netns::eventually(
        "the denied port is reached without the chain",
        || {
            let send = [
                "lab",
                "exec",
                "quickstart/client",
                "--",
                "weft",
                "probe",
                "send",
            ];
            let more = [
                "--proto", "http", "--target", &server, "--port", "8080", "--count", "1",
            ];
            let output = lab.weft(&[&send[..], &more[..]].concat());
            let report: serde_json::Value =
                serde_json::from_slice(&output.stdout).unwrap_or_default();
            report["received"].as_u64()
        },
        |received| *received == Some(1),
    );
}
