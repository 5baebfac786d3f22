//! Namespaces: one for the whole run, so that nothing of it stays, and one for each pod.

use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;

use crate::process::output;

const INSIDE: &str = "WEFT_BENCH_INSIDE";
/// Fresh views of what is per namespace; then the program itself.
const SETUP: &str = "mount -t sysfs none /sys; mkdir -p /run/netns && mount -t tmpfs none /run/netns && \
                     ip link set lo up && exec \"$@\"";

/// Starts this program again with that niceness, which all it starts inherit, and in network and mount namespaces of
/// its own; returns only if it runs there, or cannot.
pub(crate) fn enter(nice: i32) -> anyhow::Result<()> {
    if is_inside() {
        return Ok(());
    }
    let probe = Command::new("unshare")
        .args(["--net", "--mount", "true"])
        .output();
    if !probe.is_ok_and(|output| output.status.success()) {
        anyhow::bail!(
            "network namespaces are not permitted; hint: run as root with util-linux and iproute2"
        );
    }
    let program = std::env::current_exe().context("find this program")?;
    let error = Command::new("nice")
        .args([
            "-n",
            &nice.to_string(),
            "unshare",
            "--net",
            "--mount",
            "--propagation",
            "slave",
            "sh",
            "-c",
            SETUP,
            "sh",
        ])
        .arg(program)
        .args(std::env::args_os().skip(1))
        .env(INSIDE, "1")
        .exec();
    Err(error).context("start in namespaces")
}

pub(crate) fn is_inside() -> bool {
    std::env::var_os(INSIDE).is_some()
}

/// A network namespace that goes with its owner.
#[derive(Debug)]
pub(crate) struct Namespace {
    pub(crate) name: String,
}

impl Namespace {
    pub(crate) fn new(role: &str) -> anyhow::Result<Self> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let name = format!("bench{}-{number}-{role}", std::process::id());
        ip(&["netns", "add", &name])?;
        let namespace = Self { name };
        namespace.ip(&["link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    pub(crate) fn path(&self) -> String {
        format!("/run/netns/{}", self.name)
    }

    /// Runs `ip` inside.
    pub(crate) fn ip(&self, args: &[&str]) -> anyhow::Result<String> {
        ip(&[&["-n", &self.name], args].concat())
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nothing is left to do when it is gone already.
        let _ = ip(&["netns", "del", &self.name]);
    }
}

pub(crate) fn ip(args: &[&str]) -> anyhow::Result<String> {
    output(Command::new("ip").args(args)).with_context(|| format!("ip {}", args.join(" ")))
}
