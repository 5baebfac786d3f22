//! A model of services and of hidden sources: a list of connections, and the ends that each shows on either side.
//!
//! Which back-end and which free port a connection gets is the engine's choice. The model says which choices are right, and
//! holds the engine to them from then on. Every checksum is computed over the whole packet.

use std::net::IpAddr;

use crate::model::covers;
use crate::wire::{ICMP, ICMP6, TCP, UDP, checksum};
use vswitch::Prefix;

pub type End = (IpAddr, u16);

/// Silence after which a direction is forgotten, in milliseconds.
const PATIENCE: u64 = 30_000;
const ESTABLISHED: u64 = 3_600_000;
/// The engine's clock is coarse.
const FUZZ: u64 = 1_000;
/// SYN and ACK.
const AGREED: u8 = 0x12;
/// Ports that a connection may get when its own is taken.
const PORT_MIN: u16 = 0xc000;

/// What tells flows apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow {
    pub protocol: u8,
    pub src: End,
    pub dst: End,
}

impl Flow {
    #[must_use]
    pub const fn back(self) -> Self {
        Self {
            src: self.dst,
            dst: self.src,
            ..self
        }
    }
}

/// A packet of UDP or TCP, or an error about one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Packet {
    pub flow: Flow,
    pub flags: u8,
    pub ttl: u8,
    pub payload: Vec<u8>,
    /// The packet is an ICMP error about one of `flow`, from this address.
    pub error_from: Option<IpAddr>,
}

/// A virtual endpoint.
#[derive(Debug, Clone)]
pub struct Service {
    pub protocol: u8,
    pub vip: End,
    pub backends: Vec<End>,
}

#[derive(Debug, Clone)]
struct Connection {
    /// As the side that began sees it, and as the other side does.
    here: Flow,
    there: Flow,
    /// Number of the service that it was made for.
    service: Option<usize>,
    /// Of the side that began, and of the other: when heard, and how long that counts.
    heard: [(u64, u64); 2],
}

impl Connection {
    /// What a packet of this flow becomes, and which side sent it.
    fn translates(&self, flow: Flow) -> Option<(Flow, usize)> {
        if flow == self.here {
            return Some((self.there, 0));
        }
        (flow == self.there.back()).then_some((self.here.back(), 1))
    }

    fn end(&self) -> u64 {
        self.heard
            .iter()
            .map(|(at, patience)| at + patience)
            .max()
            .unwrap_or(0)
    }
}

/// Everything configured, and all connections.
#[derive(Debug, Clone, Default)]
pub struct Services {
    pub services: Vec<Service>,
    /// Addresses of either family that sources are hidden behind.
    pub hidden_behind: Vec<IpAddr>,
    /// What sources are not hidden from.
    pub excluded: Vec<Prefix>,
    connections: Vec<Connection>,
}

/// What the engine must send.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    Sends(Packet),
    /// It is for an address that sources are hidden behind, and nobody asked for it.
    Drops,
    /// Two connections show the same ends, or one has ended just now.
    Unclear,
}

impl Services {
    /// No connections yet.
    pub fn new(services: Vec<Service>, hidden_behind: Vec<IpAddr>, excluded: Vec<Prefix>) -> Self {
        Self {
            services,
            hidden_behind,
            excluded,
            connections: Vec::new(),
        }
    }

    /// Replaces the back-ends of a service; connections to others end.
    pub fn update(&mut self, service: usize, backends: &[End]) {
        self.services[service].backends = backends.to_vec();
        self.connections
            .retain(|c| c.service != Some(service) || backends.contains(&c.there.dst));
    }

    /// Takes a packet; `is_inside` when sources on its interface are hidden from the world. `seen` is the flow of what the
    /// engine sent, which matters only where it may choose.
    ///
    /// # Errors
    /// Why the engine's choice is wrong.
    pub fn pass(
        &mut self,
        packet: &Packet,
        is_inside: bool,
        seen: Option<Flow>,
        now: u64,
    ) -> Result<Verdict, String> {
        if self
            .connections
            .iter()
            .any(|c| c.end().abs_diff(now) < FUZZ)
        {
            return Ok(Verdict::Unclear);
        }
        self.connections.retain(|c| now < c.end());
        let is_error = packet.error_from.is_some();
        let flow = if is_error {
            packet.flow.back()
        } else {
            packet.flow
        };
        let known = self.connections.iter_mut();
        let mut known: Vec<_> = known.filter(|c| c.translates(flow).is_some()).collect();
        if known.len() > 1 {
            return Ok(Verdict::Unclear);
        }
        if let Some(connection) = known.pop() {
            let (to, side) = connection.translates(flow).expect("was asked for");
            let heard = &mut connection.heard[side];
            heard.0 = now;
            let is_agreed = packet.flow.protocol == TCP && packet.flags & AGREED == AGREED;
            if !is_error && is_agreed {
                heard.1 = ESTABLISHED;
            }
            return Ok(Verdict::Sends(packet.with(flow, to)));
        }
        if self.hidden_behind.contains(&packet.destination()) {
            return Ok(Verdict::Drops);
        }
        if is_error {
            return Ok(Verdict::Sends(packet.with(flow, flow)));
        }
        let there = self.begin(flow, is_inside, seen)?;
        Ok(Verdict::Sends(
            packet.with(flow, self.connect(flow, there, now)),
        ))
    }

    fn connect(&mut self, here: Flow, (there, service): (Flow, Option<usize>), now: u64) -> Flow {
        self.connections.push(Connection {
            here,
            there,
            service,
            heard: [(now, PATIENCE); 2],
        });
        there
    }

