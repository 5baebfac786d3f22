//! The dataplanes under test.

use std::fs::File;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Once;
use std::time::Duration;

use tempfile::TempDir;
use vpp_api::fib_types::{FibPath, FibPathNh};
use vpp_api::interface::{CreateLoopback, SwInterfaceDetails, SwInterfaceDump};
use vpp_api::interface_types::InterfaceIndex;
use vpp_api::ip::{IpRouteDump, IpTable};
use vpp_api::ip_types::Prefix;
use vpp_api::{ApiError, Request};
use vpp_api_client::{Client, Options};

pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

/// How long an answer may take.
const REQUEST_MAX: Duration = Duration::from_secs(10);

/// Real VPP's table ids and bridge domains that no one else uses.
pub(crate) const TABLE: u32 = 77_001;

pub(crate) const BRIDGE: u32 = 77_001;

/// Names the API socket of a VPP that runs already.
const API_SOCKET: &str = "WEFT_VPP_API_SOCKET";

/// Names the prefix that VPP is installed under: each test starts one of its own.
const PREFIX: &str = "WEFT_VPP_PREFIX";

/// Says once that only our dataplane is tested.
static NO_VPP: Once = Once::new();

/// A dataplane under test.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) child: Option<Child>,
    pub(crate) dir: TempDir,
    pub(crate) socket: PathBuf,
    pub(crate) api: Client,
    /// A VPP that runs already serves one test at a time.
    _turn: Option<File>,
}

impl Target {
    /// Our dataplane, and real VPP when there is one.
    pub(crate) async fn all() -> Vec<Self> {
        let mut all = vec![Self::vswitch().await];
        match Self::vpp().await {
            Some(vpp) => all.push(vpp),
            None => NO_VPP.call_once(|| {
                eprintln!("SKIPPED: real VPP (neither {PREFIX} nor {API_SOCKET} is set)");
            }),
        }
        all
    }

    pub(crate) async fn vswitch() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("api.sock");
        let mut command = Command::new(binary());
        command
            .arg("--api-socket")
            .arg(&socket)
            .arg("--stats-socket")
            .arg(dir.path().join("stats.sock"));
        Self::started("weft-vswitch", command, dir, socket).await
    }

    /// A VPP of our own, or the running one when no other test uses it.
    async fn vpp() -> Option<Self> {
        if let Some(prefix) = std::env::var_os(PREFIX) {
            let dir = tempfile::tempdir().unwrap();
            let socket = dir.path().join("api.sock");
            let mut command = Command::new(Path::new(&prefix).join("bin/vpp"));
            command.arg("-c").arg(startup(dir.path()));
            return Some(Self::started("vpp", command, dir, socket).await);
        }
        let socket = PathBuf::from(std::env::var_os(API_SOCKET)?);
        let mut lock = socket.clone().into_os_string();
        lock.push(".contract.lock");
        let turn = File::create(lock).unwrap();
        turn.lock().unwrap();
        Some(Self {
            name: "vpp",
            child: None,
            dir: tempfile::tempdir().unwrap(),
            api: connect(&socket, REQUEST_MAX).await,
            socket,
            _turn: Some(turn),
        })
    }

    async fn started(
        name: &'static str,
        mut command: Command,
        dir: TempDir,
        socket: PathBuf,
    ) -> Self {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let child = Some(command.spawn().unwrap());
        let api = connect(&socket, REQUEST_MAX).await;
        Self {
            name,
            child,
            dir,
            socket,
            api,
            _turn: None,
        }
    }

    /// A connection for a request that is not answered.
    pub(crate) async fn impatient(&self) -> Client {
        connect(&self.socket, Duration::from_millis(300)).await
    }

    pub(crate) fn is_vpp(&self) -> bool {
        self.name == "vpp"
    }

    pub(crate) async fn ok<M: Request>(&self, request: &M) {
        if let Err(error) = self.api.request(request).await {
            panic!("{} on {}: {error}", M::NAME, self.name);
        }
    }

    pub(crate) async fn refuses<M: Request>(&self, request: &M, with: &[ApiError]) {
        let error = self
            .api
            .request(request)
            .await
            .err()
            .and_then(|error| error.api_error());
        assert!(
            error.is_some_and(|error| with.contains(&error)),
            "{} on {}: {error:?}, not {with:?}",
            M::NAME,
            self.name
        );
    }

    pub(crate) async fn loopback(&self) -> InterfaceIndex {
        self.api
            .request(&CreateLoopback::default())
            .await
            .unwrap()
            .sw_if_index
    }

    pub(crate) async fn interfaces(&self, dump: SwInterfaceDump) -> Vec<SwInterfaceDetails> {
        self.api.dump(&dump).await.unwrap()
    }

    pub(crate) async fn interface(&self, sw_if_index: InterfaceIndex) -> SwInterfaceDetails {
        self.interfaces(SwInterfaceDump {
            sw_if_index,
            ..Default::default()
        })
        .await
        .remove(0)
    }

    /// Next hops of a route in the test's table, sorted.
    pub(crate) async fn next_hops(&self, to: &str) -> Vec<String> {
        let table = IpTable {
            table_id: TABLE,
            ..IpTable::default()
        };
        let routes = self.api.dump(&IpRouteDump { table }).await.unwrap();
        let route = routes
            .into_iter()
            .find(|details| details.route.prefix == prefix(to));
        let paths = route.map(|details| details.route.paths).unwrap_or_default();
        let mut hops: Vec<String> = paths
            .iter()
            .map(|path| path.nh.address.ip4().unwrap().to_string())
            .collect();
        hops.sort();
        hops
    }
}

