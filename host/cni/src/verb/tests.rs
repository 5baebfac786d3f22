use std::collections::BTreeMap;

use expect_test::{Expect, expect};

use super::*;

const CONF: &str = r#"{"cniVersion":"1.1.0","name":"weft","type":"weft-cni","agentSocket":"/nonexistent/agent.sock"}"#;

fn check(vars: &[(&str, &str)], input: &str, expected: &Expect) {
    let vars: BTreeMap<&str, &str> = vars.iter().copied().collect();
    let env = |name: &str| vars.get(name).map(|v| (*v).to_owned());
    let seen = match run(&env, input.as_bytes()) {
        Ok(value) => value.map(|v| v.to_string()).unwrap_or_default(),
        Err(error) => error.to_json(input.as_bytes()).to_string(),
    };
    expected.assert_eq(&seen);
}

const ADD: [(&str, &str); 4] = [
    ("CNI_COMMAND", "ADD"),
    ("CNI_CONTAINERID", "c1"),
    ("CNI_NETNS", "/run/netns/x"),
    ("CNI_IFNAME", "eth0"),
];

#[test]
fn version_needs_only_the_command_and_echoes_what_was_asked() {
    check(
        &[("CNI_COMMAND", "VERSION")],
        r#"{"cniVersion":"1.0.0"}"#,
        &expect![[r#"{"cniVersion":"1.0.0","supportedVersions":["0.3.0","0.3.1","0.4.0","1.0.0","1.1.0"]}"#]],
    );
}

#[test]
fn wrong_calls_are_refused_with_the_code_of_the_specification() {
    check(&[], CONF, &expect![[r#"{"cniVersion":"1.1.0","code":4,"details":"","msg":"environment variable `CNI_COMMAND` is missing"}"#]]);
    check(&[("CNI_COMMAND", "FROB")], CONF, &expect![[r#"{"cniVersion":"1.1.0","code":4,"details":"","msg":"environment variable `CNI_COMMAND` is `FROB`; hint: use ADD, DEL, CHECK, GC, STATUS or VERSION"}"#]]);
    check(&ADD[..3], CONF, &expect![[r#"{"cniVersion":"1.1.0","code":4,"details":"","msg":"environment variable `CNI_IFNAME` is missing"}"#]]);
    check(&ADD, "{nope", &expect![[r#"{"cniVersion":"1.1.0","code":6,"details":"key must be a string at line 1 column 2","msg":"network configuration is no JSON"}"#]]);
    check(
        &ADD,
        r#"{"cniVersion":"99.0.0","name":"weft"}"#,
        &expect![[r#"{"cniVersion":"1.1.0","code":1,"details":"","msg":"cniVersion `99.0.0` is not supported; hint: use one of 0.3.0, 0.3.1, 0.4.0, 1.0.0, 1.1.0"}"#]],
    );
    check(&ADD, r#"{"cniVersion":"1.1.0"}"#, &expect![[r#"{"cniVersion":"1.1.0","code":7,"details":"","msg":"network configuration: field `name` is ``; hint: name the network with letters, digits, `_`, `.`, `-`"}"#]]);
    check(
        &[("CNI_COMMAND", "STATUS")],
        r#"{"cniVersion":"1.0.0","name":"weft"}"#,
        &expect![[r#"{"cniVersion":"1.0.0","code":1,"details":"","msg":"STATUS exists since cniVersion 1.1.0, the configuration says 1.0.0"}"#]],
    );
    check(&[("CNI_COMMAND", "GC")], CONF, &expect![[r#"{"cniVersion":"1.1.0","code":7,"details":"","msg":"network configuration: `cni.dev/valid-attachments` is missing"}"#]]);
}

#[test]
fn an_agent_that_is_away_is_a_reason_to_try_again() {
    check(&ADD, CONF, &expect![[r#"{"cniVersion":"1.1.0","code":11,"details":"transport error","msg":"agent at `/nonexistent/agent.sock` does not answer; hint: is the node's agent running?"}"#]]);
    check(&[("CNI_COMMAND", "STATUS")], CONF, &expect![[r#"{"cniVersion":"1.1.0","code":50,"details":"","msg":"plugin cannot serve: agent at `/nonexistent/agent.sock` does not answer; hint: is the node's agent running?"}"#]]);
}
