//! Facts and chains for tests, from one line of text.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use model::rendered::EndPod;
use model::{
    ChainEnd, ClusterConfig, FlowAction, FlowMatch, FlowProtocol, FlowRule, InterfaceKind, MacAddr,
    NetworkRef, NodeId, NodeName, NodeRecord, ObjectName, OnFailure, PortRange, RenderedChain,
    RenderedHop, ReturnPath, Segment,
};

use crate::object::{IfTag, Objects};
use crate::text::fnv;
use crate::{Facts, LocalPod, PodInterface, Uplink, node, pod};

/// A cluster and a chain through it: `source@n1 .. | hop@n1! hop@n2? .. | destination@n2 ..`, where
/// `!` fails closed, `?` fails open, and `*` as the destination leaves it open.
pub(crate) struct Scene {
    pub(crate) chain: RenderedChain,
    pub(crate) nodes: BTreeMap<NodeName, NodeRecord>,
    /// Pods with their nodes, in the order of the text.
    pods: Vec<(NodeName, LocalPod)>,
    /// Pods whose links are down.
    pub(crate) down: BTreeSet<String>,
    /// Pods that are no longer attached.
    pub(crate) gone: BTreeSet<String>,
}

pub(crate) fn scene(text: &str) -> Scene {
    let [sources, hops, destinations] = [0, 1, 2].map(|part| {
        let part = text.split('|').nth(part).unwrap();
        part.split_whitespace().collect::<Vec<_>>()
    });
    let nodes = (1..=3).map(|id| (node_name(id), record(id))).collect();
    let mut scene = Scene {
        chain: chain_of(&hops),
        nodes,
        pods: Vec::new(),
        down: BTreeSet::new(),
        gone: BTreeSet::new(),
    };
    for text in sources.iter().chain(&destinations).filter(|t| **t != "*") {
        scene.add_pod(text, &[]);
    }
    for text in &hops {
        scene.add_pod(text.trim_end_matches(['!', '?']), &["left", "right"]);
    }
    scene.chain.entries = scene.ends(1, &sources);
    scene.chain.open_destination = destinations == ["*"];
    scene.chain.exits = if scene.chain.open_destination {
        let node = scene.chain.hops.last().unwrap().node.clone();
        vec![end(2, &node, Vec::new())]
    } else {
        scene.ends(2, &destinations)
    };
    scene
}

impl Scene {
    pub(crate) fn with_return(mut self, return_path: ReturnPath) -> Self {
        self.chain.return_path = return_path;
        self
    }

    pub(crate) fn with_down(mut self, pods: &[&str]) -> Self {
        self.down = pods.iter().map(|p| (*p).to_owned()).collect();
        self
    }

    pub(crate) fn with_gone(mut self, pods: &[&str]) -> Self {
        self.gone = pods.iter().map(|p| (*p).to_owned()).collect();
        self
    }

    pub(crate) fn with_rules(mut self, rules: Vec<FlowRule>) -> Self {
        self.chain.rules = rules;
        self
    }

    pub(crate) fn add_pod(&mut self, text: &str, memifs: &[&str]) {
        let (name, node) = text.split_once('@').unwrap();
        let node = NodeName::parse(node).unwrap();
        let id = self.nodes[&node].id.0;
        let number = 2 + self.pods.iter().filter(|(n, _)| *n == node).count();
        let address = format!("10.1.{id}.{number}").parse().unwrap();
        let pod = local_pod(name, u32::try_from(number).unwrap(), address, memifs);
        self.pods.push((node, pod));
    }

    pub(crate) fn pod(&self, name: &str) -> (&NodeName, &LocalPod) {
        let found = self.pods.iter().find(|(_, p)| p.container_id == name);
        found.map(|(node, pod)| (node, pod)).unwrap()
    }

    pub(crate) fn pod_mut(&mut self, name: &str) -> &mut LocalPod {
        let found = self.pods.iter_mut().find(|(_, p)| p.container_id == name);
        found.map(|(_, pod)| pod).unwrap()
    }

    /// What node `name` knows.
    pub(crate) fn facts(&self, name: &NodeName) -> Facts {
        let here: Vec<&LocalPod> = self
            .pods
            .iter()
            .filter(|(node, pod)| node == name && !self.gone.contains(&pod.container_id))
            .map(|(_, pod)| pod)
            .collect();
        let up = here.iter().filter(|p| !self.down.contains(&p.container_id));
        Facts {
            links_up: up
                .flat_map(|p| {
                    p.interfaces
                        .iter()
                        .map(|i| pod::tag(&p.container_id, &i.name))
                })
                .collect(),
            pods: here
                .iter()
                .map(|p| (p.container_id.clone(), (*p).clone()))
                .collect(),
            nodes: self.nodes.clone(),
            ..facts(self.nodes[name].id.0)
        }
    }

    /// Everything that node `name` should have.
    pub(crate) fn desired(&self, name: &NodeName) -> Objects {
        let facts = self.facts(name);
        let mut objects = node::base(&facts).unwrap();
        for peer in facts.nodes.values() {
            objects.extend(node::peer(&facts, peer));
        }
        for local in facts.pods.values() {
            objects.extend(pod::pod(&facts, local));
        }
        objects.extend(crate::chain::chain(&facts, &self.chain));
        objects.extend(crate::chain::drops(&facts, [&self.chain]));
        objects
    }

    pub(crate) fn listing(&self, objects: &Objects) -> String {
        self.readable(crate::text::listing(objects))
    }

    /// The text with pods called by name.
    pub(crate) fn readable(&self, mut text: String) -> String {
        for (_, pod) in &self.pods {
            let name = pod.container_id.as_str();
            text = text.replace(&format!("{:016x}", fnv(&[name])), name);
        }
        text
    }

