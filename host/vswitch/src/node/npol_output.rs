//! Applies the policies of the interface that a packet leaves by, the switch's own packets included.

use super::npol;
use crate::feature::OutputFeature;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::id::Family;
use crate::track::Hook;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.interface(frame.meta.tx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let family = Family::of_packet(frame.l3());
    if !npol::leaves(env, frame, family)
        && let Err(reason) = npol::check(env, frame, frame.meta.tx, Hook::Tx)
    {
        return Next::Drop(reason);
    }
    Next::To(interface.output(family).after(OutputFeature::Npol, family))
}
