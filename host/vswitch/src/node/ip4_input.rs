//! Checks an IPv4 header once, so that later nodes may trust it. Next: input features, then the lookup.

use std::net::Ipv4Addr;

use packet::ipv4::{self, Ipv4};

use super::npol;
use crate::frame::Frame;
use crate::graph::{Counted, DropReason, Env, Next, NodeId};
use crate::id::Family;
use crate::interface::Interface;

/// Version 4 and a header of five words: no options.
const PLAIN: u8 = 0x45;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    env.count(frame.rx, Counted::Ip4, 0);
    match validate(interface, frame) {
        Ok(first) => npol::enter(env, interface, frame, (first, Family::V4)),
        Err(reason) => Next::Drop(reason),
    }
}

/// The node's work for a good packet, when the interface is known; a bad one is not counted.
#[inline]
pub(super) fn start(env: &mut Env<'_>, interface: &Interface, frame: &mut Frame) -> Next {
    match validate(interface, frame) {
        Ok(first) => {
            env.count(frame.rx, Counted::Ip4, 0);
            npol::enter(env, interface, frame, (first, Family::V4))
        }
        Err(reason) => Next::Drop(reason),
    }
}

#[inline]
fn validate(interface: &Interface, frame: &mut Frame) -> Result<NodeId, DropReason> {
    check(frame)?;
    frame.meta.fib = interface.fib4;
    frame.meta.local = false;
    frame.meta.cnat = 0;
    frame.forget_onward();
    Ok(interface.input4.first(Family::V4))
}

/// Checks the header and cuts what is behind the packet.
#[inline]
pub(super) fn check(frame: &mut Frame) -> Result<(), DropReason> {
    let total = match frame.l3_start::<{ ipv4::HEADER_LEN }>() {
        Some(header) if header[0] == PLAIN => plain(header),
        _ => checked(frame.l3()),
    };
    let total = usize::from(total?);
    let available = frame.l3_len();
    if total > available {
        return Err(DropReason::BadLength);
    }
    // A super-frame's total length may be short or zero of meaning; its real length rules.
    if total < available && !frame.offload.gso.is_some() {
        frame.truncate(usize::from(frame.meta.l3) + total);
    }
    Ok(())
}

/// Total length of a packet whose header has no options.
fn plain(header: &[u8; ipv4::HEADER_LEN]) -> Result<u16, DropReason> {
    let [_, _, t0, t1, _, _, _, _, _, _, _, _, s0, s1, s2, s3, d0, ..] = *header;
    let total = u16::from_be_bytes([t0, t1]);
    if usize::from(total) < ipv4::HEADER_LEN {
        return Err(DropReason::BadVersion);
    }
    if !ipv4::plain_checksum_ok(header) {
        return Err(DropReason::BadChecksum);
    }
    let src = Ipv4Addr::new(s0, s1, s2, s3);
    if src.is_multicast() || src.is_broadcast() {
        return Err(DropReason::BadSource);
    }
    if Ipv4Addr::new(d0, 0, 0, 0).is_multicast() {
        return Err(DropReason::Multicast);
    }
    Ok(total)
}

/// The same for any header.
fn checked(packet: &[u8]) -> Result<u16, DropReason> {
    let ip = Ipv4::new_checked(packet).map_err(|_| DropReason::BadVersion)?;
    if !ip.checksum_ok() {
        return Err(DropReason::BadChecksum);
    }
    if ip.src().is_multicast() || ip.src().is_broadcast() {
        return Err(DropReason::BadSource);
    }
    if ip.dst().is_multicast() {
        return Err(DropReason::Multicast);
    }
    Ok(ip.total_len())
}
