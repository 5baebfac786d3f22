//! ICMPv6 (RFC 4443). The header has ICMP's shape: read it with [`crate::icmp::Icmp`].

use core::net::Ipv6Addr;

use crate::wire::{put_u16, u16_at};
use crate::{checksum, proto};

/// Destination unreachable.
pub const UNREACHABLE: u8 = 1;
/// Packet too big.
pub const PACKET_TOO_BIG: u8 = 2;
/// Time exceeded.
pub const TIME_EXCEEDED: u8 = 3;
/// Parameter problem; the message's second word points at the byte.
pub const PARAMETER_PROBLEM: u8 = 4;
/// Echo request.
pub const ECHO_REQUEST: u8 = 128;
/// Echo reply.
pub const ECHO_REPLY: u8 = 129;
/// Router solicitation.
pub const ROUTER_SOLICIT: u8 = 133;
/// Router advertisement.
pub const ROUTER_ADVERT: u8 = 134;
/// Neighbour solicitation.
pub const NEIGHBOR_SOLICIT: u8 = 135;
/// Neighbour advertisement.
pub const NEIGHBOR_ADVERT: u8 = 136;
/// Code of [`UNREACHABLE`]: no route.
pub const CODE_NO_ROUTE: u8 = 0;
/// Code of [`UNREACHABLE`]: administratively prohibited.
pub const CODE_PROHIBITED: u8 = 1;
/// Code of [`UNREACHABLE`]: address.
pub const CODE_ADDRESS: u8 = 3;
/// Code of [`UNREACHABLE`]: port.
pub const CODE_PORT: u8 = 4;

/// Tells whether a message type reports an error (errors are never answered with errors).
#[must_use]
pub const fn is_error(kind: u8) -> bool {
    kind < 128
}

/// Computes the checksum over pseudo header and `message`.
pub fn fill_checksum(message: &mut [u8], src: Ipv6Addr, dst: Ipv6Addr) {
    put_u16(message, 2, 0);
    let check = !checksum::fold(checksum::add(pseudo(message, src, dst), message));
    put_u16(message, 2, check);
}

/// Tells whether the checksum of a complete message is right.
#[must_use]
pub fn checksum_ok(message: &[u8], src: Ipv6Addr, dst: Ipv6Addr) -> bool {
    u16_at(message, 2) != 0
        && checksum::fold(checksum::add(pseudo(message, src, dst), message)) == 0xffff
}

fn pseudo(message: &[u8], src: Ipv6Addr, dst: Ipv6Addr) -> u32 {
    let len = u32::try_from(message.len()).unwrap_or(u32::MAX);
    checksum::pseudo6(src, dst, proto::ICMPV6, len)
}
