//! A running `weft-vswitch` and the requests the tests make of it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use vpp_api::FixedString;
use vpp_api::af_packet::{AfPacketCreateV3, AfPacketMode};
use vpp_api::interface::{SwInterfaceAddDelAddress, SwInterfaceSetFlags};
use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
use vpp_api::ip_types::{
    AddressWithPrefix, Ip4AddressWithPrefix, Ip4Prefix, Ip6AddressWithPrefix, Ip6Prefix, Prefix,
};
use vpp_api::l2::{BridgeDomainAddDelV2, SwInterfaceSetL2Bridge};
use vpp_api::tapv2::TapCreateV3;
use vpp_api::vlib::CliInband;
use vpp_api_client::{Client, Options};

use crate::lab::Namespace;

/// The process, its directory, and a client.
pub(crate) struct Switch {
    child: Child,
    pub(crate) dir: TempDir,
    pub(crate) api: Client,
    namespace: Option<String>,
    workers: u16,
}

impl Switch {
    /// Starts a dataplane, in a namespace if one is given.
    pub(crate) async fn start(namespace: Option<&Namespace>, workers: u16) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let namespace = namespace.map(|namespace| namespace.name.clone());
        let child = spawn(&dir, namespace.as_deref(), workers);
        let api = connect(&dir).await;
        Self {
            child,
            dir,
            api,
            namespace,
            workers,
        }
    }

    /// Kills the process the hard way and starts another on the same sockets.
    pub(crate) async fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = spawn(&self.dir, self.namespace.as_deref(), self.workers);
        self.api = connect(&self.dir).await;
    }

    /// Runs a debug command.
    pub(crate) async fn cli(&self, line: &str) -> String {
        self.api
            .request(&CliInband { cmd: line.into() })
            .await
            .unwrap()
            .reply
    }

    /// Creates a tap whose Linux end is `eth0` of the pod, up on both sides.
    pub(crate) async fn tap(&self, pod: &Namespace, config: &PodConfig) -> InterfaceIndex {
        let request = config.request(pod);
        let sw_if_index = self.api.request(&request).await.unwrap().sw_if_index;
        self.up(sw_if_index).await;
        sw_if_index
    }

    /// Attaches to a Linux interface.
    pub(crate) async fn af_packet(&self, host_if_name: &str) -> InterfaceIndex {
        let request = AfPacketCreateV3 {
            mode: AfPacketMode::Ethernet,
            use_random_hw_addr: true,
            host_if_name: FixedString::new(host_if_name).unwrap(),
            ..AfPacketCreateV3::default()
        };
        let sw_if_index = self.api.request(&request).await.unwrap().sw_if_index;
        self.up(sw_if_index).await;
        sw_if_index
    }

    pub(crate) async fn up(&self, sw_if_index: InterfaceIndex) {
        let flags = IfStatusFlags::ADMIN_UP;
        self.api
            .request(&SwInterfaceSetFlags { sw_if_index, flags })
            .await
            .unwrap();
    }

    pub(crate) async fn address(&self, sw_if_index: InterfaceIndex, address: &str) {
        let request = SwInterfaceAddDelAddress {
            sw_if_index,
            is_add: true,
            prefix: AddressWithPrefix(prefix(address)),
            ..SwInterfaceAddDelAddress::default()
        };
        self.api.request(&request).await.unwrap();
    }

    /// Creates a bridge domain of these interfaces.
    pub(crate) async fn bridge(&self, bd_id: u32, members: &[InterfaceIndex]) {
        let request = BridgeDomainAddDelV2 {
            bd_id,
            flood: true,
            uu_flood: true,
            forward: true,
            learn: true,
            is_add: true,
            ..BridgeDomainAddDelV2::default()
        };
        self.api.request(&request).await.unwrap();
        for member in members {
            let request = SwInterfaceSetL2Bridge {
                rx_sw_if_index: *member,
                bd_id,
                enable: true,
                ..SwInterfaceSetL2Bridge::default()
            };
            self.api.request(&request).await.unwrap();
        }
    }
}

impl Drop for Switch {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            let log = std::fs::read_to_string(self.dir.path().join("log")).unwrap_or_default();
            show(&format!("--- weft-vswitch said:\n{log}"));
        }
    }
}

