//! From Kubernetes objects to the records of `model`.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Pod;
use model::annotation::{self, AnnotationError};
use model::chain::HOPS_MAX;
use model::name::NameError;
use model::selector::{Operator, Requirement};
use model::{
    ChainSpec, ClassifierSpec, HopSpec, NodeName, OnFailure, PodRecord, ReturnPath, Selector,
    SteeringSpec,
};

use crate::crd;

/// An object whose fields do not fit together.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConvertError {
    #[error("`metadata.annotations`: {0}")]
    Annotation(#[from] AnnotationError),
    #[error("`spec.nodeName`: {0}")]
    NodeName(#[from] NameError),
    #[error(
        "`spec.hops`: a chain has 1 to {HOPS_MAX} hops, this one has {0}; hint: split the chain"
    )]
    HopCount(usize),
    #[error(
        "`spec.hops[{index}].name`: `{name}` is used by an earlier hop; hint: name each hop once"
    )]
    HopName { index: usize, name: String },
    #[error(
        "`spec.hops[{index}].podSelector` is empty and would select every pod; hint: add matchLabels"
    )]
    HopSelector { index: usize },
    #[error(
        "`spec.hops[{index}]`: input and output are both `{interface}`; hint: a hop needs two interfaces"
    )]
    HopLoop { index: usize, interface: String },
    #[error(
        "`spec.hops[{index}]` selects the same pods and input as hop {earlier}: the chain would loop; hint: give the hop pods of its own"
    )]
    Loop { index: usize, earlier: usize },
    #[error(
        "`spec.{field}.podSelector` is empty and would select every pod; hint: add matchLabels"
    )]
    EndSelector { field: &'static str },
    #[error(
        "`spec.{field}.module` must be a relative path without `..`, not `{path}`; hint: name a file of the module directory"
    )]
    ModulePath { field: &'static str, path: String },
}

/// A pod, reduced.
///
/// # Errors
/// [`ConvertError`] for an annotation or node name that is not valid.
pub fn pod(pod: &Pod) -> Result<PodRecord, ConvertError> {
    let annotations = pod.metadata.annotations.clone().unwrap_or_default();
    let node = pod.spec.as_ref().and_then(|s| s.node_name.as_deref());
    Ok(PodRecord {
        uid: pod.metadata.uid.clone().unwrap_or_default(),
        node: node.map(NodeName::parse).transpose()?,
        labels: pod.metadata.labels.clone().unwrap_or_default(),
        interfaces: annotation::interfaces(&annotations)?,
    })
}

/// A chain, checked as far as it can be without knowing the cluster.
///
/// # Errors
/// [`ConvertError`] names the field and the remedy.
pub fn chain(chain: &crd::ServiceFunctionChain) -> Result<ChainSpec, ConvertError> {
    let spec = &chain.spec;
    check_module("classifier", &spec.classifier.module)?;
    if let Some(steering) = &spec.steering {
        check_module("steering", &steering.module)?;
    }
    if !(1..=HOPS_MAX).contains(&spec.hops.len()) {
        return Err(ConvertError::HopCount(spec.hops.len()));
    }
    let generation = chain
        .metadata
        .generation
        .and_then(|g| u64::try_from(g).ok());
    Ok(ChainSpec {
        generation: generation.unwrap_or_else(|| digest(spec)),
        classifier: ClassifierSpec {
            module: spec.classifier.module.clone(),
            config: spec.classifier.config.clone(),
        },
        steering: spec.steering.as_ref().map(|steering| SteeringSpec {
            module: steering.module.clone(),
            config: steering.config.clone(),
        }),
        source: end(&spec.source, "source")?,
        destination: spec
            .destination
            .as_ref()
            .map(|d| end(d, "destination"))
            .transpose()?,
        hops: hops(&spec.hops)?,
        return_path: match spec.return_path {
            crd::ReturnPath::Symmetric => ReturnPath::Symmetric,
            crd::ReturnPath::Direct => ReturnPath::Direct,
        },
    })
}

fn check_module(field: &'static str, path: &str) -> Result<(), ConvertError> {
    let legal = !path.is_empty()
        && !path.starts_with('/')
        && path
            .split('/')
            .all(|part| !part.is_empty() && part != "." && part != "..");
    if legal {
        Ok(())
    } else {
        let path = path.to_owned();
        Err(ConvertError::ModulePath { field, path })
    }
}

fn end(end: &crd::Endpoints, field: &'static str) -> Result<Selector, ConvertError> {
    let selector = selector(&end.pod_selector);
    if selector == Selector::default() {
        return Err(ConvertError::EndSelector { field });
    }
    Ok(selector)
}

fn hops(hops: &[crd::Hop]) -> Result<Vec<HopSpec>, ConvertError> {
    let mut names = BTreeSet::new();
    let mut specs: Vec<HopSpec> = Vec::with_capacity(hops.len());
    for (index, hop) in hops.iter().enumerate() {
        let pod_selector = selector(&hop.pod_selector);
        if pod_selector == Selector::default() {
            return Err(ConvertError::HopSelector { index });
        }
        if !names.insert(&hop.name) {
            return Err(ConvertError::HopName {
                index,
                name: hop.name.clone(),
            });
        }
        if hop.input == hop.output {
            return Err(ConvertError::HopLoop {
                index,
                interface: hop.input.clone(),
            });
        }
        let same = |s: &HopSpec| {
            let interfaces = [&s.input, &s.output];
            let shared = interfaces.contains(&&hop.input) || interfaces.contains(&&hop.output);
            s.pod_selector == pod_selector && shared
        };
        if let Some(earlier) = specs.iter().position(same) {
            return Err(ConvertError::Loop { index, earlier });
        }
        specs.push(HopSpec {
            name: hop.name.clone(),
            pod_selector,
            input: hop.input.clone(),
            output: hop.output.clone(),
            on_failure: match hop.on_failure {
                crd::OnFailure::FailOpen => OnFailure::FailOpen,
                crd::OnFailure::FailClosed => OnFailure::FailClosed,
            },
        });
    }
    Ok(specs)
}

fn selector(selector: &crd::LabelSelector) -> Selector {
    Selector {
        match_labels: selector.match_labels.clone(),
        match_expressions: selector
            .match_expressions
            .iter()
            .map(|r| Requirement {
                key: r.key.clone(),
                operator: match r.operator {
                    crd::LabelOperator::In => Operator::In,
                    crd::LabelOperator::NotIn => Operator::NotIn,
                    crd::LabelOperator::Exists => Operator::Exists,
                    crd::LabelOperator::DoesNotExist => Operator::DoesNotExist,
                },
                values: r.values.clone(),
            })
            .collect(),
    }
}

/// FNV-1a of the spec: stands for `metadata.generation` where the source keeps none.
fn digest(spec: &crd::ServiceFunctionChainSpec) -> u64 {
    let bytes = serde_json::to_vec(spec).unwrap_or_default();
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests;
