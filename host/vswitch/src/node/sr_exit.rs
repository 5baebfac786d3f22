//! What local SIDs share: the walk along the segment list, taking a packet out of its headers, counting.

use std::net::Ipv6Addr;

use packet::ethernet::{self, Ethernet};
use packet::ipv6::{self, Ipv6};
use packet::srh::{self, SEGMENTS_LEFT_OFFSET, Srh};
use packet::{WireError, icmpv6, proto};

use super::{icmp_request, ip4_input, ip6_input, sr_outer, srh_splice};
use crate::counters::SidCounter;
use crate::frame::{ETHERNET_LEN, Frame};
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::id::Family;
use crate::offload::{Gso, Tunnel};
use crate::sr::{Exit, Onward};

/// Counts a packet of local SID `index` by what became of it.
pub(super) fn count(env: &Env<'_>, index: u32, frame: &Frame, next: Next) -> Next {
    let which = match next {
        Next::Drop(_) | Next::To(NodeId::Ip6IcmpError | NodeId::Ip4IcmpError) => SidCounter::Bad,
        Next::To(_) | Next::Transmit(_) => SidCounter::Good,
    };
    env.counters.add_localsid(index, which, frame.len());
    next
}

/// The segment routing header of a packet.
#[derive(Debug, Clone, Copy)]
pub(super) struct Route {
    /// Offset from the start of the IPv6 header.
    pub(super) at: usize,
    pub(super) named_by: usize,
    pub(super) len: usize,
    pub(super) next_header: u8,
    pub(super) segments_left: u8,
    /// The segment that becomes active, when there is one.
    pub(super) next: Option<Ipv6Addr>,
    /// The active segment; a reduced header does not hold its first one.
    pub(super) active: Option<Ipv6Addr>,
    /// The last segment of the path.
    pub(super) last: Ipv6Addr,
}

/// Reads the segment routing header.
///
/// # Errors
/// What happens to a packet without one, or with one that is malformed (RFC 8754, section 4.3.1.1).
pub(super) fn route(frame: &mut Frame) -> Result<Route, Next> {
    let cut = Err(Next::Drop(DropReason::SrTooLong));
    let Ok(ip) = Ipv6::new_checked(frame.l3()) else {
        return Err(Next::Drop(DropReason::BadVersion));
    };
    let position = match srh::find(&ip) {
        Ok(Some(position)) => position,
        Ok(None) => return Err(Next::Drop(DropReason::SrNoHeader)),
        Err(_) => return cut,
    };
    let bytes = frame.l3().get(position.at..).unwrap_or(&[]);
    match Srh::new_checked(bytes) {
        Ok(header) => Ok(Route {
            at: position.at,
            named_by: position.named_by,
            len: header.len(),
            next_header: header.next_header(),
            segments_left: header.segments_left(),
            next: header
                .segments_left()
                .checked_sub(1)
                .and_then(|left| header.segment(left)),
            active: header.segment(header.segments_left()),
            last: header.segment(0).unwrap_or_else(|| ip.dst()),
        }),
        Err(WireError::Truncated) => cut,
        Err(_) if bytes.get(2) != Some(&srh::ROUTING_TYPE) => {
            Err(Next::Drop(DropReason::SrNoHeader))
        }
        Err(_) => {
            let pointer = u16::try_from(position.at + SEGMENTS_LEFT_OFFSET).unwrap_or(0);
            Err(icmp_request::v6(
                frame,
                icmpv6::PARAMETER_PROBLEM,
                0,
                pointer,
            ))
        }
    }
}

/// Makes the next segment the active one; with `psp`, takes the header out when it is the last.
///
/// # Errors
/// As for [`route`], and for a packet that is at its last segment.
pub(super) fn advance(frame: &mut Frame, psp: bool) -> Result<(), Next> {
    let route = route(frame)?;
    let Some(next) = route.next else {
        return Err(Next::Drop(DropReason::SrNoSegments));
    };
    let l3 = usize::from(frame.meta.l3);
    let packet = frame.l3_mut();
    ipv6::set_dst(packet, next);
    if route.segments_left > 1 || !psp {
        let header = packet.get_mut(route.at..).unwrap_or(&mut []);
        srh::set_segments_left(header, route.segments_left - 1);
        return Ok(());
    }
    if let Some(byte) = packet.get_mut(route.named_by) {
        *byte = route.next_header;
    }
    let len = Ipv6::new_checked(packet).map_or(0, |ip| ip.payload_len());
    let removed = u16::try_from(route.len).unwrap_or(0);
    ipv6::set_payload_len(packet, len.saturating_sub(removed));
    if srh_splice::remove(frame, l3 + route.at, route.len) {
        Ok(())
    } else {
        Err(Next::Drop(DropReason::SrTooLong))
    }
}

