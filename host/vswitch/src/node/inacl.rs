//! `ip4-inacl`, `ip6-inacl`: classifier tables decide about routed packets, and which table routes them.

use super::classified;
use crate::feature::InputFeature;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::id::Family;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let family = Family::of_packet(frame.l3());
    if let Some(first) = interface.classify_in.of(family) {
        match classified::check(env, frame, first, usize::from(frame.meta.l3)) {
            Err(reason) => return Next::Drop(reason),
            Ok(Some((of, fib))) if of == family => frame.meta.fib = fib,
            Ok(_) => {}
        }
    }
    Next::To(interface.input(family).after(InputFeature::Inacl, family))
}
