//! Applies the policies of the interface that a packet came in by.

use super::npol;
use crate::feature::InputFeature;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::id::Family;
use crate::track::Hook;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let family = Family::of_packet(frame.l3());
    if !npol::enters(env, frame, family)
        && let Err(reason) = npol::check(env, frame, frame.rx, Hook::Rx)
    {
        return Next::Drop(reason);
    }
    Next::To(interface.input(family).after(InputFeature::Npol, family))
}
