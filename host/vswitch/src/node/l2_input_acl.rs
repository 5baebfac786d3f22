//! Classifier tables decide about frames on their way into a bridge or cross-connect.

use super::{classified, l2_switch};
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    if let Some(first) = interface.classify_in.l2
        && let Err(reason) = classified::check(env, frame, first, 0)
    {
        return Next::Drop(reason);
    }
    l2_switch::switch(env, interface, frame)
}
