//! Sends a frame to all members of its bridge domain but the one it came from: heads are copied, tails shared.

use super::bridge_output;
use crate::batch::FrameId;
use crate::bridge::{Member, PortType};
use crate::graph::{DropReason, Graph, Next, NodeId};

pub(crate) fn process(graph: &mut Graph<'_>, ids: &[FrameId]) {
    for id in ids {
        flood(graph, *id);
    }
}

fn flood(graph: &mut Graph<'_>, id: FrameId) {
    let tables = graph.env.tables;
    let Some(frame) = graph.batch.frame_mut(id) else {
        return;
    };
    let (rx, shg) = (frame.rx, frame.meta.shg);
    let Some(bridge) = tables.bridge(frame.meta.object) else {
        return graph.follow(NodeId::L2Flood, id, Next::Drop(DropReason::NoInterface));
    };
    let wanted = |m: &Member| {
        m.sw_if_index != rx
            && m.port_type != PortType::UuFwd
            && (m.shg == 0 || m.shg != shg)
            && tables.interface(m.sw_if_index).is_some_and(|i| i.admin_up)
    };
    // The original goes to the last member, after all copies were made from it.
    let Some(last) = bridge.members.iter().rposition(wanted) else {
        return graph.follow(NodeId::L2Flood, id, Next::Drop(DropReason::L2NoMembers));
    };
    for (at, member) in bridge.members.iter().enumerate().take(last + 1) {
        if !wanted(member) {
            continue;
        }
        let target = if at == last {
            Some(id)
        } else {
            graph.batch.copy(id)
        };
        let Some(target) = target else {
            graph
                .env
                .counters
                .add_drop(NodeId::L2Flood, DropReason::NoBuffers, 1);
            continue;
        };
        let Some(frame) = graph.batch.frame_mut(target) else {
            continue;
        };
        let next = bridge_output::send(&graph.env, frame, member);
        graph.follow(NodeId::L2Flood, target, next);
    }
}
