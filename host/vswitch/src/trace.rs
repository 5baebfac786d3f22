//! Packet trace: what each node saw and decided, for a bounded number of packets, on request.

use std::fmt;

use packet::FlowKey;
use packet::arp::Arp;
use packet::ethernet::{self, Ethernet};

use crate::frame::Frame;
use crate::graph::{Next, NodeId};
use crate::id::{Nanos, SwIfIndex};

mod filter;

pub use filter::PacketFilter;

const SNAPSHOT: usize = 96;
/// Records kept; later ones of a trace are dropped.
const RECORDS_MAX: usize = 20_000;

/// What one node did with one packet.
#[derive(Debug, Clone, Copy)]
struct Record {
    packet: u32,
    node: NodeId,
    next: Next,
    now: Nanos,
    rx: SwIfIndex,
    tx: SwIfIndex,
    l3: u16,
    len: u32,
    fib: u32,
    held: u8,
    bytes: [u8; SNAPSHOT],
}

/// Which packets to trace.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct TraceSpec {
    /// How many.
    pub max: u32,
    /// Received on one of these; on any when empty.
    pub only: Vec<SwIfIndex>,
    pub filter: Option<PacketFilter>,
}

/// Which traced packets to show: those that went through a node, or those that did not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NodeFilter {
    pub node: NodeId,
    pub is_include: bool,
}

/// The trace of a worker.
#[derive(Debug, Default)]
pub struct Trace {
    left: u32,
    spec: TraceSpec,
    packets: u32,
    records: Vec<Record>,
}

impl Trace {
    pub(crate) fn start(&mut self, spec: TraceSpec) {
        self.left = spec.max;
        self.spec = spec;
        self.records.reserve_exact(RECORDS_MAX - self.records.len());
    }

    pub(crate) const fn stop(&mut self) {
        self.left = 0;
    }

    pub(crate) fn clear(&mut self) {
        self.records = Vec::new();
        self.packets = 0;
        self.left = 0;
    }

    /// Tells whether packets are still to be traced.
    pub(crate) const fn is_on(&self) -> bool {
        self.left > 0
    }

    /// Gives a packet its number when it is to be traced, 0 otherwise.
    pub(crate) fn admit(&mut self, frame: &Frame) -> u32 {
        let TraceSpec { only, filter, .. } = &self.spec;
        if self.left == 0
            || !(only.is_empty() || only.contains(&frame.rx))
            || filter.is_some_and(|filter| !filter.matches(frame.head()))
        {
            return 0;
        }
        self.left -= 1;
        self.packets += 1;
        self.packets
    }

    pub(crate) fn record(&mut self, node: NodeId, next: Next, frame: &Frame, now: Nanos) {
        if self.records.len() >= RECORDS_MAX {
            return;
        }
        let head = frame.head();
        let held = head.len().min(SNAPSHOT);
        let mut bytes = [0; SNAPSHOT];
        if let (Some(to), Some(from)) = (bytes.get_mut(..held), head.get(..held)) {
            to.copy_from_slice(from);
        }
        self.records.push(Record {
            packet: frame.meta.trace,
            node,
            next,
            now,
            rx: frame.rx,
            tx: frame.meta.tx,
            l3: frame.meta.l3,
            len: u32::try_from(frame.len()).unwrap_or(u32::MAX),
            fib: frame.meta.fib,
            held: u8::try_from(held).unwrap_or(0),
            bytes,
        });
    }

    /// Renders each traced packet, in the order of arrival.
    pub fn packets(&self) -> impl Iterator<Item = String> {
        self.packets_through(None)
    }

    /// The same for the packets that a filter leaves.
    pub fn packets_through(&self, filter: Option<NodeFilter>) -> impl Iterator<Item = String> {
        let is_left = move |packet: &u32| {
            filter.is_none_or(|filter| {
                let mut visits = self.records.iter().filter(|r| r.packet == *packet);
                visits.any(|r| r.node == filter.node) == filter.is_include
            })
        };
        (1..=self.packets).filter(is_left).map(|packet| {
            self.records
                .iter()
                .filter(|r| r.packet == packet)
                .map(ToString::to_string)
                .collect::<String>()
        })
    }
}

impl fmt::Display for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.packets == 0 {
            return writeln!(f, "No packets in trace buffer");
        }
        for (number, text) in (1..).zip(self.packets()) {
            writeln!(f, "Packet {number}\n\n{text}")?;
        }
        Ok(())
    }
}

impl fmt::Display for Record {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = self.now.0 / 1000;
        let (secs, micros) = (micros / 1_000_000, micros % 1_000_000);
        let (hours, minutes, secs) = (secs / 3600, secs / 60 % 60, secs % 60);
        writeln!(
            f,
            "{hours:02}:{minutes:02}:{secs:02}:{micros:06}: {}",
            self.node
        )?;
        let held = self.bytes.get(..usize::from(self.held)).unwrap_or(&[]);
        writeln!(
            f,
            "  rx {} tx {} fib {} length {}",
            self.rx, self.tx, self.fib, self.len
        )?;
        if self.l3 >= 14
            || self.tx.is_none()
            || matches!(self.node, NodeId::InterfaceOutput | NodeId::InterfaceTx)
        {
            format_ethernet(f, held)?;
        }
        format_ip(f, held.get(usize::from(self.l3)..).unwrap_or(&[]))?;
        match self.next {
            Next::To(node) => writeln!(f, "  next {node}"),
            Next::Drop(reason) => writeln!(f, "  error-drop: {}: {reason}", self.node),
            Next::Transmit(on) => writeln!(f, "  transmit on {on}"),
        }
    }
}

fn format_ethernet(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let Ok(frame) = Ethernet::new_checked(bytes) else {
        return Ok(());
    };
    let kind = match frame.ethertype() {
        ethernet::IPV4 => "IP4",
        ethernet::IPV6 => "IP6",
        ethernet::ARP => "ARP",
        ethernet::VLAN => "802.1Q",
        _ => return Ok(()),
    };
    writeln!(f, "  {kind}: {} -> {}", frame.src(), frame.dst())?;
    if kind == "ARP"
        && let Ok(arp) = Arp::parse(frame.payload())
    {
        writeln!(
            f,
            "  {:?}: {}/{} -> {}/{}",
            arp.operation, arp.sender_mac, arp.sender_ip, arp.target_mac, arp.target_ip
        )?;
    }
    Ok(())
}

fn format_ip(f: &mut fmt::Formatter<'_>, bytes: &[u8]) -> fmt::Result {
    let Some(flow) = FlowKey::of_ip(bytes) else {
        return Ok(());
    };
    let protocol = match flow.protocol {
        packet::proto::ICMP => "ICMP",
        packet::proto::ICMPV6 => "ICMP6",
        packet::proto::TCP => "TCP",
        packet::proto::UDP => "UDP",
        packet::proto::SCTP => "SCTP",
        other => return writeln!(f, "  protocol {other}: {} -> {}", flow.src, flow.dst),
    };
    write!(f, "  {protocol}: {} -> {}", flow.src, flow.dst)?;
    if flow.src_port != 0 || flow.dst_port != 0 {
        write!(f, " ports {} -> {}", flow.src_port, flow.dst_port)?;
    }
    writeln!(f)
}

#[cfg(test)]
mod tests;
