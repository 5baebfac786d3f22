//! Services and source NAT between pods with real kernels, and beside the kernel's own NAT.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use vpp_api::cnat::{
    CnatEndpoint, CnatEndpointTuple, CnatLbType, CnatSetSnatAddresses, CnatSetSnatPolicy,
    CnatSnatPolicies, CnatSnatPolicyAddDelExcludePfx, CnatSnatPolicyAddDelIf, CnatSnatPolicyTable,
    CnatTranslation, CnatTranslationUpdate, FeatureCnatEnableDisable,
};
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::ip_types::IpProto;

use crate::lab::{Namespace, is_permitted, run, wait_for};
use crate::switch::{PodConfig, Switch, prefix};
use crate::traffic::{expect_ping, transfer_between};

const TIMEOUT: Duration = Duration::from_secs(10);
const VIP: &str = "10.96.0.10";
const VIP6: &str = "fd96::10";
const TRANSFER: usize = 16 << 20;

/// Three pods; the last is the world outside.
struct Node {
    switch: Switch,
    pods: [Namespace; 3],
    taps: Vec<InterfaceIndex>,
}

impl Node {
    async fn new() -> Self {
        let pods = ["client", "server", "world"].map(Namespace::new);
        let switch = Switch::start(None, 2).await;
        let mut taps = Vec::new();
        for (pod, n) in pods.iter().zip(1..) {
            let tap = switch.tap(pod, &PodConfig::routed(n)).await;
            switch.address(tap, &format!("10.1.{n}.1/24")).await;
            switch.address(tap, &format!("fd01:{n}::1/64")).await;
            let enable = FeatureCnatEnableDisable {
                sw_if_index: tap,
                enable_disable: true,
            };
            switch.api.request(&enable).await.unwrap();
            taps.push(tap);
        }
        for n in 2..=3 {
            expect_ping(&pods[0], &format!("10.1.{n}.2"));
            expect_ping(&pods[0], &format!("fd01:{n}::2"));
        }
        Self { switch, pods, taps }
    }

    /// Gives a virtual endpoint these back-ends.
    async fn service(&self, proto: IpProto, vip: &str, backends: &[SocketAddr]) -> u32 {
        let endpoint = |ip: IpAddr, port| CnatEndpoint {
            addr: ip,
            sw_if_index: InterfaceIndex::NONE,
            port,
            ..CnatEndpoint::default()
        };
        let none = |ip: IpAddr| match ip {
            IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
            IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
        };
        let path = |to: &SocketAddr| CnatEndpointTuple {
            dst_ep: endpoint(to.ip(), to.port()),
            src_ep: endpoint(none(to.ip()), 0),
            flags: 0,
        };
        let translation = CnatTranslation {
            vip: endpoint(vip.parse().unwrap(), 80),
            ip_proto: proto,
            lb_type: CnatLbType::Maglev,
            paths: backends.iter().map(path).collect(),
            ..CnatTranslation::default()
        };
        let request = CnatTranslationUpdate { translation };
        self.switch.api.request(&request).await.unwrap().id
    }

    /// Hides pods 1 and 2 behind an address, as Kubernetes wants it.
    async fn hide(&self, behind: &str) {
        let api = &self.switch.api;
        let addresses = CnatSetSnatAddresses {
            snat_ip4: behind.parse().unwrap(),
            snat_ip6: Ipv6Addr::UNSPECIFIED,
            sw_if_index: InterfaceIndex::NONE,
        };
        api.request(&addresses).await.unwrap();
        let policy = CnatSnatPolicies::K8s;
        api.request(&CnatSetSnatPolicy { policy }).await.unwrap();
        for sw_if_index in self.taps.iter().take(2).copied() {
            for table in [CnatSnatPolicyTable::Pod, CnatSnatPolicyTable::IncludeV4] {
                let request = CnatSnatPolicyAddDelIf {
                    sw_if_index,
                    is_add: 1,
                    table,
                };
                api.request(&request).await.unwrap();
            }
        }
        for inside in ["10.1.1.0/24", "10.1.2.0/24"] {
            let request = CnatSnatPolicyAddDelExcludePfx {
                is_add: 1,
                prefix: prefix(inside),
            };
            api.request(&request).await.unwrap();
        }
        self.pods[2].run(&format!("ip route add {behind}/32 via 10.1.3.1"));
    }
}

