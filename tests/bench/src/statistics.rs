//! What a list of samples says.

use serde::Serialize;

/// Order statistics of samples; percentiles by nearest rank.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub(crate) struct Summary {
    pub(crate) n: usize,
    pub(crate) min: f64,
    pub(crate) median: f64,
    pub(crate) p90: f64,
    pub(crate) p99: f64,
    pub(crate) max: f64,
}

impl Summary {
    /// Nothing for no samples, or for one that is no number.
    pub(crate) fn of(samples: &[f64]) -> Option<Self> {
        if samples.iter().any(|sample| sample.is_nan()) {
            return None;
        }
        let mut sorted = samples.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let n = sorted.len();
        let at = |index: usize| sorted.get(index).copied().unwrap_or(max);
        let median = f64::midpoint(at((n - 1) / 2), at(n / 2));
        let rank = |percent: usize| at((n * percent).div_ceil(100).saturating_sub(1));
        Some(Self {
            n,
            min,
            median,
            p90: rank(90),
            p99: rank(99),
            max,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_samples_and_the_median_lies_in_the_middle() {
        let hundred: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let cases: [(&[f64], [f64; 5]); 4] = [
            (&[7.0], [7.0, 7.0, 7.0, 7.0, 7.0]),
            (&[4.0, 1.0], [1.0, 2.5, 4.0, 4.0, 4.0]),
            (&[3.0, 9.0, 5.0], [3.0, 5.0, 9.0, 9.0, 9.0]),
            (&hundred, [1.0, 50.5, 90.0, 99.0, 100.0]),
        ];
        for (samples, expected) in cases {
            let s = Summary::of(samples).unwrap();
            assert_eq!(
                [s.min, s.median, s.p90, s.p99, s.max],
                expected,
                "{samples:?}"
            );
            assert_eq!(s.n, samples.len());
        }
    }

    #[test]
    fn nothing_is_said_of_no_samples_and_of_no_numbers() {
        assert_eq!(Summary::of(&[]), None);
        assert_eq!(Summary::of(&[1.0, f64::NAN]), None);
    }
}
