//! Hands a frame to what is behind an interface: a device, a tunnel, a bridge (through the BVI), or the parent of a
//! sub-interface, with its tags.

use crate::frame::Frame;
use crate::graph::{Counted, DropReason, Env, Next, NodeId};
use crate::id::SwIfIndex;
use crate::interface::{Interface, InterfaceKind, L2Config};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.interface(frame.meta.tx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    send(env, interface, frame)
}

/// The node's work, when the interface is known.
#[inline]
pub(super) fn send(env: &mut Env<'_>, interface: &Interface, frame: &mut Frame) -> Next {
    let on = frame.meta.tx;
    let switched = std::mem::take(&mut frame.meta.switched);
    if switched
        && let Some(rewrite) = &interface.tag_rewrite
        && !rewrite.1.apply(frame)
    {
        return Next::Drop(DropReason::VlanRewrite);
    }
    let next = match interface.kind {
        InterfaceKind::Device => {
            frame.offload.ip_only = !interface.is_ethernet();
            Next::Transmit(on)
        }
        InterfaceKind::Vxlan { .. } => env.turn(frame, NodeId::VxlanEncap),
        InterfaceKind::Ipip { .. } => env.turn(frame, NodeId::IpipEncap),
        InterfaceKind::Loopback { .. }
            if matches!(interface.l2, L2Config::Bridge { bvi: true, .. }) =>
        {
            frame.rx = on;
            frame.meta.local = false;
            env.turn(frame, NodeId::L2Input)
        }
        InterfaceKind::Sub { parent } => {
            if !switched && !interface.tags.is_some_and(|tags| tags.push(frame)) {
                return Next::Drop(DropReason::VlanRewrite);
            }
            env.count(on, Counted::Tx, frame.len());
            return send_by_parent(env, parent, frame);
        }
        InterfaceKind::Loopback { .. } | InterfaceKind::Local => {
            return Next::Drop(DropReason::LoopbackTx);
        }
    };
    env.count(on, Counted::Tx, frame.len());
    next
}

/// A sub-interface has no sub-interfaces, so this goes no deeper.
#[inline(never)]
fn send_by_parent(env: &mut Env<'_>, parent: SwIfIndex, frame: &mut Frame) -> Next {
    frame.meta.tx = parent;
    match env.interface(parent) {
        Some(above) if above.admin_up => send(env, above, frame),
        Some(_) | None => Next::Drop(DropReason::InterfaceDown),
    }
}