/// Accepts connections until dropped, and tells each its own name and whom it sees.
struct Server {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Server {
    fn start(on: &Namespace, at: &str, name: &'static str) -> Self {
        let listener = on.enter(|| TcpListener::bind(at).unwrap());
        listener.set_nonblocking(true).unwrap();
        let stop = Arc::new(AtomicBool::new(false));
        let until = Arc::clone(&stop);
        let thread = std::thread::spawn(move || {
            while !until.load(Ordering::Relaxed) {
                let Ok((mut stream, peer)) = listener.accept() else {
                    std::thread::sleep(Duration::from_millis(2));
                    continue;
                };
                let _ = stream.write_all(format!("{name} sees {}", peer.ip()).as_bytes());
            }
        });
        Self {
            stop,
            thread: Some(thread),
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            thread.join().ok();
        }
    }
}

/// What the server at `target` says to a client in `from`.
fn ask(from: &Namespace, target: &str) -> io::Result<String> {
    let target: SocketAddr = target.parse().map_err(io::Error::other)?;
    let mut stream = from.enter(|| TcpStream::connect_timeout(&target, TIMEOUT))?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut text = String::new();
    stream.read_to_string(&mut text)?;
    Ok(text)
}

/// What a connected UDP socket hears after it sent something.
fn datagram(from: &Namespace, target: &str) -> io::Result<String> {
    let bind = if target.starts_with('[') {
        "[::]:0"
    } else {
        "0.0.0.0:0"
    };
    let socket = from.enter(|| UdpSocket::bind(bind).unwrap());
    socket.connect(target)?;
    socket.set_read_timeout(Some(TIMEOUT))?;
    socket.send(b"hello")?;
    let mut bytes = [0; 100];
    let len = socket.recv(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes[..len]).into_owned())
}

#[tokio::test]
async fn connections_spread_over_backends_and_follow_their_removal() {
    if !is_permitted() {
        return;
    }
    let node = Node::new().await;
    let [client, server, world] = &node.pods;
    for (vip, a, b) in [
        (VIP, "10.1.2.2:8081", "10.1.3.2:8082"),
        (VIP6, "[fd01:2::2]:8081", "[fd01:3::2]:8082"),
    ] {
        let target = SocketAddr::new(vip.parse().unwrap(), 80).to_string();
        let (_a, _b) = (Server::start(server, a, "a"), Server::start(world, b, "b"));
        let backends = [a.parse().unwrap(), b.parse().unwrap()];
        let id = node.service(IpProto::Tcp, vip, &backends).await;
        let answers: Vec<_> = (0..40).map(|_| ask(client, &target).unwrap()).collect();
        let own = if vip == VIP { "10.1.1.2" } else { "fd01:1::2" };
        for name in ["a", "b"] {
            let said = format!("{name} sees {own}");
            assert!(
                answers.iter().filter(|text| **text == said).count() > 5,
                "{answers:?}"
            );
        }
        let only = node.service(IpProto::Tcp, vip, &backends[1..]).await;
        assert_eq!(id, only);
        for _ in 0..10 {
            assert_eq!(ask(client, &target).unwrap(), format!("b sees {own}"));
        }
    }
}

#[tokio::test]
async fn large_segments_cross_a_service_unchanged() {
    if !is_permitted() {
        return;
    }
    let node = Node::new().await;
    let [client, server, _] = &node.pods;
    for (vip, backend) in [(VIP, "10.1.2.2:9000"), (VIP6, "[fd01:2::2]:9000")] {
        let backend: SocketAddr = backend.parse().unwrap();
        node.service(IpProto::Tcp, vip, &[backend]).await;
        let target = SocketAddr::new(vip.parse().unwrap(), 80);
        transfer_between(client, server, backend, target, TRANSFER);
    }
}

#[tokio::test]
async fn datagrams_and_errors_come_from_the_virtual_address() {
    if !is_permitted() {
        return;
    }
    let node = Node::new().await;
    let [client, server, _] = &node.pods;
    for (vip, backend) in [(VIP, "10.1.2.2:5353"), (VIP6, "[fd01:2::2]:5353")] {
        node.service(IpProto::Udp, vip, &[backend.parse().unwrap()])
            .await;
        let target = SocketAddr::new(vip.parse().unwrap(), 80).to_string();
        // Nobody listens: the back-end's "port unreachable" must reach the client's socket as one about the service.
        let refused = datagram(client, &target).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::ConnectionRefused, "{refused}");
        let echo = server.enter(|| UdpSocket::bind(backend).unwrap());
        let thread = std::thread::spawn(move || {
            let mut bytes = [0; 100];
            let (len, peer) = echo.recv_from(&mut bytes).unwrap();
            echo.send_to(&bytes[..len], peer).unwrap();
        });
        assert_eq!(datagram(client, &target).unwrap(), "hello");
        thread.join().unwrap();
    }
}

