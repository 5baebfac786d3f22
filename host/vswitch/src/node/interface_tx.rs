//! Hands a frame to what is behind an interface: a device, a tunnel, or a bridge (through the BVI).

use crate::counters::IfCounter;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::interface::{InterfaceKind, L2Config};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let on = frame.meta.tx;
    let Some(interface) = env.tables.interface(on) else {
        return Next::Drop(DropReason::NoInterface);
    };
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
    env.counters.add(on, IfCounter::TxPackets, 1);
    env.counters.add(on, IfCounter::TxBytes, frame.len() as u64);
    next
}
