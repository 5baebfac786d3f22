//! End.DX2, DX4, DX6, DT4 and DT6: at the last segment, the packet inside goes on alone.
//! Next: `ip4-lookup`, `ip6-lookup`, `ip4-rewrite`, `ip6-rewrite`, `interface-output`.

use packet::ipv6::Ipv6;
use packet::srh::{self, SEGMENTS_LEFT_OFFSET};

use super::sr_exit;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::sr::Action;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let index = frame.meta.object;
    let Some(sid) = env.tables.sr.localsid(index) else {
        return Next::Drop(DropReason::SrGone);
    };
    let next = match (&sid.action, has_segments_left(frame)) {
        (_, true) => Next::Drop(DropReason::SrSegmentsLeft),
        (Action::Decap(exit), false) => match sr_exit::inside(frame) {
            Ok(inside) => sr_exit::leave(env, frame, inside, *exit),
            Err(reason) => Next::Drop(reason),
        },
        (Action::End(_) | Action::Micro { .. } | Action::Proxy(_), false) => {
            Next::Drop(DropReason::SrGone)
        }
    };
    sr_exit::count(env, index, frame, next)
}

/// Of a routing header of any type.
fn has_segments_left(frame: &Frame) -> bool {
    let position = Ipv6::new_checked(frame.l3()).and_then(|ip| srh::find(&ip));
    let left = position
        .ok()
        .flatten()
        .and_then(|position| frame.l3().get(position.at + SEGMENTS_LEFT_OFFSET));
    left.is_some_and(|left| *left != 0)
}
