//! `weft lab init` (hidden): PID 1 of the lab.
//!
//! It mounts what must be private, starts the supervisor, reaps what is orphaned, and ends with the
//! supervisor or when its own starter is gone. When it ends, the kernel kills everything else.

use std::fs;
use std::io::{self, Read};
use std::os::unix::process::CommandExt;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use anyhow::Context;
use clap::Args;
use nix::errno::Errno;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, unshare};
use nix::sys::prctl;
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, wait};
use nix::unistd::{Pid, sethostname};

#[derive(Clone, Debug, Args)]
pub(crate) struct Init {
    #[command(flatten)]
    settings: super::Settings,
}

pub(crate) fn run(options: &Init) -> anyhow::Result<ExitCode> {
    anyhow::ensure!(
        Pid::this().as_raw() == 1,
        "this command is started by `weft lab` only"
    );
    prctl::set_pdeathsig(Signal::SIGKILL).context("tie the lab to its starter")?;
    private_mounts()?;
    sethostname("weft-lab").context("name the lab's host")?;
    end_with_input()?;
    let executable = std::env::current_exe().context("find this program")?;
    let supervisor = Command::new(executable)
        .args(["lab", "supervise"])
        .args(options.settings.to_args())
        .arg0("weft-lab-supervise")
        .stdin(Stdio::null())
        .spawn()
        .context("start the lab's supervisor")?;
    reap_until(i32::try_from(supervisor.id())?)
}

/// `/run` and `/proc` of our own; nothing that is mounted from here on is seen outside.
fn private_mounts() -> anyhow::Result<()> {
    let none = None::<&str>;
    unshare(CloneFlags::CLONE_NEWNS).context("create the lab's mount namespace")?;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none)
        .context("make the lab's mounts private")?;
    mount(
        Some("tmpfs"),
        "/run",
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=0755"),
    )
    .context("mount a private /run")?;
    mount(Some("proc"), "/proc", Some("proc"), MsFlags::empty(), none).context(
        "mount a private /proc; hint: inside a container, run it with an unmasked /proc",
    )?;
    fs::create_dir_all("/run/netns").context("create /run/netns")
}

/// Exits when the pipe on standard input closes: the starter is gone.
fn end_with_input() -> anyhow::Result<()> {
    let watch = || {
        let mut byte = [0_u8; 1];
        loop {
            match io::stdin().read(&mut byte) {
                Ok(0) => std::process::exit(137),
                Err(e) if e.kind() != io::ErrorKind::Interrupted => std::process::exit(137),
                Ok(_) | Err(_) => {}
            }
        }
    };
    thread::Builder::new()
        .name("lifeline".to_owned())
        .spawn(watch)
        .context("start a thread")?;
    Ok(())
}

fn reap_until(supervisor: i32) -> anyhow::Result<ExitCode> {
    loop {
        match wait() {
            Ok(WaitStatus::Exited(pid, code)) if pid.as_raw() == supervisor => {
                return Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)));
            }
            Ok(WaitStatus::Signaled(pid, signal, _)) if pid.as_raw() == supervisor => {
                return Ok(ExitCode::from(
                    u8::try_from(128 + signal as i32).unwrap_or(1),
                ));
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error).context("reap the lab's processes"),
        }
    }
}
