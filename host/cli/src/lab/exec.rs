//! `weft lab exec POD -- COMMAND`: joins the namespaces of a pod's process, as `nsenter` does.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::Context;
use clap::Args;
use nix::sched::{CloneFlags, setns};

use super::control;
use super::place::{Place, Record};

#[derive(Debug, Args)]
pub(crate) struct Exec {
    #[command(flatten)]
    target: super::Target,
    /// Pod, as `namespace/name` or by its bare name in `default`; or a node.
    pod: String,
    /// Program and arguments.
    #[arg(last = true, required = true)]
    command: Vec<String>,
}

pub(crate) fn run(options: &Exec) -> anyhow::Result<ExitCode> {
    let place = Place::new(&options.target.name)?;
    let lab = place.expect_running()?;
    // The runtime must be gone before the change of namespaces: that wants a single thread.
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let status = runtime.block_on(control::status(&lab))?;
    drop(runtime);
    let bin_dir = std::env::current_exe().context("find this program")?;
    let bin_dir = bin_dir.parent().unwrap_or(Path::new("/")).to_owned();
    enter_lab(&lab)?;
    if status.nodes.contains(&options.pod) {
        let netns = runtime::netns::named_path(&options.pod);
        let netns = File::open(&netns).with_context(|| format!("open `{}`", netns.display()))?;
        setns(netns, CloneFlags::CLONE_NEWNET).context("enter the node's network")?;
    } else {
        let pod = status.pod(&options.pod)?;
        let pid = pod.process.pid;
        enter_pod(
            pid.with_context(|| format!("pod `{}` does not run: {}", options.pod, pod.reason))?,
        )?;
    }
    let (program, arguments) = options.command.split_first().context("no command")?;
    let mut child = Command::new(program)
        .args(arguments)
        .env("PATH", super::pod::search_path(&bin_dir))
        .spawn()
        .with_context(|| format!("start `{program}` in `{}`", options.pod))?;
    let status = child.wait().context("wait for the command")?;
    let code = status
        .code()
        .or_else(|| status.signal().map(|s| 128 + s))
        .unwrap_or(1);
    Ok(ExitCode::from(u8::try_from(code).unwrap_or(1)))
}

fn enter_lab(lab: &Record) -> anyhow::Result<()> {
    let namespaces = PathBuf::from(format!("/proc/{}/ns", lab.pid));
    let open = |name: &str| {
        let path = namespaces.join(name);
        File::open(&path).with_context(|| format!("open `{}`", path.display()))
    };
    let same_user = std::fs::read_link(namespaces.join("user")).ok()
        == std::fs::read_link("/proc/self/ns/user").ok();
    // All opened first: after the first change the paths mean something else.
    let user = open("user")?;
    let rest = [
        (open("pid")?, CloneFlags::CLONE_NEWPID),
        (open("net")?, CloneFlags::CLONE_NEWNET),
        (open("mnt")?, CloneFlags::CLONE_NEWNS),
    ];
    if !same_user {
        setns(user, CloneFlags::CLONE_NEWUSER).context("enter the lab's user namespace")?;
    }
    for (file, kind) in rest {
        setns(file, kind).with_context(|| format!("enter the lab ({kind:?})"))?;
    }
    Ok(())
}

/// The lab's own `/proc` is in place here.
fn enter_pod(pid: i32) -> anyhow::Result<()> {
    let open = |name: &str| {
        File::open(format!("/proc/{pid}/ns/{name}")).context("open the pod's namespaces")
    };
    let namespaces = [
        (open("uts")?, CloneFlags::CLONE_NEWUTS),
        (open("ipc")?, CloneFlags::CLONE_NEWIPC),
        (open("net")?, CloneFlags::CLONE_NEWNET),
        (open("mnt")?, CloneFlags::CLONE_NEWNS),
    ];
    for (file, kind) in namespaces {
        setns(file, kind).with_context(|| format!("enter the pod ({kind:?})"))?;
    }
    Ok(())
}
