//! Flow rules: what a classifier answers and what a node steers by.

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

/// Inclusive range of transport ports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct PortRange {
    pub first: u16,
    pub last: u16,
}

impl PortRange {
    /// All ports.
    pub const ANY: Self = Self {
        first: 0,
        last: u16::MAX,
    };

    /// A single port.
    pub const fn one(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }
}

/// IP protocol of a rule. Ports are only meaningful with `tcp`, `udp` and `sctp`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FlowProtocol {
    Any,
    Icmp,
    Tcp,
    Udp,
    Sctp,
    Icmpv6,
    Other(u8),
}

impl FlowProtocol {
    /// The protocol number of the IP header (IANA); `None` for any.
    pub const fn number(self) -> Option<u8> {
        match self {
            Self::Any => None,
            Self::Icmp => Some(1),
            Self::Tcp => Some(6),
            Self::Udp => Some(17),
            Self::Sctp => Some(132),
            Self::Icmpv6 => Some(58),
            Self::Other(number) => Some(number),
        }
    }

    /// Whether the protocol has 16-bit ports at the start of its header.
    pub const fn has_ports(self) -> bool {
        matches!(self, Self::Tcp | Self::Udp | Self::Sctp)
    }
}

/// Which packets a rule speaks of, in the direction source to destination. `None` is any.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlowMatch {
    pub src: Option<IpNet>,
    pub dst: Option<IpNet>,
    pub protocol: FlowProtocol,
    pub src_ports: PortRange,
    pub dst_ports: PortRange,
}

impl FlowMatch {
    /// The same flow as its answers are seen.
    #[must_use]
    pub fn reversed(&self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            protocol: self.protocol,
            src_ports: self.dst_ports,
            dst_ports: self.src_ports,
        }
    }
}

/// What happens to a matching flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum FlowAction {
    /// Through the chain.
    EnterChain,
    /// Straight, by ordinary routing.
    Bypass,
    Drop,
}

/// One rule of a classifier; the lowest priority number that matches decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct FlowRule {
    /// Name that the module gave to the rule; shown to people.
    pub id: String,
    pub priority: u32,
    #[serde(rename = "match")]
    pub matches: FlowMatch,
    pub action: FlowAction,
}
