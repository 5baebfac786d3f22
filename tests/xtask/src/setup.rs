//! What the machine needs, found out by looking for it and not by asking a package manager.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::command::{quietly, step, tell};

const WASM_TARGET: &str = "wasm32-unknown-unknown";

/// Something that must be there, and the Debian package that brings it.
struct Need {
    package: &'static str,
    /// Any of these: a program in the PATH, or a file.
    any_of: &'static [&'static str],
    /// What does not work without it.
    purpose: &'static str,
}

/// How many of [`NEEDS`], from the front, a build of the programs wants.
const BUILD_NEEDS: usize = 4;

const NEEDS: [Need; 17] = [
    need("gcc", &["cc", "gcc"], "linking"),
    need("libc6-dev", &["/usr/include/stdio.h"], "linking"),
    need(
        "protobuf-compiler",
        &["protoc"],
        "building the store client",
    ),
    need(
        "libprotobuf-dev",
        &[
            "/usr/include/google/protobuf/descriptor.proto",
            "/usr/local/include/google/protobuf/descriptor.proto",
        ],
        "building the store client",
    ),
    need("iproute2", &["ip"], "network tests"),
    need("dpdk-dev", &["dpdk-testpmd"], "the memif contract tests"),
    need("etcd-server", &["etcd"], "the store contract tests"),
    need("containerd", &["containerd"], "the container runtime test"),
    need(
        "busybox-static",
        &["/bin/busybox", "/usr/bin/busybox"],
        "the container runtime test",
    ),
    need(
        "containernetworking-plugins",
        &["/usr/lib/cni/bridge", "/opt/cni/bin/bridge"],
        "the CNI benchmark",
    ),
    need("iperf3", &["iperf3"], "the offload tests"),
    need("etcd-client", &["etcdctl"], "the store contract tests"),
    need("iptables", &["iptables"], "the comparison with kernel NAT"),
    need("iputils-ping", &["ping"], "network tests"),
    need("tcpdump", &["tcpdump"], "network tests"),
    need(
        "python3-venv",
        &["/usr/share/doc/python3-venv"],
        "the VPP API contract test",
    ),
    need("python3-pip", &["pip3"], "the VPP API contract test"),
];

/// VPP's own API client, from the Python package index.
const VPP_PAPI: &str = "vpp_papi==2.4.2";

/// Debian's own Rust with the sources of its library: the way to wasm32 without rustup's server.
const WASM_PACKAGES: [&str; 3] = ["rustc-web", "rust-web-src", "lld-19"];

const fn need(
    package: &'static str,
    any_of: &'static [&'static str],
    purpose: &'static str,
) -> Need {
    Need {
        package,
        any_of,
        purpose,
    }
}

/// What is to be done with the machine.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum For {
    /// Build the programs and run a lab.
    Programs,
    /// Also run every test: the peers that they test against.
    Tests,
}

/// Installs what is missing where it may, else says the one line that does.
pub(crate) fn run(purpose: For) -> Result<(), String> {
    let mut missing: Vec<&str> = Vec::new();
    let needs = match purpose {
        For::Programs => NEEDS.split_at(BUILD_NEEDS).0,
        For::Tests => &NEEDS,
    };
    for need in needs
        .iter()
        .filter(|n| !n.any_of.iter().any(|what| is_there(what)))
    {
        tell(&format!("missing: {} (for {})", need.package, need.purpose));
        missing.push(need.package);
    }
    if !reaches_wasm() {
        tell("missing: a Rust library for WebAssembly modules");
        missing.extend(WASM_PACKAGES);
    }
    if missing.is_empty() {
        return Ok(());
    }
    let line = format!(
        "apt-get install --yes --no-install-recommends {}",
        missing.join(" ")
    );
    if !(is_root() && is_there("apt-get")) {
        return Err(format!(
            "run this as root, or install the same with your package manager:\n\n  {line}\n"
        ));
    }
    tell(&format!("installing: {}", missing.join(" ")));
    if !quietly("apt-get", &["update"]) {
        tell("the package lists could not be updated; trying with those that are there");
    }
    let mut install = Command::new("apt-get");
    install.env("DEBIAN_FRONTEND", "noninteractive").arg("-qq");
    install
        .args(["install", "--yes", "--no-install-recommends"])
        .args(&missing);
    step(&mut install, "install packages")
}

/// A Python with `vpp_papi`, VPP's own client, in an environment below `target`; absent where it
/// cannot be had, and then its tests say that they are skipped.
pub(crate) fn python(root: &Path) -> Option<PathBuf> {
    let environment = root.join("target/python");
    let python = environment.join("bin/python");
    let program = python.to_string_lossy();
    if !quietly(&program, &["-c", "import vpp_papi"]) {
        tell("installing vpp_papi into target/python");
        quietly("python3", &["-m", "venv", &environment.to_string_lossy()]);
        quietly(&program, &["-m", "pip", "install", "--quiet", VPP_PAPI]);
    }
    quietly(&program, &["-c", "import vpp_papi"]).then(|| python.clone())
}

/// The target through rustup, or a system compiler with the sources of std.
fn reaches_wasm() -> bool {
    let has_target = |rustc: &str| {
        let query = ["--print", "target-libdir", "--target", WASM_TARGET];
        let output = Command::new(rustc).args(query).output();
        output.is_ok_and(|o| {
            let directory = String::from_utf8_lossy(&o.stdout).trim().to_owned();
            o.status.success() && Path::new(&directory).is_dir()
        })
    };
    if has_target("rustc") {
        return true;
    }
    if is_there("rustup") && quietly("rustup", &["target", "add", WASM_TARGET]) {
        return true;
    }
    WASM_PACKAGES
        .iter()
        .all(|p| Path::new("/usr/share/doc").join(p).exists())
}

fn is_there(what: &str) -> bool {
    if what.starts_with('/') {
        return Path::new(what).exists();
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    // A user's PATH often lacks the directories of the administrator's programs.
    let more = ["/usr/sbin", "/sbin"].map(Into::into);
    std::env::split_paths(&path)
        .chain(more)
        .any(|dir| dir.join(what).is_file())
}

fn is_root() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let uids = status
        .lines()
        .find_map(|l| l.strip_prefix("Uid:"))
        .unwrap_or_default();
    uids.split_whitespace().nth(1) == Some("0")
}
