//! Which pods are behind an end: those that the controller named, and on this node those that the
//! chain selects, so that a pod's traffic is steered from its first packet on.

use std::collections::BTreeSet;
use std::net::IpAddr;

use model::{ChainEnd, ObjectName, OnFailure, RenderedChain};

use crate::facts::{Facts, LocalPod};

use super::{Side, View};

/// How far a chain has got with a pod of this node that it selects, least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Cover {
    /// This node has no end for it: only the controller can give it one.
    NoEnd,
    /// Steered here; the controller, and so the other nodes, may not know of it yet.
    Here,
    /// The controller has named it.
    Named,
}

/// How far `chain` has got with `pod`; `None` when the pod is none of its sources or destinations.
pub fn cover(facts: &Facts, chain: &RenderedChain, pod: &LocalPod) -> Option<Cover> {
    let view = View { facts, chain };
    if !view.is_whole() {
        return None;
    }
    let sides = [Side::Entry, Side::Exit].into_iter();
    let concerned = sides.filter(|side| selects(chain, *side, pod));
    concerned.map(|side| view.cover(side, pod)).min()
}

/// Whether traffic that cannot pass the whole chain must not pass at all.
pub fn fails_closed(chain: &RenderedChain) -> bool {
    let mut hops = chain.hops.iter();
    hops.any(|hop| hop.on_failure == OnFailure::FailClosed)
}

/// Whether a change of `pod`, which may be gone by now, or of its links can change the chain here.
pub fn concerns(chain: &RenderedChain, pod: &LocalPod) -> bool {
    let is_named = |name: &ObjectName| {
        let ends = chain.entries.iter().chain(&chain.exits);
        chain.hops.iter().any(|h| h.pod == *name)
            || ends.flat_map(|e| &e.pods).any(|p| p.pod == *name)
    };
    chain.open_destination
        || pod.pod.as_ref().is_some_and(is_named)
        || selects(chain, Side::Entry, pod)
        || selects(chain, Side::Exit, pod)
}

/// By its labels; those of an unknown pod select nothing.
fn selects(chain: &RenderedChain, side: Side, pod: &LocalPod) -> bool {
    let selector = match side {
        Side::Entry => chain.source.as_ref(),
        Side::Exit => chain.destination.as_ref(),
    };
    let (Some(name), Some(labels)) = (&pod.pod, &pod.labels) else {
        return false;
    };
    name.namespace == chain.chain.namespace && selector.is_some_and(|s| s.matches(labels))
}

impl<'a> View<'a> {
    fn cover(&self, side: Side, pod: &LocalPod) -> Cover {
        let Some(end) = self.local_end(side) else {
            return Cover::NoEnd;
        };
        let named = end.pods.iter().find(|p| Some(&p.pod) == pod.pod.as_ref());
        let addresses: BTreeSet<IpAddr> = pod.addresses().collect();
        match named {
            Some(named)
                if named.addresses.iter().copied().collect::<BTreeSet<_>>() == addresses =>
            {
                Cover::Named
            }
            _ => Cover::Here,
        }
    }

    /// Containers of this node behind its end of this side.
    pub(super) fn members(&self, side: Side) -> Vec<&'a LocalPod> {
        let Some(end) = self.local_end(side) else {
            return Vec::new();
        };
        let named: BTreeSet<&ObjectName> = end.pods.iter().map(|p| &p.pod).collect();
        let is_named = |pod: &LocalPod| pod.pod.as_ref().is_some_and(|name| named.contains(name));
        let all = self.facts.pods.values();
        all.filter(|pod| is_named(pod) || selects(self.chain, side, pod))
            .collect()
    }

    /// Addresses of the pods behind an end, of the family of the end itself.
    pub(super) fn addresses(&self, side: Side, end: &ChainEnd) -> BTreeSet<IpAddr> {
        let named = end.pods.iter().flat_map(|p| p.addresses.iter().copied());
        let mut addresses: BTreeSet<IpAddr> = named.collect();
        if self.is_here(&end.node) {
            addresses.extend(self.members(side).into_iter().flat_map(LocalPod::addresses));
        }
        addresses.retain(|a| a.is_ipv4() == end.address.is_ipv4());
        addresses
    }
}

#[cfg(test)]
mod tests;
