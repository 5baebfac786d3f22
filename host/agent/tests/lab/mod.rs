//! One node: its processes, its pods and what can be asked of them.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use agent_api::agent::NodeState;
use agent_api::agent::cni_client::CniClient;
use agent_api::agent::node_client::NodeClient;
use runtime::netns::{Netns, named_path};
use serde_json::{Value, json};
use store::client::{StoreClient, StoreError};
use tokio::runtime::Runtime;

const PATIENCE: Duration = Duration::from_secs(30);

/// A container: a network namespace and an id.
pub(crate) struct Pod {
    name: String,
    netns: Netns,
    result: Option<Value>,
}

impl Pod {
    fn netns_path(&self) -> PathBuf {
        named_path(&self.name)
    }
}

/// How the agent's file differs from the ordinary one.
#[derive(Clone, Default)]
pub(crate) struct Options {
    /// The store says what the cluster is like.
    pub(crate) without_cluster: bool,
    pub(crate) uplink: Option<String>,
}

pub(crate) struct Lab {
    options: Options,
    name: String,
    dir: tempfile::TempDir,
    vswitch_path: PathBuf,
    plugin: PathBuf,
    vswitch: Option<Child>,
    agent: Option<Runtime>,
    store: Option<Runtime>,
    store_port: u16,
    pods: Vec<String>,
    results: std::collections::BTreeMap<String, Value>,
}

/// A ping in the background.
pub(crate) struct Ping(Child);

impl Ping {
    pub(crate) fn start(from: &Pod, to: &str) -> Self {
        let child = from.netns.run(|| {
            let mut ping = Command::new("ping");
            ping.args(["-i", "0.02", "-W", "1", to])
                .stdout(Stdio::piped())
                .spawn()
        });
        Self(child.unwrap().unwrap())
    }

    /// Sent and received.
    pub(crate) fn stop(self) -> (u32, u32) {
        let id = nix::unistd::Pid::from_raw(i32::try_from(self.0.id()).unwrap());
        nix::sys::signal::kill(id, nix::sys::signal::Signal::SIGINT).unwrap();
        let output = self.0.wait_with_output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let summary = text
            .lines()
            .find(|l| l.contains("packets transmitted"))
            .unwrap();
        let mut numbers = summary.split(' ').filter_map(|word| word.parse().ok());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }
}

/// Where cargo puts binaries.
fn built(variable: &str, name: &str) -> Option<PathBuf> {
    let beside = || {
        let exe = std::env::current_exe().ok()?;
        Some(exe.parent()?.parent()?.join(name))
    };
    let path = std::env::var_os(variable)
        .map(PathBuf::from)
        .or_else(beside)?;
    if path.exists() {
        return Some(path);
    }
    eprintln!(
        "SKIPPED: `{}` is not built; hint: set {variable}",
        path.display()
    );
    None
}

pub(crate) fn spec_check() -> Option<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../..");
    let default = || root.join("shared/tools/cni-spec-check.py");
    let path = std::env::var_os("WEFT_CNI_SPEC_CHECK").map_or_else(default, PathBuf::from);
    if path.exists() {
        return Some(path);
    }
    eprintln!("SKIPPED: no specification check; hint: set WEFT_CNI_SPEC_CHECK");
    None
}

pub(crate) fn cluster(mtu: u16) -> Value {
    json!({
        "podCidr": "10.1.0.0/16", "nodePrefixLen": 24, "vxlanCidr": "192.168.30.0/24",
        "chainCidr": "192.168.64.0/18", "vxlanVni": 10, "mtu": mtu,
    })
}

