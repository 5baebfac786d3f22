//! The control-plane trait, the picture it sees and the rules it answers with.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::Fault;

/// Decides which flows of a chain's sources enter the chain.
pub trait Classifier {
    /// Takes the configuration, a JSON document (`null` if there is none).
    ///
    /// # Errors
    /// A [`Fault`] that the operator can act on; [`crate::config::parse`] makes one from a bad document.
    fn configure(&mut self, config: &str) -> Result<(), Fault>;

    /// Answers with the whole rule set of the chain. Pure: the same configuration and view give the same answer.
    ///
    /// # Errors
    /// A [`Fault`]; rules that are in force stay.
    fn compile(&self, view: &View) -> Result<RuleSet, Fault>;
}

/// Immutable picture of one chain at one revision.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct View {
    /// Revision of the store it was taken at.
    pub revision: u64,
    /// The chain.
    pub chain: Chain,
    /// Most rules the data plane takes; an answer with more is refused as a whole.
    pub rules_max: u32,
    /// Whose traffic the rules see.
    pub sources: Vec<Endpoint>,
    /// `None`: anything behind the last hop. Empty: nothing matches yet.
    pub destinations: Option<Vec<Endpoint>>,
}

/// The chain a classifier works for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Chain {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Kubernetes name.
    pub name: String,
    /// Grows with every change of the specification.
    pub generation: u64,
    /// In the order packets visit them.
    pub hops: Vec<Hop>,
    /// The host mirrors the rules for the way back; the classifier must not.
    pub symmetric_return: bool,
}

/// A place in a chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Hop {
    /// Name in the chain.
    pub name: String,
    /// Kubernetes node of the CNF that serves it, if one does.
    pub node: Option<String>,
    /// That CNF's labels.
    pub labels: Vec<(String, String)>,
}

/// A pod at one end of the chain.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Endpoint {
    /// Kubernetes namespace.
    pub namespace: String,
    /// Pod name.
    pub name: String,
    /// Kubernetes node it runs on.
    pub node: String,
    /// Empty until the pod has one.
    pub addresses: Vec<IpAddr>,
    /// Its labels.
    pub labels: Vec<(String, String)>,
}

/// An address and how many of its leading bits count. The others are zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct IpPrefix {
    /// Network address.
    pub address: IpAddr,
    /// Leading bits that count.
    pub length: u8,
}

impl IpPrefix {
    /// The prefix that holds one address.
    #[must_use]
    pub const fn host(address: IpAddr) -> Self {
        Self {
            address,
            length: if address.is_ipv4() { 32 } else { 128 },
        }
    }

    /// True if the length suits the family and no bit beyond it is set.
    #[must_use]
    pub fn is_canonical(&self) -> bool {
        match self.address {
            IpAddr::V4(v4) => {
                self.length <= 32
                    && v4
                        .to_bits()
                        .checked_shl(u32::from(self.length))
                        .unwrap_or(0)
                        == 0
            }
            IpAddr::V6(v6) => {
                self.length <= 128
                    && v6
                        .to_bits()
                        .checked_shl(u32::from(self.length))
                        .unwrap_or(0)
                        == 0
            }
        }
    }

    /// True if `address` is inside; never across families.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let length = u32::from(self.length);
        match (self.address, address) {
            (IpAddr::V4(net), IpAddr::V4(a)) => {
                (net.to_bits() ^ a.to_bits())
                    .checked_shr(32 - length.min(32))
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V6(net), IpAddr::V6(a)) => {
                (net.to_bits() ^ a.to_bits())
                    .checked_shr(128 - length.min(128))
                    .unwrap_or(0)
                    == 0
            }
            (IpAddr::V4(_), IpAddr::V6(_)) | (IpAddr::V6(_), IpAddr::V4(_)) => false,
        }
    }
}

/// Ports from `first` to `last`, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PortRange {
    /// Lowest port.
    pub first: u16,
    /// Highest port.
    pub last: u16,
}

impl PortRange {
    /// The range of one port.
    #[must_use]
    pub const fn one(port: u16) -> Self {
        Self {
            first: port,
            last: port,
        }
    }
}

/// Transport protocol of a match.
#[derive(
    Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "camelCase")]
pub enum IpProtocol {
    /// Whatever follows the IP header.
    #[default]
    Any,
    /// ICMP, of IPv4 only.
    Icmp,
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// ICMP, of IPv6 only.
    Icmpv6,
    /// Another IANA number.
    Other(u8),
}

impl IpProtocol {
    /// The IANA number; `None` for [`Any`](Self::Any).
    #[must_use]
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

    /// True if its header has port numbers that rules can match.
    #[must_use]
    pub const fn has_ports(self) -> bool {
        matches!(self.number(), Some(6 | 17 | 132))
    }
}

/// Which packets a rule is about. An absent field matches anything.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MatchSpec {
    /// Source address.
    pub src: Option<IpPrefix>,
    /// Destination address.
    pub dst: Option<IpPrefix>,
    /// Transport protocol.
    pub protocol: IpProtocol,
    /// Source port; only for protocols with ports.
    pub src_ports: Option<PortRange>,
    /// Destination port; only for protocols with ports.
    pub dst_ports: Option<PortRange>,
}

/// What happens to packets that match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Action {
    /// Into the first hop.
    EnterChain,
    /// Straight to where they were going.
    Bypass,
    /// Nowhere.
    Drop,
}

/// One line of a [`RuleSet`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Rule {
    /// Unique in the set; names the rule to the operator.
    pub id: String,
    /// Which packets.
    pub when: MatchSpec,
    /// What happens to them.
    pub action: Action,
}

/// First match wins. Applied to packets that leave the chain's sources, and only to those.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RuleSet {
    /// In order of precedence.
    pub rules: Vec<Rule>,
    /// For packets no rule matches.
    pub default_action: Action,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(address: &str, length: u8) -> IpPrefix {
        IpPrefix {
            address: address.parse().expect("an address"),
            length,
        }
    }

    #[test]
    fn a_prefix_holds_its_addresses_and_no_others() {
        for (net, length, address, inside) in [
            ("10.1.0.0", 16, "10.1.255.255", true),
            ("10.1.0.0", 16, "10.2.0.0", false),
            ("0.0.0.0", 0, "255.255.255.255", true),
            ("10.1.2.3", 32, "10.1.2.3", true),
            ("10.1.2.3", 32, "10.1.2.2", false),
            ("fd00::", 8, "fdff::1", true),
            ("::", 0, "ffff::", true),
            ("::", 0, "1.2.3.4", false),
        ] {
            let contains = prefix(net, length).contains(address.parse().expect("an address"));
            assert_eq!(contains, inside, "{net}/{length} {address}");
        }
    }

    #[test]
    fn a_canonical_prefix_has_no_stray_bits() {
        for (net, length, canonical) in [
            ("10.0.0.0", 8, true),
            ("10.0.0.1", 8, false),
            ("10.0.0.1", 32, true),
            ("10.0.0.1", 33, false),
            ("0.0.0.0", 0, true),
            ("0.0.0.1", 0, false),
            ("fd00::1", 128, true),
            ("fd00::1", 64, false),
            ("fd00::1", 129, false),
        ] {
            assert_eq!(
                prefix(net, length).is_canonical(),
                canonical,
                "{net}/{length}"
            );
        }
    }
}
