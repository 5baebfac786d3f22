//! Checks an IPv4 header once, so that later nodes may trust it. Next: input features, then the lookup.

use packet::ipv4::Ipv4;

use crate::counters::IfCounter;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::id::Family;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.tables.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    env.counters.add(frame.rx, IfCounter::Ip4, 1);
    let Ok(ip) = Ipv4::new_checked(frame.l3()) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let total = usize::from(ip.total_len());
    if !ip.checksum_ok() {
        return Next::Drop(DropReason::BadChecksum);
    }
    if total > frame.l3_len() {
        return Next::Drop(DropReason::BadLength);
    }
    let (src, dst) = (ip.src(), ip.dst());
    if src.is_multicast() || src.is_broadcast() {
        return Next::Drop(DropReason::BadSource);
    }
    if dst.is_multicast() {
        return Next::Drop(DropReason::Multicast);
    }
    // A super-frame's total length may be short or zero of meaning; its real length rules.
    if !frame.offload.gso.is_some() {
        frame.truncate(usize::from(frame.meta.l3) + total);
    }
    frame.meta.fib = interface.fib4;
    frame.meta.local = false;
    Next::To(interface.input4.first(Family::V4))
}
