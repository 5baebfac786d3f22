//! A packet as translation sees it: which flow it belongs to, and the rewriting of one of its ends.
//!
//! An ICMP error belongs to the flow of the packet it quotes, in the opposite direction. Checksums are updated
//! incrementally; a checksum left to the device holds the pseudo header's sum, in which only addresses count.

use packet::ipv4::Ipv4;
use packet::ipv6::Ipv6;
use packet::{checksum, crc32c, icmp, icmpv6, proto, tcp, udp};

use super::session::scope;
use crate::frame::Frame;
use crate::id::Family;
use crate::session::{Tuple, number};

/// Offset of the checksum in an SCTP header.
const SCTP_CHECKSUM: usize = 8;
const ICMP_CHECKSUM: usize = 2;
/// Offset of the identifier in an ICMP echo.
const ICMP_IDENT: usize = 4;
/// Least bytes of the upper layer that an ICMP error quotes (RFC 792).
const QUOTED_MIN: usize = 8;

/// What is behind the IP header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Upper {
    /// Ports.
    Ports,
    /// An ICMP echo, whose identifier stands for both ports.
    Echo,
    /// An ICMP error about a packet whose headers are at these offsets from the IP header.
    Error { ip: usize, upper: usize, echo: bool },
    /// Not the first fragment: nothing that can be read.
    Fragment,
}

/// A packet of a flow.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Packet {
    /// Direction of the packet; for an error, that opposite to the packet it is about.
    pub(crate) flow: Tuple,
    pub(crate) upper: Upper,
    /// Offset of the upper layer from the IP header.
    pub(crate) l4: usize,
    /// The fragment's packet; ports are its identification.
    pub(crate) fragment_of: Option<Tuple>,
    /// TCP flags, 0 for others.
    pub(crate) tcp_flags: u8,
}

/// An end of a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    Src,
    Dst,
}

/// Where the upper layer of an IP packet is.
struct Layers {
    family: Family,
    src: u128,
    dst: u128,
    protocol: u8,
    l4: usize,
    /// Offset in the packet and identification, when it is a fragment.
    fragment: Option<(usize, u32)>,
}

impl Layers {
    fn of(ip: &[u8]) -> Option<Self> {
        match ip.first()? >> 4 {
            4 => {
                let view = Ipv4::new_checked(ip).ok()?;
                let fragment = view
                    .is_fragment()
                    .then(|| (view.fragment_offset(), u32::from(view.ident())));
                Some(Self {
                    family: Family::V4,
                    src: number(view.src().into()),
                    dst: number(view.dst().into()),
                    protocol: view.protocol(),
                    l4: view.header_len(),
                    fragment,
                })
            }
            6 => {
                let view = Ipv6::new_checked(ip).ok()?;
                let upper = view.upper_layer().ok()?;
                let fragment = upper
                    .fragment
                    .filter(|f| f.offset != 0 || f.more)
                    .map(|f| (usize::from(f.offset), f.ident));
                Some(Self {
                    family: Family::V6,
                    src: number(view.src().into()),
                    dst: number(view.dst().into()),
                    protocol: upper.protocol,
                    l4: upper.offset,
                    fragment,
                })
            }
            _ => None,
        }
    }

    const fn tuple(&self, fib: u32, ports: (u16, u16)) -> Tuple {
        Tuple {
            family: self.family,
            src: self.src,
            dst: self.dst,
            src_port: ports.0,
            dst_port: ports.1,
            protocol: self.protocol,
            fragments: false,
            scope: scope(fib),
        }
    }

    /// Ports of the upper layer at `l4`, or its echo identifier twice.
    fn ports(&self, upper: &[u8]) -> Option<((u16, u16), bool)> {
        match self.protocol {
            proto::TCP | proto::UDP | proto::SCTP => {
                Some(((word(upper, 0)?, word(upper, 2)?), false))
            }
            proto::ICMP if self.family == Family::V4 => {
                let is_echo = matches!(
                    upper.first(),
                    Some(&(icmp::ECHO_REQUEST | icmp::ECHO_REPLY))
                );
                let ident = is_echo.then(|| word(upper, ICMP_IDENT))??;
                Some(((ident, ident), true))
            }
            proto::ICMPV6 if self.family == Family::V6 => {
                let is_echo = matches!(
                    upper.first(),
                    Some(&(icmpv6::ECHO_REQUEST | icmpv6::ECHO_REPLY))
                );
                let ident = is_echo.then(|| word(upper, ICMP_IDENT))??;
                Some(((ident, ident), true))
            }
            _ => None,
        }
    }

    fn is_error(&self, upper: &[u8]) -> bool {
        match (self.family, self.protocol, upper.first()) {
            // Unreachable, quench, redirect, time exceeded, parameter problem.
            (Family::V4, proto::ICMP, Some(kind)) => matches!(kind, 3 | 4 | 5 | 11 | 12),
            // Unreachable, too big, time exceeded, parameter problem.
            (Family::V6, proto::ICMPV6, Some(kind)) => matches!(kind, 1..=4),
            _ => false,
        }
    }
}

