//! How a node asks for an ICMP error about its packet: type, code and MTU travel in the frame's metadata.

use std::net::IpAddr;

use packet::{icmp, icmpv6};

use crate::frame::Frame;
use crate::graph::{Next, NodeId};
use crate::id::Family;

/// What the error nodes send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct IcmpRequest {
    pub(super) kind: u8,
    pub(super) code: u8,
    pub(super) mtu: u16,
}

impl IcmpRequest {
    pub(super) const fn of(frame: &Frame) -> Self {
        let [kind, code, a, b] = frame.meta.object.to_be_bytes();
        Self {
            kind,
            code,
            mtu: u16::from_be_bytes([a, b]),
        }
    }
}

pub(super) fn v4(frame: &mut Frame, kind: u8, code: u8, mtu: u16) -> Next {
    frame.meta.object = pack(kind, code, mtu);
    Next::To(NodeId::Ip4IcmpError)
}

pub(super) fn v6(frame: &mut Frame, kind: u8, code: u8, mtu: u16) -> Next {
    frame.meta.object = pack(kind, code, mtu);
    Next::To(NodeId::Ip6IcmpError)
}

const fn pack(kind: u8, code: u8, mtu: u16) -> u32 {
    let [a, b] = mtu.to_be_bytes();
    u32::from_be_bytes([kind, code, a, b])
}

pub(super) fn unreachable(frame: &mut Frame, dst: IpAddr) -> Next {
    match Family::of(dst) {
        Family::V4 => v4(frame, icmp::UNREACHABLE, icmp::CODE_HOST, 0),
        Family::V6 => v6(frame, icmpv6::UNREACHABLE, icmpv6::CODE_NO_ROUTE, 0),
    }
}

pub(super) fn prohibited(frame: &mut Frame, dst: IpAddr) -> Next {
    match Family::of(dst) {
        Family::V4 => v4(frame, icmp::UNREACHABLE, icmp::CODE_PROHIBITED, 0),
        Family::V6 => v6(frame, icmpv6::UNREACHABLE, icmpv6::CODE_PROHIBITED, 0),
    }
}
