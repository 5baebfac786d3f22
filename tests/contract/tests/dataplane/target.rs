//! The dataplanes under test.

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

/// Real VPP's table ids and bridge domains that no one else uses.
pub(crate) const TABLE: u32 = 77_001;

pub(crate) const BRIDGE: u32 = 77_001;

/// Says once that only our dataplane is tested.
static NO_VPP: Once = Once::new();

/// A dataplane under test.
pub(crate) struct Target {
    pub(crate) name: &'static str,
    pub(crate) child: Option<Child>,
    pub(crate) dir: TempDir,
    pub(crate) socket: PathBuf,
    pub(crate) api: Client,
}

impl Target {
    /// Our dataplane, and real VPP when there is one.
    pub(crate) async fn all() -> Vec<Self> {
        let mut all = vec![Self::vswitch().await];
        match std::env::var_os("WEFT_VPP_API_SOCKET") {
            Some(socket) => {
                let (socket, dir) = (PathBuf::from(socket), tempfile::tempdir().unwrap());
                all.push(Self {
                    name: "vpp",
                    child: None,
                    dir,
                    api: connect(&socket).await,
                    socket,
                });
            }
            None => {
                NO_VPP
                    .call_once(|| eprintln!("SKIPPED: real VPP (WEFT_VPP_API_SOCKET is not set)"));
            }
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
        let child = Some(
            command
                .stdin(Stdio::null())
                .stderr(Stdio::null())
                .spawn()
                .unwrap(),
        );
        let api = connect(&socket).await;
        Self {
            name: "weft-vswitch",
            child,
            dir,
            socket,
            api,
        }
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

async fn connect(socket: &Path) -> Client {
    Client::connect(
        socket,
        Options {
            name: "contract".into(),
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