impl Packet {
    /// Reads the packet in `frame`; `None` when it belongs to no flow that can be translated.
    pub(crate) fn of(frame: &Frame) -> Option<Self> {
        Self::of_ip(frame.l3(), frame.meta.fib)
    }

    fn of_ip(ip: &[u8], fib: u32) -> Option<Self> {
        let layers = Layers::of(ip)?;
        let fragment_of = layers.fragment.map(|(_, ident)| {
            let [a, b, c, d] = ident.to_be_bytes();
            let ports = (u16::from_be_bytes([a, b]), u16::from_be_bytes([c, d]));
            Tuple {
                fragments: true,
                ..layers.tuple(fib, ports)
            }
        });
        let mut packet = Self {
            flow: layers.tuple(fib, (0, 0)),
            upper: Upper::Fragment,
            l4: layers.l4,
            fragment_of,
            tcp_flags: 0,
        };
        if layers.fragment.is_some_and(|(offset, _)| offset != 0) {
            let known = matches!(
                layers.protocol,
                proto::TCP | proto::UDP | proto::SCTP | proto::ICMP | proto::ICMPV6
            );
            return known.then_some(packet);
        }
        let upper = ip.get(layers.l4..)?;
        if let Some((ports, echo)) = layers.ports(upper) {
            packet.flow = layers.tuple(fib, ports);
            packet.upper = if echo { Upper::Echo } else { Upper::Ports };
            if layers.protocol == proto::TCP {
                packet.tcp_flags = upper.get(13).copied().unwrap_or(0);
            }
            return Some(packet);
        }
        if !layers.is_error(upper) {
            return None;
        }
        let at = layers.l4 + icmp::HEADER_LEN;
        let inner = Layers::of(ip.get(at..)?)?;
        if inner.family != layers.family || inner.fragment.is_some_and(|(offset, _)| offset != 0) {
            return None;
        }
        let quoted = ip.get(at + inner.l4..).filter(|q| q.len() >= QUOTED_MIN)?;
        let (ports, echo) = inner.ports(quoted)?;
        packet.flow = inner.tuple(fib, ports).reversed();
        packet.upper = Upper::Error {
            ip: at,
            upper: at + inner.l4,
            echo,
        };
        Some(packet)
    }

    /// Gives one end of the packet (for an error: of the flow it is about) another address and port.
    /// `false` when the packet cannot be changed so.
    pub(crate) fn set_end(&self, frame: &mut Frame, end: End, to: &Tuple) -> bool {
        let (address, port) = match end {
            End::Src => (to.src, to.src_port),
            End::Dst => (to.dst, to.dst_port),
        };
        let edit = Edit {
            family: self.flow.family,
            protocol: self.flow.protocol,
            end,
            address,
            port,
        };
        let l4_at = usize::from(frame.meta.l3) + self.l4;
        let partial = frame.offload.needs_csum && usize::from(frame.offload.csum_start) == l4_at;
        let l4_len = frame.l3_len().saturating_sub(self.l4);
        match self.upper {
            Upper::Ports | Upper::Echo => {
                let in_fragments = self.fragment_of.is_some();
                let whole = (!in_fragments).then_some(l4_len);
                edit.apply(
                    frame.l3_mut(),
                    0,
                    self.l4,
                    self.upper == Upper::Echo,
                    partial,
                    whole,
                )
            }
            Upper::Fragment => {
                edit.set_address(frame.l3_mut(), 0);
                true
            }
            Upper::Error { ip, upper, echo } => {
                self.set_end_of_error(frame.l3_mut(), &edit, ip, upper, echo)
            }
        }
    }

    /// Changes the quoted packet, and the address of the error itself when that is the flow's.
    fn set_end_of_error(
        &self,
        l3: &mut [u8],
        edit: &Edit,
        ip: usize,
        upper: usize,
        echo: bool,
    ) -> bool {
        let before = checksum::fold(checksum::add(0, l3.get(ip..).unwrap_or(&[])));
        let inner = Edit {
            end: match edit.end {
                End::Src => End::Dst,
                End::Dst => End::Src,
            },
            ..*edit
        };
        let old = match edit.end {
            End::Src => self.flow.src,
            End::Dst => self.flow.dst,
        };
        if !inner.apply(l3, ip, upper, echo, false, None) {
            return false;
        }
        let after = checksum::fold(checksum::add(0, l3.get(ip..).unwrap_or(&[])));
        replace(l3, self.l4 + ICMP_CHECKSUM, |check| {
            checksum::update(check, before, after)
        });
        // A router on the way answers with an address of its own, which stays.
        if edit.address_in(l3, 0) == old {
            let (from, to) = edit.set_address(l3, 0);
            if edit.family == Family::V6 {
                replace(l3, self.l4 + ICMP_CHECKSUM, |check| {
                    checksum::update(check, from, to)
                });
            }
        }
        true
    }
}

/// A new address and port for one end of an IP packet.
#[derive(Debug, Clone, Copy)]
struct Edit {
    family: Family,
    protocol: u8,
    end: End,
    address: u128,
    port: u16,
}

