//! End.AS, End.AD and End.AM on the way back from their function: the packet gets headers again, or (AM) the
//! active segment as destination. Next: `ip6-lookup`.

use packet::{ipv6, proto};

use super::{sr_exit, sr_outer};
use crate::counters::SidCounter;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::id::Family;
use crate::interface::{Interface, L2Config};
use crate::sr::{Action, CACHED_MAX, ProxyKind};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let Some(index) = proxy_of(interface, frame) else {
        return Next::Drop(DropReason::SrGone);
    };
    let next = match rewrite(env, frame, index) {
        Ok(()) => {
            frame.meta.fib = interface.fib6;
            frame.meta.local = false;
            env.turn(frame, NodeId::Ip6Lookup)
        }
        Err(next) => next,
    };
    let which = match next {
        Next::To(NodeId::Ip6Lookup) => SidCounter::Returned,
        Next::To(_) | Next::Drop(_) | Next::Transmit(_) => SidCounter::NotReturned,
    };
    env.counters.add_localsid(index, which, frame.len());
    next
}

/// The local SID whose function is behind the interface.
fn proxy_of(interface: &Interface, frame: &Frame) -> Option<u32> {
    if let L2Config::SrProxy(index) = interface.l2 {
        return Some(index);
    }
    let family = match frame.l3().first()? >> 4 {
        4 => Family::V4,
        _ => Family::V6,
    };
    interface.sr_proxy(family)
}

fn rewrite(env: &Env<'_>, frame: &mut Frame, index: u32) -> Result<(), Next> {
    let gone = Err(Next::Drop(DropReason::SrGone));
    let Some(Action::Proxy(proxy)) = env.tables.sr.localsid(index).map(|sid| &sid.action) else {
        return gone;
    };
    let is_l2 = env
        .tables
        .interface(frame.rx)
        .is_some_and(|i| matches!(i.l2, L2Config::SrProxy(_)));
    let mut cached = [0; CACHED_MAX];
    let headers: &[u8] = match &proxy.kind {
        ProxyKind::Static(headers) => headers,
        ProxyKind::Dynamic(cache) => cache
            .load(&mut cached)
            .and_then(|len| cached.get(..len))
            .ok_or(Next::Drop(DropReason::SrProxyNoRewrite))?,
        ProxyKind::Masquerading => return unmask(frame),
    };
    let protocol = if is_l2 {
        proto::ETHERNET
    } else {
        sr_outer::enter(frame)?.protocol
    };
    sr_outer::push(frame, headers, !is_l2).map_err(Next::Drop)?;
    let promised = sr_exit::inside(frame).map_err(Next::Drop)?.0;
    if promised == protocol {
        Ok(())
    } else {
        Err(Next::Drop(DropReason::SrProxyInner))
    }
}

/// Shows the active segment again; a packet at its last segment shows it already.
fn unmask(frame: &mut Frame) -> Result<(), Next> {
    let route = sr_exit::route(frame)?;
    if route.segments_left > 0 {
        let active = route.active.ok_or(Next::Drop(DropReason::SrMalformed))?;
        ipv6::set_dst(frame.l3_mut(), active);
    }
    sr_outer::mark_super_frame(frame);
    Ok(())
}
