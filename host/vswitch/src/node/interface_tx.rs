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

/// The node's work, when the interface is known. What it drops it leaves as it was, since a fused node is asked again.
#[inline]
pub(super) fn send(env: &mut Env<'_>, interface: &Interface, frame: &mut Frame) -> Next {
    let on = frame.meta.tx;
    if frame.meta.switched
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
        InterfaceKind::Sub { parent } => return send_by_parent(env, interface, parent, frame),
        InterfaceKind::Loopback { .. } | InterfaceKind::Local => {
            return Next::Drop(DropReason::LoopbackTx);
        }
    };
    frame.meta.switched = false;
    env.count(on, Counted::Tx, frame.len());
    next
}

/// A sub-interface has no sub-interfaces, so this goes no deeper.
#[inline(never)]
fn send_by_parent(
    env: &mut Env<'_>,
    interface: &Interface,
    parent: SwIfIndex,
    frame: &mut Frame,
) -> Next {
    let Some(above) = env.interface(parent).filter(|above| above.admin_up) else {
        return Next::Drop(DropReason::InterfaceDown);
    };
    if !frame.meta.switched && !interface.tags.is_some_and(|tags| tags.push(frame)) {
        return Next::Drop(DropReason::VlanRewrite);
    }
    env.count(frame.meta.tx, Counted::Tx, frame.len());
    (frame.meta.tx, frame.meta.switched) = (parent, false);
    send(env, above, frame)
}
