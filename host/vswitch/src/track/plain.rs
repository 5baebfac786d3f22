//! The key of a flow straight from the bytes of a packet that hides nothing behind options or fragments.

use packet::proto;

use super::packet::Kind;
use super::state::Hook;
use crate::session::{FlowWords, Scope};

/// Version 4 and a header of five words.
const PLAIN_V4: u8 = 0x45;
/// More fragments follow, or the offset is not 0.
const FRAGMENT_BITS: u16 = 0x3fff;
/// The family in the last word of a key.
const V6_BIT: u64 = 1 << 23;

/// Gives what [`super::Packet::parse`] and `key_of` give, or `None`.
#[inline]
pub(super) fn read(packet: &[u8], scope: Scope, hook: Hook) -> Option<(FlowWords, Kind)> {
    match packet.first()? {
        &PLAIN_V4 => read_v4(packet, scope, hook),
        first if first >> 4 == 6 => read_v6(packet, scope, hook),
        _ => None,
    }
}

#[inline]
fn read_v4(packet: &[u8], scope: Scope, hook: Hook) -> Option<(FlowWords, Kind)> {
    let [
        _,
        _,
        _,
        _,
        _,
        _,
        f0,
        f1,
        _,
        protocol,
        _,
        _,
        s0,
        s1,
        s2,
        s3,
        d0,
        d1,
        d2,
        d3,
        p0,
        p1,
        p2,
        p3,
    ] = *packet.first_chunk::<24>()?;
    if u16::from_be_bytes([f0, f1]) & FRAGMENT_BITS != 0 {
        return None;
    }
    let kind = kind(protocol, packet.get(20 + 13))?;
    let src = u32::from_be_bytes([s0, s1, s2, s3]).into();
    let dst = u32::from_be_bytes([d0, d1, d2, d3]).into();
    let ports = u32::from_be_bytes([p0, p1, p2, p3]);
    let rest = u64::from(protocol) << 24 | u64::from(scope.number());
    Some((key(hook, [0, src], [0, dst], ports, rest), kind))
}

#[inline]
fn read_v6(packet: &[u8], scope: Scope, hook: Hook) -> Option<(FlowWords, Kind)> {
    let header = packet.first_chunk::<44>()?;
    let protocol = header[6];
    let kind = kind(protocol, packet.get(40 + 13))?;
    let word = |at: usize| {
        header
            .get(at..)?
            .first_chunk::<8>()
            .map(|b| u64::from_be_bytes(*b))
    };
    let (src, dst) = ([word(8)?, word(16)?], [word(24)?, word(32)?]);
    let ports = u32::from_be_bytes(*header.last_chunk::<4>()?);
    let rest = u64::from(protocol) << 24 | V6_BIT | u64::from(scope.number());
    Some((key(hook, src, dst, ports, rest), kind))
}

#[inline]
const fn kind(protocol: u8, tcp_flags: Option<&u8>) -> Option<Kind> {
    match (protocol, tcp_flags) {
        (proto::TCP, Some(flags)) => Some(Kind::Tcp { flags: *flags }),
        (proto::UDP, _) => Some(Kind::Datagram),
        _ => None,
    }
}

/// The words as the interface's own side sends it.
#[inline]
const fn key(hook: Hook, src: [u64; 2], dst: [u64; 2], ports: u32, rest: u64) -> FlowWords {
    let (src, dst, ports) = match hook {
        Hook::Rx => (src, dst, ports),
        Hook::Tx => (dst, src, ports.rotate_left(16)),
    };
    let ([a, b], [c, d]) = (src, dst);
    [a, b, c, d, (ports as u64) << 32 | rest]
}
