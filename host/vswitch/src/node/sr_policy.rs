//! Into a policy: the choice of a segment list, and how lists are named to the nodes that apply them.

use packet::FlowKey;
use packet::flow::hash_frame;

use crate::frame::Frame;
use crate::graph::{DropReason, Env, Next, NodeId};
use crate::sr::Policy;

/// How a packet came to a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    /// By a route that steers.
    Steered,
    /// To the binding SID.
    Bsid,
    /// By an interface that steers frames.
    L2,
}

/// A segment list (or, before `ip6-replicate`, a policy) in [`crate::frame::Meta::object`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) index: u32,
    pub(super) way: Way,
}

impl Target {
    pub(super) const fn of(frame: &Frame) -> Self {
        let way = match frame.meta.object & 3 {
            0 => Way::Steered,
            1 => Way::Bsid,
            _ => Way::L2,
        };
        Self {
            index: frame.meta.object >> 2,
            way,
        }
    }

    pub(super) const fn put(self, frame: &mut Frame) {
        let way = match self.way {
            Way::Steered => 0,
            Way::Bsid => 1,
            Way::L2 => 2,
        };
        frame.meta.object = self.index << 2 | way;
    }
}

/// Chooses a segment list, or has the frame copied to all; `hash` is the flow's, when known.
pub(super) fn enter(
    env: &Env<'_>,
    frame: &mut Frame,
    index: u32,
    way: Way,
    hash: Option<u32>,
) -> Next {
    let Some(policy) = env.tables.sr.policy(index) else {
        return Next::Drop(DropReason::SrGone);
    };
    if policy.spray.is_some() {
        Target { index, way }.put(frame);
        return Next::To(NodeId::SrReplicate);
    }
    let flow = |frame: &Frame| match way {
        Way::Steered | Way::Bsid => FlowKey::of_ip(frame.l3()).map_or(0, |key| key.hash()),
        Way::L2 => hash_frame(frame.head()),
    };
    let Some(index) = policy.choose(|| hash.unwrap_or_else(|| flow(frame))) else {
        return Next::Drop(DropReason::SrGone);
    };
    Target { index, way }.put(frame);
    Next::To(node(policy, way))
}

/// The node that applies a segment list of `policy`.
pub(super) const fn node(policy: &Policy, way: Way) -> NodeId {
    match (way, policy.is_encap) {
        (Way::L2, _) => NodeId::SrEncapsL2,
        (Way::Steered | Way::Bsid, true) => NodeId::SrEncaps,
        (Way::Steered | Way::Bsid, false) => NodeId::SrInsert,
    }
}
