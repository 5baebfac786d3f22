use super::*;

fn nodes() -> Vec<NodeName> {
    ["node-1", "node-2"]
        .iter()
        .map(|n| NodeName::parse(n).unwrap())
        .collect()
}

fn apply(cluster: &Cluster, text: &str) -> Result<Cluster, Vec<String>> {
    let nodes = nodes();
    let facts = Facts {
        nodes: &nodes,
        has_module: &|module| module == "web.wasm",
        has_path: &|path| path == Path::new("/etc"),
    };
    cluster.apply(&[(PathBuf::from("m.yaml"), text.to_owned())], &facts)
}

fn refused(text: &str) -> String {
    apply(&Cluster::default(), text).unwrap_err().join("\n")
}

fn pod(name: &str, more: &str) -> String {
    format!(
        "---\napiVersion: v1\nkind: Pod\nmetadata: {{name: {name}, labels: {{app: {name}}}, annotations: {{weft.dev/interfaces: 'left/memif/stub,right/memif/stub'}}}}\nspec: {{containers: [{{name: c, command: [x]}}]{more}}}\n"
    )
}

fn chain(module: &str, hop: &str) -> String {
    format!(
        "---\napiVersion: weft.dev/v1alpha1\nkind: ServiceFunctionChain\nmetadata: {{name: web}}\nspec:\n  classifier: {{module: {module}}}\n  source: {{podSelector: {{matchLabels: {{app: a}}}}}}\n  hops:\n  - {{name: h, podSelector: {{matchLabels: {{app: b}}}}, {hop}, onFailure: FailOpen}}\n"
    )
}

#[test]
fn pods_spread_over_the_nodes_and_stay_where_they_are() {
    let first = apply(
        &Cluster::default(),
        &(pod("a", "") + &pod("b", ", nodeName: node-1")),
    )
    .unwrap();
    let second = apply(&first, &(pod("c", "") + &pod("0", ""))).unwrap();
    let placed = |c: &Cluster| {
        c.pods()
            .iter()
            .map(|(n, p)| format!("{}@{}", n.name, p.node))
            .collect::<Vec<_>>()
            .join(" ")
    };
    assert_eq!(placed(&first), "a@node-1 b@node-1");
    assert_eq!(placed(&second), "0@node-1 a@node-1 b@node-1 c@node-2");
    let pod = &first.pods().values().next().unwrap().pod;
    assert_eq!(
        pod.spec.as_ref().unwrap().node_name.as_deref(),
        Some("node-1")
    );
}

#[test]
fn a_deployment_is_its_replicas_and_shrinks_when_told() {
    let deployment = |replicas: u32| {
        format!(
            "apiVersion: apps/v1\nkind: Deployment\nmetadata: {{name: web}}\nspec:\n  replicas: {replicas}\n  selector: {{matchLabels: {{app: web}}}}\n  template:\n    metadata: {{labels: {{app: web}}}}\n    spec: {{containers: [{{name: c, command: [x]}}]}}\n"
        )
    };
    let names = |c: &Cluster| c.pods().keys().map(|n| n.name.clone()).collect::<Vec<_>>();
    let three = apply(&Cluster::default(), &deployment(3)).unwrap();
    assert_eq!(names(&three), ["web-1", "web-2", "web-3"]);
    assert_eq!(names(&apply(&three, &deployment(1)).unwrap()), ["web-1"]);
}

#[test]
fn what_cannot_work_is_refused_as_a_whole_with_place_and_remedy() {
    let wires = "input: left, output: right";
    for (text, expected) in [
        (pod("a", ", nodeName: node-9"), "m.yaml:2: Pod `default/a`: `spec.nodeName`: node `node-9` does not exist; hint: use one of node-1, node-2"),
        (pod("a", ", nodeSelector: {gpu: 'yes'}"), "no node has label `gpu`"),
        (chain("none.wasm", wires), "module `none.wasm` does not exist"),
        (pod("b", "") + &chain("web.wasm", "input: left, output: wan"), "`spec.hops[0]`: no selected pod has interface `wan`; hint: pod `default/b` has: left, right"),
        (chain("web.wasm", "input: left, output: left"), "input and output are both `left`"),
        (chain("web.wasm", "input: left, outptu: right"), "m.yaml:9: unknown field `outptu`"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a, namespace: none}\nspec: {containers: [{name: c, command: [x]}]}\n".to_owned(), "namespace `none` does not exist"),
        ("apiVersion: v1\nkind: Pod\nmetadata: {name: a, annotations: {weft.dev/interfaces: l/vhost}}\nspec: {containers: [{name: c, command: [x]}]}\n".to_owned(), "interface type `vhost`"),
        (pod("a", ", volumes: [{name: v, configMap: {name: m}}]").replace("[x]", "[x], volumeMounts: [{name: v, mountPath: /run/m}]"), "ConfigMap `m` does not exist"),
        (pod("a", ", volumes: [{name: v, emptyDir: {}}]").replace("[x]", "[x], volumeMounts: [{name: v, mountPath: /nowhere}]"), "mount point `/nowhere` does not exist"),
        (pod("a", "") + &pod("a", ""), "already defined"),
    ] {
        let message = refused(&text);
        assert!(message.contains(expected), "expected: {expected}\ngot: {message}");
    }
}

#[test]
fn every_mistake_of_a_set_is_told_at_once() {
    let text =
        pod("a", "").replace("[x]", "[]") + &chain("none.wasm", "input: left, output: right");
    let message = refused(&text);
    assert!(
        message.contains("command` is missing") && message.contains("none.wasm"),
        "{message}"
    );
}

#[test]
fn every_example_chain_of_the_repository_is_accepted() {
    let chains = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../chains");
    let mut found = 0;
    for entry in std::fs::read_dir(&chains).unwrap() {
        let directory = entry.unwrap().path();
        let files = crate::lab::client::read(&directory).unwrap();
        let nodes = nodes();
        let facts = Facts {
            nodes: &nodes,
            has_module: &|_| true,
            has_path: &|_| true,
        };
        let cluster = Cluster::default().apply(&files, &facts);
        let cluster =
            cluster.unwrap_or_else(|e| panic!("{}: {}", directory.display(), e.join("\n")));
        assert!(
            cluster
                .documents()
                .iter()
                .any(|(kind, ..)| *kind == "ServiceFunctionChain")
        );
        let scenario = directory.join(crate::lab::client::SCENARIO_FILE);
        if scenario.exists() {
            crate::lab::demo::Scenario::read(&scenario).unwrap();
        }
        found += 1;
    }
    assert!(found > 0);
}
