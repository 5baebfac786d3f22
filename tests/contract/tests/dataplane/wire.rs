//! Two hosts on memif links of a dataplane: what they send, and what comes out, as text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::time::{Duration, Instant};

use memif_rs::{Address, Client, ClientConfig, Event, Limits, Memory, RxQueue, TxQueue};
use packet::arp::{Arp, Operation};
use packet::ethernet::{self, Ethernet};
use packet::ipv4::{self, Ipv4};
use packet::ipv6::{self, Ipv6};
use packet::{MacAddr, checksum, proto, tcp, udp, vxlan};
use vpp_api::ethernet_types::MacAddress;
use vpp_api::interface::{SwInterfaceAddDelAddress, SwInterfaceSetFlags};
use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
use vpp_api::ip_neighbor::{IpNeighbor, IpNeighborAddDel, IpNeighborFlags};
use vpp_api::ip_types::AddressWithPrefix;
use vpp_api::memif::{MemifCreateV2, MemifMode, MemifRole, MemifSocketFilenameAddDelV2};

use crate::target::{PATIENCE, Target, prefix};

/// How long after the marker other frames may still come.
const QUIET: Duration = Duration::from_millis(20);

/// Hosts 10.77.40.2 and 10.77.41.2, fd77:40::2 and fd77:41::2; the dataplane has the same with 1.
pub(crate) struct Wires {
    ends: Vec<End>,
    pub(crate) ports: [InterfaceIndex; 2],
}

struct End {
    client: Client,
    rx: RxQueue,
    tx: TxQueue,
}

fn gateway_mac(side: usize) -> MacAddr {
    MacAddr([2, 0x77, 0, 0, 1, u8::from(side != 0)])
}

pub(crate) fn host_mac(side: usize) -> MacAddr {
    MacAddr([2, 0x77, 0, 0, 2, u8::from(side != 0)])
}

impl Wires {
    pub(crate) async fn new(target: &Target) -> Self {
        let socket = target.dir.path().join("wires.sock");
        let named = MemifSocketFilenameAddDelV2 {
            is_add: true,
            socket_id: 77,
            socket_filename: socket.to_string_lossy().into_owned(),
        };
        target.ok(&named).await;
        let (mut ends, mut ports) = (Vec::new(), [InterfaceIndex::NONE; 2]);
        for (side, port) in ports.iter_mut().enumerate() {
            let create = MemifCreateV2 {
                role: MemifRole::Master,
                mode: MemifMode::Ethernet,
                id: u32::try_from(side).unwrap(),
                socket_id: 77,
                ring_size: 1024,
                buffer_size: 2048,
                hw_addr: MacAddress(gateway_mac(side).0),
                ..MemifCreateV2::default()
            };
            *port = target.api.request(&create).await.unwrap().sw_if_index;
            up(target, *port).await;
            for (own, host) in [
                (format!("10.77.4{side}.1/24"), format!("10.77.4{side}.2")),
                (format!("fd77:4{side}::1/64"), format!("fd77:4{side}::2")),
            ] {
                address(target, *port, &own).await;
                let neighbor = IpNeighbor {
                    sw_if_index: *port,
                    flags: IpNeighborFlags::STATIC,
                    mac_address: MacAddress(host_mac(side).0),
                    ip_address: host.parse().unwrap(),
                };
                target
                    .ok(&IpNeighborAddDel {
                        is_add: true,
                        neighbor,
                    })
                    .await;
            }
            ends.push(End::connect(&Address::path(&socket), create.id));
        }
        Self { ends, ports }
    }

    /// Sends a packet from the host of a side and says what comes out of both: `side: packet`.
    pub(crate) fn exchange(&mut self, side: usize, packet: &[u8]) -> Vec<String> {
        self.exchange_all(side, &[packet.to_vec()])
    }

    /// The same with several packets.
    pub(crate) fn exchange_all(&mut self, side: usize, packets: &[Vec<u8>]) -> Vec<String> {
        for packet in packets {
            self.send(side, packet);
        }
        // What is asked for behind the packets is answered behind them.
        self.ends[side].send(&marker(side));
        self.gather()
    }

    fn send(&mut self, side: usize, packet: &[u8]) {
        let kind = if packet[0] >> 4 == 4 {
            ethernet::IPV4
        } else {
            ethernet::IPV6
        };
        let frame = frame(gateway_mac(side), side, kind, packet);
        self.ends[side].send(&frame);
    }

