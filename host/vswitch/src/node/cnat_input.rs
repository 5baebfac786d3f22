//! Finds or makes the session of a packet and rewrites its destination. Also the node of interfaces without the
//! feature while translations with a route exist: their flows get both ends rewritten here.

use super::resolve;
use crate::batch::{Batch, FrameId};
use crate::cnat::key;
use crate::cnat::packet::Packet;
use crate::cnat::pass::{Context, Verdict};
use crate::cnat::session::{NO_NAT, RETURN};
use crate::feature::InputFeature;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next};
use crate::id::Family;
use crate::tables::Tables;

/// Packets whose sessions are fetched together.
const WARM_AT_ONCE: usize = 64;

/// Fetches the sessions of all packets before the first one is looked up, when they are too many for the cache.
pub(crate) fn warm(tables: &Tables, batch: &Batch, ids: &[FrameId]) {
    let sessions = &tables.cnat.sessions;
    if !sessions.is_big() {
        return;
    }
    let mut keys = [[0; 2]; WARM_AT_ONCE];
    for ids in ids.chunks(WARM_AT_ONCE) {
        let mut count = 0;
        for key in ids.iter().filter_map(|id| key::of(batch.frame(*id))) {
            if let Some(place) = keys.get_mut(count) {
                *place = key;
                count += 1;
            }
        }
        sessions.warm(keys.get(..count).unwrap_or(&[]));
    }
}

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let family = Family::of_packet(frame.l3());
    let after = Next::To(interface.input(family).after(InputFeature::Cnat, family));
    let Some(mut packet) = Packet::of(frame) else {
        return after;
    };
    let context = Context {
        tables: &env.tables.cnat,
        now: env.now,
        enabled: interface.cnat,
    };
    let pass = match context.arrive(frame, &mut packet) {
        Verdict::Untouched => return after,
        Verdict::Drop(reason) => return Next::Drop(reason),
        Verdict::Translated(pass) => pass,
    };
    if !pass.rewrite_input(frame, &packet) {
        return Next::Drop(DropReason::CnatFragment);
    }
    let Some(number) = env.state.remember(pass) else {
        return Next::Drop(DropReason::NoBuffers);
    };
    frame.meta.cnat = number;
    if pass.session.flags & (NO_NAT | RETURN) == NO_NAT {
        frame.meta.fib = env.tables.cnat.fib(family);
        let backend = pass.session.to.dst_ip();
        return match env.tables.route(frame.meta.fib, backend) {
            Some(choices) => resolve::through(env, frame, choices, backend),
            None => Next::Drop(DropReason::NoRoute),
        };
    }
    after
}
