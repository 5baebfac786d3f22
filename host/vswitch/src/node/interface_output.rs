//! Last checks before an interface sends: it exists, it is up, the frame fits. Next: output access lists.

use super::interface_tx;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::interface::{Interface, InterfaceKind, LINK_HEADER_MAX};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.interface(frame.meta.tx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    check(env, interface, frame)
}

/// The node's work, when the interface is known.
#[inline]
pub(super) fn check(env: &mut Env<'_>, interface: &Interface, frame: &mut Frame) -> Next {
    if !interface.admin_up {
        return Next::Drop(DropReason::InterfaceDown);
    }
    let pending = frame.offload.gso.is_some() || frame.offload.fragment != 0;
    if !pending && frame.len() > interface.mtu_link as usize + usize::from(LINK_HEADER_MAX) {
        return Next::Drop(DropReason::MtuExceeded);
    }
    if !interface.acl_out.is_empty() {
        return Next::To(NodeId::AclOutput);
    }
    if interface.kind != InterfaceKind::Device {
        return Next::To(NodeId::InterfaceTx);
    }
    env.fuse(NodeId::InterfaceTx, frame, |env, frame| {
        interface_tx::send(env, interface, frame)
    })
}
