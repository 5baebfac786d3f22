//! Applies the output access lists of an interface.

use packet::ethernet::Ethernet;

use super::acl;
use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::track::Hook;

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
    let (packet, len) = (frame.head().get(l3..).unwrap_or(&[]), frame.len());
    let len = len.saturating_sub(l3);
    match acl::check(env, interface, frame.meta.tx, Hook::Tx, packet, len) {
        Some(Err(reason)) => Next::Drop(reason),
        Some(Ok(())) | None => Next::To(NodeId::InterfaceTx),
    }
}
