//! The report as a picture: a bar per median with a whisker from minimum to maximum, one panel per table.

use std::fmt::Write;

use crate::report::{Group, Report};

const WIDTH: f64 = 860.0;
const LABEL: f64 = 300.0;
const ROW: f64 = 20.0;
const GAP: f64 = 34.0;
/// Room for the figure behind the longest bar.
const FIGURE: f64 = 80.0;

pub(crate) fn render(report: &Report) -> String {
    let mut body = String::new();
    let mut y = 10.0;
    for case in &report.cases {
        for group in case.groups.iter().filter(|group| !group.rows.is_empty()) {
            y = panel(&mut body, &case.name, group, y);
        }
    }
    format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{WIDTH}\" height=\"{y}\" font-family=\"sans-serif\" font-size=\"12\">\
         <rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n{body}</svg>\n"
    )
}

/// Draws a group from `y` down and returns where it ends.
fn panel(body: &mut String, case: &str, group: &Group, y: f64) -> f64 {
    let summaries: Vec<_> = group
        .rows
        .iter()
        .filter_map(|row| Some((row, row.summary()?)))
        .collect();
    let most = summaries
        .iter()
        .map(|(_, s)| s.max)
        .fold(f64::MIN_POSITIVE, f64::max);
    let x = |value: f64| LABEL + value / most * (WIDTH - LABEL - FIGURE);
    let title = escape(&format!(
        "{case}, {} ({})",
        group.metric.label, group.metric.unit
    ));
    put(
        body,
        format_args!(
            "<text x=\"8\" y=\"{:.1}\" font-weight=\"bold\">{title}</text>",
            y + 14.0
        ),
    );
    let mut top = y + 20.0;
    for (row, s) in &summaries {
        let (middle, fill) = (
            top + ROW / 2.0,
            if row.peer.is_some() { "#2a7" } else { "#89a" },
        );
        let name = escape(&row.name);
        put(
            body,
            format_args!(
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{name}</text>",
                LABEL - 6.0,
                middle + 4.0
            ),
        );
        put(
            body,
            format_args!(
                "<rect x=\"{LABEL}\" y=\"{:.1}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{fill}\"/>",
                top + 3.0,
                x(s.median) - LABEL,
                ROW - 6.0
            ),
        );
        put(
            body,
            format_args!(
                "<path d=\"M{:.1} {middle:.1}H{:.1}\" stroke=\"#333\"/><text x=\"{:.1}\" y=\"{:.1}\">{:.2}</text>",
                x(s.min),
                x(s.max),
                x(s.max) + 6.0,
                middle + 4.0,
                s.median
            ),
        );
        top += ROW;
    }
    top + GAP - ROW
}

fn put(body: &mut String, what: std::fmt::Arguments<'_>) {
    // Writing to a string cannot fail.
    let _ = writeln!(body, "{what}");
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Better;
    use crate::report::tests::group;

    #[test]
    fn the_longest_whisker_fits_and_bars_are_in_proportion() {
        let mut body = String::new();
        let end = panel(&mut body, "a<b", &group(Better::Higher), 0.0);
        assert!(body.contains("a&lt;b, 64 B (Mpps)"), "{body}");
        // 12 is the largest value: 480 units wide; the median of 10 is 400.
        assert!(body.contains("width=\"400.0\""), "{body}");
        assert!(body.contains("H780.0"), "{body}");
        assert!(end > 3.0 * ROW);
    }
}
