//! Access lists (VPP's acl plugin) and ACL-based forwarding (abf plugin): types and matching.

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use packet::{FlowKey, proto};

use crate::counters::Combined;
use crate::error::ApiError;
use crate::id::{Family, SwIfIndex};
use crate::prefix::Prefix;
use crate::route::RoutePath;
use crate::track::{ACL, Flows, Kind, Packet};

/// Flows that lists reflect, unless configured otherwise: VPP's default.
pub const FLOWS_MAX_DEFAULT: usize = 500_000;

/// What a matching rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum AclAction {
    #[default]
    Deny,
    Permit,
    /// Permits, and the rest of the flow in both directions.
    PermitReflect,
}

/// An inclusive range of ports (or ICMP types and codes).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PortRange {
    pub first: u16,
    pub last: u16,
}

impl PortRange {
    pub const ANY: Self = Self {
        first: 0,
        last: u16::MAX,
    };

    pub const fn contains(self, port: u16) -> bool {
        self.first <= port && port <= self.last
    }
}

/// One rule; source and destination are of one family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AclRule {
    pub action: AclAction,
    pub src: Prefix,
    pub dst: Prefix,
    /// 0 = any.
    pub proto: u8,
    pub src_ports: PortRange,
    pub dst_ports: PortRange,
    pub tcp_mask: u8,
    pub tcp_value: u8,
}

impl AclRule {
    /// A rule for everything of one family.
    pub const fn any(action: AclAction, family: Family) -> Self {
        Self {
            action,
            src: Prefix::any(family),
            dst: Prefix::any(family),
            proto: 0,
            src_ports: PortRange::ANY,
            dst_ports: PortRange::ANY,
            tcp_mask: 0,
            tcp_value: 0,
        }
    }

    pub(crate) fn check(&self) -> Result<(), ApiError> {
        if self.src.family() != self.dst.family() {
            return Err(ApiError::InvalidValue);
        }
        if self.src.masked() != self.src {
            return Err(ApiError::InvalidSrcAddress);
        }
        if self.dst.masked() != self.dst {
            return Err(ApiError::InvalidDstAddress);
        }
        Ok(())
    }

    fn matches(&self, packet: &AclKey) -> bool {
        let flow = &packet.flow;
        self.src.contains(flow.src)
            && self.dst.contains(flow.dst)
            && (self.proto == 0 || (self.proto == flow.protocol && self.matches_l4(packet)))
    }

    fn matches_l4(&self, packet: &AclKey) -> bool {
        match packet.flow.protocol {
            // A later fragment has no ports: it matches on what is known, as VPP does by default.
            proto::TCP | proto::UDP | proto::SCTP | proto::ICMP | proto::ICMPV6
                if packet.later_fragment =>
            {
                true
            }
            proto::TCP => {
                self.matches_ports(packet)
                    && packet.tcp_flags & self.tcp_mask == self.tcp_value & self.tcp_mask
            }
            proto::UDP | proto::SCTP | proto::ICMP | proto::ICMPV6 => self.matches_ports(packet),
            _ => true,
        }
    }

    fn matches_ports(&self, packet: &AclKey) -> bool {
        self.src_ports.contains(packet.flow.src_port)
            && self.dst_ports.contains(packet.flow.dst_port)
    }
}

/// What rules look at. For ICMP the ports are type and code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct AclKey {
    pub(crate) flow: FlowKey,
    pub(crate) tcp_flags: u8,
    pub(crate) later_fragment: bool,
}

impl AclKey {
    /// The key of the first packet of a tracked flow.
    pub(crate) fn of_tracked(packet: &Packet) -> Self {
        let tuple = &packet.tuple;
        let (mut src_port, mut dst_port) = (tuple.src_port, tuple.dst_port);
        if let Some((kind, code)) = packet.icmp() {
            (src_port, dst_port) = (kind.into(), code.into());
        }
        Self {
            flow: FlowKey {
                src: tuple.src_ip(),
                dst: tuple.dst_ip(),
                protocol: tuple.protocol,
                src_port,
                dst_port,
            },
            tcp_flags: match packet.kind {
                Kind::Tcp { flags } => flags,
                Kind::Sctp { .. }
                | Kind::Datagram
                | Kind::EchoRequest
                | Kind::EchoReply
                | Kind::IcmpError { .. }
                | Kind::Icmp { .. }
                | Kind::Neighbor
                | Kind::LaterFragment { .. } => 0,
            },
            later_fragment: false,
        }
    }

