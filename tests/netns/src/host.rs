//! A namespace as a test's machine.

use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use runtime::netns::Netns;

/// One machine of a topology, with its loopback up.
#[derive(Debug)]
pub struct Host {
    netns: Netns,
}

impl Default for Host {
    fn default() -> Self {
        Self::new()
    }
}

impl Host {
    pub fn new() -> Self {
        let netns = Netns::anonymous().expect("a network namespace; check `skipped` first");
        let host = Self { netns };
        host.run("ip link set lo up");
        host
    }

    /// A path to the namespace that is good as long as the host lives, for `CNI_NETNS` and the like.
    pub fn path(&self) -> PathBuf {
        let fd = self.netns.file().as_raw_fd();
        PathBuf::from(format!("/proc/{}/fd/{fd}", std::process::id()))
    }

    /// Runs a command line and returns what it printed; panics when it fails.
    pub fn run(&self, line: &str) -> String {
        let output = self.try_run(line);
        assert!(output.status.success(), "`{line}` failed: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Runs a command line, whatever comes of it.
    pub fn try_run(&self, line: &str) -> Output {
        let mut words = line.split_whitespace();
        let mut command = Command::new(words.next().expect("a command line has a program"));
        command.args(words).stdin(Stdio::null());
        self.enter(|| command.output())
            .unwrap_or_else(|e| panic!("`{line}` cannot start: {e}"))
    }

    /// Starts a program in the namespace.
    pub fn spawn(&self, command: &mut Command) -> std::process::Child {
        self.enter(|| command.spawn())
            .unwrap_or_else(|e| panic!("{command:?} cannot start: {e}"))
    }

    /// Runs code in the namespace; sockets that it opens stay there.
    pub fn enter<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.netns.run(work).expect("the namespace can be entered")
    }
}

/// Joins two hosts with a veth pair, names and addresses (with prefix length) as given, and sets it up.
pub fn veth(a: &Host, a_name: &str, a_address: &str, b: &Host, b_name: &str, b_address: &str) {
    // `ip link add ... netns` takes a path below /run/netns or a PID; a holder in `b` lends its own.
    let mut holder = b.spawn(Command::new("sleep").arg("infinity").stdin(Stdio::null()));
    let peer = holder.id();
    let added = a.try_run(&format!(
        "ip link add {a_name} type veth peer name {b_name} netns {peer}"
    ));
    let _ = holder.kill();
    let _ = holder.wait();
    assert!(added.status.success(), "add a veth pair: {added:?}");
    for (host, name, address) in [(a, a_name, a_address), (b, b_name, b_address)] {
        if !address.is_empty() {
            host.run(&format!("ip address add {address} dev {name}"));
        }
        host.run(&format!("ip link set {name} up"));
    }
}

/// True, and a loud line, when this process may not make namespaces: the test must return.
#[expect(clippy::print_stderr, reason = "a skipped test must be seen")]
pub fn skipped(test: &str) -> bool {
    match Netns::anonymous() {
        Ok(_) => false,
        Err(error) => {
            eprintln!("SKIPPED {test}: {error}; run the tests as root, or in `unshare -Urm`");
            true
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_hosts_on_one_wire_reach_each_other_and_nobody_else() {
        if skipped("two_hosts_on_one_wire_reach_each_other_and_nobody_else") {
            return;
        }
        let (a, b, c) = (Host::new(), Host::new(), Host::new());
        veth(&a, "eth0", "10.99.0.1/24", &b, "eth1", "10.99.0.2/24");
        let server = b
            .enter(|| std::net::UdpSocket::bind("10.99.0.2:7000"))
            .unwrap();
        let client = a
            .enter(|| std::net::UdpSocket::bind("10.99.0.1:0"))
            .unwrap();
        server
            .set_read_timeout(Some(std::time::Duration::from_secs(10)))
            .unwrap();
        client.send_to(b"hello", "10.99.0.2:7000").unwrap();
        let mut buffer = [0_u8; 16];
        let (len, from) = server.recv_from(&mut buffer).unwrap();
        assert_eq!(
            (&buffer[..len], from.ip()),
            (&b"hello"[..], "10.99.0.1".parse().unwrap())
        );
        assert!(!c.run("ip -brief link").contains("eth"));
    }

    #[test]
    fn a_path_leads_other_programs_into_the_namespace() {
        if skipped("a_path_leads_other_programs_into_the_namespace") {
            return;
        }
        let host = Host::new();
        host.run("ip link add marker type bridge");
        let inside = Command::new("nsenter")
            .arg(format!("--net={}", host.path().display()))
            .args(["ip", "-brief", "link"])
            .output()
            .unwrap();
        assert!(
            String::from_utf8_lossy(&inside.stdout).contains("marker"),
            "{inside:?}"
        );
    }
}
