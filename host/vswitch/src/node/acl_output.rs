//! Applies the output access lists of an interface.

use packet::ethernet::Ethernet;

use super::acl_input::permits;
use crate::acl::AclKey;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};

pub(crate) fn process(env: &mut Env<'_>, frame: &mut Frame) -> Next {
    let Some(interface) = env.tables.interface(frame.meta.tx) else {
        return Next::Drop(DropReason::NoInterface);
    };
    let l3 = if interface.is_ethernet() {
        Ethernet::new_checked(frame.head())
            .and_then(|e| e.payload_behind_tags())
            .map_or(0, |(_, at, _)| at)
    } else {
        0
    };
    match AclKey::of(frame.head().get(l3..).unwrap_or(&[])) {
        Some(key) if !permits(env.tables, &interface.acl_out, &key) => {
            Next::Drop(DropReason::AclDeny)
        }
        Some(_) | None => Next::To(NodeId::InterfaceTx),
    }
}
