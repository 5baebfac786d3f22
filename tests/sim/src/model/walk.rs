//! The way of a frame through the model: receive, classify, validate, forward, send.

use std::net::IpAddr;

use vswitch::Family;
use vswitch::graph::DropReason;

use super::report::{Counter, Learned, Report};
use super::route::Hop;
use super::{Kind, L2, Model};
use crate::wire::{Body, Data, Frame, ICMP6, L4, Mac, Packet, VXLAN_PORT, checksum};
use crate::world::{self, If};

/// Outcomes of one frame that are tried before the model gives up.
const OUTCOMES_MAX: usize = 2048;
/// Passes through tunnels and BVIs that a frame may make.
const TURNS_MAX: u8 = 8;
/// Bytes that encapsulation may add in front of what was received.
const HEADROOM: i32 = 96;
/// Link header with two tags.
const LINK_HEADER_MAX: u32 = 22;
/// Bytes of a received frame that the engine can quote in an ICMP error.
pub(super) const HEAD: i32 = 192;
/// Bytes of an Ethernet header.
pub(super) const LINK: i32 = 14;

/// What a frame has been through.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Trip {
    /// Where the frame (or the packet) starts, from the start of what the device received or the switch made.
    pub(super) at: i32,
    turns: u8,
    /// The device has to finish a checksum of a tunnel: no second tunnel can be marked.
    is_marked: bool,
}

impl Trip {
    /// That of a packet which the switch makes out of this one.
    pub(super) fn afresh(self) -> Self {
        Self {
            at: 0,
            is_marked: false,
            ..self
        }
    }

    pub(super) fn moved(self, by: i32) -> Self {
        Self {
            at: self.at + by,
            ..self
        }
    }
}

/// One walk. Where the engine chooses by hash, the walk follows a script, so that all choices can be tried.
pub(super) struct Walk<'m> {
    pub(super) model: &'m Model,
    script: &'m [usize],
    asked: Vec<usize>,
    pub(super) report: Report,
}

/// What is known of a packet beside its bytes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Origin {
    /// Interface that it is considered received on.
    pub(super) rx: If,
    /// Of the IP header.
    pub(super) trip: Trip,
    /// Source address of the frame.
    pub(super) asker: Mac,
    /// Made by the switch.
    pub(super) is_local: bool,
    pub(super) table: u32,
}

impl Model {
    /// Every outcome that is right for a frame received on a device; `None` when there are too many to tell.
    pub fn outcomes(&self, on: If, frame: &Frame) -> Option<Vec<Report>> {
        let mut script = Vec::new();
        let mut all = Vec::new();
        loop {
            let mut walk = Walk {
                model: self,
                script: &script,
                asked: Vec::new(),
                report: Report::default(),
            };
            walk.receive(on, frame);
            let (asked, report) = (walk.asked, walk.report);
            all.push(report);
            if all.len() > OUTCOMES_MAX {
                return None;
            }
            script.resize(asked.len(), 0);
            loop {
                let Some(last) = script.last_mut() else {
                    return Some(all);
                };
                *last += 1;
                if *last < asked[script.len() - 1] {
                    break;
                }
                script.pop();
            }
        }
    }

    /// Remembers what the frame of an outcome taught.
    pub fn learn(&mut self, report: &Report) {
        for learned in &report.learned {
            match *learned {
                Learned::Mac { bd_id, mac, on } => self.learn_mac(bd_id, mac, on),
                Learned::Neighbor { on, ip, mac } => self.learn_neighbor(on, ip, mac),
            }
        }
    }
}

