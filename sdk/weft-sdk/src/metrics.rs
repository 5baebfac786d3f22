//! Figures for the operator. A capability: the operator grants `weft:host/metrics`.
//!
//! Names, labels and the number of series are bounded ([`Registry`] has the rules), because a label that follows
//! traffic would grow without end. Natively a [`test::Host`](crate::test::Host) keeps the figures.

use std::fmt;

/// Why a figure was not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MetricError {
    /// The name is not `[a-z][a-z0-9_]*`, or longer than [`NAME_BYTES_MAX`].
    BadName,
    /// A label's name is bad, its value is longer than [`LABEL_BYTES_MAX`] or not printable, or there are more
    /// than [`LABELS_MAX`].
    BadLabel,
    /// The series is new and there are [`SERIES_MAX`] already.
    TooManySeries,
    /// The series is a counter and was set, or a gauge and was added to.
    WrongKind,
    /// An error of a later contract, or no metrics here.
    Other(String),
}

impl fmt::Display for MetricError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::BadName => "bad name",
            Self::BadLabel => "bad label",
            Self::TooManySeries => "too many series",
            Self::WrongKind => "wrong kind",
            Self::Other(other) => other,
        })
    }
}

impl std::error::Error for MetricError {}

/// Longest name of a figure or label.
pub const NAME_BYTES_MAX: usize = 64;
/// Longest value of a label.
pub const LABEL_BYTES_MAX: usize = 64;
/// Most labels of one series.
pub const LABELS_MAX: usize = 4;
/// Most series of one module.
pub const SERIES_MAX: usize = 128;

/// Counts up.
///
/// # Errors
/// [`MetricError`]; nothing was counted.
pub fn counter_add(name: &str, labels: &[(&str, &str)], amount: u64) -> Result<(), MetricError> {
    #[cfg(target_arch = "wasm32")]
    return Ok(wire::counter_add(name, &owned(labels), amount)?);
    #[cfg(not(target_arch = "wasm32"))]
    crate::double::with(|host| host.metrics()?.counter_add(name, &owned(labels), amount))
}

/// Says how much there is of something now.
///
/// # Errors
/// [`MetricError`]; the former value stays.
pub fn gauge_set(name: &str, labels: &[(&str, &str)], value: f64) -> Result<(), MetricError> {
    #[cfg(target_arch = "wasm32")]
    return Ok(wire::gauge_set(name, &owned(labels), value)?);
    #[cfg(not(target_arch = "wasm32"))]
    crate::double::with(|host| host.metrics()?.gauge_set(name, &owned(labels), value))
}

fn owned(labels: &[(&str, &str)]) -> Vec<Label> {
    let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
    labels.iter().map(own).collect()
}

/// Name and value.
pub type Label = (String, String);

#[cfg(not(target_arch = "wasm32"))]
pub use self::registry::Registry;

#[cfg(not(target_arch = "wasm32"))]
mod registry;

#[cfg(target_arch = "wasm32")]
use crate::bindings::capabilities::weft::host::metrics as wire;

#[cfg(target_arch = "wasm32")]
impl From<wire::MetricError> for MetricError {
    fn from(error: wire::MetricError) -> Self {
        match error {
            wire::MetricError::BadName => Self::BadName,
            wire::MetricError::BadLabel => Self::BadLabel,
            wire::MetricError::TooManySeries => Self::TooManySeries,
            wire::MetricError::WrongKind => Self::WrongKind,
            wire::MetricError::Other(other) => Self::Other(other),
        }
    }
}
