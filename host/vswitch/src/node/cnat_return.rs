//! Where packets to the address of source NAT end that answer no session.

use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};

pub(crate) const fn process(_: &mut Env<'_>, _: &mut Frame) -> Next {
    Next::Drop(DropReason::CnatUnknownSession)
}
