//! What generators send: frames between the hosts on both sides of a dataplane.

use std::net::{Ipv4Addr, Ipv6Addr};

use clap::ValueEnum;

const ETHERNET: usize = 14;
const IP4: usize = 20;
const IP6: usize = 40;
const UDP: usize = 8;
const VXLAN: usize = 8;
const FRAME_MAX: usize = 2048;
/// IP protocol numbers of what is inside.
const UDP_IN: u8 = 17;
const IP4_IN: u8 = 4;
const IP6_IN: u8 = 41;
/// Ports of what hosts send each other.
const FORTH: (u16, u16) = (1024, 9);
/// The mix of sizes that routers are measured with: 7, 4 and 1 of 12 frames.
const IMIX: [usize; 12] = [64, 594, 64, 594, 64, 1500, 64, 594, 64, 594, 64, 64];
/// VXLAN network identifier of the tunnel of the case.
pub(crate) const VNI: u32 = 7;
const VXLAN_PORT: u16 = 4789;
/// First network of the routes: 16.0.0.0/24, then one /24 after the other.
pub(crate) const NETWORKS: u32 = 16 << 24;

/// Networks of clients behind the left host.
pub(crate) const CLIENTS: Ipv4Addr = Ipv4Addr::new(172, 16, 0, 0);
pub(crate) const CLIENTS_LEN: u8 = 12;
/// Virtual address of a service, and the port of it and of its back-end.
pub(crate) const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 1);
pub(crate) const SERVICE_PORT: u16 = 9;
const CLIENT_PORT: u16 = 1024;

/// Hosts behind a far segment router, with their networks.
pub(crate) const SEGMENTED4: Ipv4Addr = Ipv4Addr::new(10, 9, 0, 2);
pub(crate) const SEGMENTED6: Ipv6Addr = Ipv6Addr::new(0xfd00, 9, 0, 0, 0, 0, 0, 2);
/// Segment of the dataplane, which decapsulates, and of the far router.
pub(crate) const SID: Ipv6Addr = Ipv6Addr::new(0xfcff, 1, 0, 0, 0, 0, 0, 1);
pub(crate) const FAR_SID: Ipv6Addr = Ipv6Addr::new(0xfcff, 2, 0, 0, 0, 0, 0, 1);

/// Which frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Traffic {
    /// UDP over IPv4 from host to host
    Ip4,
    /// UDP over IPv6 from host to host
    Ip6,
    /// UDP over IPv4 from the left, VXLAN from the right
    Tunnel,
    /// UDP from clients behind the left host to a service, and answers of its back-end, the right host
    Service,
    /// UDP over IPv4 to a steered network from the left, the same in IPv6 with a segment as destination from the right
    Segment4,
    /// The same with IPv6 inside
    Segment6,
}

impl Traffic {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Ip4 => "ip4",
            Self::Ip6 => "ip6",
            Self::Tunnel => "tunnel",
            Self::Service => "service",
            Self::Segment4 => "segment4",
            Self::Segment6 => "segment6",
        }
    }
}

impl Traffic {
    /// A frame of one side; `size` is that of the innermost.
    fn frame(self, size: usize, side: &Side) -> Vec<u8> {
        let is_left = side.subnet == Side::LEFT.subnet;
        match self {
            Self::Ip4 => frame4(size, side),
            Self::Ip6 => frame6(size, side),
            Self::Tunnel if is_left => frame4(size, side),
            Self::Tunnel => tunnelled(size, side),
            Self::Service if is_left => {
                datagram4(size, side, (CLIENTS, SERVICE), (CLIENT_PORT, SERVICE_PORT))
            }
            Self::Service => {
                let ends = (side.host4(), CLIENTS);
                datagram4(size, side, ends, (SERVICE_PORT, CLIENT_PORT))
            }
            Self::Segment4 if is_left => datagram4(size, side, (side.host4(), SEGMENTED4), FORTH),
            Self::Segment4 => {
                let ends = (SEGMENTED4, Side::LEFT.host4());
                segmented(&datagram4(size, side, ends, FORTH), IP4_IN, side)
            }
            Self::Segment6 if is_left => datagram6(size, side, (side.host6(), SEGMENTED6)),
            Self::Segment6 => {
                let ends = (SEGMENTED6, Side::LEFT.host6());
                segmented(&datagram6(size, side, ends), IP6_IN, side)
            }
        }
    }
}

