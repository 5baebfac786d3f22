//! `weft build`: a crate becomes a module.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use weft_build::{BuildRequest, Step};

#[derive(Debug, Args)]
pub(crate) struct Build {
    /// Folder of the crate.
    #[arg(default_value = ".")]
    crate_dir: PathBuf,
    /// Directory for the module; `wasm/modules` in the target folder otherwise.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Say what the compiler does.
    #[arg(long, short)]
    verbose: bool,
}

pub(crate) fn run(options: Build) -> anyhow::Result<()> {
    let mut request = BuildRequest::new(&options.crate_dir);
    request.out_dir = options.out;
    let mut progress = |step: Step<'_>| {
        let told = match step {
            Step::Toolchain(toolchain) => crate::say!("toolchain: {toolchain}"),
            Step::Cargo(line) if options.verbose => crate::say!("{line}"),
            Step::Cargo(_) => Ok(()),
            Step::Encode => crate::say!("wrapping the code into a component"),
        };
        // A closed output does not stop a build.
        drop(told);
    };
    let artifact = weft_build::build(&request, &mut progress)
        .with_context(|| format!("build `{}`", options.crate_dir.display()))?;
    let imports = match artifact.imports.as_slice() {
        [] => "nothing".to_owned(),
        some => some.join(", "),
    };
    crate::say!(
        "{} ({}, {} bytes, asks for {imports})",
        artifact.path.display(),
        artifact.world.name(),
        artifact.bytes
    )
}