    /// The same with a frame for another address than the gateway's; it has a tag.
    pub(crate) fn exchange_tagged(
        &mut self,
        side: usize,
        to: MacAddr,
        vlan: u16,
        packet: &[u8],
    ) -> Vec<String> {
        let mut bytes = vec![0; ethernet::HEADER_LEN];
        ethernet::emit(&mut bytes, to, host_mac(side), ethernet::VLAN);
        bytes.extend(vlan.to_be_bytes());
        bytes.extend(ethernet::IPV4.to_be_bytes());
        bytes.extend(packet);
        bytes.resize(bytes.len().max(64), 0);
        self.ends[side].send(&bytes);
        self.ends[side].send(&marker(side));
        self.gather()
    }

    /// The same with one frame from another address than the host's.
    pub(crate) fn exchange_from(
        &mut self,
        side: usize,
        from: MacAddr,
        packet: &[u8],
    ) -> Vec<String> {
        let mut bytes = frame(gateway_mac(side), side, ethernet::IPV4, packet);
        bytes[6..12].copy_from_slice(&from.0);
        self.ends[side].send(&bytes);
        self.ends[side].send(&marker(side));
        self.gather()
    }

    /// The same where the marker has to come from the other side, for the port of this one does not route.
    pub(crate) fn send_for(&mut self, side: usize, packet: &[u8], other: usize) -> Vec<String> {
        self.ends[side].send(&frame(gateway_mac(side), side, ethernet::IPV4, packet));
        std::thread::sleep(10 * QUIET);
        self.ends[other].send(&marker(other));
        self.gather()
    }

    fn gather(&mut self) -> Vec<String> {
        let (mut seen, mut marked) = (Vec::new(), None);
        let deadline = Instant::now() + PATIENCE;
        while marked.is_none_or(|since: Instant| since.elapsed() < QUIET) {
            assert!(
                Instant::now() < deadline,
                "no answer to the marker; {seen:?}"
            );
            for (at, end) in self.ends.iter_mut().enumerate() {
                for bytes in end.receive() {
                    if is_arp_for_host(&bytes) {
                        marked = marked.or(Some(Instant::now()));
                    } else if let Some(text) = describe(&bytes) {
                        seen.push(format!("{at}: {text}"));
                    }
                }
            }
        }
        seen.sort();
        seen
    }
}

impl End {
    fn connect(address: &Address, id: u32) -> Self {
        let config = ClientConfig {
            name: "contract".into(),
            memory: Memory::Copy { buffer_size: 2048 },
            ..ClientConfig::default()
        };
        let mut client = Client::new(address.clone(), id, config, Limits::default()).unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            client.drive(Instant::now()).unwrap();
            if let Some(Event::Connected { link, .. }) = client.poll_event() {
                let (mut rx, mut tx) = link.into_copy().unwrap();
                let (rx, tx) = (rx.pop().unwrap(), tx.pop().unwrap());
                return Self { client, rx, tx };
            }
            assert!(Instant::now() < deadline, "no memif link");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    fn send(&mut self, frame: &[u8]) {
        assert!(self.tx.push(&[frame]).unwrap(), "no room in the ring");
        self.tx.commit();
    }

    fn receive(&mut self) -> Vec<Vec<u8>> {
        self.client.drive(Instant::now()).unwrap();
        self.rx.peek(32).unwrap();
        let copy = |packet: memif_rs::RxPacket<'_>| {
            let mut bytes = vec![0; 2048];
            let len = packet.copy_out(0, &mut bytes);
            bytes.truncate(len);
            bytes
        };
        let frames = self.rx.packets().map(copy).collect();
        self.rx.release_all();
        frames
    }
}

pub(crate) async fn up(target: &Target, sw_if_index: InterfaceIndex) {
    let flags = IfStatusFlags::ADMIN_UP;
    target.ok(&SwInterfaceSetFlags { sw_if_index, flags }).await;
}

pub(crate) async fn address(target: &Target, sw_if_index: InterfaceIndex, with_len: &str) {
    let request = SwInterfaceAddDelAddress {
        sw_if_index,
        is_add: true,
        prefix: AddressWithPrefix(prefix(with_len)),
        ..SwInterfaceAddDelAddress::default()
    };
    target.ok(&request).await;
}

fn frame(dst: MacAddr, side: usize, kind: u16, payload: &[u8]) -> Vec<u8> {
    let mut bytes = ethernet::header(dst, host_mac(side), kind).to_vec();
    bytes.extend(payload);
    bytes.resize(bytes.len().max(60), 0);
    bytes
}

