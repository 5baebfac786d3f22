//! Turns a packet into the ICMPv6 error about it (RFC 4443, section 2.4), when the rules and the rate allow one.

use std::net::IpAddr;

use packet::ipv6::{self, Ipv6};
use packet::{icmp, icmpv6, proto};

use super::icmp_request::IcmpRequest;
use crate::frame::{Frame, HEAD_MAX};
use crate::graph::{DropReason, Env, Next, NodeId};

const HEADERS: usize = ipv6::HEADER_LEN + icmp::HEADER_LEN;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let request = IcmpRequest::of(frame);
    // The sender must recognise its own packet in the error.
    if let Some(pass) = env.state.recall(frame.meta.cnat) {
        pass.undo_input(frame);
    }
    let Some(interface) = env.tables.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let Ok(ip) = Ipv6::new_checked(frame.l3()) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let dst = ip.src();
    let Ok(upper) = ip.upper_layer() else {
        return Next::Drop(DropReason::IcmpErrorSuppressed);
    };
    let kind = ipv6::bytes_from(frame.l3(), upper.offset)
        .first()
        .copied()
        .unwrap_or(0);
    let about_error = upper.protocol == proto::ICMPV6 && icmpv6::is_error(kind);
    if about_error || frame.meta.local || !upper.has_header() || dst.is_unspecified() {
        return Next::Drop(DropReason::IcmpErrorSuppressed);
    }
    let src = match interface.source_for(dst.into()) {
        Some(IpAddr::V6(own)) if !dst.is_unicast_link_local() => own,
        _ => interface.link_local,
    };
    if !env.state.throttle.icmp.take(env.now) {
        return Next::Drop(DropReason::IcmpErrorThrottled);
    }
    let reason = match request.kind {
        icmpv6::TIME_EXCEEDED => DropReason::TtlExpired,
        icmpv6::PACKET_TOO_BIG => DropReason::MtuExceeded,
        icmpv6::PARAMETER_PROBLEM => DropReason::SrMalformed,
        _ if request.code == icmpv6::CODE_PROHIBITED => DropReason::Prohibited,
        _ => DropReason::Unreachable,
    };
    env.counters.add_drop(NodeId::Ip6IcmpError, reason, 1);
    let mut bytes = [0; HEAD_MAX];
    let original = frame.l3();
    let quoted = original.len().min(HEAD_MAX - HEADERS);
    let (headers, room) = bytes.split_at_mut(HEADERS);
    if let (Some(to), Some(from)) = (room.get_mut(..quoted), original.get(..quoted)) {
        to.copy_from_slice(from);
    }
    let payload_len = u16::try_from(icmp::HEADER_LEN + quoted).unwrap_or(0);
    let header = ipv6::Header {
        traffic_class: 0,
        flow_label: 0,
        payload_len,
        next_header: proto::ICMPV6,
        hop_limit: 255,
        src,
        dst,
    };
    header.emit(headers);
    let message = bytes
        .get_mut(ipv6::HEADER_LEN..HEADERS + quoted)
        .unwrap_or(&mut []);
    let [a, b] = request.mtu.to_be_bytes();
    icmp::emit(message, request.kind, request.code, [0, 0, a, b]);
    icmpv6::fill_checksum(message, src, dst);
    frame.replace(bytes.get(..HEADERS + quoted).unwrap_or(&[]));
    frame.meta.fib = interface.fib6;
    Next::To(NodeId::Ip6Lookup)
}