impl Walk<'_> {
    /// One of `n`, of which the engine may take any.
    pub(super) fn choose(&mut self, n: usize) -> usize {
        if n == 1 {
            return 0;
        }
        let chosen = self.script.get(self.asked.len()).copied().unwrap_or(0);
        self.asked.push(n);
        chosen
    }

    fn receive(&mut self, on: If, frame: &Frame) {
        self.report.count(on, Counter::RxPackets, 1);
        self.report.count(on, Counter::RxBytes, len(frame));
        self.input(on, frame, Trip::default());
    }

    /// One more pass through a tunnel or a BVI; none when it is taken for a loop.
    pub(super) fn turn(&mut self, rx: If, trip: Trip) -> Option<Trip> {
        let turns = trip.turns + 1;
        if turns > TURNS_MAX {
            self.report.drop(rx, DropReason::Loop);
            return None;
        }
        Some(Trip { turns, ..trip })
    }

    /// A frame that an interface gives to the router or the bridge.
    pub(super) fn input(&mut self, rx: If, frame: &Frame, trip: Trip) {
        let port = self.model.port(rx);
        if !port.is_up {
            return self.report.drop(rx, DropReason::InterfaceDown);
        }
        if port.l2 != L2::Routed && !port.is_bvi() {
            return self.bridge(rx, frame, trip);
        }
        // A tag without a VLAN carries only a priority, on a link: what is behind it decides, here no known type.
        let has_vlan = |bytes: &[u8]| !bytes.starts_with(&[0, 0]) || port.is_bvi();
        if matches!(&frame.body, Body::Other { kind: 0x8100, bytes } if has_vlan(bytes)) {
            return self.report.drop(rx, DropReason::UnknownVlan);
        }
        if frame.dst != port.mac && !is_group(frame.dst) {
            return self.report.drop(rx, DropReason::MacMismatch);
        }
        match &frame.body {
            Body::Ip(packet) if !port.is_enabled(Family::of(packet.dst)) => {
                self.report.drop(rx, DropReason::IpDisabled);
            }
            Body::Ip(packet) => self.ip(rx, frame.src, packet, trip.moved(LINK)),
            Body::Arp(arp) => self.arp(rx, arp, trip),
            Body::Other { .. } => self.report.drop(rx, DropReason::UnknownEthertype),
        }
    }

    fn ip(&mut self, rx: If, asker: Mac, packet: &Packet, trip: Trip) {
        let port = self.model.port(rx);
        let family = Family::of(packet.dst);
        let origin = Origin {
            rx,
            trip,
            asker,
            is_local: false,
            table: port.table(family),
        };
        let counter = match family {
            Family::V4 => Counter::Ip4,
            Family::V6 => Counter::Ip6,
        };
        self.report.count(rx, counter, 1);
        if packet.src.is_multicast() {
            return self.report.drop(rx, DropReason::BadSource);
        }
        match packet.dst {
            IpAddr::V6(dst) if dst.is_multicast() && packet.protocol() == ICMP6 => {
                return self.deliver(origin, packet);
            }
            dst if dst.is_multicast() => return self.report.drop(rx, DropReason::Multicast),
            IpAddr::V6(dst) if dst.is_unicast_link_local() => {
                return if dst == world::link_local(port.mac) {
                    self.deliver(origin, packet);
                } else {
                    self.report.drop(rx, DropReason::LinkLocal);
                };
            }
            _ => {}
        }
        if !port.acl_in.is_empty() && !self.model.permits(&port.acl_in, packet) {
            return self.report.drop(rx, DropReason::AclDeny);
        }
        if let Some(paths) = self.model.steered(rx, packet) {
            let hops = self.model.forwarding(&paths);
            return self.follow(origin, packet, hops);
        }
        self.lookup(origin, packet);
    }

    pub(super) fn lookup(&mut self, origin: Origin, packet: &Packet) {
        if let IpAddr::V6(dst) = packet.dst
            && dst.is_unicast_link_local()
        {
            return self.send_to(origin, packet, origin.rx, packet.dst);
        }
        let hops = self.model.hops(origin.table, packet.dst);
        self.follow(origin, packet, hops);
    }

    fn follow(&mut self, mut origin: Origin, packet: &Packet, mut hops: Vec<Hop>) {
        let mut next_hop = packet.dst;
        for _ in 0..5 {
            let chosen = self.choose(hops.len());
            match hops[chosen] {
                Hop::Drop => return self.report.drop(origin.rx, DropReason::RouteDrop),
                Hop::Unreachable => return self.unreachable(origin, packet),
                Hop::Prohibit => return self.prohibited(origin, packet),
                Hop::Local => return self.deliver(origin, packet),
                Hop::Attached(on) => return self.send_to(origin, packet, on, next_hop),
                Hop::Neighbor(on, ip) => return self.send_to(origin, packet, on, ip),
                Hop::Lookup(table) => {
                    origin.table = table;
                    hops = self.model.hops(table, next_hop);
                }
                Hop::Recursive(table, via) => {
                    next_hop = via;
                    hops = self.model.hops(table, via);
                }
            }
        }
        self.report.drop(origin.rx, DropReason::RecursionLimit);
    }

    /// To a neighbour on a link.
    fn send_to(&mut self, origin: Origin, packet: &Packet, on: If, next_hop: IpAddr) {
        let neighbors = &self.model.neighbors;
        let Some(known) = neighbors.iter().find(|n| (n.on, n.ip) == (on, next_hop)) else {
            return self.resolve(origin, on, next_hop);
        };
        let port = self.model.port(on);
        if !origin.is_local && packet.ttl <= 1 {
            return self.ttl_expired(origin, packet);
        }
        let size = u32::try_from(packet.encode().len()).unwrap_or(u32::MAX);
        let ttl = packet.ttl - u8::from(!origin.is_local);
        let body = Body::Ip(Packet {
            ttl,
            ..packet.clone()
        });
        let frame = Frame {
            dst: known.mac,
            src: port.mac,
            body,
        };
        if size > port.mtu {
            return self.too_big(origin, packet, &frame, on);
        }
        let trip = origin.trip.moved(-LINK);
        if trip.at < -HEADROOM {
            return self.report.drop(origin.rx, DropReason::NoHeadroom);
        }
        self.output(origin.rx, on, &frame, trip);
    }

    /// Out of an interface; `rx` is where a drop is counted.
    pub(super) fn output(&mut self, rx: If, on: If, frame: &Frame, trip: Trip) {
        let port = self.model.port(on);
        if !port.is_up {
            return self.report.drop(rx, DropReason::InterfaceDown);
        }
        let link_mtu = match port.kind {
            Kind::Device => u32::from(world::DEVICE_MTU),
            Kind::Loopback | Kind::Tunnel(_) => 9000,
        };
        if len(frame) > u64::from(link_mtu.max(port.mtu) + LINK_HEADER_MAX) {
            return self.report.drop(rx, DropReason::MtuExceeded);
        }
        if let Body::Ip(packet) = &frame.body
            && !port.acl_out.is_empty()
            && !self.model.permits(&port.acl_out, packet)
        {
            return self.report.drop(rx, DropReason::AclDeny);
        }
        if port.kind == Kind::Loopback && !port.is_bvi() {
            return self.report.drop(rx, DropReason::LoopbackTx);
        }
        self.report.count(on, Counter::TxPackets, 1);
        self.report.count(on, Counter::TxBytes, len(frame));
        match port.kind {
            Kind::Device => self.report.sent.push((on, frame.clone())),
            Kind::Loopback => {
                if let Some(trip) = self.turn(on, trip) {
                    self.bridge(on, frame, trip);
                }
            }
            Kind::Tunnel(tunnel) => {
                if let Some(trip) = self.turn(rx, trip) {
                    self.encapsulate(rx, tunnel, frame, trip);
                }
            }
        }
    }

    /// Sends the pieces of a packet that is too long for an interface; `whole` is how it would leave.
    pub(super) fn cut(&mut self, origin: Origin, packet: &Packet, whole: &Frame, on: If) {
        let port = self.model.port(on);
        // Access lists see no ports in later pieces; how much room the engine leaves in front of them is its own affair; and a
        // packet with a checksum to be finished is cut by the device.
        let is_listed = !port.acl_out.is_empty();
        if port.kind != Kind::Device || is_listed || origin.trip.is_marked {
            self.report.is_cut = true;
            return;
        }
        let kind = if packet.dst.is_ipv4() { 0x0800 } else { 0x86dd };
        let limit = usize::try_from(port.mtu).expect("MTUs are small");
        let Body::Ip(leaving) = &whole.body else {
            unreachable!("packets are cut");
        };
        for bytes in pieces(&leaving.encode(), limit) {
            let piece = Frame {
                body: Body::Other { kind, bytes },
                ..whole.clone()
            };
            self.output(origin.rx, on, &piece, Trip::default());
        }
    }

    fn encapsulate(&mut self, rx: If, tunnel: usize, frame: &Frame, trip: Trip) {
        if trip.is_marked {
            return self.report.drop(rx, DropReason::OffloadConflict);
        }
        let (src, dst) = world::tunnel_ends(tunnel);
        let inner = Box::new(frame.clone());
        let data = Data::Vxlan {
            vni: world::VNIS[tunnel],
            inner,
        };
        let packet = Packet {
            src,
            dst,
            ttl: 254,
            ident: 0,
            tos: 0,
            dont_fragment: false,
            l4: L4::Udp {
                ports: (0xc000, VXLAN_PORT),
                data,
            },
        };
        let outer = if dst.is_ipv4() { 36 } else { 56 };
        let trip = Trip {
            is_marked: dst.is_ipv6(),
            ..trip.moved(-outer)
        };
        if trip.at < -HEADROOM {
            return self.report.drop(rx, DropReason::NoHeadroom);
        }
        let origin = Origin {
            rx,
            trip,
            asker: frame.src,
            is_local: true,
            table: world::UNDERLAY,
        };
        self.lookup(origin, &packet);
    }

    pub(super) fn decapsulate(&mut self, origin: Origin, packet: &Packet, vni: u32, frame: &Frame) {
        let is_it = |tunnel: &usize| {
            (packet.dst, packet.src) == world::tunnel_ends(*tunnel)
                && vni == world::VNIS[*tunnel]
                && origin.table == world::UNDERLAY
        };
        let Some(tunnel) = (0..world::TUNNELS.len()).find(is_it) else {
            return self.report.drop(origin.rx, DropReason::VxlanNoTunnel);
        };
        let on = world::TUNNELS[tunnel];
        self.report.count(on, Counter::RxPackets, 1);
        self.report.count(on, Counter::RxBytes, len(frame));
        let outer = if packet.dst.is_ipv4() { 36 } else { 56 };
        if let Some(trip) = self.turn(on, origin.trip.moved(outer)) {
            let is_marked = false;
            self.input(on, frame, Trip { is_marked, ..trip });
        }
    }
}

