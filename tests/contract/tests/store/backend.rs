//! Servers under test, as child processes that can be killed and started again on the same address.

use std::net::TcpListener as StdListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use store::client::StoreClient;
use tempfile::TempDir;
use tokio::io::AsyncReadExt;
use tokio::net::TcpListener;
use tokio::time::{sleep, timeout};

const LISTEN: &str = "WEFT_CONTRACT_STORE_LISTEN";
const DATA_DIR: &str = "WEFT_CONTRACT_STORE_DATA_DIR";
const START_PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(20);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Backend {
    Embedded,
    Etcd,
}

impl Backend {
    pub(crate) fn is_available(self) -> bool {
        match self {
            Self::Embedded => true,
            Self::Etcd => quiet(Command::new("etcd").arg("--version"))
                .status()
                .is_ok(),
        }
    }
}

pub(crate) struct Server {
    backend: Backend,
    port: u16,
    peer_port: u16,
    data: TempDir,
    process: Option<Child>,
}

impl Server {
    pub(crate) async fn start(backend: Backend) -> Self {
        let mut server = Self {
            backend,
            port: free_port(),
            peer_port: free_port(),
            data: TempDir::new().unwrap(),
            process: None,
        };
        server.resume().await;
        server
    }

    /// Starts the process again on the same address and data, and waits until it answers.
    pub(crate) async fn resume(&mut self) {
        self.process = Some(self.spawn());
        let answers = async {
            while StoreClient::connect(&[self.endpoint()], Duration::from_secs(1))
                .await
                .is_err()
            {
                sleep(POLL).await;
            }
        };
        let answered = timeout(START_PATIENCE, answers).await;
        answered.unwrap_or_else(|_| panic!("{:?} did not start", self.backend));
    }

    /// As a power cut would end it, as far as one process can tell.
    pub(crate) fn kill(&mut self) {
        if let Some(mut process) = self.process.take() {
            process.kill().unwrap();
            process.wait().unwrap();
        }
    }

    /// Only while it is not running.
    pub(crate) fn wipe(&mut self) {
        assert!(self.process.is_none());
        self.data = TempDir::new().unwrap();
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    pub(crate) fn client(&self) -> StoreClient {
        StoreClient::new(&[self.endpoint()], Duration::from_secs(5)).unwrap()
    }

    fn spawn(&self) -> Child {
        let mut command = match self.backend {
            Backend::Embedded => embedded(self.port, self.data.path()),
            Backend::Etcd => etcd(self.port, self.peer_port, self.data.path()),
        };
        quiet(&mut command).stdin(Stdio::piped()).spawn().unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.kill();
    }
}

fn embedded(port: u16, data: &Path) -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command
        .args(["--exact", "embedded_server_process", "--nocapture"])
        .env(LISTEN, format!("127.0.0.1:{port}"))
        .env(DATA_DIR, data);
    command
}

fn etcd(port: u16, peer_port: u16, data: &Path) -> Command {
    let client = format!("http://127.0.0.1:{port}");
    let peer = format!("http://127.0.0.1:{peer_port}");
    let mut command = Command::new("etcd");
    command.env("ETCD_UNSUPPORTED_ARCH", std::env::consts::ARCH);
    command
        .args(["--name", "contract", "--logger", "zap", "--data-dir"])
        .arg(data);
    command.args([
        "--listen-client-urls",
        &client,
        "--advertise-client-urls",
        &client,
    ]);
    command.args([
        "--listen-peer-urls",
        &peer,
        "--initial-advertise-peer-urls",
        &peer,
    ]);
    command.args(["--initial-cluster", &format!("contract={peer}")]);
    command
}

/// Serves until standard input closes, which is when the parent is gone.
pub(crate) async fn serve_if_asked() {
    let (Ok(listen), Ok(data)) = (std::env::var(LISTEN), std::env::var(DATA_DIR)) else {
        return;
    };
    let listener = TcpListener::bind(listen).await.unwrap();
    let orphaned = async {
        let mut byte = [0];
        let _ = tokio::io::stdin().read(&mut byte).await;
    };
    store::server::serve(listener, Path::new(&data), orphaned)
        .await
        .unwrap();
    std::process::exit(0);
}

fn quiet(command: &mut Command) -> &mut Command {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
}

pub(crate) fn free_port() -> u16 {
    StdListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}
