//! The lab's control protocol: one JSON line each way on a UNIX socket inside the lab.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context;
use model::{ChainStatus, HopState};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::time::timeout;

use super::place::{CONTROL, Record};
use super::pod::PodState;
use super::process::ProcessState;

/// Longest message; a set of manifests fits well.
pub(super) const MESSAGE_LEN_MAX: u64 = 64 << 20;
const DEADLINE: Duration = Duration::from_secs(30);

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Request {
    Status,
    /// Files with their text; the paths are for messages only.
    Apply(Vec<(PathBuf, String)>),
    Delete(Vec<(PathBuf, String)>),
    Signal {
        name: String,
        action: Action,
    },
    Down,
}

/// What happens to a process of the lab, or a pod's container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Action {
    /// SIGKILL; it is started again.
    Kill,
    /// SIGKILL; it stays down.
    Hold,
    /// A held one is started.
    Start,
}

#[derive(Debug, Serialize, Deserialize)]
pub(crate) enum Reply {
    Done,
    Status(Box<Status>),
    /// One line each.
    Refused(Vec<String>),
}

/// The whole lab at one moment.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct Status {
    pub(crate) nodes: Vec<String>,
    /// By name: `store`, `ksr`, `controller`, `vswitch@node-1`, `agent@node-1`.
    pub(crate) processes: BTreeMap<String, ProcessState>,
    /// By `namespace/name`.
    pub(crate) pods: BTreeMap<String, PodState>,
    pub(crate) chains: BTreeMap<String, ChainView>,
    /// Why the chains are not known.
    pub(crate) store_problem: Option<String>,
}

/// A chain as the controller and the agents report it.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct ChainView {
    pub(crate) status: Option<ChainStatus>,
    /// By hop name.
    pub(crate) hops: BTreeMap<String, HopState>,
}

impl Status {
    /// A pod by `namespace/name`, or by its bare name in `default`.
    pub(crate) fn pod(&self, name: &str) -> anyhow::Result<&PodState> {
        let found = self
            .pods
            .get(name)
            .or_else(|| self.pods.get(&format!("default/{name}")));
        let known = || self.pods.keys().cloned().collect::<Vec<_>>().join(", ");
        found.with_context(|| format!("no pod `{name}`; hint: there are {}", known()))
    }
}

impl ChainView {
    /// Whether the controller says so and every hop carries packets.
    pub(crate) fn is_ready(&self) -> bool {
        let ready = |s: &ChainStatus| s.conditions.iter().any(|c| c.kind == "Ready" && c.status);
        let hops = |s: &ChainStatus| {
            s.hops
                .iter()
                .all(|h| self.hops.get(&h.name).is_some_and(HopState::is_up))
        };
        self.status.as_ref().is_some_and(|s| ready(s) && hops(s))
    }
}

/// Asks the lab's supervisor.
pub(crate) async fn ask(lab: &Record, request: &Request) -> anyhow::Result<Reply> {
    let exchange = async {
        let path = lab.inside(CONTROL);
        let stream = UnixStream::connect(&path)
            .await
            .context("reach the lab's control socket")?;
        let (reading, mut writing) = stream.into_split();
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        writing.write_all(&line).await.context("write to the lab")?;
        let mut answer = String::new();
        BufReader::new(reading)
            .read_line(&mut answer)
            .await
            .context("read from the lab")?;
        anyhow::ensure!(!answer.is_empty(), "the lab ended before it answered");
        Ok(serde_json::from_str(&answer)?)
    };
    timeout(DEADLINE, exchange)
        .await
        .with_context(|| format!("no answer within {DEADLINE:?}"))?
}

/// Asks for the status.
pub(crate) async fn status(lab: &Record) -> anyhow::Result<Status> {
    match ask(lab, &Request::Status).await? {
        Reply::Status(status) => Ok(*status),
        Reply::Done | Reply::Refused(_) => {
            anyhow::bail!("the lab gave an answer to another question")
        }
    }
}
