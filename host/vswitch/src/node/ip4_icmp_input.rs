//! Answers ICMP echo requests. The payload, which may be in the tail, is not read: the checksum is updated.

use packet::icmp::{self, Icmp};
use packet::ipv4::{self, Ipv4};

use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};

const TTL: u8 = 64;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Ok(ip) = Ipv4::new_checked(frame.l3()) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let (at, protocol) = (ip.header_len(), ip.protocol());
    let Ok(message) = Icmp::new_checked(ip.payload()) else {
        return Next::Drop(DropReason::Truncated);
    };
    if message.kind() != icmp::ECHO_REQUEST || message.code() != 0 {
        return Next::Drop(DropReason::IcmpUnknown);
    }
    let packet = frame.l3_mut();
    icmp::set_kind(packet.get_mut(at..).unwrap_or(&mut []), icmp::ECHO_REPLY, 0);
    ipv4::swap_addresses(packet);
    ipv4::set_word(packet, 8, u16::from_be_bytes([TTL, protocol]));
    frame.meta.local = true;
    if let Some(interface) = env.tables.interface(frame.rx) {
        frame.meta.fib = interface.fib4;
    }
    Next::To(NodeId::Ip4Lookup)
}