fn marker(side: usize) -> Vec<u8> {
    let address = |last| Ipv4Addr::new(10, 77, 40 + u8::try_from(side).unwrap(), last);
    let mut bytes = [0; packet::arp::LEN];
    Arp {
        operation: Operation::Request,
        sender_mac: host_mac(side),
        sender_ip: address(2),
        target_mac: MacAddr([0; 6]),
        target_ip: address(1),
    }
    .emit(&mut bytes);
    frame(MacAddr([0xff; 6]), side, ethernet::ARP, &bytes)
}

fn is_arp_for_host(bytes: &[u8]) -> bool {
    let frame = Ethernet::new_checked(bytes).unwrap();
    let reply = |arp: Arp| arp.operation == Operation::Reply && arp.target_ip.octets()[3] == 2;
    frame.ethertype() == ethernet::ARP && Arp::parse(frame.payload()).is_ok_and(reply)
}

/// What a frame says, or nothing for what routers say of their own accord.
fn describe(bytes: &[u8]) -> Option<String> {
    let frame = Ethernet::new_checked(bytes).unwrap();
    match frame.ethertype() {
        ethernet::IPV4 => Some(describe_ip(frame.payload())),
        // Router advertisements, neighbour discovery and listener reports go to multicast groups.
        ethernet::IPV6
            if Ipv6::new_checked(frame.payload()).is_ok_and(|ip| ip.dst().is_multicast()) =>
        {
            None
        }
        ethernet::IPV6 => Some(describe_ip(frame.payload())),
        ethernet::ARP => None,
        ethernet::VLAN => {
            let (kind, at, _) = frame.payload_behind_tags().unwrap();
            let ids: Vec<_> = tags_of(bytes, at).iter().map(|tci| tci & 0xfff).collect();
            (kind == ethernet::IPV4).then(|| format!("vlan {ids:?} {}", describe_ip(&bytes[at..])))
        }
        other => Some(format!("ethertype {other:#x}")),
    }
}

/// The tags of a frame whose payload is at `at`.
fn tags_of(bytes: &[u8], at: usize) -> Vec<u16> {
    let tag = |tag: &[u8]| u16::from_be_bytes([tag[0], tag[1]]);
    bytes[ethernet::HEADER_LEN..at]
        .chunks_exact(ethernet::TAG_LEN)
        .map(tag)
        .collect()
}

fn describe_ip(bytes: &[u8]) -> String {
    if bytes[0] >> 4 == 4 {
        let ip = Ipv4::new_checked(bytes).unwrap();
        assert!(ip.checksum_ok(), "bad header checksum");
        if ip.is_fragment() {
            let (at, len) = (ip.fragment_offset(), ip.payload().len());
            return format!(
                "{} > {} ttl {} part {at}+{len}",
                ip.src(),
                ip.dst(),
                ip.ttl()
            );
        }
        let upper = describe_upper(
            ip.protocol(),
            ip.payload(),
            ip.src().into(),
            ip.dst().into(),
        );
        return format!("{} > {} ttl {} {upper}", ip.src(), ip.dst(), ip.ttl());
    }
    let ip = Ipv6::new_checked(bytes).unwrap();
    let upper = describe_upper(
        ip.next_header(),
        ip.payload(),
        ip.src().into(),
        ip.dst().into(),
    );
    format!("{} > {} ttl {} {upper}", ip.src(), ip.dst(), ip.hop_limit())
}

