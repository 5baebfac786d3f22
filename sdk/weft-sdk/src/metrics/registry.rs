//! The figures of one module: what the host and the tests' double keep.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::{LABEL_BYTES_MAX, LABELS_MAX, Label, MetricError, NAME_BYTES_MAX, SERIES_MAX};

/// Figures by name and labels, bounded.
#[derive(Debug, Clone, Default)]
pub struct Registry {
    series: BTreeMap<(String, Vec<Label>), Figure>,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Figure {
    Counter(u64),
    Gauge(f64),
}

impl Registry {
    /// Adds to a counter, from zero if it is new. A counter stops at its maximum.
    ///
    /// # Errors
    /// [`MetricError`]; nothing was counted.
    pub fn counter_add(
        &mut self,
        name: &str,
        labels: &[Label],
        amount: u64,
    ) -> Result<(), MetricError> {
        match self.figure(name, labels, Figure::Counter(0))? {
            Figure::Counter(count) => *count = count.saturating_add(amount),
            Figure::Gauge(_) => return Err(MetricError::WrongKind),
        }
        Ok(())
    }

    /// Sets a gauge.
    ///
    /// # Errors
    /// [`MetricError`]; the former value stays.
    pub fn gauge_set(
        &mut self,
        name: &str,
        labels: &[Label],
        value: f64,
    ) -> Result<(), MetricError> {
        match self.figure(name, labels, Figure::Gauge(value))? {
            Figure::Gauge(gauge) => *gauge = value,
            Figure::Counter(_) => return Err(MetricError::WrongKind),
        }
        Ok(())
    }

    /// A counter's value.
    #[must_use]
    pub fn counter(&self, name: &str, labels: &[(&str, &str)]) -> Option<u64> {
        let key = (name.to_owned(), sorted(super::owned(labels)));
        match self.series.get(&key) {
            Some(Figure::Counter(count)) => Some(*count),
            Some(Figure::Gauge(_)) | None => None,
        }
    }

    /// One line a series, `name{label="value"} figure`, in order.
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let line = |((name, labels), figure): (&(String, Vec<Label>), &Figure)| {
            let mut line = name.clone();
            for (index, (label, value)) in labels.iter().enumerate() {
                let before = if index == 0 { '{' } else { ',' };
                _ = write!(line, "{before}{label}={value:?}");
            }
            line.push_str(if labels.is_empty() { " " } else { "} " });
            _ = match figure {
                Figure::Counter(count) => write!(line, "{count}"),
                Figure::Gauge(value) => write!(line, "{value}"),
            };
            line
        };
        self.series.iter().map(line).collect()
    }

    fn figure(
        &mut self,
        name: &str,
        labels: &[Label],
        new: Figure,
    ) -> Result<&mut Figure, MetricError> {
        if !is_name(name) {
            return Err(MetricError::BadName);
        }
        let good = |(label, value): &Label| {
            let printable = !value.chars().any(char::is_control);
            is_name(label) && value.len() <= LABEL_BYTES_MAX && printable
        };
        if labels.len() > LABELS_MAX || !labels.iter().all(good) {
            return Err(MetricError::BadLabel);
        }
        let labels = sorted(labels.to_vec());
        if labels
            .windows(2)
            .any(|two| matches!(two, [a, b] if a.0 == b.0))
        {
            return Err(MetricError::BadLabel);
        }
        let full = self.series.len() >= SERIES_MAX;
        let key = (name.to_owned(), labels);
        if full && !self.series.contains_key(&key) {
            return Err(MetricError::TooManySeries);
        }
        Ok(self.series.entry(key).or_insert(new))
    }
}

fn sorted(mut labels: Vec<Label>) -> Vec<Label> {
    labels.sort();
    labels
}

fn is_name(name: &str) -> bool {
    let letters = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    name.len() <= NAME_BYTES_MAX
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name.chars().all(letters)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn label(name: &str, value: &str) -> Vec<Label> {
        vec![(name.to_owned(), value.to_owned())]
    }

    #[test]
    fn figures_are_kept_by_name_and_labels() {
        let mut figures = Registry::default();
        let hop = label("hop", "fw");
        for _ in 0..2 {
            figures.counter_add("moves", &hop, 3).expect("counted");
        }
        figures.counter_add("moves", &[], 1).expect("counted");
        figures.gauge_set("spread", &[], 0.5).expect("set");
        figures.gauge_set("spread", &[], 1.5).expect("set");
        let lines = ["moves 1", "moves{hop=\"fw\"} 6", "spread 1.5"];
        assert_eq!(figures.lines(), lines);
        assert_eq!(figures.counter("moves", &[("hop", "fw")]), Some(6));
        figures
            .counter_add("moves", &[], u64::MAX)
            .expect("counted");
        assert_eq!(figures.counter("moves", &[]), Some(u64::MAX));
    }

    #[test]
    fn a_counter_is_no_gauge() {
        let mut figures = Registry::default();
        figures.counter_add("moves", &[], 1).expect("counted");
        let error = figures.gauge_set("moves", &[], 1.0);
        assert_eq!(error, Err(MetricError::WrongKind));
        assert_eq!(figures.lines(), ["moves 1"]);
    }

    #[test]
    fn names_and_labels_are_bounded() {
        let mut figures = Registry::default();
        for name in ["", "1st", "Moves", "mo ves", "mo{}", &"a".repeat(65)] {
            let error = figures.counter_add(name, &[], 1);
            assert_eq!(error, Err(MetricError::BadName), "{name}");
        }
        let twice = [label("hop", "a"), label("hop", "b")].concat();
        let many = (0..5).flat_map(|n| label(&format!("l{n}"), "")).collect();
        let (long, control) = (label("hop", &"a".repeat(65)), label("hop", "a\nb 9"));
        for labels in [twice, many, long, control, label("Hop", "a")] {
            let error = figures.counter_add("moves", &labels, 1);
            assert_eq!(error, Err(MetricError::BadLabel), "{labels:?}");
        }
        assert!(figures.lines().is_empty());
    }

    #[test]
    fn series_are_bounded_and_known_ones_still_count() {
        let mut figures = Registry::default();
        let take = |figures: &mut Registry, n: usize| {
            figures.counter_add("flows", &label("n", &n.to_string()), 1)
        };
        for n in 0..SERIES_MAX {
            take(&mut figures, n).expect("counted");
        }
        assert_eq!(
            take(&mut figures, SERIES_MAX),
            Err(MetricError::TooManySeries)
        );
        take(&mut figures, 0).expect("still counts");
        assert_eq!(figures.counter("flows", &[("n", "0")]), Some(2));
        assert_eq!(figures.lines().len(), SERIES_MAX);
    }
}
