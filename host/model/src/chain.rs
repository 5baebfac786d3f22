//! A service chain as its designer wrote it, already checked.

use serde::{Deserialize, Serialize};

use crate::selector::Selector;

/// Hops that one chain may have.
pub const HOPS_MAX: usize = 16;

/// The `spec` of a `ServiceFunctionChain`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ChainSpec {
    /// `metadata.generation`, or a digest of the spec where the source has none.
    pub generation: u64,
    pub classifier: ClassifierSpec,
    /// Absent: a hop keeps its pod while that fits, else takes the first by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steering: Option<SteeringSpec>,
    /// Pods whose traffic is classified.
    pub source: Selector,
    /// Pods that the chain leads to; absent: whatever is routed behind the last hop.
    pub destination: Option<Selector>,
    pub hops: Vec<HopSpec>,
    #[serde(rename = "return")]
    pub return_path: ReturnPath,
}

/// The module that decides which flows enter the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ClassifierSpec {
    /// Path below the controller's module directory.
    pub module: String,
    /// Handed to the module as JSON text.
    #[serde(default)]
    pub config: serde_json::Value,
}

/// The module that picks a pod for hops that have several.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SteeringSpec {
    /// Path below the controller's module directory.
    pub module: String,
    /// Handed to the module as JSON text.
    #[serde(default)]
    pub config: serde_json::Value,
}

/// One network function of the chain.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct HopSpec {
    pub name: String,
    pub pod_selector: Selector,
    /// Interface of the CNF pod on which forward traffic arrives.
    pub input: String,
    /// Interface on which it leaves.
    pub output: String,
    pub on_failure: OnFailure,
}

/// What a chain does while a hop does not answer. There is no default on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OnFailure {
    /// Traffic goes around the hop.
    FailOpen,
    /// Traffic of the chain is dropped, and counted.
    FailClosed,
}

/// How answers travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReturnPath {
    /// Through the same hops in reverse.
    #[default]
    Symmetric,
    /// By ordinary routing.
    Direct,
}
