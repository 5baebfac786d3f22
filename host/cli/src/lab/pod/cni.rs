//! The CNI plugin as a container runtime calls it: environment, JSON on standard input, JSON result.

use std::path::PathBuf;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::Context;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::time::timeout;

use super::PodSetup;
use runtime::netns::named_path;

/// A plugin that has not answered by then is killed, as kubelet's runtimes do (they wait longer).
const DEADLINE: Duration = Duration::from_secs(60);

const CNI_VERSION: &str = "1.1.0";

/// The directory with the plugin's binary.
#[derive(Clone, Debug)]
pub(in crate::lab) struct Plugin {
    pub(in crate::lab) bin_dir: PathBuf,
}

impl Plugin {
    /// Attaches the pod; the addresses of its default interface, with prefix length.
    pub(super) async fn add(&self, pod: &PodSetup) -> anyhow::Result<Vec<String>> {
        let output = self.call("ADD", pod).await?;
        let result: Value =
            serde_json::from_slice(&output.stdout).context("read the CNI plugin's result")?;
        let ips = result
            .get("ips")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        let address = |ip: &Value| Some(ip.get("address")?.as_str()?.to_owned());
        Ok(ips.iter().filter_map(address).collect())
    }

    pub(super) async fn del(&self, pod: &PodSetup) -> anyhow::Result<()> {
        self.call("DEL", pod).await.map(drop)
    }

    async fn call(&self, verb: &str, pod: &PodSetup) -> anyhow::Result<Output> {
        let binary = self.bin_dir.join("weft-cni");
        let arguments = format!(
            "IgnoreUnknown=1;K8S_POD_NAMESPACE={};K8S_POD_NAME={};K8S_POD_INFRA_CONTAINER_ID={};K8S_POD_UID={}",
            pod.name.namespace, pod.name.name, pod.container_id, pod.uid
        );
        let mut child = Command::new(&binary)
            .env_clear()
            .env("CNI_COMMAND", verb)
            .env("CNI_CONTAINERID", &pod.container_id)
            .env("CNI_NETNS", named_path(&pod.netns_name()))
            .env("CNI_IFNAME", "eth0")
            .env("CNI_PATH", &self.bin_dir)
            .env("CNI_ARGS", arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .with_context(|| format!("start CNI plugin `{}`", binary.display()))?;
        let mut input = child.stdin.take().context("open the CNI plugin's input")?;
        let configuration = serde_json::to_vec(&configuration(pod))?;
        // A plugin that does not read its input says why on its output.
        let _ = input.write_all(&configuration).await;
        drop(input);
        let output = timeout(DEADLINE, child.wait_with_output())
            .await
            .with_context(|| format!("CNI {verb} did not answer in {DEADLINE:?}"))?
            .with_context(|| format!("wait for CNI {verb}"))?;
        anyhow::ensure!(
            output.status.success(),
            "CNI {verb} failed: {}",
            complaint(&output)
        );
        Ok(output)
    }
}

/// What a runtime passes: the network configuration with the capabilities that it supports.
fn configuration(pod: &PodSetup) -> Value {
    json!({
        "cniVersion": CNI_VERSION,
        "name": "weft",
        "type": "weft-cni",
        "agentSocket": pod.node.agent_socket(),
        "runtimeConfig": { "io.kubernetes.cri.pod-annotations": pod.annotations },
    })
}

/// The plugin's own words: the error object on its output, else what it logged.
fn complaint(output: &Output) -> String {
    let error: Option<Value> = serde_json::from_slice(&output.stdout).ok();
    let text = |key: &str| {
        let found = error.as_ref().and_then(|e| e.get(key)?.as_str());
        found.filter(|t| !t.is_empty()).map(str::to_owned)
    };
    match (text("msg"), text("details")) {
        (Some(message), Some(details)) => format!("{message}: {details}"),
        (Some(message), None) => message,
        (None, _) => {
            let log = String::from_utf8_lossy(&output.stderr);
            format!(
                "{}; {}",
                output.status,
                log.lines().last().unwrap_or("it said nothing")
            )
        }
    }
}
