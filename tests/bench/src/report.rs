//! What a run found, as data; `report.json` is this.

use serde::Serialize;

use crate::host::Host;
use crate::statistics::Summary;

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    pub(crate) host: Host,
    pub(crate) command: String,
    pub(crate) nice: i32,
    pub(crate) cases: Vec<CaseReport>,
    /// What holds for the whole run.
    pub(crate) skipped: Vec<Skip>,
}

#[derive(Debug, Default, Serialize)]
pub(crate) struct CaseReport {
    pub(crate) name: String,
    pub(crate) title: String,
    /// How it was measured, a sentence each.
    pub(crate) method: Vec<String>,
    pub(crate) groups: Vec<Group>,
    pub(crate) skipped: Vec<Skip>,
    /// What was seen beside the figures.
    pub(crate) notes: Vec<String>,
    /// Load of the machine before and after.
    pub(crate) load: [f64; 2],
}

/// Rows that may be compared.
#[derive(Debug, Serialize)]
pub(crate) struct Group {
    #[serde(flatten)]
    pub(crate) metric: Metric,
    pub(crate) rows: Vec<Row>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Metric {
    pub(crate) label: String,
    pub(crate) unit: &'static str,
    pub(crate) better: Better,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Better {
    Higher,
    Lower,
}

#[derive(Debug, Serialize)]
pub(crate) struct Row {
    pub(crate) name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) peer: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) bar: Option<f64>,
    pub(crate) samples: Vec<f64>,
}

/// Something that was not measured, and why.
#[derive(Debug, Serialize)]
pub(crate) struct Skip {
    pub(crate) what: String,
    pub(crate) why: String,
}

impl Metric {
    pub(crate) fn new(label: impl Into<String>, unit: &'static str, better: Better) -> Self {
        Self {
            label: label.into(),
            unit,
            better,
        }
    }
}

impl Skip {
    /// Says it at once, too.
    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        let (what, why) = (what.into(), why.into());
        eprintln!("SKIPPED {what}: {why}");
        Self { what, why }
    }
}

impl Row {
    pub(crate) fn summary(&self) -> Option<Summary> {
        Summary::of(&self.samples)
    }
}

impl Group {
    /// How many times as good as its peer a row is, by medians: above 1 is better whatever the unit.
    pub(crate) fn ratio(&self, row: &Row) -> Option<f64> {
        let peer = self
            .rows
            .iter()
            .find(|other| Some(other.name.as_str()) == row.peer)?;
        let (ours, theirs) = (row.summary()?.median, peer.summary()?.median);
        let ratio = match self.metric.better {
            Better::Higher => ours / theirs,
            Better::Lower => theirs / ours,
        };
        ratio.is_finite().then_some(ratio)
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn group(better: Better) -> Group {
        let row = |name: &str, peer, samples: &[f64]| Row {
            name: name.to_owned(),
            peer,
            bar: peer.map(|_| 1.0),
            samples: samples.to_vec(),
        };
        Group {
            metric: Metric::new("64 B", "Mpps", better),
            rows: vec![
                row("ours", Some("theirs"), &[9.0, 12.0, 10.0]),
                row("theirs", None, &[8.0, 7.5, 9.0]),
                row("alone", Some("absent"), &[1.0]),
            ],
        }
    }

    #[test]
    fn a_ratio_above_one_is_better_for_rates_and_for_times() {
        for (better, expected) in [(Better::Higher, 1.25), (Better::Lower, 0.8)] {
            let group = group(better);
            assert_eq!(group.ratio(&group.rows[0]), Some(expected), "{better:?}");
        }
    }

    #[test]
    fn there_is_no_ratio_without_a_peer() {
        let group = group(Better::Higher);
        assert_eq!(group.ratio(&group.rows[1]), None);
        assert_eq!(group.ratio(&group.rows[2]), None);
    }
}
