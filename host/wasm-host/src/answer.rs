//! A classifier's answer is a claim until it has been checked here.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use weft_sdk::{
    Action, Chain, Endpoint, Hop, IpPrefix, IpProtocol, MatchSpec, PortRange, Rule, RuleSet, View,
};

use crate::bindings::capabilities::weft::types::net;
use crate::bindings::classifier::weft::control::{rules, snapshot};

/// Longest rule id; it becomes a tag in the data plane.
const ID_BYTES_MAX: usize = 128;

/// Why an answer cannot be followed. It is refused as a whole.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AnswerError {
    /// More rules than the data plane takes.
    #[error("{count} rules, more than the {max} the data plane takes")]
    TooManyRules {
        /// Rules in the answer.
        count: usize,
        /// Most rules it may have.
        max: u32,
    },
    /// A rule without a usable name.
    #[error("rule {0} has an id that is empty, too long or not printable")]
    BadId(usize),
    /// Two rules with the same name.
    #[error("rule id `{0}` appears twice")]
    DuplicateId(String),
    /// A prefix longer than its family allows, or with bits beyond its length.
    #[error("rule `{id}`: `{prefix}` is not a network prefix")]
    BadPrefix {
        /// Name of the rule.
        id: String,
        /// The prefix.
        prefix: String,
    },
    /// Source and destination of different families.
    #[error("rule `{0}` mixes IPv4 and IPv6")]
    MixedFamilies(String),
    /// A range that ends before it starts.
    #[error("rule `{id}`: ports {first} to {last} are no range")]
    BadPorts {
        /// Name of the rule.
        id: String,
        /// Lowest port.
        first: u16,
        /// Highest port.
        last: u16,
    },
    /// Ports of a protocol that has none.
    #[error("rule `{0}` matches ports of a protocol without ports")]
    PortsWithoutProtocol(String),
    /// A match or action of a later contract.
    #[error("rule `{id}`: `{what}` is not known here")]
    Unknown {
        /// Name of the rule, or `default`.
        id: String,
        /// The match or action.
        what: String,
    },
}

/// Takes an answer that the data plane can follow.
pub(crate) fn check(set: rules::RuleSet, rules_max: u32) -> Result<RuleSet, AnswerError> {
    let count = set.rules.len();
    if count > usize::try_from(rules_max).unwrap_or(usize::MAX) {
        return Err(AnswerError::TooManyRules {
            count,
            max: rules_max,
        });
    }
    let mut ids = BTreeSet::new();
    let mut rules = Vec::with_capacity(count);
    for (index, rule) in set.rules.into_iter().enumerate() {
        let rules::Rule { id, when, action } = rule;
        if id.is_empty() || id.len() > ID_BYTES_MAX || id.chars().any(char::is_control) {
            return Err(AnswerError::BadId(index));
        }
        if !ids.insert(id.clone()) {
            return Err(AnswerError::DuplicateId(id));
        }
        let (when, action) = (check_match(&id, when)?, check_action(&id, action)?);
        rules.push(Rule { id, when, action });
    }
    Ok(RuleSet {
        rules,
        default_action: check_action("default", set.default_action)?,
    })
}

fn check_action(id: &str, action: rules::Action) -> Result<Action, AnswerError> {
    match action {
        rules::Action::EnterChain => Ok(Action::EnterChain),
        rules::Action::Bypass => Ok(Action::Bypass),
        rules::Action::Drop => Ok(Action::Drop),
        rules::Action::Other(what) => Err(AnswerError::Unknown {
            id: id.to_owned(),
            what,
        }),
    }
}

fn check_match(id: &str, when: rules::MatchSpec) -> Result<MatchSpec, AnswerError> {
    // A match that is silently ignored would match too much.
    if let Some((what, _)) = when.extras.into_iter().next() {
        return Err(AnswerError::Unknown {
            id: id.to_owned(),
            what,
        });
    }
    let prefix = |prefix: Option<net::IpPrefix>| prefix.map(|p| check_prefix(id, p)).transpose();
    let ports = |range: Option<net::PortRange>| range.map(|r| check_ports(id, r)).transpose();
    let checked = MatchSpec {
        src: prefix(when.src)?,
        dst: prefix(when.dst)?,
        protocol: protocol(when.protocol),
        src_ports: ports(when.src_ports)?,
        dst_ports: ports(when.dst_ports)?,
    };
    if let (Some(src), Some(dst)) = (checked.src, checked.dst)
        && src.address.is_ipv4() != dst.address.is_ipv4()
    {
        return Err(AnswerError::MixedFamilies(id.to_owned()));
    }
    let ports = checked.src_ports.is_some() || checked.dst_ports.is_some();
    if ports && !checked.protocol.has_ports() {
        return Err(AnswerError::PortsWithoutProtocol(id.to_owned()));
    }
    Ok(checked)
}

fn check_prefix(id: &str, prefix: net::IpPrefix) -> Result<IpPrefix, AnswerError> {
    let prefix = IpPrefix {
        address: from_wire(prefix.address),
        length: prefix.length,
    };
    if prefix.is_canonical() {
        return Ok(prefix);
    }
    let text = format!("{}/{}", prefix.address, prefix.length);
    Err(AnswerError::BadPrefix {
        id: id.to_owned(),
        prefix: text,
    })
}

