//! Plans one chain: pure, deterministic, and stable: what still fits of the former plan is kept.

use std::collections::BTreeMap;

use model::rendered::EndPod;
use model::{
    Attachment, ChainEnd, ChainSpec, FlowRule, HopSpec, InterfaceKind, NodeName, ObjectName,
    RenderedChain, RenderedHop, Segment, Selector,
};

use crate::allocate::{AllocateError, Allocator, Side};
use crate::facts::Facts;

/// Why a chain cannot be rendered now. Its former rendering stays in force.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unready {
    #[error("cluster configuration is not in the store yet")]
    NoConfig,
    #[error("hop `{hop}`: no pod matches its selector; hint: start one with those labels")]
    NoPod { hop: String },
    #[error("hop `{hop}`: pod `{pod}` matches but is not attached yet")]
    NotAttached { hop: String, pod: ObjectName },
    #[error(
        "hop `{hop}`: pod `{pod}` has no interface `{interface}`; hint: add `{interface}/memif/stub` to its annotation `weft.dev/interfaces`"
    )]
    NoInterface {
        hop: String,
        pod: ObjectName,
        interface: String,
    },
    #[error(
        "hop `{hop}`: interface `{interface}` of pod `{pod}` is a {kind}; hint: a chain needs a memif"
    )]
    WrongKind {
        hop: String,
        pod: ObjectName,
        interface: String,
        kind: InterfaceKind,
    },
    #[error(transparent)]
    Allocate(#[from] AllocateError),
}

impl Unready {
    /// The reason in one word, for a status condition.
    pub fn reason(&self) -> &'static str {
        match self {
            Self::NoConfig => "NoClusterConfig",
            Self::NoPod { .. } => "NoPod",
            Self::NotAttached { .. } => "PodNotAttached",
            Self::NoInterface { .. } => "NoSuchInterface",
            Self::WrongKind { .. } => "WrongInterfaceType",
            Self::Allocate(_) => "NumbersExhausted",
        }
    }
}

/// Pods that steering picked, by hop name.
pub type Picks = BTreeMap<String, ObjectName>;

/// Renders `chain` with the classifier's `rules` and the pods that were picked for its hops.
///
/// # Errors
/// [`Unready`] says what is missing.
pub fn plan(
    chain: &ObjectName,
    spec: &ChainSpec,
    rules: &[FlowRule],
    picks: &Picks,
    facts: &Facts,
) -> Result<RenderedChain, Unready> {
    let config = facts.config.as_ref().ok_or(Unready::NoConfig)?;
    let hops = hops(chain, spec, picks, facts)?;
    let bypassed = hops.iter().all(|hop| {
        let state = facts
            .hop_states
            .get(&(chain.clone(), hop.name.clone(), hop.node.clone()));
        state.is_some_and(|s| s.bypassed)
    });
    let mut allocator = Allocator::new(config, &facts.rendered, chain);
    let entries = ends(
        &mut allocator,
        Side::Entry,
        selected(chain, &spec.source, facts),
    )?;
    let exits = match &spec.destination {
        Some(destination) => selected(chain, destination, facts),
        None => hops
            .last()
            .map(|h| (h.node.clone(), Vec::new()))
            .into_iter()
            .collect(),
    };
    let exits = ends(&mut allocator, Side::Exit, exits)?;
    let segments = (0..=hops.len())
        .map(|index| allocator.vni(index).map(|vni| Segment { vni }))
        .collect::<Result<_, _>>()?;
    Ok(RenderedChain {
        chain: chain.clone(),
        generation: spec.generation,
        rules: rules.to_vec(),
        return_path: spec.return_path,
        entries,
        exits,
        hops,
        segments,
        open_destination: spec.destination.is_none(),
        bypassed,
        source: Some(spec.source.clone()),
        destination: spec.destination.clone(),
    })
}

/// Attached pods that `selector` selects in the chain's namespace, by node.
pub fn selected(
    chain: &ObjectName,
    selector: &Selector,
    facts: &Facts,
) -> BTreeMap<NodeName, Vec<EndPod>> {
    let mut by_node: BTreeMap<NodeName, Vec<EndPod>> = BTreeMap::new();
    for (name, pod) in facts
        .pods
        .iter()
        .filter(|(n, _)| n.namespace == chain.namespace)
    {
        let Some(attachment) = facts.attachments.get(name) else {
            continue;
        };
        if selector.matches(&pod.labels) {
            let addresses = attachment.addresses().collect();
            let pods = by_node.entry(attachment.node.clone()).or_default();
            pods.push(EndPod {
                pod: name.clone(),
                addresses,
            });
        }
    }
    by_node
}

