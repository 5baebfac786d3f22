//! Copies a frame to every segment list of a spray policy: heads are copied, tails shared.

use super::sr_policy::{Target, node};
use crate::batch::FrameId;
use crate::graph::{DropReason, Graph, Next, NodeId};

pub(crate) fn process(graph: &mut Graph<'_>, ids: &[FrameId]) {
    for id in ids {
        replicate(graph, *id);
    }
}

fn replicate(graph: &mut Graph<'_>, id: FrameId) {
    let tables = graph.env.tables;
    let Some(frame) = graph.batch.frame_mut(id) else {
        return;
    };
    let Target { index, way } = Target::of(frame);
    let policy = tables.sr.policy(index);
    let lists = policy.and_then(|policy| Some((policy, policy.spray.as_deref()?.split_last()?)));
    let Some((policy, (last, others))) = lists else {
        return graph.follow(NodeId::SrReplicate, id, Next::Drop(DropReason::SrGone));
    };
    // The original goes along the last list, after all copies were made from it.
    for index in others.iter().chain([last]) {
        let target = if std::ptr::eq(index, last) {
            Some(id)
        } else {
            graph.batch.copy(id)
        };
        let Some(target) = target else {
            graph
                .env
                .counters
                .add_drop(NodeId::SrReplicate, DropReason::NoBuffers, 1);
            continue;
        };
        if let Some(frame) = graph.batch.frame_mut(target) {
            Target { index: *index, way }.put(frame);
        }
        graph.follow(NodeId::SrReplicate, target, Next::To(node(policy, way)));
    }
}
