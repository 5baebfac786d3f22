//! Cuts packets that are longer than the MTU of their output interface. Heads are new, tails are parts of the old one.
//!
//! A packet with unfinished checksums cannot be cut here, since only its device sees all of its bytes: it goes on whole
//! and its device cuts it. A TCP super-frame is not cut at all: its segments are made smaller.

use packet::ipv4::{self, Ipv4};

use crate::batch::FrameId;
use crate::fragment::Fragmenter;
use crate::frame::Frame;
use crate::graph::{DropReason, Graph, Next, NodeId};
use crate::offload::{Gso, Offload};

/// Smallest TCP segment that is worth a packet.
const SEGMENT_MIN: u16 = 64;

pub(crate) fn process4(graph: &mut Graph<'_>, ids: &[FrameId]) {
    for id in ids {
        cut(graph, *id, NodeId::Ip4Frag, NodeId::Ip4Rewrite);
    }
}

pub(crate) fn process6(graph: &mut Graph<'_>, ids: &[FrameId]) {
    for id in ids {
        cut(graph, *id, NodeId::Ip6Frag, NodeId::Ip6Rewrite);
    }
}

fn cut(graph: &mut Graph<'_>, id: FrameId, node: NodeId, rewrite: NodeId) {
    let ident = graph.env.state.next_ident(graph.env.now);
    let Some(frame) = graph.batch.frame_mut(id) else {
        return;
    };
    name(frame, ident);
    let limit = usize::from(std::mem::take(&mut frame.meta.fragment_size));
    if frame.offload.gso.is_some() {
        let next = shrink(frame, limit, rewrite);
        return graph.follow(node, id, next);
    }
    let Some(mut cutter) = Fragmenter::new(frame.l3(), frame.l3_len(), limit, ident) else {
        return graph.follow(node, id, Next::Drop(DropReason::MtuExceeded));
    };
    if frame.offload != Offload::default() {
        (frame.offload.fragment, frame.offload.fragment_ident) =
            (u16::try_from(limit).unwrap_or(u16::MAX), ident);
        return graph.follow(node, id, Next::To(rewrite));
    }
    let skip = cutter.skip() + usize::from(frame.meta.l3);
    while let Some(piece) = cutter.next_piece() {
        let made = graph.batch.derive(id).and_then(|(new, old, frame)| {
            frame
                .become_piece_of(old, piece.header, skip, piece.from..piece.to)
                .then_some(new)
        });
        let Some(new) = made else {
            return graph.follow(node, id, Next::Drop(DropReason::NoBuffers));
        };
        graph.follow(node, new, Next::To(rewrite));
    }
}

/// Gives an own IPv4 packet an identification, without which its pieces could not be told from those of others.
fn name(frame: &mut Frame, ident: u32) {
    if !frame.meta.local || Ipv4::new_checked(frame.l3()).is_ok_and(|ip| ip.ident() != 0) {
        return;
    }
    if frame.l3().first().is_some_and(|b| b >> 4 == 4) {
        let [_, _, a, b] = ident.to_be_bytes();
        ipv4::set_word(frame.l3_mut(), 4, u16::from_be_bytes([a, b]));
    }
}

/// Makes the segments of a TCP super-frame fit.
fn shrink(frame: &mut Frame, limit: usize, rewrite: NodeId) -> Next {
    let headers = usize::from(frame.offload.hdr_len.saturating_sub(frame.meta.l3));
    let size = limit
        .checked_sub(headers)
        .and_then(|size| u16::try_from(size).ok())
        .filter(|size| *size >= SEGMENT_MIN);
    match (frame.offload.gso, size) {
        (Gso::Tcp4 | Gso::Tcp6, Some(size)) => {
            frame.offload.gso_size = frame.offload.gso_size.min(size);
            Next::To(rewrite)
        }
        (Gso::Udp, _) => Next::Drop(DropReason::OffloadConflict),
        (Gso::None | Gso::Tcp4 | Gso::Tcp6, _) => Next::Drop(DropReason::MtuExceeded),
    }
}
