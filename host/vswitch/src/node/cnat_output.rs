//! Decides at the first packet of a flow whether its source is translated, and rewrites the source.

use crate::cnat::packet::Packet;
use crate::cnat::pass::{Context, Pass};
use crate::feature::OutputFeature;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::id::Family;

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let tx = frame.meta.tx;
    let Some(interface) = env.interface(tx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let family = Family::of_packet(frame.l3());
    let after = Next::To(interface.output(family).after(OutputFeature::Cnat, family));
    let Some(pass) = env.state.recall(frame.meta.cnat) else {
        return after;
    };
    frame.meta.cnat = 0;
    if pass.leaves_as_it_is() {
        return after;
    }
    let pass = *pass;
    let packet = Packet::of(frame).filter(|packet| pass.is_of(packet));
    let context = Context {
        tables: &env.tables.cnat,
        now: env.now,
        enabled: true,
    };
    let answers = match pass.key.family {
        Family::V4 => interface.fib4,
        Family::V6 => interface.fib6,
    };
    let fibs = (frame.meta.fib, answers);
    let session = match context.depart(&pass, (frame.rx, tx), fibs, packet.is_none()) {
        Ok(session) => session,
        Err(reason) => return Next::Drop(reason),
    };
    let pass = Pass { session, ..pass };
    match packet {
        Some(packet) if !pass.rewrite_output(frame, &packet) => {
            Next::Drop(DropReason::CnatFragment)
        }
        Some(_) | None => after,
    }
}
