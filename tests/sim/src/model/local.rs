//! What the switch answers itself: ARP, echo, ICMP errors, and the questions it asks for neighbours.

use std::net::{IpAddr, Ipv6Addr};

use vswitch::Family;
use vswitch::graph::DropReason;

use super::report::Learned;
use super::route::Hop;
use super::walk::{HEAD, LINK, Origin, Trip, Walk};
use super::{Model, Neighbor, Port};
use crate::wire::{Arp, BROADCAST, Body, Data, Frame, L4, Mac, Packet};
use crate::world::{self, If};

const HOST_UNREACHABLE: u8 = 1;
const PROTOCOL_UNREACHABLE: u8 = 2;
const PORT_UNREACHABLE: u8 = 3;
const FRAGMENTATION_NEEDED: u8 = 4;
const PROHIBITED: u8 = 13;

impl Model {
    pub(super) fn learn_neighbor(&mut self, on: If, ip: IpAddr, mac: Mac) {
        let is_it = |n: &Neighbor| (n.on, n.ip) == (on, ip);
        if self.neighbors.iter().any(|n| is_it(n) && n.is_static) {
            return;
        }
        self.neighbors.retain(|n| !is_it(n));
        self.neighbors.push(Neighbor {
            on,
            ip,
            mac,
            is_static: false,
        });
    }

    /// Own addresses, or those of the lender.
    fn addresses(&self, port: &Port) -> Vec<vswitch::Prefix> {
        let lender = port.lender.map_or(port, |lender| self.port(lender));
        lender.addresses.clone()
    }

    fn has_address(&self, port: &Port, ip: IpAddr) -> bool {
        self.addresses(port).iter().any(|p| p.addr == ip)
            || (ip == IpAddr::V6(world::link_local(port.mac)) && port.is_enabled(Family::V6))
    }

    /// The address to speak to `peer` with: one of its prefix, else the first.
    fn source_for(&self, port: &Port, peer: IpAddr) -> Option<IpAddr> {
        let mut own = self.addresses(port);
        own.retain(|p| p.family() == Family::of(peer));
        let near = own.iter().find(|p| super::route::covers(**p, peer));
        near.or(own.first()).map(|p| p.addr)
    }
}

