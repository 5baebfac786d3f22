//! Segment routing: packets in, packets out.
#![expect(
    clippy::cast_possible_truncation,
    reason = "numbers of a test are small"
)]

mod policy;
mod proxy;
mod sid;

use std::net::Ipv6Addr;

use packet::ethernet::Ethernet;
use packet::ipv4::Ipv4;
use packet::ipv6::{self, Ipv6};
use packet::srh::{self, Srh};
use packet::{MacAddr, proto};

use super::*;
use crate::SwIfIndex;
use crate::sr::{Behavior, LocalsidSpec, PolicyKind, PolicySpec, Steered};

/// Interfaces `in` (2001:db8:1::/64, 10.0.0.0/24) and `out` (2001:db8:2::/64, 10.0.1.0/24), with neighbours
/// `::2` and `.2` on both, and fc00::/16 behind `out`.
pub(super) fn lab() -> (Lab, SwIfIndex, SwIfIndex) {
    let mut lab = Lab::new();
    let inside = lab.routed("in", &["10.0.0.1/24", "2001:db8:1::1/64"]);
    let out = lab.routed("out", &["10.0.1.1/24", "2001:db8:2::1/64"]);
    for (on, ips) in [
        (inside, ["10.0.0.2", "2001:db8:1::2"]),
        (out, ["10.0.1.2", "2001:db8:2::2"]),
    ] {
        for ip in ips {
            lab.neighbor(on, ip, host(on.0 as u8));
        }
    }
    let via = crate::route::RoutePath::via(addr("2001:db8:2::2"), out);
    lab.dp
        .ip_route_add_del(0, prefix("fc00::/16"), &[via], true, false)
        .unwrap();
    lab.dp.sr_set_encap_source(sid("2001:db8:2::1"));
    (lab, inside, out)
}

pub(super) fn sid(text: &str) -> Ipv6Addr {
    text.parse().unwrap()
}

pub(super) fn localsid(at: &str, behavior: Behavior) -> LocalsidSpec {
    LocalsidSpec {
        sid: sid(at),
        prefix_len: 128,
        usid_len: 0,
        psp: false,
        fib_table: 0,
        behavior,
    }
}

pub(super) fn policy(bsid: &str, is_encap: bool, path: &[&str]) -> PolicySpec {
    PolicySpec {
        bsid: sid(bsid),
        kind: PolicyKind::Default,
        is_encap,
        fib_table: 0,
        encap_src: Ipv6Addr::UNSPECIFIED,
        segments: path.iter().map(|text| sid(text)).collect(),
        weight: 1,
    }
}

pub(super) fn l3(to: &str) -> Steered {
    Steered::L3 {
        table: 0,
        prefix: prefix(to),
    }
}

/// A packet with a segment routing header of `path`, of which `left` segments are left, around `inner`.
pub(super) fn routed(path: &[&str], left: u8, (protocol, inner): (u8, &[u8])) -> Vec<u8> {
    let path: Vec<_> = path.iter().map(|text| sid(text)).collect();
    let mut header = vec![0; srh::header_len(path.len())];
    srh::emit(&mut header, protocol, &path);
    srh::set_segments_left(&mut header, left);
    let dst = path[path.len() - 1 - usize::from(left)];
    header.extend(inner);
    ip(
        "2001:db8:9::9",
        &dst.to_string(),
        proto::ROUTING,
        64,
        &header,
    )
}

/// A packet without a segment routing header around `inner`.
pub(super) fn bare(dst: &str, (protocol, inner): (u8, &[u8])) -> Vec<u8> {
    ip("2001:db8:9::9", dst, protocol, 64, inner)
}

impl Lab {
    /// Sends an IP packet to the switch and tells what comes out, one line per frame.
    pub(super) fn route(&mut self, rx: SwIfIndex, packet: &[u8]) -> String {
        let frame = eth(own_mac(rx), host(rx.0 as u8), packet);
        self.tell(rx, &frame)
    }

    pub(super) fn tell(&mut self, rx: SwIfIndex, frame: &[u8]) -> String {
        let sent = self.send(rx, frame);
        let line = |(on, bytes, _): &Sent| {
            format!(
                "{}: {}\n",
                self.dp.interface(*on).unwrap().name,
                told(bytes)
            )
        };
        sent.iter().map(line).collect()
    }

    /// The IP packet that leaves.
    pub(super) fn packet_out(&mut self, rx: SwIfIndex, packet: &[u8]) -> Vec<u8> {
        let sent = self.send(rx, &eth(own_mac(rx), host(rx.0 as u8), packet));
        assert_eq!(sent.len(), 1, "{:?}", self.drops());
        sent[0].1[14..].to_vec()
    }
}

/// A frame in words, with all headers and what is inside; lengths are checked.
pub(super) fn told(frame: &[u8]) -> String {
    let header = Ethernet::new_checked(frame).unwrap();
    let to: MacAddr = header.dst();
    format!("to {to} {}", told_ip(header.payload()))
}

fn told_ip(packet: &[u8]) -> String {
    if packet[0] >> 4 == 4 {
        let ip = Ipv4::new_checked(packet).unwrap();
        assert!(ip.checksum_ok());
        assert_eq!(usize::from(ip.total_len()), packet.len());
        return format!(
            "{} > {} ttl {} proto {}",
            ip.src(),
            ip.dst(),
            ip.ttl(),
            ip.protocol()
        );
    }
    let ip = Ipv6::new_checked(packet).unwrap();
    assert_eq!(
        usize::from(ip.payload_len()) + ipv6::HEADER_LEN,
        packet.len()
    );
    let mut text = format!("{} > {} hops {}", ip.src(), ip.dst(), ip.hop_limit());
    let (mut next, mut at) = (ip.next_header(), ipv6::HEADER_LEN);
    loop {
        match next {
            proto::HOPOPT => {
                text += " options";
                (next, at) = (packet[at], at + (usize::from(packet[at + 1]) + 1) * 8);
            }
            proto::ROUTING => {
                let srh = Srh::new_checked(&packet[at..]).unwrap();
                let path: Vec<_> = srh.path().map(|sid| sid.to_string()).collect();
                text += &format!(" [{} left of {}]", srh.segments_left(), path.join(" "));
                (next, at) = (srh.next_header(), at + srh.len());
            }
            proto::IPIP | proto::IPV6 => return text + " ( " + &told_ip(&packet[at..]) + " )",
            proto::ETHERNET => return text + " ( " + &told(&packet[at..]) + " )",
            other => return format!("{text} proto {other}"),
        }
    }
}