fn describe_upper(protocol: u8, bytes: &[u8], src: IpAddr, dst: IpAddr) -> String {
    let sound = |bytes: &[u8]| {
        let pseudo = pseudo(src, dst, protocol, bytes.len());
        checksum::fold(checksum::add(pseudo, bytes)) == 0xffff
    };
    match protocol {
        proto::UDP => {
            let datagram = udp::Udp::new_checked(bytes).unwrap();
            assert!(datagram.checksum() == 0 || sound(bytes), "bad UDP checksum");
            if datagram.dst_port() == vxlan::PORT {
                let inner = &datagram.payload()[vxlan::HEADER_LEN..];
                let vni = vxlan::parse(datagram.payload()).unwrap();
                return format!("vxlan {vni} [{}]", describe(inner).unwrap_or_default());
            }
            format!("udp {}>{}", datagram.src_port(), datagram.dst_port())
        }
        proto::TCP => {
            let segment = tcp::Tcp::new_checked(bytes).unwrap();
            assert!(sound(bytes), "bad TCP checksum");
            format!("tcp {}>{}", segment.src_port(), segment.dst_port())
        }
        proto::ICMP => {
            assert_eq!(checksum::of(bytes), 0, "bad ICMP checksum");
            describe_icmp(bytes)
        }
        proto::ICMPV6 => {
            assert!(sound(bytes), "bad ICMPv6 checksum");
            describe_icmp(bytes)
        }
        proto::ROUTING => {
            let at = 8 + 8 * usize::from(bytes[1]);
            let rest = describe_upper(bytes[0], &bytes[at..], src, dst);
            format!(
                "srh {} left {} {rest}",
                describe_segments(&bytes[8..at]),
                bytes[3]
            )
        }
        proto::IPIP | proto::IPV6 => format!("[{}]", describe_ip(bytes)),
        other => format!("protocol {other}"),
    }
}

/// The list of a routing header, last segment first.
fn describe_segments(bytes: &[u8]) -> String {
    let segment = |bytes: &[u8]| Ipv6Addr::from(<[u8; 16]>::try_from(bytes).unwrap()).to_string();
    bytes
        .chunks_exact(16)
        .map(segment)
        .collect::<Vec<_>>()
        .join(" ")
}

fn describe_icmp(bytes: &[u8]) -> String {
    let text = format!("icmp {}/{}", bytes[0], bytes[1]);
    if [0, 8, 128, 129].contains(&bytes[0]) {
        let ident = u16::from_be_bytes([bytes[4], bytes[5]]);
        return format!("{text} id {ident}");
    }
    format!("{text} about {}", describe_quoted(&bytes[8..]))
}

/// The addresses and ports of a packet that may be cut.
fn describe_quoted(bytes: &[u8]) -> String {
    let word = |at: usize| u16::from_be_bytes([bytes[at], bytes[at + 1]]);
    if bytes[0] >> 4 == 4 {
        let address =
            |at: usize| Ipv4Addr::from([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]]);
        return format!(
            "{} > {} {}>{}",
            address(12),
            address(16),
            word(20),
            word(22)
        );
    }
    let address = |at: usize| Ipv6Addr::from(<[u8; 16]>::try_from(&bytes[at..at + 16]).unwrap());
    format!("{} > {} {}>{}", address(8), address(24), word(40), word(42))
}

fn pseudo(src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> u32 {
    match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            checksum::pseudo4(src, dst, protocol, u16::try_from(len).unwrap())
        }
        (IpAddr::V6(src), IpAddr::V6(dst)) => {
            checksum::pseudo6(src, dst, protocol, u32::try_from(len).unwrap())
        }
        _ => unreachable!("one packet has one family"),
    }
}

/// A packet around a payload whose checksum, at `check`, is still missing.
fn ip(
    ends: (&str, &str),
    ttl: u8,
    protocol: u8,
    check: Option<usize>,
    mut payload: Vec<u8>,
) -> Vec<u8> {
    let (src, dst): (IpAddr, IpAddr) = (ends.0.parse().unwrap(), ends.1.parse().unwrap());
    if let Some(at) = check {
        let sum = if protocol == proto::ICMP {
            checksum::add(0, &payload)
        } else {
            checksum::add(pseudo(src, dst, protocol, payload.len()), &payload)
        };
        payload[at..at + 2].copy_from_slice(&(!checksum::fold(sum)).to_be_bytes());
    }
    let mut bytes = match (src, dst) {
        (IpAddr::V4(src), IpAddr::V4(dst)) => {
            let total_len = u16::try_from(ipv4::HEADER_LEN + payload.len()).unwrap();
            let mut header = vec![0; ipv4::HEADER_LEN];
            let (tos, ident, fragment_word) = (0, 7, 0);
            ipv4::Header {
                tos,
                total_len,
                ident,
                fragment_word,
                ttl,
                protocol,
                src,
                dst,
            }
            .emit(&mut header);
            header
        }
        (src, dst) => {
            let v6 = |address| match address {
                IpAddr::V6(address) => address,
                IpAddr::V4(_) => Ipv6Addr::UNSPECIFIED,
            };
            let mut header = vec![0; ipv6::HEADER_LEN];
            ipv6::Header {
                traffic_class: 0,
                flow_label: 0,
                payload_len: u16::try_from(payload.len()).unwrap(),
                next_header: protocol,
                hop_limit: ttl,
                src: v6(src),
                dst: v6(dst),
            }
            .emit(&mut header);
            header
        }
    };
    bytes.extend(payload);
    bytes
}

