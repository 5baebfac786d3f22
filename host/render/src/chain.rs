//! This node's share of a service chain: wiring between hops and ends, steering into the ends.
//!
//! A chain of N hops has N+1 segments. The first and the last are bridge domains with an *end* (a
//! loopback as BVI) on each node that has pods of that side; the ones between are wires. Segments
//! cross nodes in VXLAN tunnels of their own VNI.
//!
//! Bridge domains neither learn nor flood: they know the MAC addresses of the ends, and nothing else
//! passes. So a CNF is a bump in the wire: what it forwards keeps the Ethernet addresses with which
//! it came (its answers swap them), and frames of its own making to any other address, broadcasts
//! among them, go nowhere and are counted as drops. In return no CNF can attract the traffic of
//! another by speaking first, nor cause a loop.
//!
//! When all hops are here and bypassed, traffic between an entry and an exit of this node is not
//! steered: straight is where a chain without hops leads. That of other nodes, which cannot see the
//! hops, is still relayed. One case is left to the controller, which sees the hop states: while both
//! sides have ends here and elsewhere, symmetric answers from elsewhere to sources of this node find
//! no way in, because one bridge domain has one BVI.
//!
//! Whose traffic enters is the controller's to say, but a new pod cannot wait for it: where this node
//! has an end already, the chain's own selectors make a pod a *member* of that end at once.

mod members;
mod steering;
mod wiring;

use model::rendered::HopState;
use model::{ChainEnd, NodeName, OnFailure, RenderedChain, RenderedHop, Segment};

use crate::facts::Facts;
use crate::object::{Device, IfTag, Objects};
use crate::pod;

pub use members::{Cover, concerns, cover, fails_closed};

/// The objects of `chain` on this node.
pub fn chain(facts: &Facts, chain: &RenderedChain) -> Objects {
    let view = View { facts, chain };
    let mut objects = Objects::new();
    if !view.is_whole() {
        return objects;
    }
    view.ends(&mut objects);
    view.wire(&mut objects);
    view.steer(&mut objects);
    objects
}

/// What the classifiers of all `chains` drop of the pods here: one access list a pod.
///
/// It takes all chains at once because the first list on an interface that has a matching rule
/// decides, and a list has to permit what it does not drop. Chains are asked in the order given.
pub fn drops<'a>(facts: &Facts, chains: impl IntoIterator<Item = &'a RenderedChain>) -> Objects {
    let views = chains.into_iter().map(|chain| View { facts, chain });
    steering::drops(views.filter(View::is_whole))
}

/// What this node sees of the hops that run on it, by hop name.
pub fn hop_states(facts: &Facts, chain: &RenderedChain) -> Vec<(String, HopState)> {
    let view = View { facts, chain };
    let local = chain.hops.iter().filter(|h| h.node == facts.node);
    local
        .map(|hop| (hop.name.clone(), view.hop_state(hop)))
        .collect()
}

/// A chain as seen from this node.
struct View<'a> {
    facts: &'a Facts,
    chain: &'a RenderedChain,
}

/// Which end segment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    Entry,
    Exit,
}

impl Side {
    const fn other(self) -> Self {
        match self {
            Self::Entry => Self::Exit,
            Self::Exit => Self::Entry,
        }
    }
}

impl<'a> View<'a> {
    /// Has at least a hop, and a segment on each side of every hop.
    fn is_whole(&self) -> bool {
        let hops = self.chain.hops.len();
        hops > 0 && self.chain.segments.len() == hops + 1
    }

    fn is_here(&self, node: &NodeName) -> bool {
        self.facts.node == *node
    }

    fn last_segment(&self) -> usize {
        self.chain.hops.len()
    }

    fn vni(&self, segment: usize) -> u32 {
        self.chain
            .segments
            .get(segment)
            .map_or(0, |s: &Segment| s.vni)
    }

    fn side_segment(&self, side: Side) -> usize {
        match side {
            Side::Entry => 0,
            Side::Exit => self.last_segment(),
        }
    }

    fn side_ends(&self, side: Side) -> &'a [ChainEnd] {
        match side {
            Side::Entry => &self.chain.entries,
            Side::Exit => &self.chain.exits,
        }
    }

    /// The hop that the end segment leads to.
    fn side_hop(&self, side: Side) -> Option<&'a RenderedHop> {
        match side {
            Side::Entry => self.chain.hops.first(),
            Side::Exit => self.chain.hops.last(),
        }
    }

    fn local_end(&self, side: Side) -> Option<&'a ChainEnd> {
        self.side_ends(side).iter().find(|e| self.is_here(&e.node))
    }

    /// The loopback of this node's end.
    fn end_tag(&self, side: Side) -> IfTag {
        IfTag::new(&format!("end/{}", self.vni(self.side_segment(side))))
    }

    /// The dataplane's interface to a port of a local hop; `None` while the pod is not attached.
    fn port(&self, hop: &RenderedHop, name: &str) -> Option<IfTag> {
        let local = self.facts.local_pod(&hop.pod)?;
        local.interface(name)?;
        Some(pod::tag(&local.container_id, name))
    }

    fn hop_state(&self, hop: &RenderedHop) -> HopState {
        let is_up = |name: &str| {
            self.port(hop, name)
                .is_some_and(|tag| self.facts.links_up.contains(&tag))
        };
        let (input_up, output_up) = (is_up(&hop.input), is_up(&hop.output));
        HopState {
            input_up,
            output_up,
            bypassed: hop.on_failure == OnFailure::FailOpen && !(input_up && output_up),
        }
    }

    /// Every hop is on this node and bypassed.
    fn is_bypassed_whole(&self) -> bool {
        let mut hops = self.chain.hops.iter();
        hops.all(|hop| self.is_here(&hop.node) && self.hop_state(hop).bypassed)
    }

    /// The tunnel of a segment to another node, and how it is made; `None` while the way to that
    /// node is not known.
    fn tunnel(&self, segment: usize, to: &NodeName) -> Option<(IfTag, Device)> {
        let peer = self.facts.nodes.get(to)?;
        let vni = self.vni(segment);
        let device = Device::Vxlan {
            src: self.facts.uplink.as_ref()?.address.addr(),
            dst: peer.underlay,
            vni,
        };
        Some((IfTag::new(&format!("segment/{vni}/{}", peer.id)), device))
    }
}

#[cfg(test)]
mod tests;
