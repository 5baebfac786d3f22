//! What the two ends of a probe report, and the book that the sender keeps.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use anyhow::Context;
use serde::{Deserialize, Serialize};

/// The sender's numbers. `sent = received + lost`; duplicates and errors are counted beside.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct SendReport {
    pub target: String,
    pub proto: String,
    pub port: u16,
    pub sent: u64,
    /// Requests with at least one whole answer.
    pub received: u64,
    pub lost: u64,
    /// Answers beyond the first of a request.
    pub duplicated: u64,
    /// First answers that came after one to a later request.
    pub reordered: u64,
    /// Longest run of consecutive requests without an answer.
    pub longest_gap: u64,
    pub latency: Latency,
    /// Failures of the socket itself, by text.
    pub errors: BTreeMap<String, u64>,
}

/// Round trip of the answered requests, in microseconds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    pub min_us: u64,
    pub median_us: u64,
    pub p99_us: u64,
    pub max_us: u64,
}

/// The server's numbers, by `udp/443` or `tcp/80`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ServeReport {
    pub ports: BTreeMap<String, PortReport>,
}

/// What one port saw. A request is a datagram, or a connection.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct PortReport {
    pub received: u64,
    pub answered: u64,
    pub bytes: u64,
}

/// Which requests are out and what came back.
#[derive(Debug, Default)]
pub(super) struct Book {
    /// Answers to each request.
    answers: Vec<u32>,
    round_trips: Vec<Duration>,
    highest: Option<u64>,
    reordered: u64,
    errors: BTreeMap<String, u64>,
}

impl Book {
    pub(super) fn sent(&mut self) {
        self.answers.push(0);
    }

    pub(super) fn error(&mut self, error: &std::io::Error) {
        *self.errors.entry(error.to_string()).or_default() += 1;
    }

    /// An answer to request `sequence`; one that was never sent is not counted.
    pub(super) fn answered(&mut self, sequence: u64, round_trip: Duration) {
        let index = usize::try_from(sequence).unwrap_or(usize::MAX);
        let Some(answers) = self.answers.get_mut(index) else {
            return;
        };
        *answers += 1;
        if *answers > 1 {
            return;
        }
        self.round_trips.push(round_trip);
        if self.highest.is_some_and(|h| h > sequence) {
            self.reordered += 1;
        }
        self.highest = self.highest.max(Some(sequence));
    }

    pub(super) fn is_complete(&self) -> bool {
        self.round_trips.len() == self.answers.len()
    }

    pub(super) fn sent_count(&self) -> u64 {
        self.answers.len() as u64
    }

    pub(super) fn report(mut self, target: String, proto: &str, port: u16) -> SendReport {
        self.round_trips.sort_unstable();
        let received = self.round_trips.len() as u64;
        SendReport {
            target,
            proto: proto.to_owned(),
            port,
            sent: self.sent_count(),
            received,
            lost: self.sent_count() - received,
            duplicated: self
                .answers
                .iter()
                .map(|n| u64::from(n.saturating_sub(1)))
                .sum(),
            reordered: self.reordered,
            longest_gap: longest_gap(&self.answers),
            latency: Latency {
                min_us: self.quantile(0),
                median_us: self.quantile(50),
                p99_us: self.quantile(99),
                max_us: self.quantile(100),
            },
            errors: self.errors,
        }
    }

    fn quantile(&self, percent: usize) -> u64 {
        let last = self.round_trips.len().saturating_sub(1);
        let trip = self.round_trips.get(last * percent / 100);
        trip.map_or(0, |t| u64::try_from(t.as_micros()).unwrap_or(u64::MAX))
    }
}

fn longest_gap(answers: &[u32]) -> u64 {
    let gaps = answers.split(|n| *n > 0).map(<[u32]>::len);
    gaps.max().unwrap_or(0) as u64
}

/// Replaces the report at `path` in one step, so that a reader never sees half of it.
pub(super) fn write<T: Serialize>(path: &Path, report: &T) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(report)?;
    let draft = path.with_extension("part");
    std::fs::write(&draft, text + "\n")
        .and_then(|()| std::fs::rename(&draft, path))
        .with_context(|| format!("write report `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn loss_duplicates_order_and_gaps_are_told_apart() {
        let mut book = Book::default();
        (0..10).for_each(|_| book.sent());
        for sequence in [0, 1, 3, 2, 2, 9, 77] {
            book.answered(sequence, Duration::from_micros(sequence + 1));
        }
        assert!(!book.is_complete());
        let report = book.report("10.1.1.1".to_owned(), "udp", 443);
        assert_eq!((report.sent, report.received, report.lost), (10, 5, 5));
        assert_eq!(
            (report.duplicated, report.reordered, report.longest_gap),
            (1, 1, 5)
        );
        assert_eq!((report.latency.min_us, report.latency.max_us), (1, 10));
    }

    #[test]
    fn nothing_sent_is_nothing_lost() {
        let report = Book::default().report(String::new(), "udp", 1);
        assert_eq!(
            report,
            SendReport {
                proto: "udp".to_owned(),
                port: 1,
                ..SendReport::default()
            }
        );
    }
}