/// Length of the frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Size {
    Bytes(usize),
    Imix,
}

impl Size {
    pub(crate) fn name(self) -> String {
        match self {
            Self::Bytes(bytes) => format!("{bytes} B"),
            Self::Imix => "IMIX".to_owned(),
        }
    }

    /// As an argument of a generator: 0 is the mix.
    pub(crate) const fn argument(self) -> usize {
        match self {
            Self::Bytes(bytes) => bytes,
            Self::Imix => 0,
        }
    }

    pub(crate) const fn of_argument(bytes: usize) -> Self {
        if bytes == 0 {
            Self::Imix
        } else {
            Self::Bytes(bytes)
        }
    }
}

/// Addresses of one side of a dataplane.
pub(crate) struct Side {
    /// Of the dataplane's interface.
    pub(crate) gateway_mac: [u8; 6],
    pub(crate) host_mac: [u8; 6],
    /// Subnets 10.x.0.0/24 and fd00:x::/64: .1 is the dataplane's, .2 the host's.
    pub(crate) subnet: u8,
    far_subnet: u8,
}

impl Side {
    pub(crate) const LEFT: Self = Self::new(1, 2);
    pub(crate) const RIGHT: Self = Self::new(2, 1);

    const fn new(subnet: u8, far_subnet: u8) -> Self {
        Self {
            gateway_mac: [2, 0xfe, 0, 0, 1, subnet],
            host_mac: [2, 0xfe, 0, 0, 2, subnet],
            subnet,
            far_subnet,
        }
    }

    pub(crate) const fn gateway4(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.subnet, 0, 1)
    }

    pub(crate) const fn host4(&self) -> Ipv4Addr {
        Ipv4Addr::new(10, self.subnet, 0, 2)
    }

    pub(crate) const fn gateway6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, self.subnet as u16, 0, 0, 0, 0, 0, 1)
    }

    pub(crate) const fn host6(&self) -> Ipv6Addr {
        Ipv6Addr::new(0xfd00, self.subnet as u16, 0, 0, 0, 0, 0, 2)
    }
}

/// The frames of one side, one after the other.
pub(crate) struct Generator {
    frames: Vec<Vec<u8>>,
    next: usize,
    spread: Option<Spread>,
}

/// An address that changes from frame to frame, in no order.
struct Spread {
    /// Where it is in the frame.
    at: usize,
    count: u32,
    /// Addresses that had their first turn; they have it in order.
    primed: u32,
    /// Networks behind the other side have even or odd numbers; clients have all.
    parity: Option<u32>,
    state: u32,
    /// Sum of the IP header without that address and checksum.
    sum: u32,
}

impl Generator {
    /// `networks` other than 0 spreads IPv4 destinations over so many of them.
    pub(crate) fn new(traffic: Traffic, size: Size, side: &Side, networks: u32) -> Self {
        let sizes: &[usize] = match &size {
            Size::Bytes(bytes) => std::slice::from_ref(bytes),
            Size::Imix => &IMIX,
        };
        let frames: Vec<_> = sizes
            .iter()
            .map(|size| traffic.frame(*size, side))
            .collect();
        let is_left = side.subnet == Side::LEFT.subnet;
        let is_service = traffic == Traffic::Service;
        // Clients are sources on the left and destinations on the right.
        let at = ETHERNET + if is_service && is_left { 12 } else { 16 };
        let spread = (networks > 0).then(|| Spread {
            at,
            count: networks,
            primed: 0,
            parity: (!is_service).then_some(u32::from(side.subnet & 1)),
            state: 0x9e37_79b9 ^ u32::from(side.subnet),
            sum: frames.first().map_or(0, |frame| {
                let mut frame = frame.clone();
                frame[at..at + 4].fill(0);
                frame[ETHERNET + 10..ETHERNET + 12].fill(0);
                sum(&frame[ETHERNET..ETHERNET + IP4])
            }),
        });
        Self {
            frames,
            next: 0,
            spread,
        }
    }