#[expect(
    clippy::print_stderr,
    reason = "a failed test shows what the process said"
)]
fn show(text: &str) {
    eprintln!("{text}");
}

/// The Linux end of a pod.
pub(crate) struct PodConfig {
    pub(crate) ip4: (Ipv4Addr, u8),
    pub(crate) gateway4: Option<Ipv4Addr>,
    pub(crate) ip6: Option<(Ipv6Addr, u8)>,
    pub(crate) gateway6: Option<Ipv6Addr>,
    pub(crate) mtu: u32,
    pub(crate) queues: u16,
}

impl PodConfig {
    /// Pod number `n`: 10.1.n.2/24 behind 10.1.n.1, and the same of fd01:n::/64.
    pub(crate) fn routed(n: u8) -> Self {
        Self {
            ip4: (Ipv4Addr::new(10, 1, n, 2), 24),
            gateway4: Some(Ipv4Addr::new(10, 1, n, 1)),
            ip6: Some((Ipv6Addr::new(0xfd01, n.into(), 0, 0, 0, 0, 0, 2), 64)),
            gateway6: Some(Ipv6Addr::new(0xfd01, n.into(), 0, 0, 0, 0, 0, 1)),
            mtu: 1450,
            queues: 1,
        }
    }

    /// Pod number `n` of one subnet: 10.2.0.n/24.
    pub(crate) fn bridged(n: u8) -> Self {
        Self {
            ip4: (Ipv4Addr::new(10, 2, 0, n), 24),
            gateway4: None,
            ip6: None,
            gateway6: None,
            mtu: 1450,
            queues: 1,
        }
    }

    pub(crate) fn request(&self, pod: &Namespace) -> TapCreateV3 {
        let mut request = TapCreateV3 {
            num_rx_queues: self.queues,
            host_mtu_set: true,
            host_mtu_size: self.mtu,
            host_ip4_prefix_set: true,
            host_ip4_prefix: Ip4AddressWithPrefix(Ip4Prefix {
                address: self.ip4.0,
                len: self.ip4.1,
            }),
            host_namespace_set: true,
            host_namespace: FixedString::new(&pod.path().to_string_lossy()).unwrap(),
            host_if_name_set: true,
            host_if_name: FixedString::new("eth0").unwrap(),
            ..TapCreateV3::default()
        };
        if let Some((address, len)) = self.ip6 {
            request.host_ip6_prefix_set = true;
            request.host_ip6_prefix = Ip6AddressWithPrefix(Ip6Prefix { address, len });
        }
        if let Some(gateway) = self.gateway4 {
            (request.host_ip4_gw_set, request.host_ip4_gw) = (true, gateway);
        }
        if let Some(gateway) = self.gateway6 {
            (request.host_ip6_gw_set, request.host_ip6_gw) = (true, gateway);
        }
        request
    }
}

pub(crate) fn prefix(text: &str) -> Prefix {
    let (address, len) = text.split_once('/').unwrap();
    Prefix::new(address.parse().unwrap(), len.parse().unwrap())
}

fn spawn(dir: &TempDir, namespace: Option<&str>, workers: u16) -> Child {
    let binary = env!("CARGO_BIN_EXE_weft-vswitch");
    let mut command = match namespace {
        Some(name) => {
            let mut command = Command::new("ip");
            command.args(["netns", "exec", name, binary]);
            command
        }
        None => Command::new(binary),
    };
    let log = std::fs::OpenOptions::new()
        .create(true)
        .append(true)
        .open(dir.path().join("log"))
        .unwrap();
    command
        .arg("--api-socket")
        .arg(socket(dir))
        .arg("--stats-socket")
        .arg(dir.path().join("stats.sock"));
    command
        .args(["--workers", &workers.to_string()])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log);
    command.spawn().unwrap()
}

pub(crate) fn socket(dir: &TempDir) -> PathBuf {
    dir.path().join("api.sock")
}

async fn connect(dir: &TempDir) -> Client {
    Client::connect(
        &socket(dir),
        Options {
            name: "test".into(),
            ..Options::default()
        },
    )
    .await
    .unwrap()
}
