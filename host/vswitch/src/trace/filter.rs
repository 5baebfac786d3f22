//! Which packets a trace or a capture is about: the part of VPP's classifier filters that operators use.

use std::net::IpAddr;

use packet::FlowKey;
use packet::ethernet::{self, Ethernet};

/// Fields that a packet must have; what is absent may be anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PacketFilter {
    pub src: Option<IpAddr>,
    pub dst: Option<IpAddr>,
    pub protocol: Option<u8>,
    pub src_port: Option<u16>,
    pub dst_port: Option<u16>,
}

impl PacketFilter {
    /// Looks at a frame, or at an IP packet without link header. Packets that are not IP never match.
    pub fn matches(&self, bytes: &[u8]) -> bool {
        let behind_link = Ethernet::new_checked(bytes)
            .and_then(|frame| frame.payload_behind_tags())
            .ok()
            .filter(|(kind, ..)| matches!(*kind, ethernet::IPV4 | ethernet::IPV6));
        let at = behind_link.map_or(0, |(_, at, _)| at);
        let Some(flow) = FlowKey::of_ip(bytes.get(at..).unwrap_or(&[])) else {
            return false;
        };
        fits(self.src, flow.src)
            && fits(self.dst, flow.dst)
            && fits(self.protocol, flow.protocol)
            && fits(self.src_port, flow.src_port)
            && fits(self.dst_port, flow.dst_port)
    }
}

fn fits<T: PartialEq + Copy>(wanted: Option<T>, found: T) -> bool {
    wanted.is_none_or(|wanted| wanted == found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lab::{addr, eth, host, udp};

    #[test]
    fn every_named_field_must_fit() {
        let packet = udp("10.0.0.1", "10.0.0.2", (7, 53), 4);
        let frame = eth(host(1), host(2), &packet);
        let all = PacketFilter {
            src: Some(addr("10.0.0.1")),
            dst: Some(addr("10.0.0.2")),
            protocol: Some(17),
            src_port: Some(7),
            dst_port: Some(53),
        };
        for bytes in [&frame, &packet] {
            assert!(PacketFilter::default().matches(bytes) && all.matches(bytes));
            for other in [
                PacketFilter {
                    src: Some(addr("10.0.0.2")),
                    ..all
                },
                PacketFilter {
                    protocol: Some(6),
                    ..all
                },
                PacketFilter {
                    dst_port: Some(54),
                    ..all
                },
            ] {
                assert!(!other.matches(bytes), "{other:?}");
            }
        }
        assert!(!PacketFilter::default().matches(&[0; 60]));
    }
}
