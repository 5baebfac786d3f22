//! A chain as the controller decided it: names, numbers and addresses, nothing left to choose.
//!
//! A chain of N hops has N+1 segments. Segment 0 leads from the entries to the first hop's input,
//! segment N from the last hop's output to the exits; the ones between join two hops.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::chain::{OnFailure, ReturnPath};
use crate::flow::FlowRule;
use crate::mac::MacAddr;
use crate::name::{NodeName, ObjectName};
use crate::selector::Selector;

/// What every agent needs to wire its part of one chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenderedChain {
    pub chain: ObjectName,
    pub generation: u64,
    /// The classifier's rules by ascending priority; flows that match none go straight.
    pub rules: Vec<FlowRule>,
    pub return_path: ReturnPath,
    /// Where traffic enters: one end on each node that has source pods.
    pub entries: Vec<ChainEnd>,
    /// Where traffic leaves: one end on each node that has destination pods.
    pub exits: Vec<ChainEnd>,
    pub hops: Vec<RenderedHop>,
    /// `hops.len() + 1` segments, in forward order.
    pub segments: Vec<Segment>,
    /// The exits serve whatever is routed behind the last hop, not only `ChainEnd::pods`.
    pub open_destination: bool,
    /// Every hop is bypassed: nothing enters the chain until one is back.
    #[serde(default)]
    pub bypassed: bool,
    /// Whose traffic is classified: a node steers a new pod of its own by this, before the controller
    /// has named it in `entries`. Absent from older controllers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source: Option<Selector>,
    /// The same for `exits`; absent too where the destination is open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Selector>,
}

/// An end of the chain on one node: a loopback used as BVI in the end segment's bridge domain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainEnd {
    pub node: NodeName,
    pub mac: MacAddr,
    /// Host address from the chain network; next hop of the steering at the other end.
    pub address: IpAddr,
    /// Pods behind this end, with their addresses.
    pub pods: Vec<EndPod>,
}

/// A pod whose traffic enters or leaves a chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct EndPod {
    pub pod: ObjectName,
    pub addresses: Vec<IpAddr>,
}

/// One hop, bound to an instance.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RenderedHop {
    pub name: String,
    pub pod: ObjectName,
    pub node: NodeName,
    pub input: String,
    pub output: String,
    pub on_failure: OnFailure,
}

/// One wire of the chain. Its VNI is used between nodes; it is unique in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Segment {
    pub vni: u32,
}

/// How far a node has got with a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct AppliedChain {
    /// The store's revision of the rendered chain that is in the node's dataplane.
    pub revision: i64,
}

/// What the controller tells people about a chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainStatus {
    pub observed_generation: u64,
    pub conditions: Vec<Condition>,
    pub hops: Vec<HopStatus>,
    /// The classifier's decision in words, one line a rule.
    pub rules: Vec<String>,
    /// Figures of the chain's modules, `module: name{label="value"} figure`, of the last time they were asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub metrics: Vec<String>,
}

/// A Kubernetes-style condition.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// `Accepted`, `Classified`, `Steered`, `Rendered`, `Ready`.
    #[serde(rename = "type")]
    pub kind: String,
    pub status: bool,
    /// One word in CamelCase.
    pub reason: String,
    pub message: String,
}

/// A hop as it stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HopStatus {
    pub name: String,
    pub pod: Option<ObjectName>,
    pub node: Option<NodeName>,
    pub state: Option<HopState>,
}

/// What a node's agent sees of a hop: whether its links carry packets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HopState {
    pub input_up: bool,
    pub output_up: bool,
    /// Traffic goes around the hop (`FailOpen` and a link down).
    pub bypassed: bool,
}

impl HopState {
    /// Both links are up.
    pub const fn is_up(&self) -> bool {
        self.input_up && self.output_up
    }
}
