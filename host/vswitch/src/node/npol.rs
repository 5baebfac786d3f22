//! What `npol-input` and `npol-output` share: known flows pass with one lookup, others meet the policies.

use crate::counters::IfCounter;
use crate::feature::{InputFeature, OutputFeature};
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::id::{Family, SwIfIndex};
use crate::interface::Interface;
use crate::npol::{Applied, FlowKey, Onward, Query};
use crate::session::{Refused, Scope};
use crate::track::{Glance, Hook, Kind, Known, Packet};

/// Takes a packet of a known flow past `npol-input` when that is the `first` feature of its interface.
#[inline]
pub(super) fn enter(
    env: &mut Env<'_>,
    interface: &Interface,
    frame: &mut Frame,
    (first, family): (NodeId, Family),
) -> Next {
    if first != NodeId::NpolInput {
        return Next::To(first);
    }
    env.fuse_if(first, frame, |env, frame| {
        let after = || Next::To(interface.input(family).after(InputFeature::Npol, family));
        enters(env, frame, family).then(after)
    })
}

/// Takes a packet of a known flow past `npol-output` when that is `next`.
#[inline]
pub(super) fn leave(
    env: &mut Env<'_>,
    out: &Interface,
    frame: &mut Frame,
    (next, family): (Next, Family),
) -> Next {
    if next != Next::To(NodeId::NpolOutput) {
        return next;
    }
    env.fuse_if(NodeId::NpolOutput, frame, |env, frame| {
        let after = || Next::To(out.output(family).after(OutputFeature::Npol, family));
        leaves(env, frame, family).then(after)
    })
}

/// Tells whether a packet's flow passed the interface it came in by a moment ago, so that it passes too.
#[inline]
pub(super) fn enters(env: &mut Env<'_>, frame: &mut Frame, family: Family) -> bool {
    let Some(applied) = env.npol_applied(frame.rx, Hook::Rx) else {
        return true;
    };
    let epoch = applied.epoch;
    let onward = match family {
        Family::V4 => FlowKey::of_v4(frame)
            .and_then(|key| env.state.recent_flows4.enters(&key, epoch, env.tick)),
        Family::V6 => enters6(env, frame, epoch),
    };
    if let Some(onward) = onward {
        frame.let_onward(onward);
    }
    onward.is_some()
}

/// The same for the interface it leaves by.
#[inline]
pub(super) fn leaves(env: &mut Env<'_>, frame: &Frame, family: Family) -> bool {
    let on = frame.meta.tx;
    let Some(applied) = env.npol_applied(on, Hook::Tx) else {
        return true;
    };
    let epoch = applied.epoch;
    if let Some(onward) = frame.onward()
        && onward.allows(on, epoch, env.tick)
    {
        return true;
    }
    match family {
        Family::V4 => leaves4(env, frame, on, epoch),
        Family::V6 => leaves6(env, frame, on, epoch),
    }
}

#[inline(never)]
fn enters6(env: &Env<'_>, frame: &Frame, epoch: u32) -> Option<Onward> {
    let key = FlowKey::of_v6(frame)?;
    env.state.recent_flows6.enters(&key, epoch, env.tick)
}

#[inline(never)]
fn leaves4(env: &Env<'_>, frame: &Frame, on: SwIfIndex, epoch: u32) -> bool {
    let flows = &env.state.recent_flows4;
    FlowKey::of_v4(frame).is_some_and(|key| flows.leaves(&key, on, epoch, env.tick))
}

#[inline(never)]
fn leaves6(env: &Env<'_>, frame: &Frame, on: SwIfIndex, epoch: u32) -> bool {
    let flows = &env.state.recent_flows6;
    FlowKey::of_v6(frame).is_some_and(|key| flows.leaves(&key, on, epoch, env.tick))
}

/// Remembers that packets like this one pass.
fn remember(env: &mut Env<'_>, frame: &Frame, at: (Hook, SwIfIndex), epoch: u32) {
    let tick = env.tick;
    if let Some(key) = FlowKey::of_v4(frame) {
        env.state.recent_flows4.remember(&key, at, epoch, tick);
    } else if let Some(key) = FlowKey::of_v6(frame) {
        env.state.recent_flows6.remember(&key, at, epoch, tick);
    }
}

/// Tells whether a packet may pass an interface.
pub(super) fn check(
    env: &mut Env<'_>,
    frame: &Frame,
    on: SwIfIndex,
    hook: Hook,
) -> Result<(), DropReason> {
    let npol = &env.tables.npol;
    let Some(applied) = npol.applied.get(on.0) else {
        return Ok(());
    };
    let (scope, epoch) = (Scope::new(on.0), applied.epoch);
    match npol.flows.glance(frame.l3(), scope, hook, epoch, env.now) {
        Glance::Steady => {
            remember(env, frame, (hook, on), epoch);
            return Ok(());
        }
        Glance::Passes => return Ok(()),
        Glance::Unknown => {}
    }
    let Some(packet) = Packet::parse(frame.l3(), scope) else {
        return Err(DropReason::BadVersion);
    };
    // A link without neighbour discovery is no link.
    if packet.kind == Kind::Neighbor {
        return Ok(());
    }
    match npol.flows.look(&packet, hook, applied.epoch, env.now) {
        Known::Allowed => return Ok(()),
        Known::Stale(stale) => {
            let (first, origin) = stale.first();
            if allows(env, applied, on, origin, &first) {
                npol.flows.confirm(&stale, applied.epoch, env.now);
                // Now that it counts again: what does this packet do?
                let known = npol.flows.look(&packet, hook, applied.epoch, env.now);
                if known == Known::Allowed {
                    return Ok(());
                }
            } else {
                npol.flows.forget(&stale, env.now);
            }
        }
        Known::Nothing => {}
    }
    if !allows(env, applied, on, hook, &packet) {
        return Err(DropReason::NpolDeny);
    }
    match npol.flows.admit(&packet, hook, applied.epoch, env.now) {
        // The next packet of the flow tries again.
        Ok(()) | Err(Refused::Busy) => Ok(()),
        Err(Refused::Full | Refused::Crowded | Refused::NoMemory) => Err(DropReason::FlowsFull),
    }
}

/// Asks the policies, and counts the answer as VPP does.
fn allows(env: &Env<'_>, applied: &Applied, on: SwIfIndex, hook: Hook, packet: &Packet) -> bool {
    let npol = &env.tables.npol;
    let allowed = npol.allows(&applied.policies, hook, &Query::of(packet));
    let counter = match (hook, allowed) {
        (Hook::Rx, true) => IfCounter::NpolRxAllow,
        (Hook::Rx, false) => IfCounter::NpolRxDeny,
        (Hook::Tx, true) => IfCounter::NpolTxAllow,
        (Hook::Tx, false) => IfCounter::NpolTxDeny,
    };
    env.counters.add(on, counter, 1);
    allowed
}
