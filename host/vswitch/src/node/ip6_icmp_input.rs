//! Answers ICMPv6 echo requests and neighbour solicitations, and learns neighbours.

use std::net::{IpAddr, Ipv6Addr};

use packet::icmp::{self, Icmp};
use packet::ipv6::{self, Ipv6};
use packet::ndisc::{self, Ndisc};
use packet::{MacAddr, ethernet, icmpv6, proto};

use super::attached::learn_neighbor;
use crate::frame::{ETHERNET_LEN, Frame};
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::interface::Interface;

const HOP_LIMIT: u8 = 64;
const ALL_NODES: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1);

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.tables.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let Ok(ip) = Ipv6::new_checked(frame.l3()) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let header = ipv6::Header::of(&ip);
    let Ok(upper) = ip.upper_layer() else {
        return Next::Drop(DropReason::BadVersion);
    };
    let Ok(message) = Icmp::new_checked(ipv6::bytes_from(frame.l3(), upper.offset)) else {
        return Next::Drop(DropReason::Truncated);
    };
    match message.kind() {
        icmpv6::ECHO_REQUEST if !header.dst.is_multicast() => {
            echo(interface, frame, &header, upper.offset)
        }
        icmpv6::NEIGHBOR_SOLICIT | icmpv6::NEIGHBOR_ADVERT => {
            neighbor(env, interface, frame, &header, upper.offset)
        }
        _ => Next::Drop(DropReason::IcmpUnknown),
    }
}

fn echo(interface: &Interface, frame: &mut Frame, header: &ipv6::Header, at: usize) -> Next {
    let packet = frame.l3_mut();
    icmp::set_kind(
        packet.get_mut(at..).unwrap_or(&mut []),
        icmpv6::ECHO_REPLY,
        0,
    );
    ipv6::swap_addresses(packet);
    ipv6::set_hop_limit(packet, HOP_LIMIT);
    frame.meta.local = true;
    frame.meta.fib = interface.fib6;
    if !header.src.is_unicast_link_local() || !interface.is_ethernet() {
        return Next::To(NodeId::Ip6Lookup);
    }
    // A link-local asker is on this link, and its address is in the frame.
    let Ok(old) = ethernet::Ethernet::new_checked(frame.head()) else {
        return Next::Drop(DropReason::Truncated);
    };
    let asker = old.src();
    ethernet::set_addresses(frame.head_mut(), asker, interface.mac);
    frame.meta.tx = frame.rx;
    Next::To(NodeId::InterfaceOutput)
}

fn neighbor(
    env: &mut Env<'_>,
    interface: &Interface,
    frame: &mut Frame,
    header: &ipv6::Header,
    at: usize,
) -> Next {
    // RFC 4861, section 7.1: from this link, and intact.
    let message = ipv6::bytes_from(frame.l3(), at);
    let complete = frame.tail.is_none() && at + message.len() == frame.l3_len();
    if header.hop_limit != 255 || !complete || !icmpv6::checksum_ok(message, header.src, header.dst)
    {
        return Next::Drop(DropReason::NdBad);
    }
    match Ndisc::parse(message) {
        Ok(Ndisc::Solicit { target, source_mac }) => {
            if !interface.has_address(target.into()) && !interface.nd_proxy.contains(&target) {
                return Next::Drop(DropReason::NdNotLocal);
            }
            if let Some(mac) = source_mac {
                learn_neighbor(env, frame, interface, header.src.into(), mac);
            }
            advertise(interface, frame, header.src, target, source_mac)
        }
        Ok(Ndisc::Advert {
            target, target_mac, ..
        }) => {
            if let Some(mac) = target_mac {
                learn_neighbor(env, frame, interface, IpAddr::V6(target), mac);
            }
            Next::Drop(DropReason::NdAdvertReceived)
        }
        Err(_) => Next::Drop(DropReason::NdBad),
    }
}

/// Replaces the solicitation by its answer.
fn advertise(
    interface: &Interface,
    frame: &mut Frame,
    asker: Ipv6Addr,
    target: Ipv6Addr,
    mac: Option<MacAddr>,
) -> Next {
    let duplicate_detection = asker.is_unspecified();
    let dst = if duplicate_detection {
        ALL_NODES
    } else {
        asker
    };
    let sender =
        ethernet::Ethernet::new_checked(frame.head()).map_or(MacAddr::BROADCAST, |e| e.src());
    let dst_mac = if duplicate_detection {
        MacAddr::from_ipv6_multicast(dst)
    } else {
        mac.unwrap_or(sender)
    };
    let advert = Ndisc::Advert {
        target,
        target_mac: Some(interface.mac),
        router: true,
        solicited: !duplicate_detection,
        override_cache: true,
    };
    solicit_or_advertise(frame, interface, &advert, (dst_mac, dst), target);
    frame.meta.tx = frame.rx;
    Next::To(NodeId::InterfaceOutput)
}

/// Makes `frame` a complete neighbour discovery frame from `src`.
pub(super) fn solicit_or_advertise(
    frame: &mut Frame,
    interface: &Interface,
    message: &Ndisc,
    dst: (MacAddr, Ipv6Addr),
    src: Ipv6Addr,
) {
    nd_frame(frame, interface.mac, message, dst, src);
}

/// The same, from any MAC.
pub(super) fn nd_frame(
    frame: &mut Frame,
    src_mac: MacAddr,
    message: &Ndisc,
    dst: (MacAddr, Ipv6Addr),
    src: Ipv6Addr,
) {
    const L3: usize = ethernet::HEADER_LEN;
    const L4: usize = L3 + ipv6::HEADER_LEN;
    let mut bytes = [0; L4 + ndisc::LEN];
    ethernet::emit(&mut bytes, dst.0, src_mac, ethernet::IPV6);
    let (l2_l3, l4) = bytes.split_at_mut(L4);
    let len = message.emit(l4, src, dst.1);
    let header = ipv6::Header {
        traffic_class: 0,
        flow_label: 0,
        payload_len: u16::try_from(len).unwrap_or(0),
        next_header: proto::ICMPV6,
        hop_limit: 255,
        src,
        dst: dst.1,
    };
    header.emit(l2_l3.get_mut(L3..).unwrap_or(&mut []));
    frame.replace(bytes.get(..L4 + len).unwrap_or(&[]));
    frame.meta.l3 = ETHERNET_LEN;
}
