//! Headers of packets, and the annotations of pods.

use std::collections::BTreeMap;

use packet::ethernet::Ethernet;
use packet::icmp::Icmp;
use packet::ipv4::Ipv4;
use packet::ipv6::Ipv6;
use packet::tcp::Tcp;
use packet::udp::Udp;
use packet::{FlowKey, arp, flow, icmpv6, ndisc, sctp, virtio, vxlan};

/// Every view on the same bytes; all that a view offers is read.
pub(crate) fn run(bytes: &[u8]) {
    if let Ok(frame) = Ethernet::new_checked(bytes) {
        let _ = (frame.dst(), frame.src(), frame.ethertype());
        if let Ok((_, at, _)) = frame.payload_behind_tags() {
            layer3(bytes.get(at..).unwrap_or(&[]));
        }
    }
    layer3(bytes);
    let _ = flow::hash_frame(bytes);
    let _ = virtio::Header::parse(bytes);
}

fn layer3(bytes: &[u8]) {
    if let Ok(arp) = arp::Arp::parse(bytes) {
        let mut out = [0; arp::LEN];
        arp.emit(&mut out);
        assert_eq!(arp::Arp::parse(&out).ok(), Some(arp));
    }
    if let Some(key) = FlowKey::of_ip(bytes) {
        assert_eq!(key.reversed().reversed(), key);
        let _ = key.hash();
    }
    if let Ok(ip) = Ipv4::new_checked(bytes) {
        let _ = (ip.checksum_ok(), ip.total_len(), ip.fragment_offset());
        assert!(ip.header_len() >= 20 && ip.header_len() + ip.payload().len() <= bytes.len());
        layer4(ip.payload());
    }
    if let Ok(ip) = Ipv6::new_checked(bytes)
        && let Ok(upper) = ip.upper_layer()
    {
        let rest = bytes.get(upper.offset..).unwrap_or(&[]);
        let _ = icmpv6::checksum_ok(rest, ip.src(), ip.dst());
        let _ = ndisc::Ndisc::parse(rest);
        layer4(rest);
    }
}

fn layer4(bytes: &[u8]) {
    if let Ok(segment) = Tcp::new_checked(bytes) {
        let _ = (segment.src_port(), segment.dst_port(), segment.flags());
    }
    if let Ok(datagram) = Udp::new_checked(bytes) {
        let _ = (datagram.src_port(), vxlan::parse(datagram.payload()));
    }
    let _ = sctp::Sctp::parse(bytes);
    let _ = Icmp::new_checked(bytes).map(|message| (message.kind(), message.code()));
}

/// A pod's request for interfaces.
pub(crate) fn annotation(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let annotations =
        BTreeMap::from([(model::annotation::INTERFACES[0].to_owned(), text.to_owned())]);
    if let Ok(requests) = model::annotation::interfaces(&annotations) {
        assert!(requests.len() <= model::annotation::INTERFACES_MAX);
        for request in requests {
            assert!((1..=model::annotation::NAME_LEN_MAX).contains(&request.name.len()));
        }
    }
}
