//! Turns a packet into the ICMP error about it (RFC 1812, section 4.3.2), when the rules and the rate allow one.

use std::net::IpAddr;

use packet::ipv4::{self, Ipv4};
use packet::{icmp, proto};

use super::icmp_request::IcmpRequest;
use crate::frame::{Frame, HEAD_MAX};
use crate::graph::{DropReason, Env, Next, NodeId};

const HEADERS: usize = ipv4::HEADER_LEN + icmp::HEADER_LEN;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let request = IcmpRequest::of(frame);
    // The sender must recognise its own packet in the error.
    if let Some(pass) = env.state.recall(frame.meta.cnat) {
        pass.undo_input(frame);
    }
    let Some(interface) = env.tables.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let Ok(ip) = Ipv4::new_checked(frame.l3()) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let about_error = ip.protocol() == proto::ICMP
        && !matches!(
            ip.payload().first(),
            Some(&(icmp::ECHO_REQUEST | icmp::ECHO_REPLY))
        );
    let dst = ip.src();
    if about_error
        || frame.meta.local
        || ip.fragment_offset() != 0
        || dst.is_unspecified()
        || dst.is_loopback()
    {
        return Next::Drop(DropReason::IcmpErrorSuppressed);
    }
    let Some(IpAddr::V4(src)) = interface.source_for(dst.into()) else {
        return Next::Drop(DropReason::NoSourceAddress);
    };
    if !env.state.throttle.icmp.take(env.now) {
        return Next::Drop(DropReason::IcmpErrorThrottled);
    }
    let reason = match request.kind {
        icmp::TIME_EXCEEDED => DropReason::TtlExpired,
        _ if request.code == icmp::CODE_FRAG_NEEDED => DropReason::MtuExceeded,
        _ if request.code == icmp::CODE_PROHIBITED => DropReason::Prohibited,
        _ => DropReason::Unreachable,
    };
    env.counters.add_drop(NodeId::Ip4IcmpError, reason, 1);
    let mut bytes = [0; HEAD_MAX];
    let original = frame.l3();
    let quoted = original.len().min(HEAD_MAX - HEADERS);
    let (headers, room) = bytes.split_at_mut(HEADERS);
    if let (Some(to), Some(from)) = (room.get_mut(..quoted), original.get(..quoted)) {
        to.copy_from_slice(from);
    }
    let total_len = u16::try_from(HEADERS + quoted).unwrap_or(0);
    let header = ipv4::Header {
        tos: 0xc0,
        total_len,
        ident: 0,
        fragment_word: 0,
        ttl: 255,
        protocol: proto::ICMP,
        src,
        dst,
    };
    header.emit(headers);
    let message = bytes
        .get_mut(ipv4::HEADER_LEN..HEADERS + quoted)
        .unwrap_or(&mut []);
    let [a, b] = request.mtu.to_be_bytes();
    icmp::emit(message, request.kind, request.code, [0, 0, a, b]);
    icmp::fill_checksum(message);
    frame.replace(bytes.get(..HEADERS + quoted).unwrap_or(&[]));
    frame.meta.fib = interface.fib4;
    Next::To(NodeId::Ip4Lookup)
}
