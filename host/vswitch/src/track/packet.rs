//! What a packet says about the flow that it belongs to.

use packet::icmpv6::{self, NEIGHBOR_ADVERT, ROUTER_SOLICIT};
use packet::ipv4::Ipv4;
use packet::ipv6::Ipv6;
use packet::{icmp, proto};

use crate::id::Family;
use crate::session::{Scope, Tuple};

/// Hop limit of neighbour discovery that was not forwarded (RFC 4861, section 7.1).
const HOP_LIMIT_LOCAL: u8 = 255;
/// Redirect of ICMPv6, the last type of neighbour discovery.
const REDIRECT: u8 = 137;

const _: () = assert!(ROUTER_SOLICIT < NEIGHBOR_ADVERT && NEIGHBOR_ADVERT < REDIRECT);

/// A packet as connection tracking sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Packet {
    /// The flow; ports are zero where there are none.
    pub(crate) tuple: Tuple,
    pub(crate) kind: Kind,
    /// Identification of the packet that this is the first fragment of.
    pub(crate) first_fragment: Option<u32>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Tcp {
        flags: u8,
    },
    /// With the type of the first chunk.
    Sctp {
        chunk: u8,
    },
    /// UDP, and protocols without ports.
    Datagram,
    EchoRequest,
    EchoReply,
    /// Reports an error about the quoted packet.
    IcmpError {
        icmp: (u8, u8),
        quoted: Option<Tuple>,
    },
    /// Any other ICMP message.
    Icmp {
        icmp: (u8, u8),
    },
    /// Neighbour discovery on the link itself.
    Neighbor,
    /// A fragment without the headers that say more.
    LaterFragment {
        ident: u32,
    },
}

impl Packet {
    /// Reads an IP packet; `None` when it is damaged or too short to tell.
    pub(crate) fn parse(packet: &[u8], scope: Scope) -> Option<Self> {
        let (mut parsed, at, hop_limit) = Self::parse_ip(packet, scope)?;
        if matches!(parsed.kind, Kind::LaterFragment { .. }) {
            return Some(parsed);
        }
        let upper = packet.get(at..)?;
        match parsed.tuple.protocol {
            proto::TCP => {
                parsed.set_ports(upper)?;
                let flags = *upper.get(13)?;
                parsed.kind = Kind::Tcp { flags };
            }
            proto::UDP => parsed.set_ports(upper)?,
            proto::SCTP => {
                parsed.set_ports(upper)?;
                let chunk = *upper.get(packet::sctp::HEADER_LEN)?;
                parsed.kind = Kind::Sctp { chunk };
            }
            proto::ICMP | proto::ICMPV6 => parsed.set_icmp(upper, hop_limit, scope)?,
            _ => {}
        }
        Some(parsed)
    }

    /// Type and code of an ICMP message.
    pub(crate) const fn icmp(&self) -> Option<(u8, u8)> {
        let v4 = matches!(self.tuple.family, Family::V4);
        match self.kind {
            Kind::EchoRequest if v4 => Some((icmp::ECHO_REQUEST, 0)),
            Kind::EchoRequest => Some((icmpv6::ECHO_REQUEST, 0)),
            Kind::EchoReply if v4 => Some((icmp::ECHO_REPLY, 0)),
            Kind::EchoReply => Some((icmpv6::ECHO_REPLY, 0)),
            Kind::IcmpError { icmp, .. } | Kind::Icmp { icmp } => Some(icmp),
            Kind::Tcp { .. }
            | Kind::Sctp { .. }
            | Kind::Datagram
            | Kind::Neighbor
            | Kind::LaterFragment { .. } => None,
        }
    }

