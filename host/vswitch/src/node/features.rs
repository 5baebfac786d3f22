//! The order of input features: access lists, ABF, then the lookup or the bridge.

use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::id::Family;
use crate::interface::{Interface, L2Config};

/// First node of a routed packet's input features.
pub(super) fn first_ip(interface: &Interface, family: Family) -> Next {
    if interface.acl_in.is_empty() {
        after_acl_ip(interface, family)
    } else {
        Next::To(NodeId::AclInput)
    }
}

/// What follows the access lists for a routed packet.
pub(super) fn after_acl_ip(interface: &Interface, family: Family) -> Next {
    let (policies, lookup) = match family {
        Family::V4 => (&interface.abf4, NodeId::Ip4Lookup),
        Family::V6 => (&interface.abf6, NodeId::Ip6Lookup),
    };
    Next::To(if policies.is_empty() {
        lookup
    } else {
        NodeId::AbfInput
    })
}

/// What follows the access lists for a switched frame.
pub(super) fn after_acl_l2(env: &Env<'_>, interface: &Interface, frame: &mut Frame) -> Next {
    match interface.l2 {
        L2Config::Xconnect(tx) => {
            frame.meta.tx = tx;
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
        L2Config::L3 => Next::Drop(DropReason::NoInterface),
    }
}