/// Polls until `condition` holds.
pub(crate) fn wait_for(what: &str, mut condition: impl FnMut() -> bool) {
    let give_up = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < give_up, "waited in vain for {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

impl Lab {
    /// A node that is ready for pods; `None` where it cannot be had.
    pub(crate) fn start(name: &str) -> Option<Self> {
        let mut lab = Self::prepare(name, Options::default())?;
        lab.start_agent();
        wait_for("the node to be ready", || lab.is_ready());
        Some(lab)
    }

    /// The same without an agent yet.
    pub(crate) fn prepare(name: &str, options: Options) -> Option<Self> {
        if !nix::unistd::geteuid().is_root() {
            eprintln!("SKIPPED {name}: needs root");
            return None;
        }
        let _ = tracing_subscriber::fmt()
            .with_env_filter(tracing_subscriber::EnvFilter::from_env("WEFT_LOG"))
            .with_writer(std::io::stderr)
            .try_init();
        let mut lab = Self {
            options,
            name: format!("wa{}{name}", std::process::id()),
            dir: tempfile::tempdir().unwrap(),
            vswitch_path: built("WEFT_VSWITCH", "weft-vswitch")?,
            plugin: built("WEFT_CNI", "weft-cni")?,
            vswitch: None,
            agent: None,
            store: None,
            store_port: 0,
            pods: Vec::new(),
            results: std::collections::BTreeMap::new(),
        };
        lab.start_store();
        lab.start_vswitch();
        Some(lab)
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn start_store(&mut self) {
        let runtime = runtime();
        let listener = runtime
            .block_on(tokio::net::TcpListener::bind("127.0.0.1:0"))
            .unwrap();
        self.store_port = listener.local_addr().unwrap().port();
        let dir = self.path("store");
        runtime.spawn(async move {
            store::server::serve(listener, &dir, std::future::pending())
                .await
                .unwrap();
        });
        self.store = Some(runtime);
    }

    fn ask_store<T>(&self, ask: impl AsyncFnOnce(StoreClient) -> Result<T, StoreError>) -> T {
        let url = format!("http://127.0.0.1:{}", self.store_port);
        runtime().block_on(async {
            let client = StoreClient::new(&[url], PATIENCE).unwrap();
            ask(client).await.unwrap()
        })
    }

    pub(crate) fn store_put(&self, key: &str, value: &Value) {
        let value = value.to_string();
        self.ask_store(async |client| client.put(key, value).await);
    }

    pub(crate) fn store_delete(&self, key: &str) {
        self.ask_store(async |client| client.delete(key).await);
    }

    pub(crate) fn store_get(&self, key: &str) -> Option<Value> {
        let found = self.ask_store(async |client| client.get(key).await)?;
        serde_json::from_slice(&found.value).ok()
    }

    pub(crate) fn stop_store(&mut self) {
        self.store
            .take()
            .unwrap()
            .shutdown_timeout(Duration::from_secs(1));
        wait_for("the agent to miss the store", || {
            !self.describe().connected["store"]
        });
    }

    pub(crate) fn start_vswitch(&mut self) {
        let mut command = Command::new(&self.vswitch_path);
        command.arg("--api-socket").arg(self.path("vpp.sock"));
        command.arg("--rundir").arg(self.dir.path());
        command.arg("--stats-socket").arg(self.path("stats.sock"));
        self.vswitch = Some(command.spawn().unwrap());
    }

    pub(crate) fn kill_vswitch(&mut self) {
        let mut child = self.vswitch.take().unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
    }

    pub(crate) fn start_agent(&mut self) {
        let mut config = json!({
            "node": "node-1",
            "store": format!("http://127.0.0.1:{}", self.store_port),
            "vppApi": self.path("vpp.sock"),
            "cniSocket": self.path("agent.sock"),
            "stateDir": self.path("state"),
            "podDir": self.path("pods"),
            "statsSocket": self.path("stats.sock"),
        });
        if !self.options.without_cluster {
            config["cluster"] = cluster(1450);
        }
        if let Some(interface) = &self.options.uplink {
            config["uplink"] = json!({ "interface": interface, "address": "192.168.16.1/24" });
        }
        let config: agent::AgentConfig = serde_json::from_value(config).unwrap();
        let runtime = runtime();
        runtime.spawn(async move {
            agent::run(config, std::future::pending()).await.unwrap();
        });
        self.agent = Some(runtime);
    }

    /// The agent gets no chance to tidy up, as with SIGKILL.
    pub(crate) fn kill_agent(&mut self) {
        self.agent
            .take()
            .unwrap()
            .shutdown_timeout(Duration::from_secs(1));
    }

    pub(crate) fn is_ready(&self) -> bool {
        let socket = self.path("agent.sock");
        runtime().block_on(async {
            let Ok(channel) = agent_api::connect(&socket).await else {
                return false;
            };
            CniClient::new(channel)
                .status(agent_api::agent::StatusRequest {})
                .await
                .is_ok()
        })
    }

    pub(crate) fn describe(&self) -> NodeState {
        let socket = self.path("agent.sock");
        runtime().block_on(async {
            let give_up = Instant::now() + PATIENCE;
            let channel = loop {
                match agent_api::connect(&socket).await {
                    Ok(channel) => break channel,
                    Err(e) => assert!(Instant::now() < give_up, "{e}"),
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            };
            let request = agent_api::agent::DescribeRequest {};
            NodeClient::new(channel)
                .describe(request)
                .await
                .unwrap()
                .into_inner()
        })
    }

    pub(crate) fn pod(&mut self, name: &str) -> Pod {
        let name = format!("{}{name}", self.name);
        let netns = Netns::named(&name).unwrap();
        self.pods.push(name.clone());
        Pod {
            name,
            netns,
            result: None,
        }
    }

    fn conf(&self, prev_result: Option<&Value>) -> Value {
        let mut conf = json!({
            "cniVersion": "1.1.0", "name": "weft", "type": "weft-cni",
            "agentSocket": self.path("agent.sock"),
        });
        if let Some(previous) = prev_result {
            conf["prevResult"] = previous.clone();
        }
        conf
    }

    #[expect(clippy::unwrap_in_result, reason = "a test ends where its tools fail")]
    fn call(&self, verb: &str, pod: &Pod, previous: Option<&Value>) -> Result<String, String> {
        let mut child = Command::new(&self.plugin)
            .env_clear()
            .env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", &pod.name)
            .env("CNI_NETNS", pod.netns_path())
            .env("CNI_IFNAME", "eth0")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let conf = self.conf(previous).to_string();
        child
            .stdin
            .take()
            .unwrap()
            .write_all(conf.as_bytes())
            .unwrap();
        let output = child.wait_with_output().unwrap();
        let text = String::from_utf8(output.stdout).unwrap();
        if output.status.success() {
            Ok(text)
        } else {
            Err(text)
        }
    }

    /// ADD; answers the pod's address.
    pub(crate) fn add(&mut self, pod: &Pod) -> String {
        assert!(pod.result.is_none());
        let text = self.call("ADD", pod, None).unwrap();
        let result: Value = serde_json::from_str(&text).unwrap();
        let address = result["ips"][0]["address"].as_str().unwrap();
        let address = address.split('/').next().unwrap().to_owned();
        self.results.insert(pod.name.clone(), result);
        address
    }

    pub(crate) fn del(&mut self, pod: &Pod) {
        assert_eq!(self.call("DEL", pod, None), Ok(String::new()));
    }

    pub(crate) fn check(&self, pod: &Pod) {
        let previous = self.results.get(&pod.name);
        assert_eq!(self.call("CHECK", pod, previous), Ok(String::new()));
    }

    pub(crate) fn can_ping(&self, from: &Pod, to: &str) -> bool {
        self.try_ping(from, to, 1)
    }

    fn try_ping(&self, from: &Pod, to: &str, count: u32) -> bool {
        let count = count.to_string();
        let status = from.netns.run(|| {
            let mut ping = Command::new("ping");
            ping.args(["-c", &count, "-i", "0.1", "-W", "1", to])
                .stdout(Stdio::null())
                .status()
        });
        status.unwrap().unwrap().success()
    }

    pub(crate) fn ping(&self, from: &Pod, to: &str, count: u32) {
        assert!(
            self.try_ping(from, to, count),
            "no answer from {to}; {:#?}",
            self.describe()
        );
    }

    pub(crate) fn has_link(&self, pod: &Pod, name: &str) -> bool {
        let found = pod
            .netns
            .run(|| nix::net::if_::if_nametoindex(name).is_ok());
        found.unwrap()
    }

    /// MTU of the pod's interface.
    pub(crate) fn mtu(&self, pod: &Pod) -> u32 {
        let output = pod.netns.run(|| {
            let mut ip = Command::new("ip");
            ip.args(["-j", "link", "show", "eth0"]).output()
        });
        let links: Value = serde_json::from_slice(&output.unwrap().unwrap().stdout).unwrap();
        u32::try_from(links[0]["mtu"].as_u64().unwrap()).unwrap()
    }

    /// Runs a check of the plugin; its output.
    pub(crate) fn run_script(&self, script: &Path, patience: Duration) -> String {
        let conf = self.path("conf.json");
        std::fs::write(&conf, self.conf(None).to_string()).unwrap();
        let output = Command::new("timeout")
            .arg(patience.as_secs().to_string())
            .arg(script)
            .arg(&self.plugin)
            .arg(&conf)
            .output()
            .unwrap();
        let text = [output.stdout, output.stderr].concat();
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        for runtime in [self.agent.take(), self.store.take()].into_iter().flatten() {
            runtime.shutdown_background();
        }
        if let Some(mut child) = self.vswitch.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        for pod in &self.pods {
            let _ = Netns::remove(pod);
        }
    }
}