/// Cuts a packet without options (RFC 791, section 3.2; RFC 8200, section 4.5). Names of IPv6 packets are 0.
fn pieces(packet: &[u8], limit: usize) -> Vec<Vec<u8>> {
    let is_v4 = packet[0] >> 4 == 4;
    let (header, payload) = packet.split_at(if is_v4 { 20 } else { 40 });
    let room = limit - header.len() - if is_v4 { 0 } else { 8 };
    let mut out: Vec<Vec<u8>> = Vec::new();
    let mut at = 0;
    while at < payload.len() {
        let len = (payload.len() - at).min(room / 8 * 8);
        let more = at + len < payload.len();
        let units = u16::try_from(at / 8).expect("packets are short");
        let mut piece = header.to_vec();
        if is_v4 {
            let total = u16::try_from(20 + len).expect("pieces are short");
            piece.splice(2..4, total.to_be_bytes());
            let word = units | if more { 0x2000 } else { 0 };
            piece.splice(6..8, word.to_be_bytes());
            piece.splice(10..12, [0, 0]);
            let sum = checksum(&[&piece]).to_be_bytes();
            piece.splice(10..12, sum);
        } else {
            let total = u16::try_from(8 + len).expect("pieces are short");
            piece.splice(4..6, total.to_be_bytes());
            piece[6] = 44;
            let word = units << 3 | u16::from(more);
            piece.extend([header[6], 0]);
            piece.extend(word.to_be_bytes());
            piece.extend([0; 4]);
        }
        piece.extend(&payload[at..at + len]);
        out.push(piece);
        at += len;
    }
    out
}

pub(super) fn is_group(mac: Mac) -> bool {
    mac[0] & 1 == 1
}

fn len(frame: &Frame) -> u64 {
    frame.encode().len() as u64
}
