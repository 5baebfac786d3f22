//! Where a lab keeps what outlives it (its logs), and how a running one is found.
//!
//! The only thing outside the lab's own namespaces is this directory with plain files. The control
//! socket is inside; it is reached through `/proc/<pid of the lab's PID 1>/root`.

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use anyhow::Context;
use nix::unistd::geteuid;
use serde::{Deserialize, Serialize};

/// Overrides the directory that holds all labs.
pub(super) const DIRECTORY_VARIABLE: &str = "WEFT_LAB_DIR";

/// Path of the control socket inside the lab.
pub(super) const CONTROL: &str = "/run/weft-lab/control.sock";

/// The directory of one lab.
#[derive(Clone, Debug)]
pub(crate) struct Place {
    name: String,
    path: PathBuf,
}

/// Identity of a running lab: PIDs are reused, a PID with its start time is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Record {
    pub(crate) pid: u32,
    start_time: u64,
}

impl Place {
    pub(crate) fn new(name: &str) -> anyhow::Result<Self> {
        let legal = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        anyhow::ensure!(
            !name.is_empty() && name.len() <= 64 && name.chars().all(legal),
            "lab name `{name}` is not valid; hint: use up to 64 letters, digits, `-` and `_`"
        );
        let base = std::env::var_os(DIRECTORY_VARIABLE).map_or_else(
            || format!("/tmp/weft-lab-{}", geteuid()).into(),
            PathBuf::from,
        );
        Ok(Self {
            name: name.to_owned(),
            path: base.join(name),
        })
    }

    /// The directory of all labs of this user.
    pub(super) fn base(&self) -> &Path {
        self.path.parent().unwrap_or(&self.path)
    }

    /// Makes the directory, readable by its owner only.
    pub(crate) fn create(&self) -> anyhow::Result<()> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(self.logs())
            .with_context(|| format!("create lab directory `{}`", self.path.display()))
    }

    pub(crate) fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    fn record_path(&self) -> PathBuf {
        self.path.join("lab.json")
    }

    pub(super) fn write_record(&self, record: &Record) -> anyhow::Result<()> {
        let path = self.record_path();
        let draft = path.with_extension("part");
        fs::write(&draft, serde_json::to_vec(record)?)
            .and_then(|()| fs::rename(&draft, &path))
            .with_context(|| format!("write `{}`", path.display()))
    }

    pub(super) fn remove_record(&self) {
        let _ = fs::remove_file(self.record_path());
    }

    /// The lab, if it runs.
    pub(crate) fn running(&self) -> anyhow::Result<Option<Record>> {
        let path = self.record_path();
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(e).with_context(|| format!("read `{}`", path.display())),
        };
        let record: Record = serde_json::from_slice(&bytes)
            .with_context(|| format!("read `{}`; hint: remove it", path.display()))?;
        Ok(Record::of(record.pid).ok().filter(|now| *now == record))
    }

    /// The lab, which must run.
    pub(crate) fn expect_running(&self) -> anyhow::Result<Record> {
        self.running()?.with_context(|| {
            format!(
                "lab `{}` is not running; hint: start it with `weft lab up`",
                self.name
            )
        })
    }
}

impl Record {
    /// The process `pid` as it is now.
    pub(super) fn of(pid: u32) -> anyhow::Result<Self> {
        let stat =
            fs::read_to_string(format!("/proc/{pid}/stat")).context("find the lab's process")?;
        // State is field 3 and start time field 22, counted behind the command in parentheses, which may hold anything.
        let after = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let start_time = after
            .split_whitespace()
            .nth(19)
            .context("read the start time")?
            .parse()?;
        Ok(Self { pid, start_time })
    }

    /// `path` of the lab's file system as seen from outside.
    pub(crate) fn inside(&self, path: impl AsRef<Path>) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.pid));
        let path = path.as_ref();
        root.join(path.strip_prefix("/").unwrap_or(path))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_a_later_one_with_its_number() {
        let now = Record::of(std::process::id()).unwrap();
        assert_eq!(Record::of(std::process::id()).unwrap(), now);
        assert!(now.start_time > 0);
        assert!(Record::of(u32::MAX).is_err());
    }

    #[test]
    fn a_lab_name_cannot_leave_its_directory() {
        for name in ["", "../x", "a/b", "a b"] {
            assert!(Place::new(name).is_err(), "{name}");
        }
        assert!(Place::new("default").is_ok());
    }
}
