//! Encapsulates an IP packet along a segment list (H.Encaps; End.B6.Encaps when it came to the binding SID).
//! Next: `ip6-lookup`.

use packet::ipv6::{self, Ipv6};
use packet::srh::{self, Srh};

use super::sr_outer;
use super::sr_policy::{Target, Way};
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let target = Target::of(frame);
    let Some(list) = env.tables.sr.list(target.index) else {
        return Next::Drop(DropReason::SrGone);
    };
    if target.way == Way::Bsid && !advance(frame) {
        return Next::Drop(DropReason::SrBsid);
    }
    let inner = match sr_outer::enter(frame) {
        Ok(inner) => inner,
        Err(next) => return next,
    };
    let headers = match target.way {
        Way::Bsid => &list.rewrite_bsid,
        Way::Steered | Way::L2 => &list.rewrite,
    };
    if let Err(reason) = sr_outer::push(frame, headers, true) {
        return Next::Drop(reason);
    }
    sr_outer::describe(frame, &inner);
    if target.way == Way::Steered {
        frame.meta.fib = list.fib;
    }
    env.turn(frame, NodeId::Ip6Lookup)
}

/// Makes the next segment of the packet's own header the active one; `false` when there is none.
fn advance(frame: &mut Frame) -> bool {
    let next = Ipv6::new_checked(frame.l3()).ok().and_then(|ip| {
        let at = srh::find(&ip).ok()??.at;
        let header = Srh::new_checked(frame.l3().get(at..)?).ok()?;
        let left = header.segments_left().checked_sub(1)?;
        Some((at, left, header.segment(left)?))
    });
    let Some((at, left, dst)) = next else {
        return false;
    };
    let packet = frame.l3_mut();
    srh::set_segments_left(packet.get_mut(at..).unwrap_or(&mut []), left);
    ipv6::set_dst(packet, dst);
    true
}
