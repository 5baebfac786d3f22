//! A small cluster for the tests: two nodes, client and firewall on the first, limiter and server on
//! the second.

use std::collections::BTreeMap;

use model::{
    AttachedInterface, Attachment, ChainSpec, ClassifierSpec, ClusterConfig, HopSpec,
    InterfaceKind, MacAddr, NodeName, ObjectName, OnFailure, PodRecord, ReturnPath, Selector,
};

use crate::facts::Facts;

pub(crate) fn chain_name() -> ObjectName {
    ObjectName::parse("default", "web").unwrap()
}

pub(crate) fn select(label: &str, value: &str) -> Selector {
    Selector {
        match_labels: BTreeMap::from([(label.to_owned(), value.to_owned())]),
        match_expressions: Vec::new(),
    }
}

pub(crate) fn spec() -> ChainSpec {
    let hop = |name: &str, on_failure| HopSpec {
        name: name.to_owned(),
        pod_selector: select("cnf", name),
        input: "left".to_owned(),
        output: "right".to_owned(),
        on_failure,
    };
    ChainSpec {
        generation: 1,
        classifier: ClassifierSpec {
            module: "web.wasm".to_owned(),
            config: serde_json::json!({}),
        },
        steering: None,
        source: select("app", "client"),
        destination: Some(select("app", "server")),
        hops: vec![
            hop("firewall", OnFailure::FailClosed),
            hop("limiter", OnFailure::FailOpen),
        ],
        return_path: ReturnPath::Symmetric,
    }
}

pub(crate) fn cluster() -> Facts {
    let mut facts = Facts {
        config: Some(ClusterConfig {
            pod_cidr: "10.1.0.0/16".parse().unwrap(),
            node_prefix_len: 24,
            vxlan_cidr: "192.168.30.0/24".parse().unwrap(),
            chain_cidr: "192.168.64.0/18".parse().unwrap(),
            vxlan_vni: 10,
            chain_vni_base: 4096,
            mtu: 1450,
        }),
        ..Facts::default()
    };
    for (name, label, node, last) in [
        ("client", ("app", "client"), "n1", 1),
        ("firewall", ("cnf", "firewall"), "n1", 2),
        ("limiter", ("cnf", "limiter"), "n2", 1),
        ("server", ("app", "server"), "n2", 2),
    ] {
        add_pod(&mut facts, name, label, node, last);
    }
    facts
}

pub(crate) fn add_pod(facts: &mut Facts, name: &str, label: (&str, &str), node: &str, last: u8) {
    let pod = ObjectName::parse("default", name).unwrap();
    let node_name = NodeName::parse(node).unwrap();
    let subnet = if node == "n1" { 1 } else { 2 };
    let interface = |name: &str, kind, addresses| AttachedInterface {
        name: name.to_owned(),
        kind,
        mac: MacAddr([2, 0, 0, 0, subnet, last]),
        addresses,
    };
    let mut interfaces = vec![interface(
        "eth0",
        InterfaceKind::Tap,
        vec![[10, 1, subnet, last].into()],
    )];
    if label.0 == "cnf" {
        interfaces.push(interface("left", InterfaceKind::Memif, Vec::new()));
        interfaces.push(interface("right", InterfaceKind::Memif, Vec::new()));
    }
    let record = PodRecord {
        uid: format!("uid-{name}"),
        node: Some(node_name.clone()),
        labels: BTreeMap::from([(label.0.to_owned(), label.1.to_owned())]),
        interfaces: Vec::new(),
    };
    let container_id = format!("c-{name}");
    facts.pods.insert(pod.clone(), record);
    facts.attachments.insert(
        pod.clone(),
        Attachment {
            pod,
            node: node_name,
            container_id,
            interfaces,
        },
    );
}
