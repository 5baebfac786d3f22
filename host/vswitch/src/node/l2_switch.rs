//! Where a switched frame goes behind the access lists: its cross-connect or its bridge.

use super::sr_policy::{self, Way};
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::interface::{Interface, L2Config};

pub(super) fn switch(env: &Env<'_>, interface: &Interface, frame: &mut Frame) -> Next {
    match interface.l2 {
        L2Config::Xconnect(tx) => {
            (frame.meta.tx, frame.meta.switched) = (tx, true);
            Next::To(NodeId::InterfaceOutput)
        }
        L2Config::Bridge { bridge, shg, .. } => {
            (frame.meta.object, frame.meta.shg) = (bridge, shg);
            match env.tables.bridge(bridge) {
                Some(b) if b.spec.learn => Next::To(NodeId::L2Learn),
                Some(_) => Next::To(NodeId::L2Fwd),
                None => Next::Drop(DropReason::NoInterface),
            }
        }
        L2Config::SrPolicy(index) => sr_policy::enter(env, frame, index, Way::L2, None),
        L2Config::SrProxy(_) => Next::To(NodeId::SrProxyRewrite),
        L2Config::L3 => Next::Drop(DropReason::NoInterface),
    }
}
