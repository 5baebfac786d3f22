//! Figures of a module, kept where its operator reads them.

use std::sync::Arc;

use parking_lot::Mutex;
use weft_sdk::metrics::{MetricError, Registry};

use crate::bindings::capabilities::weft::host::metrics;
use crate::state::HostState;

/// The figures of one module; clones share them.
#[derive(Debug, Clone, Default)]
pub struct Metrics(Arc<Mutex<Registry>>);

impl Metrics {
    /// One line a series, in order: `picks_total{hop="firewall"} 3`.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        self.0.lock().lines()
    }
}

impl metrics::Host for HostState {
    fn counter_add(
        &mut self,
        name: String,
        labels: Vec<(String, String)>,
        amount: u64,
    ) -> Result<(), metrics::MetricError> {
        let mut figures = granted(self)?.0.lock();
        figures
            .counter_add(&name, &labels, amount)
            .map_err(in_words)
    }

    fn gauge_set(
        &mut self,
        name: String,
        labels: Vec<(String, String)>,
        value: f64,
    ) -> Result<(), metrics::MetricError> {
        let mut figures = granted(self)?.0.lock();
        figures.gauge_set(&name, &labels, value).map_err(in_words)
    }
}

/// The interface is linked only where this is there.
fn granted(state: &HostState) -> Result<&Metrics, metrics::MetricError> {
    let missing = || metrics::MetricError::Other("not granted".to_owned());
    state.grants.metrics.as_ref().ok_or_else(missing)
}

fn in_words(error: MetricError) -> metrics::MetricError {
    match error {
        MetricError::BadName => metrics::MetricError::BadName,
        MetricError::BadLabel => metrics::MetricError::BadLabel,
        MetricError::TooManySeries => metrics::MetricError::TooManySeries,
        MetricError::WrongKind => metrics::MetricError::WrongKind,
        MetricError::Other(other) => metrics::MetricError::Other(other),
    }
}
