//! How a module says no.

use std::error::Error;
use std::fmt;

/// Whose turn it is to act.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FaultKind {
    /// The operator must change the configuration.
    InvalidConfig,
    /// This host or chain cannot do what was asked.
    Unsupported,
    /// Ask again at the next change.
    NotReady,
    /// A bug in the module.
    Internal,
    /// A kind of a later contract.
    Other(String),
}

/// A refusal by a module. It never removes rules or state that are already in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// Whose turn it is to act.
    pub kind: FaultKind,
    /// One line for the operator.
    pub message: String,
    /// Path of the offending configuration field.
    pub field: Option<String>,
}

impl Fault {
    /// Makes a fault of any kind.
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            field: None,
        }
    }

    /// Refuses a configuration because of one field.
    pub fn invalid(field: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            field: Some(field.into()),
            ..Self::new(FaultKind::InvalidConfig, message)
        }
    }
}

impl fmt::Display for FaultKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::InvalidConfig => "invalid config",
            Self::Unsupported => "unsupported",
            Self::NotReady => "not ready",
            Self::Internal => "internal",
            Self::Other(other) => other,
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.field {
            Some(field) => write!(f, "{}: `{field}`: {}", self.kind, self.message),
            None => write!(f, "{}: {}", self.kind, self.message),
        }
    }
}

impl Error for Fault {}

/// Name and version of a module, as in its `Cargo.toml`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct About {
    /// Crate name.
    pub name: String,
    /// Crate version.
    pub version: String,
}
