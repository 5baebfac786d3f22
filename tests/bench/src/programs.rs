//! Where Weft's programs are: built beside this one, in the same profile.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;

use crate::args::Run;
use crate::report::Skip;

#[derive(Clone, Debug)]
pub(crate) struct Programs {
    directory: PathBuf,
    pub(crate) modules: PathBuf,
    build_programs: bool,
    build_examples: bool,
    build_nice: i32,
}

impl Programs {
    pub(crate) fn new(run: &Run) -> anyhow::Result<Self> {
        let own = std::env::current_exe().context("find this program")?;
        let own = own.parent().context("a program lies in a directory")?;
        let directory = match &run.bin_dir {
            Some(directory) => std::path::absolute(directory)?,
            None => own.to_owned(),
        };
        let modules = run
            .modules
            .clone()
            .unwrap_or_else(|| directory.join("modules"));
        Ok(Self {
            directory,
            modules,
            build_nice: -run.nice,
            build_programs: !run.no_build && run.bin_dir.is_none(),
            build_examples: !run.no_build,
        })
    }

    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// The program `name` of `package`, built if need be; what goes wrong is in `skipped`.
    pub(crate) fn get(
        &self,
        package: &str,
        name: &str,
        skipped: &mut Vec<Skip>,
    ) -> Option<PathBuf> {
        if self.build_programs
            && let Err(error) = self.make(package)
        {
            skipped.push(Skip::new(
                format!("build of `{package}`"),
                format!("{error:#}"),
            ));
        }
        let path = self.directory.join(name);
        if path.is_file() {
            return Some(path);
        }
        let why = format!("`{}` does not exist", path.display());
        skipped.push(Skip::new(format!("`{name}`"), why));
        None
    }

    /// The example `name` of `package`, built with `flags` of its own beside the other programs.
    pub(crate) fn example(
        &self,
        package: &str,
        name: &str,
        flags: &str,
    ) -> anyhow::Result<PathBuf> {
        let parent = self.directory.parent().unwrap_or(&self.directory);
        let target = parent.join("examples");
        if self.build_examples {
            eprintln!("building the example {name} of {package}");
            let mut command = Command::new("nice");
            command.args(["-n", &self.build_nice.to_string()]);
            command.arg(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
            command.args(["build", "--quiet", "--release", "--package", package]);
            command
                .args(["--example", name, "--target-dir"])
                .arg(&target);
            crate::process::output(command.env("RUSTFLAGS", flags))?;
        }
        let path = target.join("release/examples").join(name);
        if path.is_file() {
            return Ok(path);
        }
        anyhow::bail!("`{}` does not exist", path.display())
    }

    fn make(&self, package: &str) -> anyhow::Result<()> {
        eprintln!("building {package}");
        let target = self
            .directory
            .parent()
            .context("programs lie in a target directory")?;
        let mut command = Command::new("nice");
        // The niceness of this program is for measuring, not for building.
        command.args(["-n", &self.build_nice.to_string()]);
        command.arg(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
        command.args(["build", "--quiet", "--bins", "--package", package]);
        if !cfg!(debug_assertions) {
            command.arg("--release");
        }
        crate::process::output(command.arg("--target-dir").arg(target)).map(drop)
    }
}