    /// The packet up to its upper layer, where that starts, and the hop limit.
    fn parse_ip(packet: &[u8], scope: Scope) -> Option<(Self, usize, u8)> {
        let mut tuple = Tuple {
            family: Family::V4,
            src: 0,
            dst: 0,
            src_port: 0,
            dst_port: 0,
            protocol: 0,
            fragments: false,
            scope,
        };
        let (at, hop_limit, fragment) = if packet.first()? >> 4 == 4 {
            let ip = Ipv4::new_checked(packet).ok()?;
            (tuple.src, tuple.dst) = (ip.src().to_bits().into(), ip.dst().to_bits().into());
            tuple.protocol = ip.protocol();
            let fragment = ip.is_fragment();
            let fragment = fragment.then(|| (u32::from(ip.ident()), ip.fragment_offset() != 0));
            (ip.header_len(), ip.ttl(), fragment)
        } else {
            let ip = Ipv6::new_checked(packet).ok()?;
            let upper = ip.upper_layer().ok()?;
            (tuple.src, tuple.dst) = (ip.src().to_bits(), ip.dst().to_bits());
            (tuple.family, tuple.protocol) = (Family::V6, upper.protocol);
            let fragment = upper.fragment.map(|f| (f.ident, f.offset != 0));
            (upper.offset, ip.hop_limit(), fragment)
        };
        let later = fragment.filter(|(_, later)| *later);
        let parsed = Self {
            tuple,
            kind: later.map_or(Kind::Datagram, |(ident, _)| Kind::LaterFragment { ident }),
            first_fragment: fragment.filter(|(_, later)| !later).map(|(ident, _)| ident),
        };
        Some((parsed, at, hop_limit))
    }

    fn set_ports(&mut self, upper: &[u8]) -> Option<()> {
        let [a, b, c, d] = *upper.first_chunk::<4>()?;
        self.tuple.src_port = u16::from_be_bytes([a, b]);
        self.tuple.dst_port = u16::from_be_bytes([c, d]);
        Some(())
    }

    fn set_icmp(&mut self, upper: &[u8], hop_limit: u8, scope: Scope) -> Option<()> {
        let [kind, code, _, _, a, b, _, _] = *upper.first_chunk::<8>()?;
        let v4 = self.tuple.protocol == proto::ICMP;
        let ident = u16::from_be_bytes([a, b]);
        self.kind = match (kind, v4) {
            (icmp::ECHO_REQUEST, true) | (icmpv6::ECHO_REQUEST, false) => Kind::EchoRequest,
            (icmp::ECHO_REPLY, true) | (icmpv6::ECHO_REPLY, false) => Kind::EchoReply,
            // Unreachable, time exceeded and parameter problem quote packets; source quench is history.
            (icmp::UNREACHABLE | icmp::TIME_EXCEEDED | 12, true) | (1..=4, false) => {
                Kind::IcmpError {
                    icmp: (kind, code),
                    quoted: upper.get(8..).and_then(|inner| quoted(inner, scope)),
                }
            }
            (ROUTER_SOLICIT..=REDIRECT, false) if hop_limit == HOP_LIMIT_LOCAL => Kind::Neighbor,
            _ => Kind::Icmp { icmp: (kind, code) },
        };
        if matches!(self.kind, Kind::EchoRequest | Kind::EchoReply) {
            (self.tuple.src_port, self.tuple.dst_port) = (ident, ident);
        }
        Some(())
    }
}

/// The flow of a packet that an ICMP error quotes: its headers and at least 8 bytes more.
fn quoted(inner: &[u8], scope: Scope) -> Option<Tuple> {
    let (mut parsed, at, _) = Packet::parse_ip(inner, scope)?;
    if matches!(parsed.kind, Kind::LaterFragment { .. }) {
        return None;
    }
    let upper = inner.get(at..)?;
    match parsed.tuple.protocol {
        proto::TCP | proto::UDP | proto::SCTP => parsed.set_ports(upper)?,
        proto::ICMP | proto::ICMPV6 => parsed.set_icmp(upper.get(..8)?, 0, scope)?,
        _ => {}
    }
    Some(parsed.tuple)
}
