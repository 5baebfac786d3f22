//! The report for people.

use std::fmt::Write;

use crate::report::{CaseReport, Group, Report, Row};

/// Percentiles of fewer samples say nothing.
const ENOUGH_FOR_PERCENTILES: usize = 20;

pub(crate) fn render(report: &Report) -> String {
    let mut text = String::new();
    let host = &report.host;
    line(&mut text, "# Weft beside its peers\n");
    line(&mut text, &format!("`{}`\n", report.command));
    line(&mut text, "| host | |\n| --- | --- |");
    let facts = [
        (
            "CPU",
            format!(
                "{} x {}{}",
                host.cores,
                host.cpu,
                if host.hypervisor {
                    " (virtual machine)"
                } else {
                    ""
                }
            ),
        ),
        ("memory", format!("{} MiB", host.memory_mib)),
        ("kernel", host.kernel.clone()),
        ("load at the start", format!("{:.2}", host.load)),
        (
            "revision",
            format!("{} ({} build of this program)", host.revision, host.build),
        ),
        (
            "niceness",
            format!("{} for everything measured", report.nice),
        ),
    ];
    for (name, value) in facts {
        line(&mut text, &format!("| {name} | {value} |"));
    }
    line(&mut text, "");
    if host.is_busy() {
        line(
            &mut text,
            "> **The machine was busy with other work.** Ratios of medians from interleaved samples hold better than figures.\n",
        );
    }
    line(
        &mut text,
        "The ratio is of medians, from samples taken in turns in this run; above 1 Weft is better, for rates and for times.\n",
    );
    skips(
        &mut text,
        report.skipped.iter().map(|s| (&*s.what, &*s.why)),
    );
    for case in &report.cases {
        case_text(&mut text, case);
    }
    text
}

fn case_text(text: &mut String, case: &CaseReport) {
    line(text, &format!("## {}: {}\n", case.name, case.title));
    for sentence in &case.method {
        line(text, &format!("- {sentence}"));
    }
    line(
        text,
        &format!(
            "- Load before and after: {:.2}, {:.2}\n",
            case.load[0], case.load[1]
        ),
    );
    for group in case.groups.iter().filter(|group| !group.rows.is_empty()) {
        group_text(text, group);
    }
    for note in &case.notes {
        line(text, &format!("{note}\n"));
    }
    skips(text, case.skipped.iter().map(|s| (&*s.what, &*s.why)));
}

fn group_text(text: &mut String, group: &Group) {
    let many = group
        .rows
        .iter()
        .any(|row| row.samples.len() >= ENOUGH_FOR_PERCENTILES);
    let (head, rule) = if many {
        (" p90 | p99 |", " ---: | ---: |")
    } else {
        ("", "")
    };
    let metric = &group.metric;
    line(
        text,
        &format!(
            "| {} ({}) | median | min | max |{head} n | ratio | bar |",
            metric.label, metric.unit
        ),
    );
    line(
        text,
        &format!("| --- | ---: | ---: | ---: |{rule} ---: | ---: | --- |"),
    );
    for row in &group.rows {
        let Some(s) = row.summary() else { continue };
        let tail = if many {
            format!(" {} | {} |", number(s.p90), number(s.p99))
        } else {
            String::new()
        };
        let (ratio, bar) = verdict(group, row);
        let (median, min, max) = (number(s.median), number(s.min), number(s.max));
        line(
            text,
            &format!(
                "| {} | {median} | {min} | {max} |{tail} {} | {ratio} | {bar} |",
                row.name, s.n
            ),
        );
    }
    line(text, "");
}

fn verdict(group: &Group, row: &Row) -> (String, String) {
    let (Some(ratio), Some(peer)) = (group.ratio(row), row.peer) else {
        return (String::new(), String::new());
    };
    let bar = row.bar.map_or_else(String::new, |bar| {
        let met = if ratio >= bar { "met" } else { "**MISSED**" };
        format!("{bar:.2}x {met}")
    });
    (format!("{ratio:.2}x {peer}"), bar)
}

fn skips<'a>(text: &mut String, skipped: impl Iterator<Item = (&'a str, &'a str)>) {
    let mut any = false;
    for (what, why) in skipped {
        any = true;
        line(text, &format!("- **SKIPPED** {what}: {why}"));
    }
    if any {
        line(text, "");
    }
}

/// Three digits that say something.
fn number(value: f64) -> String {
    let digits = match value.abs() {
        v if v >= 100.0 => 0,
        v if v >= 10.0 => 1,
        _ => 2,
    };
    format!("{value:.digits$}")
}

fn line(text: &mut String, line: &str) {
    // Writing to a string cannot fail.
    let _ = writeln!(text, "{line}");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::group;
    use crate::report::{Better, Metric};

    fn table(group: &Group) -> String {
        let mut text = String::new();
        group_text(&mut text, group);
        text
    }

    #[test]
    fn a_table_has_medians_ratios_and_bars() {
        assert_eq!(
            table(&group(Better::Higher)),
            "| 64 B (Mpps) | median | min | max | n | ratio | bar |\n\
             | --- | ---: | ---: | ---: | ---: | ---: | --- |\n\
             | ours | 10.0 | 9.00 | 12.0 | 3 | 1.25x theirs | 1.00x met |\n\
             | theirs | 8.00 | 7.50 | 9.00 | 3 |  |  |\n\
             | alone | 1.00 | 1.00 | 1.00 | 1 |  |  |\n\n"
        );
        assert!(table(&group(Better::Lower)).contains("| 0.80x theirs | 1.00x **MISSED** |"));
    }

    #[test]
    fn percentiles_come_with_enough_samples_only() {
        let samples = (1..=100).map(f64::from).collect();
        let row = Row {
            name: "weft".into(),
            peer: None,
            bar: None,
            samples,
        };
        let metric = Metric::new("ADD", "ms", Better::Lower);
        let text = table(&Group {
            metric,
            rows: vec![row],
        });
        assert!(
            text.contains("| median | min | max | p90 | p99 | n |"),
            "{text}"
        );
        assert!(
            text.contains("| weft | 50.5 | 1.00 | 100 | 90.0 | 99.0 | 100 |"),
            "{text}"
        );
    }

    #[test]
    fn skips_are_loud() {
        let mut text = String::new();
        skips(&mut text, [("VPP", "not set")].into_iter());
        assert_eq!(text, "- **SKIPPED** VPP: not set\n\n");
    }
}
