//! Counts of instructions by valgrind's callgrind: the same on a busy machine as on a quiet one.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Context;

pub(crate) const PROGRAM: &str = "valgrind";

/// What a run cost.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Profile {
    pub(crate) total: u64,
    /// Instructions of each function with all that it called, as far as it was called itself.
    pub(crate) inclusive: BTreeMap<String, u64>,
}

/// Arguments that put valgrind in front of a program; what it counts goes to `out`.
pub(crate) fn arguments(out: &Path, only_in: Option<&str>) -> Vec<String> {
    let mut all = vec![
        PROGRAM.to_owned(),
        "--tool=callgrind".to_owned(),
        format!("--callgrind-out-file={}", out.display()),
    ];
    all.extend(only_in.map(|function| format!("--toggle-collect={function}")));
    all
}

pub(crate) fn read(path: &Path) -> anyhow::Result<Profile> {
    let text = std::fs::read_to_string(path)
        .with_context(|| format!("read the profile `{}`", path.display()))?;
    Ok(parse(&text))
}

/// Reads the format of callgrind ("Callgrind Format Specification" of valgrind's manual): names are given once with a
/// number and by the number alone from then on; the line behind `calls=` has the cost of the call.
fn parse(text: &str) -> Profile {
    let mut profile = Profile::default();
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    let mut called = "";
    let mut is_call = false;
    for line in text.lines() {
        if let Some(name) = line
            .strip_prefix("cfn=")
            .or_else(|| line.strip_prefix("fn="))
        {
            let (number, given) = name.split_once(' ').unwrap_or((name, ""));
            if !given.is_empty() {
                names.insert(number, given);
            }
            if line.starts_with('c') {
                called = names.get(number).copied().unwrap_or(number);
            }
        } else if line.starts_with("calls=") {
            is_call = true;
        } else if let Some(total) = line.strip_prefix("totals:") {
            profile.total = total.trim().parse().unwrap_or(0);
        } else if is_call {
            is_call = false;
            let cost = line.split(' ').nth(1).and_then(|cost| cost.parse().ok());
            *profile.inclusive.entry(called.to_owned()).or_default() += cost.unwrap_or(0);
        }
    }
    profile
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_are_summed_up_by_name() {
        let text = "events: Ir\n\nfn=(1) main\n16 400\ncfn=(2) node::a\ncalls=1 50\n16 30\n\
                    cfn=(3) node::b\ncalls=2 20\n+3 7\nfn=(4) other\ncfn=(2)\ncalls=1 50\n* 12\n3 1\ntotals: 450\n";
        let profile = parse(text);
        assert_eq!(profile.total, 450);
        let expected = [("node::a", 42), ("node::b", 7)];
        let expected = expected.map(|(name, cost)| (name.to_owned(), cost));
        assert_eq!(profile.inclusive, BTreeMap::from(expected));
    }
}