#[tokio::test]
async fn pods_reach_themselves_and_the_world_behind_the_node() {
    if !is_permitted() {
        return;
    }
    let node = Node::new().await;
    let [client, server, world] = &node.pods;
    node.hide("192.0.2.7").await;
    let (_own, _far, _near) = (
        Server::start(client, "10.1.1.2:8080", "own"),
        Server::start(world, "10.1.3.2:8080", "far"),
        Server::start(server, "10.1.2.2:8080", "near"),
    );
    node.service(IpProto::Tcp, VIP, &["10.1.1.2:8080".parse().unwrap()])
        .await;
    assert_eq!(
        ask(client, &format!("{VIP}:80")).unwrap(),
        "own sees 192.0.2.7"
    );
    assert_eq!(ask(client, "10.1.3.2:8080").unwrap(), "far sees 192.0.2.7");
    assert_eq!(ask(client, "10.1.2.2:8080").unwrap(), "near sees 10.1.1.2");
    assert_eq!(ask(world, "10.1.2.2:8080").unwrap(), "near sees 10.1.3.2");
    expect_ping(client, "10.1.3.2");
    let shown = node.switch.cli("show cnat session").await;
    assert!(shown.contains("192.0.2.7"), "{shown}");
}

/// The same pods behind a Linux router that translates with nf_tables.
struct Kernel {
    _router: Namespace,
    pods: [Namespace; 3],
}

impl Kernel {
    fn new() -> Self {
        let pods = ["client", "server", "world"].map(Namespace::new);
        let router = Namespace::new("router");
        for (pod, n) in pods.iter().zip(1..) {
            let end = format!("to{n}");
            let link = [
                "link",
                "add",
                &end,
                "netns",
                &router.name,
                "type",
                "veth",
                "peer",
                "name",
                "eth0",
                "netns",
            ];
            run("ip", &[&link[..], &[&pod.name]].concat());
            router.run(&format!("ip addr add 10.1.{n}.1/24 dev {end}"));
            router.run(&format!("ip link set {end} up"));
            pod.run(&format!("ip addr add 10.1.{n}.2/24 dev eth0"));
            pod.run("ip link set eth0 up");
            pod.run(&format!("ip route add default via 10.1.{n}.1"));
        }
        router.run("sysctl -qw net.ipv4.ip_forward=1");
        router.run("ip addr add 192.0.2.7/32 dev lo");
        for (proto, port) in [("tcp", 8080), ("udp", 5353)] {
            let dnat = format!(
                "iptables -t nat -A PREROUTING -d {VIP} -p {proto} --dport 80 -j DNAT --to-destination 10.1.2.2:{port}"
            );
            router.run(&dnat);
        }
        for from in ["10.1.1.0/24", "10.1.2.0/24"] {
            router.run(&format!(
                "iptables -t nat -A POSTROUTING -s {from} -o to3 -j SNAT --to-source 192.0.2.7"
            ));
        }
        Self {
            _router: router,
            pods,
        }
    }
}

/// Everything both ends can see of the same flows.
fn observe(pods: &[Namespace; 3]) -> Vec<String> {
    let [client, server, world] = pods;
    let (_near, _far) = (
        Server::start(server, "10.1.2.2:8080", "near"),
        Server::start(world, "10.1.3.2:8080", "far"),
    );
    let text =
        |answer: io::Result<String>| answer.unwrap_or_else(|error| format!("{:?}", error.kind()));
    let mut seen = vec![
        text(ask(client, &format!("{VIP}:80"))),
        text(ask(client, "10.1.3.2:8080")),
        text(ask(client, "10.1.2.2:8080")),
        text(ask(world, "10.1.2.2:8080")),
        text(ask(client, "10.1.3.2:8099")),
        text(datagram(client, &format!("{VIP}:80"))),
        text(datagram(client, "10.1.3.2:5999")),
    ];
    let ping = client.try_run("ping -n -c 1 -W 5 10.1.3.2");
    seen.push(format!("ping {}", ping.status.success()));
    // The hop that a service's packet dies at names the service, not its back-end.
    let trace = client.try_run("ping -n -c 1 -W 2 -t 1 10.1.3.2");
    let said = String::from_utf8_lossy(&trace.stdout).into_owned();
    seen.push(format!("exceeded {}", said.contains("From 10.1.1.1")));
    seen
}

#[tokio::test]
async fn both_ends_see_what_they_see_with_the_kernel_s_nat() {
    let iptables = Command::new("iptables").arg("--version").output().is_ok();
    if !is_permitted() || !iptables {
        return;
    }
    let kernel = Kernel::new();
    wait_for("the kernel's router", || ask_ready(&kernel.pods));
    let wanted = observe(&kernel.pods);
    drop(kernel);
    let node = Node::new().await;
    node.hide("192.0.2.7").await;
    node.service(IpProto::Tcp, VIP, &["10.1.2.2:8080".parse().unwrap()])
        .await;
    node.service(IpProto::Udp, VIP, &["10.1.2.2:5353".parse().unwrap()])
        .await;
    assert_eq!(observe(&node.pods), wanted);
    assert_eq!(wanted[..2], ["near sees 10.1.1.2", "far sees 192.0.2.7"]);
}

fn ask_ready(pods: &[Namespace; 3]) -> Result<(), String> {
    let output = pods[0].try_run("ping -n -c 1 -W 1 10.1.3.2");
    if output.status.success() {
        Ok(())
    } else {
        Err(String::from_utf8_lossy(&output.stdout).into_owned())
    }
}
