//! A dataplane with one worker, driven over VPP's binary API: ours, or VPP itself. Both get the same messages.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};

use anyhow::Context;
use tempfile::TempDir;
use tokio::runtime::Runtime;
use vpp_api::FixedString;
use vpp_api::Request;
use vpp_api::ethernet_types::MacAddress;
use vpp_api::fib_types::{FibPath, FibPathNh, FibPathNhProto};
use vpp_api::interface::{SwInterfaceAddDelAddress, SwInterfaceDump, SwInterfaceSetFlags};
use vpp_api::interface_types::{IfStatusFlags, InterfaceIndex};
use vpp_api::ip::{IpRoute, IpRouteAddDel};
use vpp_api::ip_neighbor::{IpNeighbor, IpNeighborAddDel, IpNeighborFlags};
use vpp_api::ip_types::{AddressUnion, AddressWithPrefix, Ip4AddressWithPrefix, Ip4Prefix, Prefix};
use vpp_api::l2::{BridgeDomainAddDelV2, SwInterfaceSetL2Bridge, SwInterfaceSetL2Xconnect};
use vpp_api::memif::{MemifCreateV2, MemifMode, MemifRole, MemifSocketFilenameAddDelV2};
use vpp_api::tapv2::TapCreateV3;
use vpp_api::vlib::CliInband;
use vpp_api::vxlan::VxlanAddDelTunnelV3;
use vpp_api_client::{Client, Options};

use crate::cases::Setting;
use crate::process::{Daemon, Place};
use crate::report::Skip;
use crate::sandbox::Namespace;
use crate::traffic::{NETWORKS, Side, VNI};

/// Requests under way when many are sent.
const AT_A_TIME: u32 = 32;

/// Which dataplane.
#[derive(Clone, Debug)]
pub(crate) enum Engine {
    /// The program `weft-vswitch`.
    Weft(PathBuf),
    /// The prefix that VPP is installed under.
    Vpp(PathBuf),
}

pub(crate) const VPP: &str = "VPP";
/// Names the prefix that VPP is installed under.
const VPP_PREFIX: &str = "WEFT_VPP_PREFIX";

/// The dataplanes that are there; what is not is in `skipped`.
pub(crate) fn engines(setting: &Setting, skipped: &mut Vec<Skip>) -> Vec<Engine> {
    let ours = setting.programs.get("vswitch-io", "weft-vswitch", skipped);
    let mut engines: Vec<_> = ours.map(Engine::Weft).into_iter().collect();
    match std::env::var_os(VPP_PREFIX).map(PathBuf::from) {
        Some(prefix) if prefix.join("bin/vpp").is_file() => engines.push(Engine::Vpp(prefix)),
        Some(prefix) => {
            let why = format!(
                "`{VPP_PREFIX}` is `{}`, which has no `bin/vpp`",
                prefix.display()
            );
            skipped.push(Skip::new(VPP, why));
        }
        None => skipped.push(Skip::new(
            VPP,
            format!("`{VPP_PREFIX}` is not set; the bars are ratios to it"),
        )),
    }
    engines
}

impl Engine {
    pub(crate) const fn name(&self) -> &'static str {
        match self {
            Self::Weft(_) => "weft-vswitch",
            Self::Vpp(_) => VPP,
        }
    }
}

pub(crate) struct Dataplane {
    api: Client,
    runtime: Runtime,
    is_vpp: bool,
    pub(crate) dir: TempDir,
    // Dropped last: the client's end of the socket goes first.
    process: Daemon,
}

impl Dataplane {
    pub(crate) fn start(engine: &Engine, place: Place) -> anyhow::Result<Self> {
        Self::start_with(None, &[], engine, place)
    }

    /// Starts it in a network namespace.
    pub(crate) fn start_in(
        namespace: &Namespace,
        engine: &Engine,
        place: Place,
    ) -> anyhow::Result<Self> {
        Self::start_with(Some(&namespace.name), &[], engine, place)
    }