impl Drop for Target {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            child.kill().ok();
            child.wait().ok();
        }
    }
}

/// VPP's configuration: the main thread alone, asleep most of the time, no hardware, little memory.
fn startup(dir: &Path) -> PathBuf {
    let (path, dir) = (dir.join("startup.conf"), dir.display());
    let text = format!(
        "unix {{ nodaemon poll-sleep-usec 100 runtime-dir {dir} cli-listen {dir}/cli.sock }}\n\
         socksvr {{ socket-name {dir}/api.sock }}\nstatseg {{ socket-name {dir}/stats.sock }}\n\
         plugins {{ plugin dpdk_plugin.so {{ disable }} }}\n\
         memory {{ main-heap-size 512M main-heap-page-size default }}\n\
         buffers {{ buffers-per-numa 4096 page-size default }}\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

async fn connect(socket: &Path, request_timeout: Duration) -> Client {
    Client::connect(
        socket,
        Options {
            name: "contract".into(),
            request_timeout,
            ..Options::default()
        },
    )
    .await
    .unwrap()
}

/// Finds the program next to this test, where `cargo` puts it; has `cargo` build it when it is not there.
pub(crate) fn binary() -> PathBuf {
    if let Some(binary) = std::env::var_os("WEFT_VSWITCH") {
        return binary.into();
    }
    let test = std::env::current_exe().unwrap();
    let binary = test
        .parent()
        .and_then(Path::parent)
        .unwrap()
        .join("weft-vswitch");
    if !binary.exists() {
        let build = ["build", "-p", "vswitch-io", "--bin", "weft-vswitch"];
        assert!(
            Command::new(env!("CARGO"))
                .args(build)
                .status()
                .unwrap()
                .success()
        );
    }
    binary
}

pub(crate) fn prefix(text: &str) -> Prefix {
    let (address, len) = text.split_once('/').unwrap();
    Prefix::new(address.parse().unwrap(), len.parse().unwrap())
}

pub(crate) fn path(next_hop: &str, sw_if_index: InterfaceIndex) -> FibPath {
    let next_hop: IpAddr = next_hop.parse().unwrap();
    FibPath {
        sw_if_index: sw_if_index.0,
        weight: 1,
        nh: FibPathNh {
            address: next_hop.into(),
            ..FibPathNh::default()
        },
        ..FibPath::default()
    }
}
