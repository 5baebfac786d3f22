//! End.AS, End.AD and End.AM on the way to their function: it gets the packet inside, or (AM) the packet with
//! its last segment as destination. Next: `ip4-rewrite`, `ip6-rewrite`, `interface-output`.

use packet::{ipv6, srh};

use super::{sr_exit, sr_outer};
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::sr::{Action, Exit, HeaderCache, Onward, ProxyKind};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let index = frame.meta.object;
    let Some(sid) = env.tables.sr.localsid(index) else {
        return Next::Drop(DropReason::SrGone);
    };
    let Action::Proxy(proxy) = &sid.action else {
        return Next::Drop(DropReason::SrGone);
    };
    let next = match &proxy.kind {
        ProxyKind::Static(_) => take_out(env, frame, proxy.exit, None),
        ProxyKind::Dynamic(cache) => match sr_exit::advance(frame, false) {
            Ok(()) => take_out(env, frame, proxy.exit, Some(cache)),
            Err(next) => next,
        },
        ProxyKind::Masquerading => masquerade(env, frame, proxy.exit),
    };
    sr_exit::count(env, index, frame, next)
}

fn take_out(env: &Env<'_>, frame: &mut Frame, exit: Exit, cache: Option<&HeaderCache>) -> Next {
    let (protocol, offset) = match sr_exit::inside(frame) {
        Ok(inside) => inside,
        Err(reason) => return Next::Drop(reason),
    };
    let mut headers = [0; crate::frame::HEAD_MAX];
    if let (Some(to), Some(from)) = (headers.get_mut(..offset), frame.l3().get(..offset)) {
        to.copy_from_slice(from);
    }
    let next = sr_exit::leave(env, frame, (protocol, offset), exit);
    // Headers of what the function never sees must not be given to what it sends.
    if let (Some(cache), Next::To(_)) = (cache, next) {
        cache.store(headers.get(..offset).unwrap_or(&[]));
    }
    next
}

fn masquerade(env: &Env<'_>, frame: &mut Frame, exit: Exit) -> Next {
    let route = match sr_exit::route(frame) {
        Ok(route) => route,
        Err(next) => return next,
    };
    if route.next.is_none() {
        return Next::Drop(DropReason::SrNoSegments);
    }
    let packet = frame.l3_mut();
    let header = packet.get_mut(route.at..).unwrap_or(&mut []);
    srh::set_segments_left(header, route.segments_left - 1);
    ipv6::set_dst(packet, route.last);
    sr_outer::mark_super_frame(frame);
    match exit {
        Exit::Adjacency(_, index) => sr_exit::onward(env, frame, Onward::Adjacency(index)),
        Exit::Table(..) | Exit::Interface(_) | Exit::Gone => Next::Drop(DropReason::SrGone),
    }
}
