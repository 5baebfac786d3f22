//! Real traffic of a scenario: `weft probe` in the client's pod, and what everybody counted.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;
use std::time::Duration;

use agent_api::cnf::runner_client::RunnerClient;
use agent_api::cnf::{StatsReply, StatsRequest};
use anyhow::Context;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::Traffic;
use crate::lab::control::Status;
use crate::lab::place::Record;
use crate::probe::{SendReport, ServeReport};

const ANSWER_DEADLINE: Duration = Duration::from_secs(2);

/// Where the scenario happens.
#[derive(Clone, Debug)]
pub(super) struct Scene {
    pub(super) lab: Record,
    pub(super) lab_name: String,
    pub(super) namespace: String,
    pub(super) chain: String,
    pub(super) client: String,
    pub(super) server: String,
}

impl Scene {
    pub(super) fn full_name(&self, name: &str) -> String {
        format!("{}/{name}", self.namespace)
    }

    pub(super) async fn status(&self) -> anyhow::Result<Status> {
        crate::lab::control::status(&self.lab).await
    }

    /// The pod that is hop `hop`.
    pub(super) async fn pod_of(&self, hop: &str) -> anyhow::Result<String> {
        let status = self.status().await?;
        let chain = status
            .chains
            .get(&self.full_name(&self.chain))
            .context("the chain is gone")?;
        let hops = chain.status.iter().flat_map(|s| &s.hops);
        let found = hops
            .clone()
            .find(|h| h.name == hop)
            .and_then(|h| h.pod.as_ref());
        found
            .map(ToString::to_string)
            .with_context(|| format!("hop `{hop}` has no pod"))
    }

    /// Starts traffic from the client to the server.
    pub(super) async fn start(&self, traffic: &Traffic) -> anyhow::Result<Child> {
        let status = self.status().await?;
        let server = status.pod(&self.full_name(&self.server))?;
        let address = server.addresses.first().and_then(|a| a.split('/').next());
        let address = address.context("the server has no address")?;
        Command::new(std::env::current_exe().context("find this program")?)
            .args([
                "lab",
                "exec",
                "--name",
                &self.lab_name,
                &self.full_name(&self.client),
                "--",
            ])
            .args(["weft", "probe", "send", "--target", address])
            .args([
                "--proto",
                traffic.proto.name(),
                "--port",
                &traffic.port.to_string(),
            ])
            .args([
                "--rate",
                &traffic.rate.to_string(),
                "--count",
                &traffic.count.to_string(),
            ])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .context("start the client's traffic")
    }

    pub(super) async fn send(&self, traffic: &Traffic) -> anyhow::Result<SendReport> {
        finish(self.start(traffic).await?).await
    }

    /// Requests that the server counted on one port.
    pub(super) async fn server_count(&self, traffic: &Traffic) -> anyhow::Result<u64> {
        let status = self.status().await?;
        let directory = &status.pod(&self.full_name(&self.server))?.directory;
        let path = self.lab.inside(directory.join("probe.json"));
        let text = fs::read(&path).context("read the server's report")?;
        let report: ServeReport = serde_json::from_slice(&text)?;
        let port = format!("{}/{}", traffic.proto.transport(), traffic.port);
        Ok(report.ports.get(&port).map_or(0, |p| p.received))
    }

    pub(super) async fn runner(
        &self,
        hop: &str,
    ) -> anyhow::Result<RunnerClient<tonic::transport::Channel>> {
        let pod = self.pod_of(hop).await?;
        let socket = crate::lab::cnf_socket(&self.lab, &pod).await?;
        Ok(RunnerClient::new(agent_api::connect(&socket).await?))
    }

    pub(super) async fn stats(&self, hop: &str) -> anyhow::Result<StatsReply> {
        let mut runner = self.runner(hop).await?;
        let asked = timeout(ANSWER_DEADLINE, runner.stats(StatsRequest {})).await;
        let reply = asked.with_context(|| format!("CNF `{hop}` does not answer"))?;
        Ok(reply
            .map_err(|s| crate::command::cnf::refused(&s))?
            .into_inner())
    }

    /// Packets that each hop's links received so far.
    pub(super) async fn seen<'a>(
        &self,
        hops: impl IntoIterator<Item = &'a String>,
    ) -> anyhow::Result<BTreeMap<String, u64>> {
        let mut seen = BTreeMap::new();
        for hop in hops {
            let stats = self.stats(hop).await?;
            seen.insert(hop.clone(), stats.ports.iter().map(|p| p.rx_packets).sum());
        }
        Ok(seen)
    }
}

/// Waits for the sender and reads its report.
pub(super) async fn finish(sender: Child) -> anyhow::Result<SendReport> {
    let output = sender
        .wait_with_output()
        .await
        .context("wait for the client's traffic")?;
    anyhow::ensure!(
        output.status.success(),
        "the client's traffic failed: {}",
        String::from_utf8_lossy(&output.stderr).trim()
    );
    serde_json::from_slice(&output.stdout).context("read the client's report")
}
