//! A steering module decides which instance serves a hop, and packets go there.

use crate::lab::{Lab, succeed};

const PODS: &str = r"
apiVersion: v1
kind: Pod
metadata: {name: client, labels: {app: client}}
spec:
  nodeSelector: {kubernetes.io/hostname: node-1}
  containers: [{name: c, command: [sleep, infinity]}]
---
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  nodeSelector: {kubernetes.io/hostname: node-2}
  containers: [{name: c, command: [weft, probe, serve, --udp, '443']}]
---
apiVersion: v1
kind: ConfigMap
metadata: {name: limits}
data: {limiter.yaml: 'pps: 5000'}
";

/// An instance of the hop.
fn instance(name: &str, node: u32) -> String {
    format!(
        r"
apiVersion: v1
kind: Pod
metadata:
  name: {name}
  labels: {{cnf: limiter}}
  annotations: {{weft.dev/interfaces: 'left/memif/stub, right/memif/stub'}}
spec:
  nodeSelector: {{kubernetes.io/hostname: node-{node}}}
  containers:
    - name: c
      command: [rate-limiter, --config, /run/config/limiter.yaml]
      volumeMounts: [{{name: config, mountPath: /run/config}}]
  volumes: [{{name: config, configMap: {{name: limits}}}}]
"
    )
}

fn chain(steering: &str) -> String {
    format!(
        r"
apiVersion: weft.dev/v1alpha1
kind: ServiceFunctionChain
metadata: {{name: web}}
spec:
  classifier: {{module: web-classifier.wasm, config: {{udpPorts: [443]}}}}
  source: {{podSelector: {{matchLabels: {{app: client}}}}}}
  destination: {{podSelector: {{matchLabels: {{app: server}}}}}}
  {steering}
  hops:
    - name: limiter
      podSelector: {{matchLabels: {{cnf: limiter}}}}
      input: left
      output: right
      onFailure: FailClosed
  return: Symmetric
"
    )
}

const INSTANCES: [&str; 2] = ["default/a-far", "default/b-near"];

/// Sends until all packets of a volley pass `expected` both ways; the other instance sees none of it.
fn passes(lab: &Lab, server: &str, expected: &str) {
    const VOLLEY: u32 = 30;
    let seen = |instance: &str| {
        let is_up = lab.status()["pods"][instance]["process"]["pid"].is_u64();
        if is_up {
            lab.received(instance)
        } else {
            [0, 0]
        }
    };
    netns::eventually(
        &format!("packets take their way through {expected}"),
        || {
            let before = INSTANCES.map(seen);
            let sent = lab.traffic("default/client", server, 443, VOLLEY);
            let after = INSTANCES.map(seen);
            let passed: Vec<_> = (0..2)
                .map(|at| [0, 1].map(|port| after[at][port].saturating_sub(before[at][port])))
                .collect();
            (sent["lost"].as_u64(), passed)
        },
        |(lost, passed)| {
            let wanted = INSTANCES.map(|instance| {
                let share = if instance == expected { VOLLEY } else { 0 };
                [u64::from(share); 2]
            });
            *lost == Some(0) && *passed == wanted
        },
    );
}

#[test]
fn packets_go_to_the_instance_that_the_steering_module_picks() {
    let name = "packets_go_to_the_instance_that_the_steering_module_picks";
    let Some(lab) = Lab::start(name, 2) else {
        return;
    };
    let [far, near] = [instance("a-far", 2), instance("b-near", 1)];
    succeed(lab.apply(&[PODS, &far, &chain("")].join("\n---\n")));
    // Without steering a hop stays with the instance that it has.
    succeed(lab.apply(&near));
    let server = lab.address("default/server");
    passes(&lab, &server, "default/a-far");

    let steering = "steering: {module: least-loaded.wasm, config: {near: true}}";
    succeed(lab.apply(&chain(steering)));
    passes(&lab, &server, "default/b-near");

    succeed(lab.weft(&["lab", "stop", "default/b-near"]));
    passes(&lab, &server, "default/a-far");

    // A pod that was left because it was down counts again once it is attached anew.
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("near.yaml");
    std::fs::write(&file, &near).unwrap();
    succeed(lab.weft(&["lab", "delete", file.to_str().unwrap()]));
    succeed(lab.apply(&near));
    passes(&lab, &server, "default/b-near");
}
