//! What a container of the lab sees: the pod's network, a `/run` of its own with the pod's directory
//! and volumes, its own host name; otherwise this machine's files.

use std::fs::{self, File};
use std::io;
use std::net::IpAddr;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::thread;

use anyhow::Context;
use nix::mount::{MsFlags, mount};
use nix::sched::{CloneFlags, setns, unshare};
use nix::unistd::sethostname;
use runtime::netns::Netns;
use tokio::process::{Child, Command};

use super::PodSetup;
use crate::lab::container::{Identity, Mount, Source};
use crate::lab::layout::RUN;

/// Where the pod's directory appears, as in a cluster.
const POD_MOUNT: &str = "/run/weft";

/// The pod's namespace with its loopback up. A leftover of a failed try is replaced.
pub(super) async fn network(name: &str) -> anyhow::Result<Netns> {
    Netns::remove(name)?;
    let netns = Netns::named(name)?;
    let loopback = crate::lab::network::loopback_up(&netns).await;
    if loopback.is_err() {
        Netns::remove(name)?;
    }
    loopback.map(|()| netns)
}

/// Starts the container on a thread that has joined the pod's namespaces; they are inherited.
pub(super) fn start_container(
    pod: &PodSetup,
    netns: &Netns,
    address: Option<IpAddr>,
) -> anyhow::Result<Child> {
    let runtime = tokio::runtime::Handle::current();
    let start = || {
        let _guard = runtime.enter();
        join(pod, netns)?;
        command(pod, address)?
            .spawn()
            .with_context(|| format!("start `{}`", pod.container.name))
    };
    thread::scope(|scope| match scope.spawn(start).join() {
        Ok(child) => child,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn join(pod: &PodSetup, netns: &Netns) -> anyhow::Result<()> {
    let own = CloneFlags::CLONE_NEWNS | CloneFlags::CLONE_NEWUTS | CloneFlags::CLONE_NEWIPC;
    unshare(own).context("create the pod's namespaces")?;
    sethostname(&pod.name.name).context("set the pod's host name")?;
    mounts(pod)?;
    setns(netns.file(), CloneFlags::CLONE_NEWNET).context("enter the pod's network")
}

fn mounts(pod: &PodSetup) -> anyhow::Result<()> {
    fs::create_dir_all(pod.directory()).context("create the pod's directory")?;
    // Opened before /run is covered, because the sources are below it.
    let mut sources = vec![(
        File::open(pod.directory())?,
        PathBuf::from(POD_MOUNT),
        false,
    )];
    for volume in &pod.container.mounts {
        let path = source(pod, volume)?;
        let file =
            File::open(&path).with_context(|| format!("open volume `{}`", path.display()))?;
        sources.push((file, volume.target.clone(), volume.read_only));
    }
    let run = mount(
        Some("tmpfs"),
        "/run",
        Some("tmpfs"),
        MsFlags::empty(),
        Some("mode=0755"),
    );
    run.context("mount the pod's /run")?;
    for (source, target, read_only) in sources {
        bind(&source, &target, read_only)
            .with_context(|| format!("mount volume at `{}`", target.display()))?;
    }
    Ok(())
}

fn source(pod: &PodSetup, volume: &Mount) -> anyhow::Result<PathBuf> {
    let base = match &volume.source {
        Source::Host(path) => path.clone(),
        Source::ConfigMap(map) => Path::new(RUN)
            .join("configmaps")
            .join(&pod.name.namespace)
            .join(map),
        Source::Empty(name) => {
            let path = Path::new(RUN)
                .join("volumes")
                .join(&pod.container_id)
                .join(name);
            fs::create_dir_all(&path).with_context(|| format!("create `{}`", path.display()))?;
            path
        }
    };
    Ok(volume
        .sub_path
        .as_ref()
        .map_or_else(|| base.clone(), |sub| base.join(sub)))
}

fn bind(source: &File, target: &Path, read_only: bool) -> io::Result<()> {
    if source.metadata()?.is_dir() {
        if !target.exists() {
            fs::create_dir_all(target)?;
        }
    } else if !target.exists() {
        if let Some(parent) = target.parent() {
            fs::create_dir_all(parent)?;
        }
        File::create(target)?;
    }
    let none = None::<&str>;
    let opened = PathBuf::from(format!("/proc/thread-self/fd/{}", source.as_raw_fd()));
    mount(
        Some(&opened),
        target,
        none,
        MsFlags::MS_BIND | MsFlags::MS_REC,
        none,
    )?;
    if read_only {
        let flags = MsFlags::MS_BIND | MsFlags::MS_REMOUNT | MsFlags::MS_RDONLY;
        mount(none, target, none, flags, none)?;
    }
    Ok(())
}

fn command(pod: &PodSetup, address: Option<IpAddr>) -> anyhow::Result<Command> {
    let container = &pod.container;
    let identity = Identity {
        pod: &pod.name,
        uid: &pod.uid,
        node: pod.node.name.as_str(),
        address,
    };
    let mut env = container.environment(&identity);
    let path = env
        .entry("PATH".to_owned())
        .or_insert_with(|| search_path(&pod.plugin.bin_dir));
    let path = path.clone();
    let words = container.command_line(&env);
    let (program, arguments) = words
        .split_first()
        .context("the container has no command")?;
    let log = File::options().create(true).append(true).open(&pod.log);
    let log = log.with_context(|| format!("open log `{}`", pod.log.display()))?;
    let mut command = Command::new(find_program(program, &path)?);
    command
        .args(arguments)
        .env_clear()
        .env("HOSTNAME", &pod.name.name)
        .env("HOME", "/")
        .envs(env)
        .current_dir(&container.working_dir)
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .process_group(0)
        .kill_on_drop(true);
    Ok(command)
}

/// Weft's own programs come first, so that a manifest can name them as an image would have them.
pub(in crate::lab) fn search_path(bin_dir: &Path) -> String {
    format!(
        "{}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        bin_dir.display()
    )
}

fn find_program(name: &str, path: &str) -> anyhow::Result<PathBuf> {
    if name.contains('/') {
        return Ok(PathBuf::from(name));
    }
    let found = path
        .split(':')
        .map(|dir| Path::new(dir).join(name))
        .find(|p| p.is_file());
    found.with_context(|| format!("program `{name}` is not in the container's PATH `{path}`"))
}
