//! What a scenario found, told while it runs and once more at the end.

use std::io::{IsTerminal, Write};

/// One expectation and what was seen.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) ok: bool,
    pub(crate) name: String,
    pub(crate) observed: String,
}

/// All checks, by step.
#[derive(Debug, Default)]
pub(crate) struct Report {
    steps: Vec<(String, Vec<Check>)>,
    colour: bool,
}

impl Report {
    pub(crate) fn new() -> Self {
        Self {
            steps: Vec::new(),
            colour: std::io::stdout().is_terminal(),
        }
    }

    /// A heading of its own.
    pub(crate) fn section(&self, title: &str) -> anyhow::Result<()> {
        crate::say!("\n{}", self.paint("1", title))
    }

    pub(crate) fn line(text: &str) -> anyhow::Result<()> {
        crate::say!("  {text}")
    }

    /// Says that a step begins. On a terminal the line is replaced by what comes next.
    pub(crate) fn begin(&mut self, title: &str) -> anyhow::Result<()> {
        self.steps.push((title.to_owned(), Vec::new()));
        crate::say!("\n{} {title}", self.paint("36", ">"))
    }

    /// What is going on just now; only a terminal shows it.
    pub(crate) fn doing(&self, what: &str) {
        if self.colour {
            let mut out = std::io::stdout().lock();
            let _ = write!(out, "    {what} ...\r");
            let _ = out.flush();
        }
    }

    pub(crate) fn check(&mut self, ok: bool, name: &str, observed: String) -> anyhow::Result<()> {
        let clear = if self.colour { "\x1b[2K" } else { "" };
        crate::say!("{clear}    {} {name}: {observed}", self.mark(ok))?;
        let check = Check {
            ok,
            name: name.to_owned(),
            observed,
        };
        if let Some((_, checks)) = self.steps.last_mut() {
            checks.push(check);
        }
        Ok(())
    }

    pub(crate) fn passed(&self) -> bool {
        let mut checks = self.checks().peekable();
        checks.peek().is_some() && checks.all(|c| c.ok)
    }

    /// The closing lines.
    pub(crate) fn conclude(&self) -> anyhow::Result<()> {
        self.section("Result")?;
        for (title, checks) in &self.steps {
            let ok = !checks.is_empty() && checks.iter().all(|c| c.ok);
            crate::say!("  {} {title}", self.mark(ok))?;
            for check in checks.iter().filter(|c| !c.ok) {
                crate::say!("        {}: {}", check.name, check.observed)?;
            }
        }
        let failed = self.checks().filter(|c| !c.ok).count();
        let all = self.checks().count();
        if self.passed() {
            crate::say!(
                "\n{}",
                self.paint("32", &format!("All {all} checks passed, on real packets."))
            )
        } else {
            crate::say!(
                "\n{}",
                self.paint("31", &format!("{failed} of {all} checks failed."))
            )
        }
    }

    fn checks(&self) -> impl Iterator<Item = &Check> {
        self.steps.iter().flat_map(|(_, checks)| checks)
    }

    fn mark(&self, ok: bool) -> String {
        if ok {
            self.paint("32", "ok  ")
        } else {
            self.paint("31", "FAIL")
        }
    }

    fn paint(&self, code: &str, text: &str) -> String {
        if self.colour {
            format!("\x1b[{code}m{text}\x1b[0m")
        } else {
            text.to_owned()
        }
    }
}