    /// Whether every address had a turn, so that the dataplane knows all flows.
    pub(crate) fn is_primed(&self) -> bool {
        self.spread
            .as_ref()
            .is_none_or(|spread| spread.primed >= spread.count)
    }

    #[inline]
    pub(crate) fn frame(&mut self) -> &[u8] {
        let at = self.next;
        self.next = (at + 1) % self.frames.len();
        let frame = &mut self.frames[at];
        if let Some(spread) = &mut self.spread {
            spread.aim(frame);
        }
        frame
    }
}

impl Spread {
    fn aim(&mut self, frame: &mut [u8]) {
        // Marsaglia's xorshift.
        self.state ^= self.state << 13;
        self.state ^= self.state >> 17;
        self.state ^= self.state << 5;
        let wide = (u64::from(self.state) * u64::from(self.count)) >> 32;
        let mut n = u32::try_from(wide).unwrap_or(0);
        if self.primed < self.count {
            n = self.primed;
            self.primed += 1;
        }
        let address = match self.parity {
            Some(parity) => NETWORKS + (((n & !1) | parity) << 8) + 5,
            None => CLIENTS.to_bits() + n,
        };
        let total = self.sum + (address >> 16) + (address & 0xffff);
        frame[self.at..self.at + 4].copy_from_slice(&address.to_be_bytes());
        let check = (!fold(total)).to_be_bytes();
        frame[ETHERNET + 10..ETHERNET + 12].copy_from_slice(&check);
    }
}

/// A UDP frame from the host of one side to that of the other, through the gateway.
pub(crate) fn frame4(size: usize, side: &Side) -> Vec<u8> {
    let far = Ipv4Addr::new(10, side.far_subnet, 0, 2);
    datagram4(size, side, (side.host4(), far), FORTH)
}

fn datagram4(
    size: usize,
    side: &Side,
    (src, dst): (Ipv4Addr, Ipv4Addr),
    (src_port, dst_port): (u16, u16),
) -> Vec<u8> {
    let size = size.clamp(ETHERNET + IP4 + UDP, FRAME_MAX);
    let payload = udp(src_port, dst_port, size - ETHERNET - IP4);
    let mut frame = link(side.gateway_mac, side.host_mac, [8, 0]);
    frame.extend(ip4(src, dst, payload.len()));
    frame.extend(payload);
    frame
}

fn frame6(size: usize, side: &Side) -> Vec<u8> {
    let far = Ipv6Addr::new(0xfd00, u16::from(side.far_subnet), 0, 0, 0, 0, 0, 2);
    datagram6(size, side, (side.host6(), far))
}

fn datagram6(size: usize, side: &Side, ends: (Ipv6Addr, Ipv6Addr)) -> Vec<u8> {
    let size = size.clamp(ETHERNET + IP6 + UDP, FRAME_MAX);
    let (src_port, dst_port) = FORTH;
    let payload = udp(src_port, dst_port, size - ETHERNET - IP6);
    ip6(&payload, UDP_IN, side, ends)
}

/// The packet of a frame behind an IPv6 header that goes to the segment of the dataplane.
fn segmented(inner: &[u8], protocol: u8, side: &Side) -> Vec<u8> {
    let packet = inner.get(ETHERNET..).unwrap_or(&[]);
    ip6(packet, protocol, side, (side.host6(), SID))
}

fn ip6(payload: &[u8], protocol: u8, side: &Side, (src, dst): (Ipv6Addr, Ipv6Addr)) -> Vec<u8> {
    let mut frame = link(side.gateway_mac, side.host_mac, [0x86, 0xdd]);
    frame.extend([0x60, 0, 0, 0]);
    frame.extend(length(payload.len()));
    frame.extend([protocol, 64]);
    frame.extend(src.octets());
    frame.extend(dst.octets());
    frame.extend(payload);
    frame
}

