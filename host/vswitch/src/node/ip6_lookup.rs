//! IPv6 forwarding decision.

use packet::ipv6::Ipv6;

use super::resolve;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Ok(ip) = Ipv6::new_checked(frame.l3()) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let dst = ip.dst();
    if dst.is_unicast_link_local() {
        // Only packets of this switch come here with a link-local destination; it is on the link they concern.
        return resolve::attached(env, frame, frame.rx, dst.into());
    }
    resolve::lookup(env, frame, dst.into())
}
