//! Names that identify things across processes.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Name of a Kubernetes node.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeName(String);

impl NodeName {
    /// Checks `name` against RFC 1123 as Kubernetes does for node names.
    ///
    /// # Errors
    /// [`NameError`] when it is no DNS subdomain.
    pub fn parse(name: &str) -> Result<Self, NameError> {
        check_subdomain("node", name)?;
        Ok(Self(name.to_owned()))
    }

    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Small number of a node, unique in the cluster, from 1. Addresses of a node derive from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub u16);

impl fmt::Display for NodeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Namespace and name of a namespaced Kubernetes object; written `namespace/name`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ObjectName {
    pub namespace: String,
    pub name: String,
}

impl ObjectName {
    /// Checks both parts as Kubernetes does.
    ///
    /// # Errors
    /// [`NameError`] when one is no DNS name.
    pub fn parse(namespace: &str, name: &str) -> Result<Self, NameError> {
        check_subdomain("namespace", namespace)?;
        check_subdomain("object", name)?;
        Ok(Self {
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        })
    }
}

impl fmt::Display for ObjectName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// A name that Kubernetes would refuse.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{what} name `{name}` is not valid; hint: use lower-case letters, digits, `-` and `.`, \
     at most 253, starting and ending with a letter or digit"
)]
pub struct NameError {
    what: &'static str,
    name: String,
}

/// RFC 1123 subdomain. It also keeps `/` out of store keys.
fn check_subdomain(what: &'static str, name: &str) -> Result<(), NameError> {
    let edge = |c: Option<char>| c.is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let inner = name
        .chars()
        .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-' || c == '.');
    if name.len() <= 253 && inner && edge(name.chars().next()) && edge(name.chars().last()) {
        return Ok(());
    }
    Err(NameError {
        what,
        name: name.to_owned(),
    })
}