/// A frame for the other side in the tunnel that ends at the gateway.
fn tunnelled(size: usize, side: &Side) -> Vec<u8> {
    let inner = frame4(size, &Side::RIGHT);
    let mut payload = udp(50_000, VXLAN_PORT, UDP + VXLAN + inner.len());
    payload.truncate(UDP);
    payload.extend([8, 0, 0, 0]);
    payload.extend((VNI << 8).to_be_bytes());
    payload.extend(inner);
    let mut frame = link(side.gateway_mac, side.host_mac, [8, 0]);
    frame.extend(ip4(side.host4(), side.gateway4(), payload.len()));
    frame.extend(payload);
    frame
}

fn link(dst: [u8; 6], src: [u8; 6], kind: [u8; 2]) -> Vec<u8> {
    [&dst[..], &src[..], &kind[..]].concat()
}

fn ip4(src: Ipv4Addr, dst: Ipv4Addr, payload_len: usize) -> [u8; IP4] {
    let mut header = [0; IP4];
    header[0] = 0x45;
    header[2..4].copy_from_slice(&length(IP4 + payload_len));
    header[8..10].copy_from_slice(&[64, 17]);
    header[12..16].copy_from_slice(&src.octets());
    header[16..].copy_from_slice(&dst.octets());
    let check = (!fold(sum(&header))).to_be_bytes();
    header[10..12].copy_from_slice(&check);
    header
}

/// A datagram of `len` bytes without checksum. Its flow is one.
fn udp(src_port: u16, dst_port: u16, len: usize) -> Vec<u8> {
    let mut datagram = Vec::with_capacity(len);
    datagram.extend(src_port.to_be_bytes());
    datagram.extend(dst_port.to_be_bytes());
    datagram.extend(length(len));
    datagram.extend([0, 0]);
    datagram.resize(len, 0x5a);
    datagram
}

fn length(len: usize) -> [u8; 2] {
    u16::try_from(len).unwrap_or(u16::MAX).to_be_bytes()
}

/// RFC 1071, not folded.
fn sum(header: &[u8]) -> u32 {
    header
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum()
}

fn fold(mut sum: u32) -> u16 {
    while sum > 0xffff {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    u16::try_from(sum).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_have_the_size_and_a_checksum_that_a_router_accepts() {
        for size in [64, 512, 1500] {
            let frame = frame4(size, &Side::LEFT);
            assert_eq!(frame.len(), size);
            assert_eq!(fold(sum(&frame[14..34])), 0xffff);
            assert_eq!(frame[26..34], [10, 1, 0, 2, 10, 2, 0, 2]);
            let total = u16::from_be_bytes([frame[16], frame[17]]);
            assert_eq!(usize::from(total), size - 14);
            assert_eq!(frame6(size, &Side::LEFT).len(), size);
            assert_eq!(tunnelled(size, &Side::RIGHT).len(), size + 50);
            for traffic in [Traffic::Segment4, Traffic::Segment6] {
                assert_eq!(traffic.frame(size, &Side::LEFT).len(), size);
                let outer = traffic.frame(size, &Side::RIGHT);
                assert_eq!(outer.len(), size + IP6);
                assert_eq!(outer[38..54], SID.octets());
            }
        }
    }

    #[test]
    fn spread_frames_go_to_networks_of_the_other_side_with_right_checksums() {
        for (side, parity) in [(Side::LEFT, 1), (Side::RIGHT, 0)] {
            let mut generator = Generator::new(Traffic::Ip4, Size::Bytes(64), &side, 1000);
            for _ in 0..100 {
                let frame = generator.frame();
                assert_eq!(fold(sum(&frame[14..34])), 0xffff);
                let dst = u32::from_be_bytes([frame[30], frame[31], frame[32], frame[33]]);
                let n = (dst - NETWORKS) >> 8;
                assert!(n < 1000 && n & 1 == parity, "{n}");
            }
        }
    }

    #[test]
    fn the_checksum_is_that_of_rfc_1071() {
        // The example of RFC 1071, section 3.
        let words = [0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7];
        assert_eq!(fold(sum(&words)), 0xddf2);
    }
}