    fn ends(&self, side: u8, pods: &[&str]) -> Vec<ChainEnd> {
        let mut by_node: BTreeMap<&NodeName, Vec<EndPod>> = BTreeMap::new();
        for text in pods {
            let (node, pod) = self.pod(text.split('@').next().unwrap());
            by_node.entry(node).or_default().push(EndPod {
                pod: pod.pod.clone().unwrap(),
                addresses: pod.interfaces[0].addresses.clone(),
            });
        }
        by_node
            .into_iter()
            .map(|(node, pods)| end(side, node, pods))
            .collect()
    }
}

/// A node that knows nobody.
pub(crate) fn facts(id: u16) -> Facts {
    Facts {
        node: node_name(id),
        id: NodeId(id),
        cluster: cluster(),
        uplink: Some(Uplink {
            interface: "eth1".to_owned(),
            address: format!("192.168.16.{id}/24").parse().unwrap(),
        }),
        nodes: BTreeMap::new(),
        pods: BTreeMap::new(),
        links_up: BTreeSet::new(),
    }
}

pub(crate) fn node_name(id: u16) -> NodeName {
    NodeName::parse(&format!("n{id}")).unwrap()
}

pub(crate) fn record(id: u16) -> NodeRecord {
    let id = NodeId(id);
    NodeRecord {
        name: node_name(id.0),
        id,
        underlay: format!("192.168.16.{id}").parse().unwrap(),
        pod_cidr: cluster().node_pod_cidr(id).unwrap(),
        vxlan_address: cluster().vxlan_address(id).unwrap().addr(),
        vxlan_mac: node::mesh_mac(id),
        uplink_mac: None,
    }
}

pub(crate) fn local_pod(name: &str, socket: u32, address: IpAddr, memifs: &[&str]) -> LocalPod {
    let interface = |(index, name): (u8, &str)| PodInterface {
        name: name.to_owned(),
        kind: InterfaceKind::Memif,
        network: NetworkRef::Stub,
        mac: MacAddr([2, 1, 0, 0, u8::try_from(socket).unwrap(), index]),
        gateway_mac: MacAddr([2, 2, 0, 0, u8::try_from(socket).unwrap(), index]),
        addresses: Vec::new(),
        memif_id: u32::from(index),
        attached_by: "eth0".to_owned(),
    };
    let default = PodInterface {
        kind: InterfaceKind::Tap,
        network: NetworkRef::Default,
        addresses: vec![address],
        memif_id: 0,
        ..interface((9, "eth0"))
    };
    let extra = (0..).zip(memifs.iter().copied()).map(interface);
    LocalPod {
        container_id: name.to_owned(),
        pod: Some(ObjectName::parse("default", name).unwrap()),
        labels: None,
        netns: format!("/run/netns/{name}"),
        socket,
        socket_path: format!("/run/weft/pods/{name}/memif.sock"),
        interfaces: std::iter::once(default).chain(extra).collect(),
    }
}

/// A rule on a TCP port, or on everything for port 0.
pub(crate) fn rule(priority: u32, port: u16, action: FlowAction) -> FlowRule {
    let (protocol, dst_ports) = match port {
        0 => (FlowProtocol::Any, PortRange::ANY),
        port => (FlowProtocol::Tcp, PortRange::one(port)),
    };
    FlowRule {
        id: format!("{action:?}-{port}"),
        priority,
        matches: FlowMatch {
            src: None,
            dst: None,
            protocol,
            src_ports: PortRange::ANY,
            dst_ports,
        },
        action,
    }
}

pub(crate) fn tag_of(pod: &str, interface: &str) -> IfTag {
    pod::tag(pod, interface)
}

fn chain_of(hops: &[&str]) -> RenderedChain {
    let hop = |text: &&str| {
        let (name, node) = text.split_once('@').unwrap();
        RenderedHop {
            name: name.to_owned(),
            pod: ObjectName::parse("default", name).unwrap(),
            node: NodeName::parse(node.trim_end_matches(['!', '?'])).unwrap(),
            input: "left".to_owned(),
            output: "right".to_owned(),
            on_failure: match node.ends_with('?') {
                true => OnFailure::FailOpen,
                false => OnFailure::FailClosed,
            },
        }
    };
    let vnis = 4096..=4096 + u32::try_from(hops.len()).unwrap();
    RenderedChain {
        chain: ObjectName::parse("default", "web").unwrap(),
        generation: 1,
        rules: vec![rule(10, 80, FlowAction::EnterChain)],
        return_path: ReturnPath::Symmetric,
        entries: Vec::new(),
        exits: Vec::new(),
        hops: hops.iter().map(hop).collect(),
        segments: vnis.map(|vni| Segment { vni }).collect(),
        open_destination: false,
        bypassed: false,
        source: None,
        destination: None,
    }
}

fn end(side: u8, node: &NodeName, pods: Vec<EndPod>) -> ChainEnd {
    let number: u8 = node.as_str()[1..].parse().unwrap();
    ChainEnd {
        node: node.clone(),
        mac: MacAddr([2, 0xfe, 0, 2, side, number]),
        address: format!("192.168.64.{side}{number}").parse().unwrap(),
        pods,
    }
}

fn cluster() -> ClusterConfig {
    ClusterConfig {
        pod_cidr: "10.1.0.0/16".parse().unwrap(),
        node_prefix_len: 24,
        vxlan_cidr: "192.168.30.0/24".parse().unwrap(),
        chain_cidr: "192.168.64.0/18".parse().unwrap(),
        vxlan_vni: 10,
        chain_vni_base: 4096,
        mtu: 1450,
    }
}
