//! Rules: configuration in, decisions out.

use std::net::IpAddr;

use serde::Deserialize;
use weft_sdk::packet::flow::FlowKey;
use weft_sdk::packet::proto;
use weft_sdk::prelude::*;

use crate::connections::ConnectionsConfig;

/// Most rules; the list is walked for the first packet of every flow.
const RULES_MAX: usize = 1024;

/// The document the operator writes.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Config {
    #[serde(rename = "default")]
    default_action: Action,
    rules: Vec<RuleConfig>,
    pub(crate) connections: ConnectionsConfig,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
enum Action {
    Allow,
    #[default]
    Deny,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct RuleConfig {
    name: String,
    action: Action,
    from: Option<String>,
    protocol: Option<String>,
    #[serde(default)]
    ports: Vec<PortSpec>,
    src: Option<String>,
    dst: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum PortSpec {
    One(u16),
    Range(String),
}

/// What to do with the first packet of a flow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Decision {
    Allow,
    /// Denied by the rule of this index; one past the last rule is the default action.
    Deny {
        by: usize,
    },
}

/// Rules in order, ready to be asked.
#[derive(Debug, Default)]
pub(crate) struct Policy {
    rules: Vec<Rule>,
    default_action: Action,
}

#[derive(Debug)]
struct Rule {
    name: String,
    action: Action,
    from: Option<PortId>,
    protocol: Option<Protocol>,
    ports: Vec<PortRange>,
    src: Option<IpPrefix>,
    dst: Option<IpPrefix>,
}

/// ICMP means the one that suits the addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Protocol {
    Icmp,
    Number(u8),
}

impl Policy {
    pub(crate) fn new(config: &Config, ports: &[Port]) -> Result<Self, Fault> {
        if config.rules.len() > RULES_MAX {
            return Err(Fault::invalid(
                "rules",
                format!("more than {RULES_MAX} rules"),
            ));
        }
        let rules = config.rules.iter().enumerate().map(|(index, rule)| {
            Rule::new(rule, ports).map_err(|(field, message)| {
                Fault::invalid(format!("rules[{index}].{field}"), message)
            })
        });
        let rules = rules.collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            rules,
            default_action: config.default_action,
        })
    }

    pub(crate) fn decide(&self, key: &FlowKey, from: PortId) -> Decision {
        let hit = self.rules.iter().position(|rule| rule.matches(key, from));
        let rule = hit.and_then(|index| self.rules.get(index));
        match rule.map_or(self.default_action, |rule| rule.action) {
            Action::Allow => Decision::Allow,
            Action::Deny => Decision::Deny {
                by: hit.unwrap_or(self.rules.len()),
            },
        }
    }

    /// Names that [`Decision::Deny`] refers to, in its order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.rules
            .iter()
            .map(|rule| rule.name.as_str())
            .chain(["default"])
    }
}

impl Rule {
    fn new(config: &RuleConfig, ports: &[Port]) -> Result<Self, (&'static str, String)> {
        let from = config.from.as_deref().map(|name| {
            let port = ports.iter().find(|port| port.name == name);
            port.map(|port| port.id)
                .ok_or(("from", format!("no interface `{name}`")))
        });
        let protocol = config.protocol.as_deref().map(parse_protocol).transpose()?;
        let has_ports = [proto::TCP, proto::UDP, proto::SCTP].map(Protocol::Number);
        if !config.ports.is_empty() && !protocol.is_some_and(|p| has_ports.contains(&p)) {
            return Err(("ports", "ports need protocol tcp, udp or sctp".to_owned()));
        }
        let prefix = |field, text: &Option<String>| {
            let parsed = text.as_deref().map(parse_prefix).transpose();
            parsed.map_err(|message| (field, message))
        };
        Ok(Self {
            name: config.name.clone(),
            action: config.action,
            from: from.transpose()?,
            protocol,
            ports: config
                .ports
                .iter()
                .map(parse_ports)
                .collect::<Result<_, _>>()?,
            src: prefix("src", &config.src)?,
            dst: prefix("dst", &config.dst)?,
        })
    }

    fn matches(&self, key: &FlowKey, from: PortId) -> bool {
        let protocol = match self.protocol {
            None => true,
            Some(Protocol::Icmp) => matches!(key.protocol, proto::ICMP | proto::ICMPV6),
            Some(Protocol::Number(number)) => key.protocol == number,
        };
        let within = |range: &PortRange| (range.first..=range.last).contains(&key.dst_port);
        protocol
            && self.from.is_none_or(|port| port == from)
            && (self.ports.is_empty() || self.ports.iter().any(within))
            && self.src.is_none_or(|prefix| prefix.contains(key.src))
            && self.dst.is_none_or(|prefix| prefix.contains(key.dst))
    }
}

fn parse_protocol(text: &str) -> Result<Protocol, (&'static str, String)> {
    match text {
        "tcp" => Ok(Protocol::Number(proto::TCP)),
        "udp" => Ok(Protocol::Number(proto::UDP)),
        "sctp" => Ok(Protocol::Number(proto::SCTP)),
        "icmp" => Ok(Protocol::Icmp),
        other => other.parse().map(Protocol::Number).map_err(|_| {
            (
                "protocol",
                format!("`{other}` is not tcp, udp, sctp, icmp or an IANA number"),
            )
        }),
    }
}

fn parse_ports(spec: &PortSpec) -> Result<PortRange, (&'static str, String)> {
    let text = match spec {
        PortSpec::One(port) => return Ok(PortRange::one(*port)),
        PortSpec::Range(text) => text,
    };
    let range = text.split_once('-').unwrap_or((text, text));
    match (range.0.trim().parse(), range.1.trim().parse()) {
        (Ok(first), Ok(last)) if first <= last => Ok(PortRange { first, last }),
        _ => Err((
            "ports",
            format!("`{text}` is neither a port nor a range such as 8000-8080"),
        )),
    }
}

fn parse_prefix(text: &str) -> Result<IpPrefix, String> {
    let not = || format!("`{text}` is not an address or a prefix such as 10.0.0.0/8");
    let (address, length) = match text.split_once('/') {
        Some((address, length)) => (address, Some(length.parse().map_err(|_| not())?)),
        None => (text, None),
    };
    let host = IpPrefix::host(address.parse::<IpAddr>().map_err(|_| not())?);
    let prefix = IpPrefix {
        length: length.unwrap_or(host.length),
        ..host
    };
    if prefix.is_canonical() {
        return Ok(prefix);
    }
    Err(format!(
        "`{text}` has address bits beyond its length, or a length beyond its address"
    ))
}
