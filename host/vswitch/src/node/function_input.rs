//! Lets the packet function of an interface rule on packets that come in by it.

use super::function;
use crate::batch::FrameId;
use crate::function::Side;
use crate::graph::{Graph, NodeId};

pub(crate) fn process(graph: &mut Graph<'_>, ids: &[FrameId]) {
    function::process(graph, ids, NodeId::FunctionInput, Side::Input);
}
