//! A comparison: contenders take turns (A B A B …), so that what changes on the machine changes for all of them.

use crate::report::{Group, Metric, Row, Skip};

/// One side of a comparison.
pub(crate) struct Contender<'a> {
    pub(crate) name: String,
    /// Name of the contender that this one is measured against.
    pub(crate) peer: Option<&'static str>,
    /// The ratio to the peer that is asked for.
    pub(crate) bar: Option<f64>,
    /// Takes one sample: a value of each metric.
    pub(crate) run: Box<dyn FnMut() -> anyhow::Result<Vec<f64>> + 'a>,
}

impl<'a> Contender<'a> {
    pub(crate) fn new(
        name: impl Into<String>,
        run: impl FnMut() -> anyhow::Result<Vec<f64>> + 'a,
    ) -> Self {
        Self {
            name: name.into(),
            peer: None,
            bar: None,
            run: Box::new(run),
        }
    }

    pub(crate) fn against(mut self, peer: &'static str, bar: f64) -> Self {
        (self.peer, self.bar) = (Some(peer), Some(bar));
        self
    }

    /// The same without a ratio that is asked for.
    pub(crate) fn beside(mut self, peer: &'static str) -> Self {
        self.peer = Some(peer);
        self
    }
}

/// Takes `rounds` samples of each contender in turns. One that fails is out, with its reason in `skipped`.
pub(crate) fn interleave(
    rounds: usize,
    metrics: &[Metric],
    contenders: Vec<Contender<'_>>,
    skipped: &mut Vec<Skip>,
) -> Vec<Group> {
    let mut entries: Vec<_> = contenders
        .into_iter()
        .map(|contender| (contender, Vec::<Vec<f64>>::new(), true))
        .collect();
    for round in 1..=rounds {
        for (contender, samples, fit) in entries.iter_mut().filter(|(_, _, fit)| *fit) {
            match (contender.run)() {
                Ok(sample) if sample.len() == metrics.len() => samples.push(sample),
                Ok(sample) => unreachable!("{} values for {} metrics", sample.len(), metrics.len()),
                Err(error) => {
                    *fit = false;
                    let label = metrics.first().map_or("", |metric| metric.label.as_str());
                    let reason = format!("failed in round {round} of {rounds}: {error:#}");
                    skipped.push(Skip::new(format!("{} ({label})", contender.name), reason));
                }
            }
        }
    }
    let group = |(index, metric): (usize, &Metric)| Group {
        metric: metric.clone(),
        rows: entries
            .iter()
            .map(|(contender, samples, _)| Row {
                name: contender.name.clone(),
                peer: contender.peer,
                bar: contender.bar,
                samples: samples
                    .iter()
                    .filter_map(|sample| sample.get(index).copied())
                    .collect(),
            })
            .filter(|row| !row.samples.is_empty())
            .collect(),
    };
    metrics.iter().enumerate().map(group).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::report::Better;

    fn metrics() -> [Metric; 2] {
        ["add", "add and delete"].map(|label| Metric::new(label, "ms", Better::Lower))
    }

    #[test]
    fn contenders_take_turns() {
        let order = RefCell::new(String::new());
        let player = |name: &'static str, value: f64| {
            let order = &order;
            Contender::new(name, move || {
                order.borrow_mut().push_str(name);
                Ok(vec![value, 10.0 * value])
            })
        };
        let mut skipped = Vec::new();
        let contenders = vec![player("a", 1.0).against("b", 0.5), player("b", 2.0)];
        let groups = interleave(3, &metrics(), contenders, &mut skipped);
        assert_eq!(order.into_inner(), "ababab");
        assert!(skipped.is_empty());
        assert_eq!(groups[1].metric.label, "add and delete");
        assert_eq!(groups[1].rows[1].samples, [20.0; 3]);
        assert_eq!(groups[0].rows[0].peer, Some("b"));
    }

    #[test]
    fn one_that_fails_is_out_with_a_reason_and_the_others_go_on() {
        let mut left = 2;
        let fails = Contender::new("a", move || {
            left -= 1;
            anyhow::ensure!(left > 0, "broken");
            Ok(vec![1.0, 1.0])
        });
        let never = Contender::new("c", || anyhow::bail!("not there"));
        let mut skipped = Vec::new();
        let contenders = vec![fails, never, Contender::new("b", || Ok(vec![2.0, 2.0]))];
        let groups = interleave(4, &metrics(), contenders, &mut skipped);
        let counts: Vec<_> = groups[0]
            .rows
            .iter()
            .map(|r| (r.name.as_str(), r.samples.len()))
            .collect();
        assert_eq!(counts, [("a", 1), ("b", 4)]);
        let said: Vec<_> = skipped
            .iter()
            .map(|s| format!("{}: {}", s.what, s.why))
            .collect();
        assert_eq!(
            said,
            [
                "c (add): failed in round 1 of 4: not there",
                "a (add): failed in round 2 of 4: broken"
            ]
        );
    }
}
