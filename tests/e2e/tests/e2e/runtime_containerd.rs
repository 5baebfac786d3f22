//! A real container runtime attaches a container through `weft-cni` to the agent of a lab's node.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::lab::{Lab, programs, succeed};

const TEST: &str = "containerd_runs_a_container_on_the_lab_s_network";

/// A containerd of the test's own; it dies with the value.
struct Containerd {
    process: Child,
}

impl Drop for Containerd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
fn missing() -> bool {
    let there =
        |p: &str| Path::new("/usr/bin").join(p).is_file() || Path::new("/bin").join(p).is_file();
    let lacking: Vec<_> = ["containerd", "ctr", "busybox"]
        .into_iter()
        .filter(|p| !there(p))
        .collect();
    let root =
        fs::metadata("/proc/self").is_ok_and(|m| std::os::unix::fs::MetadataExt::uid(&m) == 0);
    if lacking.is_empty() && root {
        return false;
    }
    eprintln!(
        "SKIPPED {TEST}: needs root and containerd, ctr, busybox-static (missing: {lacking:?})"
    );
    true
}

/// `ctr run --rootfs --cni` knows one configuration directory and one plugin directory. Both programs get
/// them in a mount namespace of their own, so that nothing of the machine is touched.
fn in_private_mounts(base: &Path, command: &str) -> String {
    let setup = [
        "mount -t tmpfs tmpfs /etc",
        "mkdir -p /etc/cni/net.d",
        &format!("cp {}/10-weft.conf /etc/cni/net.d/", base.display()),
        "mount -t tmpfs tmpfs /opt",
        "mkdir -p /opt/cni/bin",
        &format!("cp {}/weft-cni /opt/cni/bin/", programs().display()),
    ]
    .join(" && ");
    format!("unshare -m sh -c '{setup} && exec {command}'")
}

#[test]
fn containerd_runs_a_container_on_the_lab_s_network() {
    if missing() {
        return;
    }
    let Some(lab) = Lab::start(TEST, 1) else {
        return;
    };
    let directory = tempfile::tempdir().unwrap();
    let base = directory.path();
    let rootfs = base.join("rootfs");
    for folder in ["bin", "proc", "sys", "dev", "etc", "tmp"] {
        fs::create_dir_all(rootfs.join(folder)).unwrap();
    }
    fs::copy("/bin/busybox", rootfs.join("bin/busybox")).unwrap();
    let configuration = r#"{"cniVersion":"1.0.0","name":"weft","type":"weft-cni","agentSocket":"/run/weft-nodes/node-1/agent.sock"}"#;
    fs::write(base.join("10-weft.conf"), configuration).unwrap();
    let daemon = format!(
        "containerd --root {0}/root --state /run/containerd-state --address /run/ctr.sock --log-level warn",
        base.display()
    );
    let process = Command::new(programs().join("weft"))
        .args([
            "lab",
            "exec",
            "--name",
            lab.name(),
            "node-1",
            "--",
            "sh",
            "-c",
        ])
        .arg(in_private_mounts(base, &daemon))
        .stdin(Stdio::null())
        .spawn()
        .unwrap();
    let _containerd = Containerd { process };
    let ctr = |arguments: &str| {
        let command = format!("ctr --address /run/ctr.sock {arguments}");
        lab.weft(&[
            "lab",
            "exec",
            "node-1",
            "--",
            "sh",
            "-c",
            &in_private_mounts(base, &command),
        ])
    };
    netns::eventually(
        "containerd answers",
        || ctr("version"),
        |o| o.status.success(),
    );
    let run = format!(
        "run --rm --cni --rootfs {} box /bin/busybox ip -4 address show eth0",
        rootfs.display()
    );
    let output = succeed(ctr(&run));
    assert!(output.contains("inet 10.1.1."), "{output}");
}
