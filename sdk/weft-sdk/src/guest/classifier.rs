//! Exports of the `classifier-module` world for any [`Classifier`].

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::bindings::capabilities::weft::types::net;
use crate::bindings::classifier_module::exports::weft::control::{classifier, lifecycle};
use crate::bindings::classifier_module::weft::control::{rules, snapshot};
use crate::{
    Action, Chain, Classifier, Endpoint, Hop, IpPrefix, IpProtocol, MatchSpec, PortRange, Rule,
    RuleSet, View,
};

/// What the export macro implements for its crate.
pub trait Exported {
    /// The author's type.
    type Classifier: Classifier + Default + 'static;
    /// Crate name.
    const NAME: &'static str;
    /// Crate version.
    const VERSION: &'static str;
    /// Lends the module's only instance.
    fn with<R>(call: impl FnOnce(&mut Self::Classifier) -> R) -> R;
}

impl<E: Exported> lifecycle::Guest for E {
    fn configure(config: String) -> Result<lifecycle::About, lifecycle::Fault> {
        super::report_panics();
        E::with(|classifier| classifier.configure(&config))?;
        Ok(lifecycle::About {
            name: E::NAME.into(),
            version: E::VERSION.into(),
        })
    }
}

impl<E: Exported> classifier::Guest for E {
    fn compile(view: snapshot::View) -> Result<rules::RuleSet, classifier::Fault> {
        let view = View::from(view);
        Ok(E::with(|classifier| classifier.compile(&view))?.into())
    }
}

impl From<snapshot::View> for View {
    fn from(view: snapshot::View) -> Self {
        let endpoints = |list: Vec<_>| list.into_iter().map(Endpoint::from).collect();
        Self {
            revision: view.revision,
            chain: Chain::from(view.chain),
            rules_max: view.target.rules_max,
            sources: endpoints(view.sources),
            destinations: view.destinations.map(endpoints),
        }
    }
}

impl From<snapshot::Chain> for Chain {
    fn from(chain: snapshot::Chain) -> Self {
        Self {
            namespace: chain.namespace,
            name: chain.name,
            generation: chain.generation,
            hops: chain.hops.into_iter().map(Hop::from).collect(),
            symmetric_return: chain.symmetric_return,
        }
    }
}

impl From<snapshot::Hop> for Hop {
    fn from(snapshot::Hop { name, node, labels }: snapshot::Hop) -> Self {
        Self { name, node, labels }
    }
}

impl From<snapshot::Endpoint> for Endpoint {
    fn from(endpoint: snapshot::Endpoint) -> Self {
        let snapshot::Endpoint {
            namespace,
            name,
            node,
            addresses,
            labels,
        } = endpoint;
        let addresses = addresses.into_iter().map(from_wire).collect();
        Self {
            namespace,
            name,
            node,
            addresses,
            labels,
        }
    }
}

const fn from_wire(address: net::IpAddress) -> IpAddr {
    match address {
        net::IpAddress::V4((a, b, c, d)) => IpAddr::V4(Ipv4Addr::new(a, b, c, d)),
        net::IpAddress::V6((a, b, c, d, e, f, g, h)) => {
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, e, f, g, h))
        }
    }
}

const fn to_wire(address: IpAddr) -> net::IpAddress {
    match address {
        IpAddr::V4(v4) => {
            let [a, b, c, d] = v4.octets();
            net::IpAddress::V4((a, b, c, d))
        }
        IpAddr::V6(v6) => {
            let [a, b, c, d, e, f, g, h] = v6.segments();
            net::IpAddress::V6((a, b, c, d, e, f, g, h))
        }
    }
}

impl From<RuleSet> for rules::RuleSet {
    fn from(set: RuleSet) -> Self {
        Self {
            rules: set.rules.into_iter().map(rules::Rule::from).collect(),
            default_action: set.default_action.into(),
        }
    }
}

impl From<Rule> for rules::Rule {
    fn from(Rule { id, when, action }: Rule) -> Self {
        Self {
            id,
            when: when.into(),
            action: action.into(),
        }
    }
}

impl From<Action> for rules::Action {
    fn from(action: Action) -> Self {
        match action {
            Action::EnterChain => Self::EnterChain,
            Action::Bypass => Self::Bypass,
            Action::Drop => Self::Drop,
        }
    }
}

impl From<MatchSpec> for rules::MatchSpec {
    fn from(when: MatchSpec) -> Self {
        let prefix = |IpPrefix { address, length }| net::IpPrefix {
            address: to_wire(address),
            length,
        };
        let ports = |PortRange { first, last }| net::PortRange { first, last };
        Self {
            src: when.src.map(prefix),
            dst: when.dst.map(prefix),
            protocol: match when.protocol {
                IpProtocol::Any => net::IpProtocol::Any,
                IpProtocol::Icmp => net::IpProtocol::Icmp,
                IpProtocol::Tcp => net::IpProtocol::Tcp,
                IpProtocol::Udp => net::IpProtocol::Udp,
                IpProtocol::Sctp => net::IpProtocol::Sctp,
                IpProtocol::Icmpv6 => net::IpProtocol::Icmpv6,
                IpProtocol::Other(number) => net::IpProtocol::Other(number),
            },
            src_ports: when.src_ports.map(ports),
            dst_ports: when.dst_ports.map(ports),
            extras: Vec::new(),
        }
    }
}
