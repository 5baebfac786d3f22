//! Puts the headers of a path in front of a packet, and marks what is left to a device.

use packet::ethernet::Ethernet;
use packet::ipv4::{self, Ipv4};
use packet::ipv6::{self, Ipv6};
use packet::{FlowKey, icmp, icmpv6, proto, srh};

use super::icmp_request;
use crate::frame::Frame;
use crate::graph::{DropReason, Next};
use crate::offload::Tunnel;

/// What the outer header says about the packet inside.
#[derive(Debug, Clone, Copy)]
pub(super) struct Inner {
    pub(super) protocol: u8,
    pub(super) traffic_class: u8,
    pub(super) flow_label: u32,
}

/// Takes the link header off an IP packet and a hop off its life; the packet is the whole frame then.
///
/// # Errors
/// What happens to a packet that is malformed or at the end of its life.
pub(super) fn enter(frame: &mut Frame) -> Result<Inner, Next> {
    if !frame.strip_l2() {
        return Err(Next::Drop(DropReason::Truncated));
    }
    let packet = frame.l3();
    let flow_label = FlowKey::of_ip(packet).map_or(0, |key| key.hash() & 0xf_ffff);
    if packet.first().is_some_and(|byte| byte >> 4 == 6) {
        let ip = Ipv6::new_checked(packet).map_err(|_| Next::Drop(DropReason::BadVersion))?;
        let (traffic_class, hop_limit) = (ip.traffic_class(), ip.hop_limit());
        if !frame.meta.local {
            if hop_limit <= 1 {
                return Err(icmp_request::v6(frame, icmpv6::TIME_EXCEEDED, 0, 0));
            }
            ipv6::decrement_hop_limit(frame.l3_mut());
        }
        return Ok(Inner {
            protocol: proto::IPV6,
            traffic_class,
            flow_label,
        });
    }
    let ip = Ipv4::new_checked(packet).map_err(|_| Next::Drop(DropReason::BadVersion))?;
    let (traffic_class, ttl) = (ip.tos(), ip.ttl());
    if !frame.meta.local {
        if ttl <= 1 {
            return Err(icmp_request::v4(frame, icmp::TIME_EXCEEDED, 0, 0));
        }
        ipv4::decrement_ttl(frame.l3_mut());
    }
    Ok(Inner {
        protocol: proto::IPIP,
        traffic_class,
        flow_label,
    })
}

/// Puts `headers`, which start with an IPv6 header, in front of the frame.
///
/// # Errors
/// [`DropReason::NoHeadroom`]; [`DropReason::OffloadConflict`] when a tunnel inside is unfinished;
/// [`DropReason::MtuExceeded`] when the length does not fit its field.
pub(super) fn push(frame: &mut Frame, headers: &[u8], is_ip: bool) -> Result<(), DropReason> {
    if frame.offload.tunnel != Tunnel::None {
        return Err(DropReason::OffloadConflict);
    }
    let pending = frame.offload.gso.is_some();
    let inner_l3 = if pending && !is_ip {
        Ethernet::new_checked(frame.head())
            .and_then(|e| e.payload_behind_tags())
            .map_or(0, |(_, at, _)| at)
    } else {
        0
    };
    let room = frame.push(headers.len()).ok_or(DropReason::NoHeadroom)?;
    room.copy_from_slice(headers);
    let len = frame.len() - ipv6::HEADER_LEN.min(frame.len());
    // A super-frame may be longer than the field; segmentation writes the real lengths.
    let payload_len = match u16::try_from(len) {
        Ok(len) => len,
        Err(_) if pending => u16::MAX,
        Err(_) => return Err(DropReason::MtuExceeded),
    };
    ipv6::set_payload_len(frame.head_mut(), payload_len);
    (frame.meta.l3, frame.meta.cnat) = (0, 0);
    if pending {
        frame.offload.tunnel = Tunnel::Ip {
            l3: 0,
            inner_l3: u16::try_from(headers.len() + inner_l3).unwrap_or(u16::MAX),
        };
    }
    Ok(())
}

/// Writes what the outer header says about the packet inside.
pub(super) fn describe(frame: &mut Frame, inner: &Inner) {
    let packet = frame.head_mut();
    ipv6::set_class_and_label(packet, inner.traffic_class, inner.flow_label);
    let routed = packet.get(6) == Some(&proto::ROUTING);
    if let Some(header) = packet.get_mut(ipv6::HEADER_LEN..)
        && routed
    {
        srh::set_next_header(header, inner.protocol);
    } else {
        ipv6::set_next_header(packet, inner.protocol);
    }
}

/// Remembers where the inner packet of a super-frame lies, for a frame that came encapsulated.
pub(super) fn mark_super_frame(frame: &mut Frame) {
    if !frame.offload.gso.is_some() || frame.offload.tunnel != Tunnel::None {
        return;
    }
    let Ok(upper) = Ipv6::new_checked(frame.l3()).and_then(|ip| ip.upper_layer()) else {
        return;
    };
    let inside = match upper.protocol {
        proto::IPIP | proto::IPV6 => 0,
        proto::ETHERNET => {
            let inner = frame.l3().get(upper.offset..).unwrap_or(&[]);
            let Ok((_, at, _)) = Ethernet::new_checked(inner).and_then(|e| e.payload_behind_tags())
            else {
                return;
            };
            at
        }
        _ => return,
    };
    let inner_l3 = usize::from(frame.meta.l3) + upper.offset + inside;
    frame.offload.tunnel = Tunnel::Ip {
        l3: frame.meta.l3,
        inner_l3: u16::try_from(inner_l3).unwrap_or(u16::MAX),
    };
}
