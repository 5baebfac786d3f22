//! End, End.X and End.T: the next segment becomes the destination. A packet at its last segment is dropped,
//! as in VPP. Next: `ip6-lookup`, `ip6-rewrite`.

use super::sr_exit;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::sr::Action;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let index = frame.meta.object;
    let Some(sid) = env.tables.sr.localsid(index) else {
        return Next::Drop(DropReason::SrGone);
    };
    let next = match sr_exit::advance(frame, sid.psp) {
        Err(next) => next,
        Ok(()) => match sid.action {
            Action::End(onward) => sr_exit::onward(env, frame, onward),
            Action::Micro { .. } | Action::Decap(_) | Action::Proxy(_) => {
                Next::Drop(DropReason::SrGone)
            }
        },
    };
    sr_exit::count(env, index, frame, next)
}