fn check_ports(id: &str, range: net::PortRange) -> Result<PortRange, AnswerError> {
    let net::PortRange { first, last } = range;
    if first <= last {
        return Ok(PortRange { first, last });
    }
    Err(AnswerError::BadPorts {
        id: id.to_owned(),
        first,
        last,
    })
}

const fn protocol(protocol: net::IpProtocol) -> IpProtocol {
    match protocol {
        net::IpProtocol::Any => IpProtocol::Any,
        net::IpProtocol::Icmp => IpProtocol::Icmp,
        net::IpProtocol::Tcp => IpProtocol::Tcp,
        net::IpProtocol::Udp => IpProtocol::Udp,
        net::IpProtocol::Sctp => IpProtocol::Sctp,
        net::IpProtocol::Icmpv6 => IpProtocol::Icmpv6,
        net::IpProtocol::Other(number) => IpProtocol::Other(number),
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

/// Writes a view in the contract's words.
pub(crate) fn lower(view: &View) -> snapshot::View {
    let endpoints = |list: &Vec<Endpoint>| list.iter().map(lower_endpoint).collect::<Vec<_>>();
    snapshot::View {
        revision: view.revision,
        chain: lower_chain(&view.chain),
        target: snapshot::Target {
            rules_max: view.rules_max,
        },
        sources: endpoints(&view.sources),
        destinations: view.destinations.as_ref().map(endpoints),
    }
}

pub(crate) fn lower_chain(chain: &Chain) -> snapshot::Chain {
    let hop = |hop: &Hop| snapshot::Hop {
        name: hop.name.clone(),
        node: hop.node.clone(),
        labels: hop.labels.clone(),
    };
    snapshot::Chain {
        namespace: chain.namespace.clone(),
        name: chain.name.clone(),
        generation: chain.generation,
        hops: chain.hops.iter().map(hop).collect(),
        symmetric_return: chain.symmetric_return,
    }
}

pub(crate) fn lower_endpoint(endpoint: &Endpoint) -> snapshot::Endpoint {
    snapshot::Endpoint {
        namespace: endpoint.namespace.clone(),
        name: endpoint.name.clone(),
        node: endpoint.node.clone(),
        addresses: endpoint
            .addresses
            .iter()
            .map(|address| to_wire(*address))
            .collect(),
        labels: endpoint.labels.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(id: &str) -> rules::Rule {
        let when = rules::MatchSpec {
            src: None,
            dst: None,
            protocol: net::IpProtocol::Tcp,
            src_ports: None,
            dst_ports: Some(net::PortRange {
                first: 80,
                last: 80,
            }),
            extras: Vec::new(),
        };
        rules::Rule {
            id: id.to_owned(),
            when,
            action: rules::Action::EnterChain,
        }
    }

    fn verdict(edit: impl FnOnce(&mut rules::RuleSet)) -> Result<RuleSet, AnswerError> {
        let rules = vec![rule("a"), rule("b")];
        let mut set = rules::RuleSet {
            rules,
            default_action: rules::Action::Bypass,
        };
        edit(&mut set);
        check(set, 2)
    }

    fn v4(last: u8, length: u8) -> Option<net::IpPrefix> {
        Some(net::IpPrefix {
            address: net::IpAddress::V4((10, 0, 0, last)),
            length,
        })
    }

    #[test]
    fn a_good_answer_is_taken_as_it_is() {
        let set = verdict(|set| set.rules[0].when.dst = v4(1, 32)).expect("taken");
        assert_eq!(set.rules.len(), 2);
        assert_eq!(
            set.rules[0].when.dst,
            Some(IpPrefix::host(Ipv4Addr::new(10, 0, 0, 1).into()))
        );
        assert_eq!(set.default_action, Action::Bypass);
    }

    #[test]
    fn an_answer_the_data_plane_cannot_follow_is_refused_with_its_reason() {
        type Edit = fn(&mut rules::RuleSet);
        let cases: [(Edit, &str); 11] = [
            (|s| s.rules.push(rule("c")), "3 rules, more than the 2"),
            (|s| s.rules[1].id = "a".into(), "`a` appears twice"),
            (|s| s.rules[1].id = String::new(), "rule 1 has an id"),
            (|s| s.rules[1].id = "x\n".into(), "rule 1 has an id"),
            (
                |s| s.rules[0].when.src = v4(1, 33),
                "`10.0.0.1/33` is not a network",
            ),
            (
                |s| s.rules[0].when.src = v4(1, 24),
                "`10.0.0.1/24` is not a network",
            ),
            (
                |s| {
                    let address = net::IpAddress::V6((0, 0, 0, 0, 0, 0, 0, 0));
                    s.rules[0].when.src = v4(0, 24);
                    s.rules[0].when.dst = Some(net::IpPrefix { address, length: 0 });
                },
                "mixes IPv4 and IPv6",
            ),
            (
                |s| s.rules[0].when.dst_ports = Some(net::PortRange { first: 2, last: 1 }),
                "ports 2 to 1",
            ),
            (
                |s| s.rules[0].when.protocol = net::IpProtocol::Any,
                "without ports",
            ),
            (
                |s| s.rules[0].when.extras.push(("dscp".into(), "46".into())),
                "`dscp` is not known here",
            ),
            (
                |s| s.default_action = rules::Action::Other("mirror".into()),
                "`mirror` is not known",
            ),
        ];
        for (edit, reason) in cases {
            let error = verdict(edit).expect_err(reason);
            assert!(error.to_string().contains(reason), "{error}");
        }
    }
}
