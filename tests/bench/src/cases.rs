//! The cases, and the run of all that are wanted.

mod cni;
mod forward;
mod function;
mod idle;
mod instructions;
mod lab;
mod memif;
mod tcp;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context;
use clap::{Parser, ValueEnum};

use crate::args::{Arguments, Case, Part, Run};
use crate::host::{Host, load};
use crate::programs::Programs;
use crate::report::{CaseReport, Report, Skip};
use crate::{markdown, plot, sandbox};

/// What all cases need to know.
pub(crate) struct Setting {
    pub(crate) run: Run,
    pub(crate) programs: Programs,
    /// This program, for parts that run as processes of their own.
    pub(crate) own: PathBuf,
}

pub(crate) fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    match &arguments.part {
        Some(Part::End(end)) => crate::memif::end(end)?,
        Some(Part::Pump(pump)) => crate::pump::pump(pump)?,
        Some(Part::Probe(probe)) => crate::pump::probe(probe)?,
        None => run(arguments.run)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn run(run: Run) -> anyhow::Result<()> {
    let run = if run.quick { run.quick() } else { run };
    let mut skipped = Vec::new();
    if let Err(error) = sandbox::enter(run.nice) {
        skipped.push(Skip::new("namespaces", format!("{error:#}")));
    }
    std::fs::create_dir_all(&run.out).with_context(|| format!("create `{}`", run.out.display()))?;
    let setting = Setting {
        programs: Programs::new(&run)?,
        own: std::env::current_exe().context("find this program")?,
        run,
    };
    if cfg!(debug_assertions) {
        skipped.push(Skip::new(
            "optimisation",
            "this is a debug build, its figures say little; hint: `cargo run --release -p bench`",
        ));
    }
    let wanted = match &*setting.run.cases {
        [] => Case::value_variants(),
        some => some,
    };
    let mut report = Report {
        host: Host::read(),
        command: std::env::args().collect::<Vec<_>>().join(" "),
        nice: if sandbox::is_inside() {
            setting.run.nice
        } else {
            0
        },
        cases: Vec::new(),
        skipped,
    };
    for case in wanted {
        report.cases.push(measure(&setting, *case));
        // What is known is kept, whatever comes.
        write(&setting, &report)?;
    }
    print!("{}", markdown::render(&report));
    Ok(())
}

fn measure(setting: &Setting, case: Case) -> CaseReport {
    let before = load();
    let name = case
        .to_possible_value()
        .map(|value| value.get_name().to_owned())
        .unwrap_or_default();
    eprintln!("measuring {name}");
    let mut report = match case {
        Case::Memif => memif::run(setting),
        Case::Forward => forward::run(setting),
        Case::Function => function::run(setting),
        Case::Idle => idle::run(setting),
        Case::Instructions => instructions::run(setting),
        Case::Tcp => tcp::run(setting),
        Case::Cni => cni::run(setting),
        Case::Lab => lab::run(setting),
    };
    (report.name, report.load) = (name, [before, load()]);
    report
}

fn write(setting: &Setting, report: &Report) -> anyhow::Result<()> {
    let files = [
        ("report.md", markdown::render(report)),
        ("report.json", serde_json::to_string_pretty(report)?),
        ("report.svg", plot::render(report)),
    ];
    for (name, text) in files {
        let path = setting.run.out.join(name);
        std::fs::write(&path, text).with_context(|| format!("write `{}`", path.display()))?;
    }
    Ok(())
}
