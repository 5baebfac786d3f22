//! What `npol-input` and `npol-output` share: known flows pass with one lookup, others meet the policies.

use crate::counters::IfCounter;
use crate::frame::Frame;
use crate::graph::{DropReason, Env};
use crate::id::SwIfIndex;
use crate::npol::{Applied, Query};
use crate::session::{Refused, Scope};
use crate::track::{Hook, Kind, Known, Packet};

/// Tells whether a packet may pass an interface.
pub(super) fn check(
    env: &Env<'_>,
    frame: &Frame,
    on: SwIfIndex,
    hook: Hook,
) -> Result<(), DropReason> {
    let npol = &env.tables.npol;
    let Some(applied) = npol.applied.get(on.0) else {
        return Ok(());
    };
    let scope = Scope::new(on.0);
    if npol
        .flows
        .passes(frame.l3(), scope, hook, applied.epoch, env.now)
    {
        return Ok(());
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
