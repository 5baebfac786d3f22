//! Applies the input access lists of an interface: first match wins, no match denies.

use super::{acl, l2_input};
use crate::feature::InputFeature;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::id::Family;
use crate::interface::L2Config;
use crate::track::Hook;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.tables.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let switched = matches!(
        interface.l2,
        L2Config::Xconnect(_)
            | L2Config::Bridge { bvi: false, .. }
            | L2Config::SrPolicy(_)
            | L2Config::SrProxy(_)
    );
    let (l3, len) = (frame.l3(), frame.l3_len());
    match acl::check(env, interface, frame.rx, Hook::Rx, l3, len) {
        // ARP and other non-IP frames cross a bridge unfiltered, as in the acl plugin.
        None if switched => {}
        None => return Next::Drop(DropReason::BadVersion),
        Some(Err(reason)) => return Next::Drop(reason),
        Some(Ok(())) => {}
    }
    if switched {
        return l2_input::listed(env, interface, frame);
    }
    let family = Family::of_packet(frame.l3());
    Next::To(interface.input(family).after(InputFeature::Acl, family))
}
