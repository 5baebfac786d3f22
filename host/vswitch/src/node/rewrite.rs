//! Puts the link header of an adjacency in front of an IP packet.

use packet::ethernet;

use crate::dpo::{Adjacency, Rewrite};
use crate::frame::{ETHERNET_LEN, Frame};
use crate::graph::{DropReason, Next};
use crate::id::Family;
use crate::interface::Interface;

/// Gives the first output feature of the interface `out`, or its output.
#[inline]
pub(super) fn apply(
    frame: &mut Frame,
    out: &Interface,
    adjacency: &Adjacency,
    rewrite: Rewrite,
    family: Family,
) -> Next {
    let ethertype = match family {
        Family::V4 => ethernet::IPV4,
        Family::V6 => ethernet::IPV6,
    };
    frame.meta.tx = adjacency.sw_if_index;
    match rewrite {
        Rewrite::Ethernet { dst, src } if usize::from(frame.meta.l3) == ethernet::HEADER_LEN => {
            if let Some(header) = frame.head_start_mut() {
                *header = ethernet::header(dst, src, ethertype);
            }
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
    Next::To(out.output(family).first(family))
}