    /// Starts it as an argument of another command, such as a profiler.
    pub(crate) fn start_under(
        under: &[String],
        engine: &Engine,
        place: Place,
    ) -> anyhow::Result<Self> {
        Self::start_with(None, under, engine, place)
    }

    fn start_with(
        namespace: Option<&str>,
        under: &[String],
        engine: &Engine,
        place: Place,
    ) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        let socket = dir.path().join("api.sock");
        let log = dir.path().join("log");
        let mut command = match engine {
            Engine::Weft(program) => {
                let mut command = match under {
                    [] => place.command(namespace, program),
                    [profiler, arguments @ ..] => {
                        let mut command = place.command(namespace, profiler);
                        command.args(arguments).arg(program);
                        command
                    }
                };
                command
                    .arg("--api-socket")
                    .arg(&socket)
                    .args(["--workers", "1"]);
                command
            }
            Engine::Vpp(prefix) => {
                let mut command = place.command(namespace, prefix.join("bin/vpp"));
                command
                    .arg("-c")
                    .arg(startup(dir.path(), &socket, place.core.unwrap_or(0))?);
                command
            }
        };
        let mut process = Daemon::start(&mut command, &log)?;
        process.until("an API socket", || socket.exists().then_some(()))?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()?;
        let options = Options {
            name: "bench".into(),
            ..Options::default()
        };
        let api = runtime
            .block_on(Client::connect(&socket, options))
            .with_context(|| format!("{} said: {}", engine.name(), process.last_words()))?;
        Ok(Self {
            api,
            runtime,
            is_vpp: matches!(engine, Engine::Vpp(_)),
            dir,
            process,
        })
    }

    pub(crate) const fn is_vpp(&self) -> bool {
        self.is_vpp
    }

    pub(crate) fn memif_socket(&self) -> PathBuf {
        self.dir.path().join("memif.sock")
    }

    /// Two memif servers, ids 0 and 1 of [`Self::memif_socket`].
    pub(crate) fn memifs(&self) -> anyhow::Result<[InterfaceIndex; 2]> {
        self.ask(&MemifSocketFilenameAddDelV2 {
            is_add: true,
            socket_id: 1,
            socket_filename: self.memif_socket().to_string_lossy().into_owned(),
        })?;
        Ok([
            self.memif(0, Side::LEFT.gateway_mac)?,
            self.memif(1, Side::RIGHT.gateway_mac)?,
        ])
    }

    /// One more memif server on that socket.
    pub(crate) fn memif(&self, id: u32, hw_addr: [u8; 6]) -> anyhow::Result<InterfaceIndex> {
        let reply = self.ask(&MemifCreateV2 {
            role: MemifRole::Master,
            mode: MemifMode::Ethernet,
            id,
            socket_id: 1,
            rx_queues: 1,
            tx_queues: 1,
            ring_size: 1024,
            buffer_size: 2048,
            hw_addr: MacAddress(hw_addr),
            ..MemifCreateV2::default()
        })?;
        self.up(reply.sw_if_index)?;
        Ok(reply.sw_if_index)
    }

    /// Whether an interface has its peer.
    pub(crate) fn is_link_up(&self, sw_if_index: InterfaceIndex) -> anyhow::Result<bool> {
        let dump = SwInterfaceDump {
            sw_if_index,
            ..SwInterfaceDump::default()
        };
        let found = self.runtime.block_on(self.api.dump(&dump))?;
        let mut flags = found.iter().map(|details| details.flags);
        Ok(flags.any(|flags| flags.contains(IfStatusFlags::LINK_UP)))
    }

    pub(crate) fn cross_connect(&self, [a, b]: [InterfaceIndex; 2]) -> anyhow::Result<()> {
        for (rx_sw_if_index, tx_sw_if_index) in [(a, b), (b, a)] {
            self.ask(&SwInterfaceSetL2Xconnect {
                rx_sw_if_index,
                tx_sw_if_index,
                enable: true,
            })?;
        }
        Ok(())
    }

    /// Gives both interfaces addresses and neighbours, as [`Side`] has them.
    pub(crate) fn route(&self, interfaces: [InterfaceIndex; 2]) -> anyhow::Result<()> {
        for (sw_if_index, side) in interfaces.into_iter().zip([Side::LEFT, Side::RIGHT]) {
            self.address(sw_if_index, side.gateway4())?;
            self.ask(&SwInterfaceAddDelAddress {
                sw_if_index,
                is_add: true,
                prefix: AddressWithPrefix(Prefix::new(side.gateway6().into(), 64)),
                ..SwInterfaceAddDelAddress::default()
            })?;
            for ip_address in [side.host4().into(), side.host6().into()] {
                self.ask(&IpNeighborAddDel {
                    is_add: true,
                    neighbor: IpNeighbor {
                        sw_if_index,
                        flags: IpNeighborFlags::STATIC,
                        mac_address: MacAddress(side.host_mac),
                        ip_address,
                    },
                })?;
            }
        }
        Ok(())
    }

    /// Adds routes to /24 networks from [`NETWORKS`] on, in turns through the hosts of both sides.
    pub(crate) fn networks(
        &self,
        interfaces: [InterfaceIndex; 2],
        count: u32,
    ) -> anyhow::Result<()> {
        let route = move |n: u32| {
            let (on, side) = if n & 1 == 0 {
                (interfaces[0], Side::LEFT)
            } else {
                (interfaces[1], Side::RIGHT)
            };
            let network = Ipv4Addr::from_bits(NETWORKS + (n << 8));
            through(Prefix::new(network.into(), 24), on, &side)
        };
        // Requests wait for answers; many at a time keep the dataplane busy.
        let all = (0..AT_A_TIME).map(|first| {
            let api = self.api.clone();
            self.runtime.spawn(async move {
                for n in (first..count).step_by(AT_A_TIME as usize) {
                    api.request(&route(n)).await?;
                }
                Ok::<_, anyhow::Error>(())
            })
        });
        for task in all.collect::<Vec<_>>() {
            self.runtime.block_on(task)??;
        }
        Ok(())
    }

    /// Adds a route through the host of a side.
    pub(crate) fn add_route(
        &self,
        network: IpAddr,
        len: u8,
        on: InterfaceIndex,
        side: &Side,
    ) -> anyhow::Result<()> {
        self.ask(&through(Prefix::new(network, len), on, side))?;
        Ok(())
    }

    /// A VXLAN tunnel through the right interface, joined with the left one.
    pub(crate) fn tunnel(&self, interfaces: [InterfaceIndex; 2]) -> anyhow::Result<()> {
        self.route(interfaces)?;
        let reply = self.ask(&VxlanAddDelTunnelV3 {
            src_address: Side::RIGHT.gateway4().into(),
            dst_address: Side::RIGHT.host4().into(),
            src_port: 4789,
            dst_port: 4789,
            mcast_sw_if_index: InterfaceIndex(u32::MAX),
            decap_next_index: u32::MAX,
            vni: VNI,
            ..VxlanAddDelTunnelV3::default()
        })?;
        self.up(reply.sw_if_index)?;
        self.cross_connect([interfaces[0], reply.sw_if_index])
    }

    /// What a CLI command says.
    pub(crate) fn cli(&self, command: &str) -> anyhow::Result<String> {
        let cmd = command.to_owned();
        Ok(self.ask(&CliInband { cmd })?.reply)
    }

    /// The process of the dataplane.
    pub(crate) fn process(&mut self) -> &mut Daemon {
        &mut self.process
    }

    pub(crate) fn bridge(&self, interfaces: &[InterfaceIndex]) -> anyhow::Result<()> {
        let bd_id = 1;
        self.ask(&BridgeDomainAddDelV2 {
            bd_id,
            flood: true,
            uu_flood: true,
            forward: true,
            learn: true,
            is_add: true,
            ..BridgeDomainAddDelV2::default()
        })?;
        for &rx_sw_if_index in interfaces {
            self.ask(&SwInterfaceSetL2Bridge {
                rx_sw_if_index,
                bd_id,
                enable: true,
                ..SwInterfaceSetL2Bridge::default()
            })?;
        }
        Ok(())
    }

    /// A tap whose other end is `eth0` of `pod`.
    pub(crate) fn tap(
        &self,
        pod: &Namespace,
        address: Ipv4Addr,
        gateway: Option<Ipv4Addr>,
        mtu: u32,
    ) -> anyhow::Result<InterfaceIndex> {
        let reply = self.ask(&TapCreateV3 {
            num_rx_queues: 1,
            host_mtu_set: true,
            host_mtu_size: mtu,
            host_ip4_prefix_set: true,
            host_ip4_prefix: Ip4AddressWithPrefix(Ip4Prefix { address, len: 24 }),
            host_ip4_gw_set: gateway.is_some(),
            host_ip4_gw: gateway.unwrap_or(Ipv4Addr::UNSPECIFIED),
            host_namespace_set: true,
            host_namespace: FixedString::new(&pod.path())?,
            host_if_name_set: true,
            host_if_name: FixedString::new("eth0")?,
            ..TapCreateV3::default()
        })?;
        self.up(reply.sw_if_index)?;
        Ok(reply.sw_if_index)
    }

    pub(crate) fn address(
        &self,
        sw_if_index: InterfaceIndex,
        address: Ipv4Addr,
    ) -> anyhow::Result<()> {
        self.ask(&SwInterfaceAddDelAddress {
            sw_if_index,
            is_add: true,
            prefix: AddressWithPrefix(Prefix::new(address.into(), 24)),
            ..SwInterfaceAddDelAddress::default()
        })?;
        Ok(())
    }

    pub(crate) fn up(&self, sw_if_index: InterfaceIndex) -> anyhow::Result<()> {
        let flags = IfStatusFlags::ADMIN_UP;
        self.ask(&SwInterfaceSetFlags { sw_if_index, flags })?;
        Ok(())
    }

    pub(crate) fn ask<M: Request>(&self, message: &M) -> anyhow::Result<M::Reply> {
        Ok(self.runtime.block_on(self.api.request(message))?)
    }
}

