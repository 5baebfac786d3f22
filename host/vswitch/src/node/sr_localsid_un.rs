//! uN and uA (RFC 9800, section 4.1): the micro-SIDs behind the active one move up. When none is left, the SID
//! is an End or End.X. Next: `ip6-lookup`, `ip6-rewrite`.

use packet::ipv6::{self, Ipv6};

use super::sr_exit;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::sr::Action;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let index = frame.meta.object;
    let Some(sid) = env.tables.sr.localsid(index) else {
        return Next::Drop(DropReason::SrGone);
    };
    let Action::Micro { at, len, onward } = sid.action else {
        return Next::Drop(DropReason::SrGone);
    };
    let next = if shift(frame, usize::from(at), usize::from(len)) {
        sr_exit::onward(env, frame, onward)
    } else {
        match sr_exit::advance(frame, sid.psp) {
            Ok(()) => sr_exit::onward(env, frame, onward),
            Err(next) => next,
        }
    };
    sr_exit::count(env, index, frame, next)
}

/// Moves what is behind the micro-SID of `len` bytes at byte `at` of the destination over it; `false` when that
/// is zero.
fn shift(frame: &mut Frame, at: usize, len: usize) -> bool {
    let Ok(ip) = Ipv6::new_checked(frame.l3()) else {
        return false;
    };
    let mut dst = ip.dst().octets();
    let next = dst.get(at + len..(at + 2 * len).min(dst.len()));
    if next.is_none_or(|bytes| bytes.iter().all(|byte| *byte == 0)) {
        return false;
    }
    dst.copy_within(at + len.., at);
    let kept = dst.len() - len;
    if let Some(end) = dst.get_mut(kept..) {
        end.fill(0);
    }
    ipv6::set_dst(frame.l3_mut(), dst.into());
    true
}