    /// Reads an IP packet; `None` when it is damaged.
    pub(crate) fn of(packet: &[u8]) -> Option<Self> {
        let mut flow = FlowKey::of_ip(packet)?;
        let (l4, later_fragment) = match flow.src {
            IpAddr::V4(_) => {
                let ip = packet::ipv4::Ipv4::new_checked(packet).ok()?;
                (ip.header_len(), ip.fragment_offset() != 0)
            }
            IpAddr::V6(_) => {
                let upper = packet::ipv6::Ipv6::new_checked(packet)
                    .ok()?
                    .upper_layer()
                    .ok()?;
                (upper.offset, !upper.has_header())
            }
        };
        let upper = packet.get(l4..).unwrap_or(&[]);
        let mut tcp_flags = 0;
        if !later_fragment {
            match (flow.protocol, upper) {
                (proto::ICMP | proto::ICMPV6, [kind, code, ..]) => {
                    (flow.src_port, flow.dst_port) = (u16::from(*kind), u16::from(*code));
                }
                (proto::TCP | proto::UDP | proto::SCTP, [a, b, c, d, rest @ ..]) => {
                    (flow.src_port, flow.dst_port) =
                        (u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]));
                    tcp_flags = rest.get(9).copied().unwrap_or(0);
                }
                _ => {}
            }
        }
        Some(Self {
            flow,
            tcp_flags,
            later_fragment,
        })
    }
}

/// An access list.
#[derive(Debug, Clone, Default)]
pub struct Acl {
    pub tag: String,
    pub rules: Vec<AclRule>,
    /// One counter per rule, shared by all workers.
    pub(crate) matches: Arc<[MatchCounter]>,
}

impl Acl {
    pub(crate) fn new(tag: &str, rules: Vec<AclRule>) -> Self {
        Self {
            tag: tag.to_owned(),
            matches: rules.iter().map(|_| MatchCounter::default()).collect(),
            rules,
        }
    }

    pub(crate) fn reflects(&self) -> bool {
        let mut rules = self.rules.iter();
        rules.any(|rule| rule.action == AclAction::PermitReflect)
    }

    /// The first rule that matches, and its position.
    pub(crate) fn find(&self, packet: &AclKey) -> Option<(usize, &AclRule)> {
        let mut rules = self.rules.iter().enumerate();
        rules.find(|(_, rule)| rule.matches(packet))
    }

    /// Action of the first rule that matches.
    pub(crate) fn evaluate(&self, packet: &AclKey) -> Option<AclAction> {
        self.find(packet).map(|(_, rule)| rule.action)
    }
}

/// Packets and bytes that a rule matched.
#[derive(Debug, Default)]
pub(crate) struct MatchCounter {
    packets: AtomicU64,
    bytes: AtomicU64,
}

impl MatchCounter {
    pub(crate) fn add(&self, bytes: u64) {
        self.packets.fetch_add(1, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> Combined {
        Combined {
            packets: self.packets.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }
}

/// What all lists share.
#[derive(Debug, Clone)]
pub(crate) struct AclTracking {
    /// Some list has a rule that reflects.
    pub(crate) reflects: bool,
    /// Matches of rules are counted.
    pub(crate) counters: bool,
    /// Changes with every list and with where it is applied.
    pub(crate) epoch: u32,
    pub(crate) flows: Arc<Flows>,
}

impl Default for AclTracking {
    fn default() -> Self {
        Self {
            reflects: false,
            counters: false,
            epoch: 0,
            flows: Arc::new(Flows::new(FLOWS_MAX_DEFAULT, 0, &ACL)),
        }
    }
}

/// An access list in a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AclInfo {
    pub acl_index: u32,
    pub tag: String,
    pub rules: Vec<AclRule>,
}

/// An ABF policy in a dump.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbfPolicyInfo {
    pub policy_id: u32,
    pub acl_index: u32,
    pub paths: Vec<RoutePath>,
}

/// An attachment of a policy in a dump.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbfAttachInfo {
    pub policy_id: u32,
    pub sw_if_index: SwIfIndex,
    pub priority: u32,
    pub family: Family,
}

/// One attached policy as the data path sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AbfEntry {
    pub priority: u32,
    pub policy_id: u32,
    pub acl_index: u32,
    /// Load balance that takes matching packets.
    pub load_balance: u32,
}
