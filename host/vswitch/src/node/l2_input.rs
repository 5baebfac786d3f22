//! Starts a switched frame: cross-connect or bridge domain, access lists first.

use packet::ethernet::Ethernet;

use super::l2_switch;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::interface::{Interface, L2Config};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.interface(frame.rx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    start(env, interface, frame)
}

/// The node's work, when the interface is known.
#[inline]
pub(super) fn start(env: &Env<'_>, interface: &Interface, frame: &mut Frame) -> Next {
    if let Some(rewrite) = &interface.tag_rewrite
        && !rewrite.0.apply(frame)
    {
        return Next::Drop(DropReason::VlanRewrite);
    }
    // What the router sends into the bridge was filtered when the router received it.
    if interface.acl_in.is_empty() || matches!(interface.l2, L2Config::Bridge { bvi: true, .. }) {
        return listed(env, interface, frame);
    }
    let Ok((_, l3, _)) = Ethernet::new_checked(frame.head()).and_then(|e| e.payload_behind_tags())
    else {
        return Next::Drop(DropReason::Truncated);
    };
    frame.meta.l3 = u16::try_from(l3).unwrap_or(0);
    Next::To(NodeId::AclInput)
}

/// The way of a frame that the access lists let pass: classifier tables, then bridge or cross-connect.
#[inline]
pub(super) fn listed(env: &Env<'_>, interface: &Interface, frame: &mut Frame) -> Next {
    if interface.classify_in.l2.is_some()
        && !matches!(interface.l2, L2Config::Bridge { bvi: true, .. })
    {
        Next::To(NodeId::L2InputAcl)
    } else {
        l2_switch::switch(env, interface, frame)
    }
}
