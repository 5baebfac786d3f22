//! Processes that are pinned, die with this one, and are waited for on conditions.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// How long anything may take to come up.
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);
const POLL: Duration = Duration::from_millis(5);

/// Where a process runs: the same for both sides of a comparison.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Place {
    pub(crate) core: Option<usize>,
}

impl Place {
    pub(crate) const ANYWHERE: Self = Self { core: None };

    /// The `role`-th core, or the last one if the machine has fewer.
    pub(crate) fn core(role: usize) -> Self {
        let core = Some(role.min(crate::host::cores().saturating_sub(1)));
        Self { core }
    }

    /// A command that runs here and dies with this process, in a namespace if one is given.
    pub(crate) fn command(self, namespace: Option<&str>, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL"]);
        if let Some(core) = self.core {
            command.args(["taskset", "-c", &core.to_string()]);
        }
        if let Some(name) = namespace {
            command.args(["ip", "netns", "exec", name]);
        }
        command.arg(program);
        command
    }
}

/// A process that ends with its owner.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command`; what it says goes to `log`.
    pub(crate) fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let file = File::create(log).with_context(|| format!("create `{}`", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("start {command:?}"))?;
        Ok(Self {
            child,
            log: log.to_owned(),
        })
    }

    /// Waits until `probe` yields something; fails early when the process ends.
    pub(crate) fn until<T>(
        &mut self,
        what: &str,
        mut probe: impl FnMut() -> Option<T>,
    ) -> anyhow::Result<T> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = probe() {
                return Ok(found);
            }
            if let Some(status) = self.child.try_wait()? {
                bail!("ended ({status}) before {what}: {}", self.last_words());
            }
            if Instant::now() > deadline {
                bail!("no {what} in {PATIENCE:?}: {}", self.last_words());
            }
            std::thread::sleep(POLL);
        }
    }

    /// Asks it to end and waits until it has.
    pub(crate) fn terminate(&mut self) -> anyhow::Result<()> {
        output(Command::new("kill").args(["-TERM", &self.child.id().to_string()]))?;
        let deadline = Instant::now() + PATIENCE;
        while self.child.try_wait()?.is_none() {
            if Instant::now() > deadline {
                bail!("did not end in {PATIENCE:?}: {}", self.last_words());
            }
            std::thread::sleep(POLL);
        }
        Ok(())
    }

    pub(crate) fn last_words(&self) -> String {
        tail(&std::fs::read(&self.log).unwrap_or_default())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Runs a command to its end and returns what it printed.
pub(crate) fn output(command: &mut Command) -> anyhow::Result<String> {
    let output = command
        .stdin(Stdio::null())
        .output()
        .with_context(|| format!("start {command:?}"))?;
    checked(command, &output)
}

/// What a successful command printed; its last words as the error otherwise.
pub(crate) fn checked(command: &Command, output: &Output) -> anyhow::Result<String> {
    if !output.status.success() {
        let words = [&output.stdout[..], &output.stderr[..]].concat();
        let program = command.get_program().to_string_lossy().into_owned();
        bail!("`{program}` ended with {}: {}", output.status, tail(&words));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The first program of this name that can be started.
pub(crate) fn find(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .map(|directory| directory.join(name))
        .find(|path| path.is_file())
}

/// The last lines of a log, on one line.
fn tail(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim)
        .filter(|l| !l.is_empty())
        .collect();
    let last = &lines[lines.len().saturating_sub(3)..];
    if last.is_empty() {
        "(no output)".to_owned()
    } else {
        last.join(" | ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tail_of_a_log_is_its_last_words() {
        assert_eq!(tail(b""), "(no output)");
        assert_eq!(tail(b"a\n\n  b\nc\nd\n"), "b | c | d");
    }

    #[test]
    fn a_command_that_fails_says_why() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such device >&2; exit 3"]);
        let error = output(&mut command).unwrap_err().to_string();
        assert!(
            error.contains("exit status: 3") && error.contains("no such device"),
            "{error}"
        );
    }

    #[test]
    fn a_daemon_that_dies_early_is_no_long_wait() {
        let dir = tempfile::tempdir().unwrap();
        let mut command = Command::new("sh");
        command.args(["-c", "echo cannot; exit 1"]);
        let mut daemon = Daemon::start(&mut command, &dir.path().join("log")).unwrap();
        let error = daemon
            .until("socket", || None::<()>)
            .unwrap_err()
            .to_string();
        assert!(error.contains("before socket: cannot"), "{error}");
    }
}
