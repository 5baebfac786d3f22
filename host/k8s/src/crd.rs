//! Custom resources of the group `weft.dev`.
//!
//! Unknown fields are refused: a misspelt field in a chain must not be ignored in silence. The
//! generated definitions in `deploy/crds` are held equal to these types by a test.

use std::collections::BTreeMap;

use kube::{CustomResource, CustomResourceExt};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A chain of network functions, and which flows go through it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema, CustomResource)]
#[kube(
    group = "weft.dev",
    version = "v1alpha1",
    kind = "ServiceFunctionChain",
    plural = "servicefunctionchains",
    shortname = "sfc",
    namespaced,
    status = "ServiceFunctionChainStatus"
)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct ServiceFunctionChainSpec {
    /// The module that decides which flows enter the chain.
    pub classifier: Classifier,
    /// The module that picks a pod for hops that have several. Absent: a hop keeps its pod while that fits, else
    /// takes the first by name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub steering: Option<Steering>,
    /// Pods whose traffic is classified.
    pub source: Endpoints,
    /// Pods that the chain leads to; absent: whatever is routed behind the last hop.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub destination: Option<Endpoints>,
    /// The functions, in the order in which forward traffic passes them.
    #[schemars(length(min = 1, max = 16))]
    pub hops: Vec<Hop>,
    /// How answers travel.
    #[serde(default, rename = "return")]
    pub return_path: ReturnPath,
}

/// A classifier module and its configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Classifier {
    /// Path of the component below the controller's module directory.
    pub module: String,
    /// Configuration in the module's own terms.
    #[serde(default)]
    #[schemars(schema_with = "any_object")]
    pub config: serde_json::Value,
}

/// A steering module and its configuration.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Steering {
    /// Path of the component below the controller's module directory.
    pub module: String,
    /// Configuration in the module's own terms.
    #[serde(default)]
    #[schemars(schema_with = "any_object")]
    pub config: serde_json::Value,
}

/// Pods at one end of a chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Endpoints {
    pub pod_selector: LabelSelector,
}

/// One function of the chain.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Hop {
    pub name: String,
    /// The pods that can be this hop.
    pub pod_selector: LabelSelector,
    /// Interface of the pod on which forward traffic arrives.
    pub input: String,
    /// Interface of the pod on which forward traffic leaves.
    pub output: String,
    /// What the chain does while the hop does not answer.
    pub on_failure: OnFailure,
}

/// Kubernetes' label selector.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct LabelSelector {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<LabelRequirement>,
}

/// One set-based requirement of a selector.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LabelRequirement {
    pub key: String,
    pub operator: LabelOperator,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// How a [`LabelRequirement`] compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum LabelOperator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

/// Around the hop, or not at all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum OnFailure {
    FailOpen,
    FailClosed,
}

/// How answers travel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ReturnPath {
    /// Through the same hops in reverse.
    #[default]
    Symmetric,
    /// By ordinary routing.
    Direct,
}

/// What the controller reports.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServiceFunctionChainStatus {
    #[serde(default)]
    pub observed_generation: u64,
    #[serde(default)]
    #[schemars(schema_with = "any_list")]
    pub conditions: Vec<serde_json::Value>,
}

fn any_object(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "object",
        "x-kubernetes-preserve-unknown-fields": true,
    })
}

fn any_list(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({
        "type": "array",
        "items": { "type": "object", "x-kubernetes-preserve-unknown-fields": true },
    })
}

/// The definition of every custom resource, as `file name, JSON document` (JSON is YAML).
///
/// # Errors
/// Never in practice: the schemas are constants of the program.
pub fn definitions() -> Result<Vec<(&'static str, String)>, serde_json::Error> {
    let chain = serde_json::to_string_pretty(&ServiceFunctionChain::crd())?;
    Ok(vec![("weft.dev_servicefunctionchains.json", chain + "\n")])
}
