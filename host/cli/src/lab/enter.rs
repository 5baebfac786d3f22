//! `weft lab enter` (hidden): makes the namespaces that the lab lives in and starts its PID 1.
//!
//! A process of its own, because the kernel lets only a single-threaded process change its user
//! namespace, and because after `unshare(CLONE_NEWPID)` no thread can be started any more.
//!
//! Nothing can be left behind: the lab's processes die with its PID 1, its mounts and names die with
//! its mount namespace, its links with their network namespaces; and PID 1 dies with this process,
//! which dies with the command that started it (unless that was `up`, which means to leave).

use std::fs;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};

use anyhow::Context;
use clap::Args;
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::unistd::{Uid, getegid, geteuid, getppid, setsid};

use super::place::{DIRECTORY_VARIABLE, Place, Record};

#[derive(Clone, Debug, Args)]
pub(crate) struct Enter {
    #[command(flatten)]
    pub(crate) settings: super::Settings,
    /// Ends with the process that started it, whose PID this is.
    #[arg(long)]
    pub(crate) parent: Option<i32>,
}

pub(crate) fn run(options: &Enter) -> anyhow::Result<ExitCode> {
    setsid().context("leave the terminal's session")?;
    let place = Place::new(&options.settings.name)?;
    new_namespaces()?;
    // After the change of namespaces: it clears the setting.
    die_with_parent(options.parent)?;
    let executable = std::env::current_exe().context("find this program")?;
    let mut init = Command::new(executable);
    init.args(["lab", "init"])
        .args(options.settings.to_args())
        // In a user namespace the user has another number, and would look elsewhere.
        .env(DIRECTORY_VARIABLE, place.base())
        .arg0("weft-lab-init");
    // The pipe's other end is ours alone: when we are gone, PID 1 reads the end of its input.
    let mut child = init
        .stdin(Stdio::piped())
        .spawn()
        .context("start the lab's first process")?;
    let record = Record::of(child.id())?;
    place.write_record(&record)?;
    // `wait` would close the pipe; holding it here is what keeps PID 1 alive.
    let lifeline = child.stdin.take();
    let status = child.wait().context("wait for the lab")?;
    drop(lifeline);
    place.remove_record();
    let code = status
        .code()
        .or_else(|| status.signal().map(|s| 128 + s))
        .unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

/// New PID, network, host name and IPC namespaces; a user namespace first when not root. The mount
/// namespace is made by PID 1, because this process needs the `/proc` outside.
fn new_namespaces() -> anyhow::Result<()> {
    let (uid, gid) = (geteuid(), getegid());
    if !uid.is_root() {
        unshare(CloneFlags::CLONE_NEWUSER).context(
            "create a user namespace; hint: run as root, or allow it with \
             `sysctl kernel.unprivileged_userns_clone=1` (Debian) or \
             `sysctl kernel.apparmor_restrict_unprivileged_userns=0` (Ubuntu)",
        )?;
        map("setgroups", "deny")?;
        map("uid_map", &format!("0 {uid} 1"))?;
        map("gid_map", &format!("0 {gid} 1"))?;
        anyhow::ensure!(
            Uid::effective().is_root(),
            "the user namespace did not map this user to root"
        );
    }
    let flags = CloneFlags::CLONE_NEWPID
        | CloneFlags::CLONE_NEWNET
        | CloneFlags::CLONE_NEWUTS
        | CloneFlags::CLONE_NEWIPC;
    unshare(flags).context("create the lab's namespaces; hint: this needs CAP_SYS_ADMIN")
}

fn map(file: &str, content: &str) -> anyhow::Result<()> {
    let path = PathBuf::from("/proc/self").join(file);
    fs::write(&path, content).with_context(|| format!("write `{content}` to `{}`", path.display()))
}

/// The kernel kills this process when its parent ends.
pub(super) fn die_with_parent(expected: Option<i32>) -> anyhow::Result<()> {
    let Some(expected) = expected else {
        return Ok(());
    };
    prctl::set_pdeathsig(Signal::SIGKILL).context("tie the process to its parent")?;
    // The parent may have gone before the call.
    if getppid().as_raw() != expected {
        return Err(io::Error::other("the process that started the lab is gone").into());
    }
    Ok(())
}