impl Walk<'_> {
    pub(super) fn arp(&mut self, rx: If, arp: &Arp, trip: Trip) {
        let port = self.model.port(rx);
        let (mac, ip) = arp.sender;
        if !self.model.has_address(port, arp.target.1.into()) {
            return self.report.drop(rx, DropReason::ArpNotLocal);
        }
        let hops = self.model.hops(port.table(Family::V4), ip.into());
        let is_attached =
            |hop: &Hop| *hop == Hop::Attached(rx) || *hop == Hop::Neighbor(rx, ip.into());
        if hops.iter().any(is_attached) && !self.model.has_address(port, ip.into()) {
            let ip = ip.into();
            self.report
                .learned
                .push(Learned::Neighbor { on: rx, ip, mac });
        }
        if arp.is_reply {
            return self.report.drop(rx, DropReason::ArpReplyLearned);
        }
        let answer = Arp {
            is_reply: true,
            sender: (port.mac, arp.target.1),
            target: arp.sender,
        };
        let frame = Frame {
            dst: mac,
            src: port.mac,
            body: Body::Arp(answer),
        };
        self.output(rx, rx, &frame, trip);
    }

    /// Asks for a neighbour. The packet itself is lost, as in VPP.
    pub(super) fn resolve(&mut self, origin: Origin, on: If, target: IpAddr) {
        let port = self.model.port(on);
        let source = self.model.source_for(port, target);
        let frame = match (target, source) {
            (IpAddr::V4(target), Some(IpAddr::V4(own))) => {
                self.report.note(DropReason::ArpSent);
                let arp = Arp {
                    is_reply: false,
                    sender: (port.mac, own),
                    target: ([0; 6], target),
                };
                Frame {
                    dst: BROADCAST,
                    src: port.mac,
                    body: Body::Arp(arp),
                }
            }
            (IpAddr::V4(_), _) => {
                return self.report.drop(origin.rx, DropReason::NoSourceAddress);
            }
            (IpAddr::V6(target), source) => {
                self.report.note(DropReason::NdSent);
                let source = match source {
                    Some(IpAddr::V6(own)) if !target.is_unicast_link_local() => own,
                    _ => world::link_local(port.mac),
                };
                solicitation(port.mac, source, target)
            }
        };
        self.output(origin.rx, on, &frame, origin.trip.afresh());
    }

    /// A packet for the switch itself.
    pub(super) fn deliver(&mut self, origin: Origin, packet: &Packet) {
        let is_v4 = packet.dst.is_ipv4();
        match &packet.l4 {
            L4::Icmp { kind, code, data } => {
                let is_echo = if is_v4 {
                    (*kind, *code) == (8, 0)
                } else {
                    *kind == 128 && !packet.dst.is_multicast()
                };
                if !is_echo {
                    return self.report.drop(origin.rx, DropReason::IcmpUnknown);
                }
                self.answer_echo(origin, packet, data);
            }
            L4::Udp {
                data: Data::Vxlan { vni, inner },
                ..
            } => self.decapsulate(origin, packet, *vni, inner),
            L4::Udp { .. } if is_v4 => self.error4(origin, packet, 3, PORT_UNREACHABLE, 0),
            L4::Tcp { .. } | L4::Other { .. } if is_v4 => {
                self.error4(origin, packet, 3, PROTOCOL_UNREACHABLE, 0);
            }
            L4::Udp { .. } | L4::Tcp { .. } | L4::Other { .. } => {
                self.error6(origin, packet, 1, 4, 0);
            }
        }
    }

    fn answer_echo(&mut self, origin: Origin, packet: &Packet, data: &[u8]) {
        let port = self.model.port(origin.rx);
        let family = Family::of(packet.dst);
        let kind = match family {
            Family::V4 => 0,
            Family::V6 => 129,
        };
        let answer = Packet {
            src: packet.dst,
            dst: packet.src,
            ttl: 64,
            l4: L4::Icmp {
                kind,
                code: 0,
                data: data.to_vec(),
            },
            ..packet.clone()
        };
        if let IpAddr::V6(asker) = packet.src
            && asker.is_unicast_link_local()
        {
            // It is on this link, and its address is in the frame.
            let frame = Frame {
                dst: origin.asker,
                src: port.mac,
                body: Body::Ip(answer),
            };
            return self.output(origin.rx, origin.rx, &frame, origin.trip.moved(-LINK));
        }
        let origin = Origin {
            is_local: true,
            table: port.table(family),
            ..origin
        };
        self.lookup(origin, &answer);
    }

    pub(super) fn unreachable(&mut self, origin: Origin, packet: &Packet) {
        match packet.dst {
            IpAddr::V4(_) => self.error4(origin, packet, 3, HOST_UNREACHABLE, 0),
            IpAddr::V6(_) => self.error6(origin, packet, 1, 0, 0),
        }
    }

    pub(super) fn prohibited(&mut self, origin: Origin, packet: &Packet) {
        match packet.dst {
            IpAddr::V4(_) => self.error4(origin, packet, 3, PROHIBITED, 0),
            IpAddr::V6(_) => self.error6(origin, packet, 1, 1, 0),
        }
    }

    pub(super) fn ttl_expired(&mut self, origin: Origin, packet: &Packet) {
        match packet.dst {
            IpAddr::V4(_) => self.error4(origin, packet, 11, 0, 0),
            IpAddr::V6(_) => self.error6(origin, packet, 3, 0, 0),
        }
    }

    pub(super) fn too_big(&mut self, origin: Origin, packet: &Packet, to: &Frame, on: If) {
        let mtu = self.model.port(on).mtu;
        match packet.dst {
            _ if origin.is_local => self.cut(origin, packet, to, on),
            IpAddr::V4(_) if !packet.dont_fragment => self.cut(origin, packet, to, on),
            IpAddr::V4(_) => self.error4(origin, packet, 3, FRAGMENTATION_NEEDED, mtu),
            IpAddr::V6(_) => self.error6(origin, packet, 2, 0, mtu),
        }
    }

    fn error4(&mut self, origin: Origin, about: &Packet, kind: u8, code: u8, mtu: u32) {
        let port = self.model.port(origin.rx);
        let is_error = matches!(about.l4, L4::Icmp { kind, .. } if kind != 0 && kind != 8);
        if is_error || origin.is_local || about.src.is_unspecified() || about.src.is_loopback() {
            return self.report.drop(origin.rx, DropReason::IcmpErrorSuppressed);
        }
        let Some(src) = self.model.source_for(port, about.src) else {
            return self.report.drop(origin.rx, DropReason::NoSourceAddress);
        };
        self.report.note(match (kind, code) {
            (11, _) => DropReason::TtlExpired,
            (_, FRAGMENTATION_NEEDED) => DropReason::MtuExceeded,
            (_, PROHIBITED) => DropReason::Prohibited,
            _ => DropReason::Unreachable,
        });
        let data = quote(origin, about, mtu, 28);
        self.error(origin, about, src, 0xc0, L4::Icmp { kind, code, data });
    }

    fn error6(&mut self, origin: Origin, about: &Packet, kind: u8, code: u8, mtu: u32) {
        let port = self.model.port(origin.rx);
        let is_error = matches!(about.l4, L4::Icmp { kind, .. } if kind < 128);
        if is_error || origin.is_local || about.src.is_unspecified() {
            return self.report.drop(origin.rx, DropReason::IcmpErrorSuppressed);
        }
        let is_near = matches!(about.src, IpAddr::V6(src) if src.is_unicast_link_local());
        let own = self.model.source_for(port, about.src);
        let src = own.filter(|_| !is_near);
        let src = src.unwrap_or(world::link_local(port.mac).into());
        self.report.note(match (kind, code) {
            (3, _) => DropReason::TtlExpired,
            (2, _) => DropReason::MtuExceeded,
            (_, 1) => DropReason::Prohibited,
            _ => DropReason::Unreachable,
        });
        let data = quote(origin, about, mtu, 48);
        self.error(origin, about, src, 0, L4::Icmp { kind, code, data });
    }

    fn error(&mut self, origin: Origin, about: &Packet, src: IpAddr, tos: u8, l4: L4) {
        let packet = Packet {
            src,
            dst: about.src,
            ttl: 255,
            ident: 0,
            tos,
            dont_fragment: false,
            l4,
        };
        let table = self.model.port(origin.rx).table(Family::of(src));
        let origin = Origin {
            trip: origin.trip.afresh(),
            is_local: true,
            table,
            ..origin
        };
        self.lookup(origin, &packet);
    }
}

/// The rest of the header of an error, and as much of the packet as the engine holds and an error of `headers` takes.
fn quote(origin: Origin, about: &Packet, mtu: u32, headers: i32) -> Vec<u8> {
    let mut data = mtu.to_be_bytes().to_vec();
    let held = (HEAD - origin.trip.at).min(HEAD - headers);
    let held = usize::try_from(held).unwrap_or(0);
    data.extend(about.encode().iter().take(held));
    data
}

fn solicitation(mac: Mac, src: Ipv6Addr, target: Ipv6Addr) -> Frame {
    let [.., x, y, z] = target.octets();
    let group = Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        0xff00 | u16::from(x),
        u16::from_be_bytes([y, z]),
    );
    let mut data = vec![0; 4];
    data.extend(target.octets());
    data.extend([1, 1]);
    data.extend(mac);
    let packet = Packet {
        src: src.into(),
        dst: group.into(),
        ttl: 255,
        ident: 0,
        tos: 0,
        dont_fragment: false,
        l4: L4::Icmp {
            kind: 135,
            code: 0,
            data,
        },
    };
    Frame {
        dst: [0x33, 0x33, 0xff, x, y, z],
        src: mac,
        body: Body::Ip(packet),
    }
}
