//! Between the store's records and what modules see and answer.

use ipnet::IpNet;
use model::rendered::EndPod;
use model::{
    ChainSpec, FlowAction, FlowMatch, FlowProtocol, FlowRule, NodeName, ObjectName, PortRange,
    ReturnPath,
};
use weft_sdk::{
    Action, Chain, Endpoint, Hop, HopView, IpPrefix, IpProtocol, MatchSpec, RuleSet, View,
};

use crate::facts::Facts;
use crate::plan::selected;

/// The picture of one chain that its classifier is asked about.
pub(crate) fn view(chain: &ObjectName, spec: &ChainSpec, facts: &Facts, rules_max: u32) -> View {
    let endpoints = |selector| {
        let by_node = selected(chain, selector, facts);
        let pods = by_node
            .iter()
            .flat_map(|(node, pods)| pods.iter().map(move |p| (node, p)));
        pods.map(|(node, pod)| endpoint(node, pod, facts))
            .collect::<Vec<_>>()
    };
    View {
        // The store's revision would make every view differ from the one before.
        revision: spec.generation,
        chain: Chain {
            namespace: chain.namespace.clone(),
            name: chain.name.clone(),
            generation: spec.generation,
            hops: hops(chain, spec, facts),
            symmetric_return: spec.return_path == ReturnPath::Symmetric,
        },
        rules_max,
        sources: endpoints(&spec.source),
        destinations: spec.destination.as_ref().map(endpoints),
    }
}

/// The picture of one hop that steering is asked about; the candidates are the caller's.
pub(crate) fn hop_view(chain: &ObjectName, spec: &ChainSpec, facts: &Facts, hop: usize) -> HopView {
    let View {
        revision,
        chain,
        sources,
        destinations,
        ..
    } = view(chain, spec, facts, 0);
    HopView {
        revision,
        chain,
        hop,
        sources,
        destinations,
        ..HopView::default()
    }
}

pub(crate) fn hops(chain: &ObjectName, spec: &ChainSpec, facts: &Facts) -> Vec<Hop> {
    let rendered = facts.rendered.get(chain);
    let bound = |name: &str| rendered.and_then(|r| r.hops.iter().find(|h| h.name == name));
    spec.hops
        .iter()
        .map(|hop| Hop {
            name: hop.name.clone(),
            node: bound(&hop.name).map(|h| h.node.to_string()),
            labels: bound(&hop.name)
                .map(|h| labels(&h.pod, facts))
                .unwrap_or_default(),
        })
        .collect()
}

fn endpoint(node: &NodeName, pod: &EndPod, facts: &Facts) -> Endpoint {
    Endpoint {
        namespace: pod.pod.namespace.clone(),
        name: pod.pod.name.clone(),
        node: node.to_string(),
        addresses: pod.addresses.clone(),
        labels: labels(&pod.pod, facts),
    }
}

pub(crate) fn labels(pod: &ObjectName, facts: &Facts) -> Vec<(String, String)> {
    let labels = facts.pods.get(pod).map(|p| p.labels.clone());
    labels.unwrap_or_default().into_iter().collect()
}

/// A module's answer, already validated by the host, as stored rules.
pub(crate) fn rules(answer: &RuleSet) -> Vec<FlowRule> {
    let listed = answer
        .rules
        .iter()
        .map(|r| (r.id.clone(), matches(&r.when), r.action));
    let rest = (String::from("default"), any(), answer.default_action);
    (0_u32..)
        .zip(listed.chain(std::iter::once(rest)))
        .map(|(priority, (id, matches, action))| FlowRule {
            id,
            priority,
            matches,
            action: match action {
                Action::EnterChain => FlowAction::EnterChain,
                Action::Bypass => FlowAction::Bypass,
                Action::Drop => FlowAction::Drop,
            },
        })
        .collect()
}

fn any() -> FlowMatch {
    matches(&MatchSpec::default())
}

fn matches(when: &MatchSpec) -> FlowMatch {
    let ports = |p: Option<weft_sdk::PortRange>| {
        p.map_or(PortRange::ANY, |p| PortRange {
            first: p.first,
            last: p.last,
        })
    };
    FlowMatch {
        src: when.src.and_then(net),
        dst: when.dst.and_then(net),
        protocol: match when.protocol {
            IpProtocol::Any => FlowProtocol::Any,
            IpProtocol::Icmp => FlowProtocol::Icmp,
            IpProtocol::Tcp => FlowProtocol::Tcp,
            IpProtocol::Udp => FlowProtocol::Udp,
            IpProtocol::Sctp => FlowProtocol::Sctp,
            IpProtocol::Icmpv6 => FlowProtocol::Icmpv6,
            IpProtocol::Other(number) => FlowProtocol::Other(number),
        },
        src_ports: ports(when.src_ports),
        dst_ports: ports(when.dst_ports),
    }
}

/// The host has checked the length.
fn net(prefix: IpPrefix) -> Option<IpNet> {
    IpNet::new(prefix.address, prefix.length).ok()
}