/// Sends a packet on that stays encapsulated.
pub(super) fn onward(env: &Env<'_>, frame: &mut Frame, onward: Onward) -> Next {
    sr_outer::mark_super_frame(frame);
    match onward {
        Onward::Same => env.turn(frame, NodeId::Ip6Lookup),
        Onward::Table(fib) => {
            frame.meta.fib = fib;
            env.turn(frame, NodeId::Ip6Lookup)
        }
        Onward::Adjacency(index) => {
            frame.meta.object = index;
            env.turn(frame, NodeId::Ip6Rewrite)
        }
        Onward::Gone => Next::Drop(DropReason::SrGone),
    }
}

/// Tells what is behind all IPv6 headers, and where, from the start of the IPv6 header.
///
/// # Errors
/// Why there is nothing to be had.
pub(super) fn inside(frame: &Frame) -> Result<(u8, usize), DropReason> {
    let ip = Ipv6::new_checked(frame.l3()).map_err(|_| DropReason::BadVersion)?;
    let upper = ip.upper_layer().map_err(|error| match error {
        WireError::Truncated => DropReason::SrTooLong,
        WireError::Malformed | WireError::Checksum => DropReason::SrMalformed,
    })?;
    if upper.fragment.is_some() {
        return Err(DropReason::Fragment);
    }
    Ok((upper.protocol, upper.offset))
}

/// Takes the packet out of its first `offset` bytes from the IPv6 header on, checks it, and sends it where
/// `exit` says. `protocol` is what the headers promised.
pub(super) fn leave(
    env: &Env<'_>,
    frame: &mut Frame,
    (protocol, offset): (u8, usize),
    exit: Exit,
) -> Next {
    let wanted = match exit {
        Exit::Table(Family::V4, _) | Exit::Adjacency(Family::V4, _) => proto::IPIP,
        Exit::Table(Family::V6, _) | Exit::Adjacency(Family::V6, _) => proto::IPV6,
        Exit::Interface(_) => proto::ETHERNET,
        Exit::Gone => return Next::Drop(DropReason::SrGone),
    };
    if protocol != wanted {
        return Next::Drop(DropReason::SrNoInner);
    }
    // The frame's pending work is that of the packet inside, or there would be a tunnel of another kind.
    if frame.offload.gso == Gso::Udp
        || matches!(frame.offload.tunnel, Tunnel::V4 { .. } | Tunnel::V6 { .. })
    {
        return Next::Drop(DropReason::OffloadConflict);
    }
    if !frame.strip_l2() || !frame.pull(offset) {
        return Next::Drop(DropReason::SrTooLong);
    }
    frame.offload.tunnel = Tunnel::None;
    (frame.meta.local, frame.meta.cnat) = (false, 0);
    if frame.tail.is_some() && frame.head_len() < ipv6::HEADER_LEN {
        return Next::Drop(DropReason::SrTooLong);
    }
    let checked = match exit {
        Exit::Table(Family::V4, _) | Exit::Adjacency(Family::V4, _) => ip4_input::check(frame),
        Exit::Table(Family::V6, _) | Exit::Adjacency(Family::V6, _) => ip6_input::check(frame),
        Exit::Interface(_) | Exit::Gone => Ok(()),
    };
    if let Err(reason) = checked {
        return Next::Drop(reason);
    }
    match exit {
        Exit::Table(family, fib) => {
            frame.meta.fib = fib;
            let node = match family {
                Family::V4 => NodeId::Ip4Lookup,
                Family::V6 => NodeId::Ip6Lookup,
            };
            env.turn(frame, node)
        }
        Exit::Adjacency(family, index) => {
            frame.meta.object = index;
            let node = match family {
                Family::V4 => NodeId::Ip4Rewrite,
                Family::V6 => NodeId::Ip6Rewrite,
            };
            env.turn(frame, node)
        }
        Exit::Interface(on) => {
            let is_frame = Ethernet::new_checked(frame.head()).is_ok();
            let takes_frames = env.tables.interface(on).is_some_and(|i| i.is_ethernet());
            if !is_frame || !takes_frames {
                return Next::Drop(DropReason::SrNoFrame);
            }
            debug_assert!(frame.head_len() >= ethernet::HEADER_LEN);
            (frame.meta.tx, frame.meta.l3) = (on, ETHERNET_LEN);
            env.turn(frame, NodeId::InterfaceOutput)
        }
        Exit::Gone => Next::Drop(DropReason::SrGone),
    }
}
