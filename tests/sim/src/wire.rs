//! Frames as values, and their bytes: an encoder of its own, so that the engine's is checked by another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

pub type Mac = [u8; 6];

pub const BROADCAST: Mac = [0xff; 6];
pub const ICMP: u8 = 1;
pub const TCP: u8 = 6;
pub const UDP: u8 = 17;
pub const ICMP6: u8 = 58;
pub const VXLAN_PORT: u16 = 4789;

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub dst: Mac,
    pub src: Mac,
    pub body: Body,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Body {
    Ip(Packet),
    Arp(Arp),
    Other { kind: u16, bytes: Vec<u8> },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arp {
    pub is_reply: bool,
    pub sender: (Mac, Ipv4Addr),
    pub target: (Mac, Ipv4Addr),
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub src: IpAddr,
    pub dst: IpAddr,
    pub ttl: u8,
    /// IPv4 only.
    pub ident: u16,
    /// IPv4 type of service; IPv6 packets here have none.
    pub tos: u8,
    /// IPv4 only.
    pub dont_fragment: bool,
    pub l4: L4,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum L4 {
    /// Without checksum.
    Udp {
        ports: (u16, u16),
        data: Data,
    },
    /// The checksum is not computed: nothing on the way reads it.
    Tcp {
        ports: (u16, u16),
        flags: u8,
        data: Vec<u8>,
    },
    /// ICMP or ICMPv6, by the family of the packet.
    Icmp {
        kind: u8,
        code: u8,
        data: Vec<u8>,
    },
    Other {
        protocol: u8,
        data: Vec<u8>,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    Bytes(Vec<u8>),
    Vxlan { vni: u32, inner: Box<Frame> },
}

impl Data {
    fn encode(&self) -> Vec<u8> {
        match self {
            Self::Bytes(bytes) => bytes.clone(),
            Self::Vxlan { vni, inner } => {
                let mut out = vec![8, 0, 0, 0];
                out.extend((vni << 8).to_be_bytes());
                out.extend(inner.encode());
                out
            }
        }
    }
}

impl Frame {
    pub fn encode(&self) -> Vec<u8> {
        let (kind, body) = match &self.body {
            Body::Ip(packet) if packet.dst.is_ipv4() => (0x0800, packet.encode()),
            Body::Ip(packet) => (0x86dd, packet.encode()),
            Body::Arp(arp) => (0x0806, arp.encode()),
            Body::Other { kind, bytes } => (*kind, bytes.clone()),
        };
        let mut out = [self.dst, self.src].concat();
        out.extend(kind.to_be_bytes());
        out.extend(body);
        out
    }

    /// The packet that a tunnel made, when this is one.
    pub fn tunnelled(&self) -> Option<&Packet> {
        match &self.body {
            Body::Ip(packet) if packet.is_vxlan() => Some(packet),
            Body::Ip(_) | Body::Arp(_) | Body::Other { .. } => None,
        }
    }
}

impl Arp {
    fn encode(&self) -> Vec<u8> {
        let mut out = vec![0, 1, 8, 0, 6, 4, 0, 1 + u8::from(self.is_reply)];
        for (mac, ip) in [self.sender, self.target] {
            out.extend(mac);
            out.extend(ip.octets());
        }
        out
    }
}

impl Packet {
    pub fn protocol(&self) -> u8 {
        match &self.l4 {
            L4::Udp { .. } => UDP,
            L4::Tcp { .. } => TCP,
            L4::Icmp { .. } if self.dst.is_ipv4() => ICMP,
            L4::Icmp { .. } => ICMP6,
            L4::Other { protocol, .. } => *protocol,
        }
    }

    fn is_vxlan(&self) -> bool {
        matches!(
            self.l4,
            L4::Udp {
                data: Data::Vxlan { .. },
                ..
            }
        )
    }

    pub fn encode(&self) -> Vec<u8> {
        let upper = self.l4.encode(self.src, self.dst);
        let mut out = match (self.src, self.dst) {
            (IpAddr::V4(src), IpAddr::V4(dst)) => self.header4(src, dst, upper.len()),
            (IpAddr::V6(src), IpAddr::V6(dst)) => self.header6(src, dst, upper.len()),
            _ => panic!("a packet of two families"),
        };
        out.extend(upper);
        out
    }

    fn header4(&self, src: Ipv4Addr, dst: Ipv4Addr, upper: usize) -> Vec<u8> {
        let mut out = vec![0x45, self.tos];
        out.extend(narrow(20 + upper).to_be_bytes());
        out.extend(self.ident.to_be_bytes());
        out.extend([u8::from(self.dont_fragment) << 6, 0]);
        out.extend([self.ttl, self.protocol(), 0, 0]);
        out.extend(src.octets());
        out.extend(dst.octets());
        let sum = checksum(&[&out]).to_be_bytes();
        out.splice(10..12, sum);
        out
    }

    fn header6(&self, src: Ipv6Addr, dst: Ipv6Addr, upper: usize) -> Vec<u8> {
        let mut out = vec![0x60, 0, 0, 0];
        out.extend(narrow(upper).to_be_bytes());
        out.extend([self.protocol(), self.ttl]);
        out.extend(src.octets());
        out.extend(dst.octets());
        out
    }
}

impl L4 {
    fn encode(&self, src: IpAddr, dst: IpAddr) -> Vec<u8> {
        match self {
            Self::Udp { ports, data } => {
                let data = data.encode();
                let mut out = ports.0.to_be_bytes().to_vec();
                out.extend(ports.1.to_be_bytes());
                out.extend(narrow(8 + data.len()).to_be_bytes());
                out.extend([0, 0]);
                out.extend(data);
                out
            }
            Self::Tcp { ports, flags, data } => {
                let mut out = ports.0.to_be_bytes().to_vec();
                out.extend(ports.1.to_be_bytes());
                out.extend([0, 0, 0, 1, 0, 0, 0, 2, 5 << 4, *flags, 0, 9, 0, 0, 0, 0]);
                out.extend(data);
                out
            }
            Self::Icmp { kind, code, data } => {
                let mut out = vec![*kind, *code, 0, 0];
                out.extend(data);
                let sum = match (src, dst) {
                    (IpAddr::V6(src), IpAddr::V6(dst)) => {
                        let len = u32::from(narrow(out.len())).to_be_bytes();
                        let pseudo = [&src.octets()[..], &dst.octets(), &len, &[0, 0, 0, ICMP6]];
                        checksum(&[&pseudo.concat(), &out])
                    }
                    _ => checksum(&[&out]),
                };
                out.splice(2..4, sum.to_be_bytes());
                out
            }
            Self::Other { data, .. } => data.clone(),
        }
    }
}

/// The Internet checksum (RFC 1071) of even-length parts and one last part of any length.
pub(crate) fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0_u32;
    for pair in parts.iter().flat_map(|part| part.chunks(2)) {
        sum += u32::from(pair[0]) << 8;
        sum += pair.get(1).map_or(0, |low| u32::from(*low));
    }
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !u16::try_from(sum).unwrap_or(0)
}

fn narrow(len: usize) -> u16 {
    u16::try_from(len).expect("packets of the simulation are short")
}