    /// Checks what the engine chose for a new flow.
    fn begin(
        &self,
        flow: Flow,
        is_inside: bool,
        seen: Option<Flow>,
    ) -> Result<(Flow, Option<usize>), String> {
        let service = self
            .services
            .iter()
            .position(|s| (s.protocol, s.vip) == (flow.protocol, flow.dst));
        let Some(seen) = seen else {
            return Err("nothing was sent for a new flow".into());
        };
        let dst = match service {
            Some(at) if self.services[at].backends.contains(&seen.dst) => seen.dst,
            Some(_) => return Err(format!("{:?} is no back-end", seen.dst)),
            None => flow.dst,
        };
        let is_outgoing = is_inside && !self.excluded.iter().any(|p| covers(*p, dst.0));
        let src = if is_outgoing {
            let hidden = self.hidden_behind.iter();
            let mut of_family = hidden.filter(|ip| ip.is_ipv4() == flow.src.0.is_ipv4());
            *of_family.next().expect("there is one for each family")
        } else {
            flow.src.0
        };
        let protocol = flow.protocol;
        let with = |port| Flow {
            protocol,
            src: (src, port),
            dst,
        };
        let is_taken = |there: Flow| {
            let mut all = self.connections.iter();
            all.any(|c| c.translates(there.back()).is_some())
        };
        let (own, chosen) = (with(flow.src.1), with(seen.src.1));
        if own == flow {
            return Ok((own, service));
        }
        // A packet that was dropped may have taken the port of its own.
        if is_taken(chosen) || (chosen != own && seen.src.1 < PORT_MIN) {
            return Err(format!("{chosen:?} is taken or no free port"));
        }
        Ok((chosen, service))
    }
}

impl Packet {
    /// Where a packet of flow `from` becomes one of flow `to`: with one hop less.
    fn with(&self, from: Flow, to: Flow) -> Self {
        let ttl = self.ttl - 1;
        let Some(by) = self.error_from else {
            return Self {
                flow: to,
                ttl,
                ..self.clone()
            };
        };
        let by = if by == from.src.0 { to.src.0 } else { by };
        Self {
            flow: to.back(),
            ttl,
            error_from: Some(by),
            ..self.clone()
        }
    }

    pub fn destination(&self) -> IpAddr {
        match self.error_from {
            Some(_) => self.flow.src.0,
            None => self.flow.dst.0,
        }
    }

    pub fn encode(&self) -> Vec<u8> {
        let Flow { protocol, src, dst } = self.flow;
        let upper = self.upper();
        let Some(by) = self.error_from else {
            return ip(src.0, dst.0, protocol, self.ttl, &upper);
        };
        // Quoted with the hops that a packet has left when it is delivered.
        let quoted = ip(src.0, dst.0, protocol, 60, &upper);
        let (icmp, kind) = if by.is_ipv4() { (ICMP, 3) } else { (ICMP6, 1) };
        let mut error = vec![kind, 1, 0, 0, 0, 0, 0, 0];
        error.extend(quoted);
        let pseudo = if by.is_ipv4() {
            Vec::new()
        } else {
            pseudo_header(by, src.0, icmp, error.len())
        };
        let sum = checksum(&[&pseudo, &error]).to_be_bytes();
        error.splice(2..4, sum);
        ip(by, src.0, icmp, self.ttl, &error)
    }

    fn upper(&self) -> Vec<u8> {
        let Flow { protocol, src, dst } = self.flow;
        let mut out = [src.1.to_be_bytes(), dst.1.to_be_bytes()].concat();
        let at = if protocol == UDP {
            out.extend(short(8 + self.payload.len()).to_be_bytes());
            6
        } else {
            assert_eq!(protocol, TCP);
            out.extend([0, 0, 0, 1, 0, 0, 0, 2, 5 << 4, self.flags, 0, 9]);
            16
        };
        // The checksum, and behind TCP's the urgent pointer.
        out.resize(if protocol == UDP { 8 } else { 20 }, 0);
        out.extend(&self.payload);
        let sum = checksum(&[&pseudo_header(src.0, dst.0, protocol, out.len()), &out]);
        let sum = if protocol == UDP && sum == 0 {
            0xffff
        } else {
            sum
        };
        out.splice(at..at + 2, sum.to_be_bytes());
        out
    }
}

fn octets(ip: IpAddr) -> Vec<u8> {
    match ip {
        IpAddr::V4(v4) => v4.octets().to_vec(),
        IpAddr::V6(v6) => v6.octets().to_vec(),
    }
}

fn pseudo_header(src: IpAddr, dst: IpAddr, protocol: u8, len: usize) -> Vec<u8> {
    let mut out = [octets(src), octets(dst)].concat();
    if src.is_ipv4() {
        out.extend([0, protocol]);
        out.extend(short(len).to_be_bytes());
    } else {
        out.extend(u32::from(short(len)).to_be_bytes());
        out.extend([0, 0, 0, protocol]);
    }
    out
}

fn ip(src: IpAddr, dst: IpAddr, protocol: u8, ttl: u8, upper: &[u8]) -> Vec<u8> {
    let mut out;
    if src.is_ipv4() {
        out = vec![0x45, 0];
        out.extend(short(20 + upper.len()).to_be_bytes());
        out.extend([0, 1, 0, 0, ttl, protocol, 0, 0]);
    } else {
        out = vec![0x60, 0, 0, 0];
        out.extend(short(upper.len()).to_be_bytes());
        out.extend([protocol, ttl]);
    }
    out.extend(octets(src));
    out.extend(octets(dst));
    if src.is_ipv4() {
        let sum = checksum(&[&out]).to_be_bytes();
        out.splice(10..12, sum);
    }
    out.extend(upper);
    out
}

fn short(len: usize) -> u16 {
    u16::try_from(len).expect("packets of the simulation are short")
}
