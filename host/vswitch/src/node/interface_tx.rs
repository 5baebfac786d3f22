//! Hands a frame to what is behind an interface: a device, a tunnel, or a bridge (through the BVI).

use crate::frame::Frame;
use crate::graph::{Counted, DropReason, Env, Next, NodeId};
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
    let next = match interface.kind {
        InterfaceKind::Device => Next::Transmit(on),
        InterfaceKind::Vxlan { .. } => env.turn(frame, NodeId::VxlanEncap),
        InterfaceKind::Loopback { .. }
            if matches!(interface.l2, L2Config::Bridge { bvi: true, .. }) =>
        {
            frame.rx = on;
            frame.meta.local = false;
            env.turn(frame, NodeId::L2Input)
        }
        InterfaceKind::Loopback { .. } | InterfaceKind::Local => {
            return Next::Drop(DropReason::LoopbackTx);
        }
    };
    env.count(on, Counted::Tx, frame.len());
    next
}
