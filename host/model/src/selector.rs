//! Kubernetes label selectors, reduced to what chains and policies need.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Selects objects by labels; an empty selector selects everything, as in Kubernetes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Selector {
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub match_labels: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub match_expressions: Vec<Requirement>,
}

/// One set-based requirement.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Requirement {
    pub key: String,
    pub operator: Operator,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<String>,
}

/// How a [`Requirement`] compares.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Operator {
    In,
    NotIn,
    Exists,
    DoesNotExist,
}

impl Selector {
    /// Whether an object with these labels is selected.
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.match_labels
            .iter()
            .all(|(k, v)| labels.get(k) == Some(v))
            && self.match_expressions.iter().all(|r| r.matches(labels))
    }
}

impl Requirement {
    fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        let value = labels.get(&self.key);
        match self.operator {
            Operator::In => value.is_some_and(|v| self.values.contains(v)),
            Operator::NotIn => value.is_none_or(|v| !self.values.contains(v)),
            Operator::Exists => value.is_some(),
            Operator::DoesNotExist => value.is_none(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn set_based_requirements_follow_kubernetes() {
        let labels = BTreeMap::from([("app".to_owned(), "web".to_owned())]);
        for (operator, key, values, expected) in [
            (Operator::In, "app", vec!["web", "api"], true),
            (Operator::In, "tier", vec!["web"], false),
            (Operator::NotIn, "app", vec!["web"], false),
            (Operator::NotIn, "tier", vec!["web"], true),
            (Operator::Exists, "app", vec![], true),
            (Operator::DoesNotExist, "app", vec![], false),
        ] {
            let selector = Selector {
                match_labels: BTreeMap::new(),
                match_expressions: vec![Requirement {
                    key: key.to_owned(),
                    operator,
                    values: values.into_iter().map(str::to_owned).collect(),
                }],
            };
            assert_eq!(selector.matches(&labels), expected, "{selector:?}");
        }
    }
}
