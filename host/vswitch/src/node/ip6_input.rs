//! Checks an IPv6 header once, so that later nodes may trust it. Next: `ip6-local` for groups and
//! link-local addresses, else input features, then the lookup.

use packet::ipv6::{self, Ipv6};
use packet::proto;

use super::npol;
use crate::frame::Frame;
use crate::graph::{Counted, DropReason, Env, Next, NodeId};
use crate::id::Family;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    env.count(frame.rx, Counted::Ip6, 0);
    if let Err(reason) = check(frame) {
        return Next::Drop(reason);
    }
    let Ok(ip) = Ipv6::new_checked(frame.l3()) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let (dst, next_header) = (ip.dst(), ip.next_header());
    frame.meta.fib = interface.fib6;
    frame.meta.local = false;
    frame.meta.cnat = 0;
    frame.forget_onward();
    if dst.is_multicast() {
        let control = matches!(next_header, proto::ICMPV6 | proto::HOPOPT);
        return if control {
            Next::To(NodeId::Ip6Local)
        } else {
            Next::Drop(DropReason::Multicast)
        };
    }
    if dst.is_unicast_link_local() {
        let ours = interface.has_address(dst.into());
        return if ours {
            Next::To(NodeId::Ip6Local)
        } else {
            Next::Drop(DropReason::LinkLocal)
        };
    }
    let first = interface.input6.first(Family::V6);
    npol::enter(env, interface, frame, (first, Family::V6))
}

/// Checks the header and cuts what is behind the packet.
#[inline]
pub(super) fn check(frame: &mut Frame) -> Result<(), DropReason> {
    let Ok(ip) = Ipv6::new_checked(frame.l3()) else {
        return Err(DropReason::BadVersion);
    };
    let total = ipv6::HEADER_LEN + usize::from(ip.payload_len());
    let available = frame.l3_len();
    if total > available {
        return Err(DropReason::BadLength);
    }
    if ip.src().is_multicast() {
        return Err(DropReason::BadSource);
    }
    if total < available && !frame.offload.gso.is_some() {
        frame.truncate(usize::from(frame.meta.l3) + total);
    }
    Ok(())
}