/// A datagram of 20 bytes.
pub(crate) fn udp_of(ends: (&str, &str), ports: (u16, u16), ttl: u8) -> Vec<u8> {
    let mut datagram = vec![0x5a; 28];
    udp::emit(&mut datagram, ports.0, ports.1, 28, 0);
    ip(ends, ttl, proto::UDP, Some(udp::CHECKSUM_OFFSET), datagram)
}

/// A datagram of so many bytes; over IPv4 it may be cut or not.
pub(crate) fn long_udp_of(ends: (&str, &str), len: u16, may_cut: bool) -> Vec<u8> {
    let mut datagram = vec![0x5a; usize::from(len)];
    udp::emit(&mut datagram, 5, 6, len, 0);
    let mut bytes = ip(ends, 64, proto::UDP, Some(udp::CHECKSUM_OFFSET), datagram);
    if !may_cut {
        ipv4::finish_header(&mut bytes, len + 20, ipv4::FLAG_DF);
    }
    bytes
}

/// That a port is not reachable, about a packet.
pub(crate) fn unreachable_of(ends: (&str, &str), about: &[u8]) -> Vec<u8> {
    let is_v6 = ends.0.contains(':');
    let (kind, code, protocol) = if is_v6 {
        (1, 4, proto::ICMPV6)
    } else {
        (3, 3, proto::ICMP)
    };
    let message = [&[kind, code, 0, 0, 0, 0, 0, 0], about].concat();
    ip(ends, 64, protocol, Some(2), message)
}

pub(crate) fn tcp_of(ends: (&str, &str), (src_port, dst_port): (u16, u16), flags: u8) -> Vec<u8> {
    let mut segment = vec![0; tcp::HEADER_LEN];
    tcp::Header {
        src_port,
        dst_port,
        flags,
        ..tcp::Header::default()
    }
    .emit(&mut segment);
    ip(ends, 64, proto::TCP, Some(tcp::CHECKSUM_OFFSET), segment)
}

pub(crate) fn echo_request(ends: (&str, &str), ident: u16) -> Vec<u8> {
    let is_v6 = ends.0.contains(':');
    let (kind, protocol) = if is_v6 {
        (128, proto::ICMPV6)
    } else {
        (8, proto::ICMP)
    };
    let mut message = vec![kind, 0, 0, 0, 0, 0, 0, 1, 1, 2, 3, 4];
    message[4..6].copy_from_slice(&ident.to_be_bytes());
    ip(ends, 64, protocol, Some(2), message)
}

/// A packet in another, without checksum of its own.
pub(crate) fn around(ends: (&str, &str), inner: &[u8]) -> Vec<u8> {
    let protocol = if inner[0] >> 4 == 4 {
        proto::IPIP
    } else {
        proto::IPV6
    };
    ip(ends, 64, protocol, None, inner.to_vec())
}

/// An IPv4 packet behind a routing header with two segments, of which the first is the destination.
pub(crate) fn routed(src: &str, segments: [&str; 2], inner: &[u8]) -> Vec<u8> {
    let mut payload = vec![proto::IPIP, 4, 4, 1, 1, 0, 0, 0];
    for segment in segments.iter().rev() {
        payload.extend(segment.parse::<Ipv6Addr>().unwrap().octets());
    }
    payload.extend(inner);
    ip((src, segments[0]), 64, proto::ROUTING, None, payload)
}

/// A frame in a VXLAN packet from a host to the gateway.
pub(crate) fn in_vxlan(ends: (&str, &str), vni: u32, inner: &[u8]) -> Vec<u8> {
    let len = udp::HEADER_LEN + vxlan::HEADER_LEN + ethernet::HEADER_LEN + inner.len();
    let mut datagram = vec![0; udp::HEADER_LEN + vxlan::HEADER_LEN];
    udp::emit(
        &mut datagram,
        50_000,
        vxlan::PORT,
        u16::try_from(len).unwrap(),
        0,
    );
    vxlan::emit(&mut datagram[udp::HEADER_LEN..], vni);
    datagram.extend(ethernet::header(host_mac(0), host_mac(1), ethernet::IPV4));
    datagram.extend(inner);
    ip(ends, 64, proto::UDP, None, datagram)
}