impl Edit {
    /// Changes the IP packet at `ip`, whose upper layer is at `l4`. `whole` is the length of the upper layer when
    /// all of it is in this packet.
    fn apply(
        &self,
        bytes: &mut [u8],
        ip: usize,
        l4: usize,
        echo: bool,
        partial: bool,
        whole: Option<usize>,
    ) -> bool {
        let (old_address, new_address) = self.set_address(bytes, ip);
        let at = match (echo, self.end) {
            (true, _) => l4 + ICMP_IDENT,
            (false, End::Src) => l4,
            (false, End::Dst) => l4 + 2,
        };
        let Some(old_port) = word(bytes, at) else {
            return false;
        };
        if self.protocol == proto::SCTP {
            return self.set_sctp_port(bytes, l4, at, whole);
        }
        let field = l4
            + match self.protocol {
                proto::TCP => tcp::CHECKSUM_OFFSET,
                proto::UDP => udp::CHECKSUM_OFFSET,
                _ => ICMP_CHECKSUM,
            };
        put(bytes, at, self.port);
        // ICMP has a pseudo header in IPv6 only.
        let with_addresses = self.protocol != proto::ICMP;
        replace(bytes, field, |check| {
            if partial {
                let sum = u32::from(check) + u32::from(!old_address) + u32::from(new_address);
                return checksum::fold(sum);
            }
            if check == 0 && self.protocol == proto::UDP {
                return 0;
            }
            let check = if with_addresses {
                checksum::update(check, old_address, new_address)
            } else {
                check
            };
            match checksum::update(check, old_port, self.port) {
                0 if self.protocol == proto::UDP => 0xffff,
                check => check,
            }
        });
        true
    }

    /// SCTP has a CRC over all of the packet, but none of it over addresses.
    fn set_sctp_port(&self, bytes: &mut [u8], l4: usize, at: usize, whole: Option<usize>) -> bool {
        let chunk = |bytes: &[u8], at: usize| bytes.get(at..)?.first_chunk::<4>().copied();
        let Some(old) = chunk(bytes, l4) else {
            return false;
        };
        put(bytes, at, self.port);
        let Some(new) = chunk(bytes, l4) else {
            return false;
        };
        let Some(check) = chunk(bytes, l4 + SCTP_CHECKSUM) else {
            // Quoted by an ICMP error that cut it: nobody checks it.
            return true;
        };
        if new == old || check == [0; 4] {
            return true;
        }
        let Some(len) = whole else {
            return l4_is_quoted(bytes, l4);
        };
        let crc = crc32c::update(u32::from_le_bytes(check), old, new, len.saturating_sub(4));
        if let Some(field) = bytes.get_mut(l4 + SCTP_CHECKSUM..l4 + SCTP_CHECKSUM + 4) {
            field.copy_from_slice(&crc.to_le_bytes());
        }
        true
    }

    fn place(&self) -> (usize, usize) {
        match (self.family, self.end) {
            (Family::V4, End::Src) => (12, 4),
            (Family::V4, End::Dst) => (16, 4),
            (Family::V6, End::Src) => (8, 16),
            (Family::V6, End::Dst) => (24, 16),
        }
    }

    /// The address at this end of the IP packet at `ip`.
    fn address_in(&self, bytes: &[u8], ip: usize) -> u128 {
        let (at, len) = self.place();
        let bytes = bytes.get(ip + at..ip + at + len).unwrap_or(&[]);
        bytes
            .iter()
            .fold(0, |sum, byte| sum << 8 | u128::from(*byte))
    }

    /// Changes the address and the IP header's checksum; gives the folded sums of old and new address.
    fn set_address(&self, bytes: &mut [u8], ip: usize) -> (u16, u16) {
        let (at, len) = self.place();
        let Some(field) = bytes.get_mut(ip + at..ip + at + len) else {
            return (0, 0);
        };
        let old = checksum::fold(checksum::add(0, field));
        let new = self.address.to_be_bytes();
        field.copy_from_slice(new.get(16 - len..).unwrap_or(&[]));
        let new = checksum::fold(checksum::add(0, field));
        if self.family == Family::V4 {
            replace(bytes, ip + 10, |check| checksum::update(check, old, new));
        }
        (old, new)
    }
}

/// Only a quoted header is not at the start of the packet's own upper layer; then its checksum is nobody's.
fn l4_is_quoted(bytes: &[u8], l4: usize) -> bool {
    Layers::of(bytes).is_some_and(|outer| outer.l4 != l4)
}

fn word(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes(*bytes.get(at..)?.first_chunk()?))
}

fn put(bytes: &mut [u8], at: usize, value: u16) {
    if let Some(field) = bytes.get_mut(at..at + 2) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

/// Replaces a word, when it is there.
fn replace(bytes: &mut [u8], at: usize, with: impl FnOnce(u16) -> u16) {
    if let Some(old) = word(bytes, at) {
        put(bytes, at, with(old));
    }
}
