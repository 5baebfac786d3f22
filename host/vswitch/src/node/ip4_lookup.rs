//! IPv4 forwarding decision.

use packet::ipv4::Ipv4;

use super::resolve;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Ok(ip) = Ipv4::new_checked(frame.l3()) else {
        return Next::Drop(DropReason::BadVersion);
    };
    let dst = ip.dst();
    resolve::lookup(env, frame, dst.into())
}