fn through(prefix: Prefix, on: InterfaceIndex, side: &Side) -> IpRouteAddDel {
    let (proto, host): (_, IpAddr) = if prefix.address.is_ipv6() {
        (FibPathNhProto::Ip6, side.host6().into())
    } else {
        (FibPathNhProto::Ip4, side.host4().into())
    };
    let path = FibPath {
        sw_if_index: on.0,
        weight: 1,
        proto,
        nh: FibPathNh {
            address: AddressUnion::from(host),
            ..FibPathNh::default()
        },
        ..FibPath::default()
    };
    IpRouteAddDel {
        is_add: true,
        is_multipath: false,
        route: IpRoute {
            prefix,
            paths: vec![path],
            ..IpRoute::default()
        },
    }
}

/// VPP's configuration: one worker on the given core, no hardware, and room for a million routes.
fn startup(dir: &Path, socket: &Path, core: usize) -> anyhow::Result<PathBuf> {
    let main = usize::from(core == 0);
    let path = dir.join("startup.conf");
    let (dir, socket) = (dir.display(), socket.display());
    let text = format!(
        "unix {{ nodaemon runtime-dir {dir} cli-listen {dir}/cli.sock }}\nsocksvr {{ socket-name {socket} }}\n\
         cpu {{ main-core {main} corelist-workers {core} }}\nplugins {{ plugin dpdk_plugin.so {{ disable }} }}\n\
         memory {{ main-heap-size 3G main-heap-page-size default }}\n\
         statseg {{ socket-name {dir}/stats.sock size 512M }}\n"
    );
    std::fs::write(&path, text).with_context(|| format!("write `{}`", path.display()))?;
    Ok(path)
}