fn hops(
    chain: &ObjectName,
    spec: &ChainSpec,
    picks: &Picks,
    facts: &Facts,
) -> Result<Vec<RenderedHop>, Unready> {
    let bind = |hop: &HopSpec| {
        let wanted = picks
            .get(&hop.name)
            .or_else(|| former(chain, &hop.name, facts));
        let attachment = instance(chain, hop, wanted, facts)?;
        Ok(RenderedHop {
            name: hop.name.clone(),
            pod: attachment.pod.clone(),
            node: attachment.node.clone(),
            input: hop.input.clone(),
            output: hop.output.clone(),
            on_failure: hop.on_failure,
        })
    };
    spec.hops.iter().map(bind).collect()
}

fn former<'a>(chain: &ObjectName, hop: &str, facts: &'a Facts) -> Option<&'a ObjectName> {
    let hops = &facts.rendered.get(chain)?.hops;
    hops.iter().find(|h| h.name == hop).map(|h| &h.pod)
}

/// The pod that serves the hop without steering: the former one while it fits, else the first by name.
pub(crate) fn default_pick(chain: &ObjectName, hop: &HopSpec, facts: &Facts) -> Option<ObjectName> {
    let former = former(chain, &hop.name, facts);
    let attachment = instance(chain, hop, former, facts).ok()?;
    Some(attachment.pod.clone())
}

/// Pods that could serve the hop, by name.
pub(crate) fn candidates<'a>(
    chain: &'a ObjectName,
    hop: &'a HopSpec,
    facts: &'a Facts,
) -> impl Iterator<Item = &'a Attachment> {
    facts
        .pods
        .iter()
        .filter(|(name, _)| name.namespace == chain.namespace)
        .filter(|(_, pod)| hop.pod_selector.matches(&pod.labels))
        .filter_map(|(name, _)| usable(hop, name, facts).ok())
}

/// The pod that is the hop: the wanted one while it fits, else the first by name.
fn instance<'a>(
    chain: &ObjectName,
    hop: &HopSpec,
    wanted: Option<&ObjectName>,
    facts: &'a Facts,
) -> Result<&'a Attachment, Unready> {
    let mut problem = Unready::NoPod {
        hop: hop.name.clone(),
    };
    let mut first = None;
    for (name, pod) in facts
        .pods
        .iter()
        .filter(|(n, _)| n.namespace == chain.namespace)
    {
        if !hop.pod_selector.matches(&pod.labels) {
            continue;
        }
        match usable(hop, name, facts) {
            Ok(attachment) if wanted == Some(name) => return Ok(attachment),
            Ok(attachment) => first = first.or(Some(attachment)),
            Err(why) => problem = why,
        }
    }
    first.ok_or(problem)
}

fn usable<'a>(
    hop: &HopSpec,
    pod: &ObjectName,
    facts: &'a Facts,
) -> Result<&'a Attachment, Unready> {
    let (hop_name, pod_name) = (hop.name.clone(), pod.clone());
    let Some(attachment) = facts.attachments.get(pod) else {
        return Err(Unready::NotAttached {
            hop: hop_name,
            pod: pod_name,
        });
    };
    for name in [&hop.input, &hop.output] {
        let interface = name.clone();
        match attachment.interface(name).map(|i| i.kind) {
            Some(InterfaceKind::Memif) => {}
            Some(kind) => {
                return Err(Unready::WrongKind {
                    hop: hop_name,
                    pod: pod_name,
                    interface,
                    kind,
                });
            }
            None => {
                return Err(Unready::NoInterface {
                    hop: hop_name,
                    pod: pod_name,
                    interface,
                });
            }
        }
    }
    Ok(attachment)
}

fn ends(
    allocator: &mut Allocator<'_>,
    side: Side,
    by_node: BTreeMap<NodeName, Vec<EndPod>>,
) -> Result<Vec<ChainEnd>, AllocateError> {
    by_node
        .into_iter()
        .map(|(node, pods)| {
            let (address, mac) = allocator.end(side, &node)?;
            Ok(ChainEnd {
                node,
                mac,
                address,
                pods,
            })
        })
        .collect()
}

#[cfg(test)]
mod tests;
