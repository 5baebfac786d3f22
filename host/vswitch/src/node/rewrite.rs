//! Puts the link header of an adjacency in front of an IP packet.

use packet::ethernet;

use crate::dpo::{Adjacency, Rewrite};
use crate::frame::{ETHERNET_LEN, Frame};
use crate::graph::{DropReason, Next, NodeId};

pub(super) fn apply(
    frame: &mut Frame,
    adjacency: &Adjacency,
    rewrite: Rewrite,
    ethertype: u16,
) -> Next {
    frame.meta.tx = adjacency.sw_if_index;
    match rewrite {
        Rewrite::Ethernet { dst, src } if usize::from(frame.meta.l3) == ethernet::HEADER_LEN => {
            ethernet::emit(frame.head_mut(), dst, src, ethertype);
        }
        Rewrite::Ethernet { dst, src } => {
            if !frame.strip_l2() {
                return Next::Drop(DropReason::Truncated);
            }
            let Some(header) = frame.push(ethernet::HEADER_LEN) else {
                return Next::Drop(DropReason::NoHeadroom);
            };
            ethernet::emit(header, dst, src, ethertype);
            frame.meta.l3 = ETHERNET_LEN;
        }
        Rewrite::None => {
            if !frame.strip_l2() {
                return Next::Drop(DropReason::Truncated);
            }
        }
    }
    Next::To(NodeId::InterfaceOutput)
}
