//! `weft lab supervise` (hidden): runs the lab from inside its namespaces.
//!
//! Builds the network, starts the processes of a real cluster, then serves the control socket. All
//! state is in [`Lab`], and one task owns it.

mod processes;
mod view;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use model::{Key, NodeName, ObjectName};
use runtime::shutdown::Shutdown;
use store::client::StoreClient;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::cluster::{Cluster, Facts, PlacedPod};
use super::control::{Action, MESSAGE_LEN_MAX, Reply, Request};
use super::layout::{self, MANIFESTS, MODULES, NodeLayout, RUN};
use super::network;
use super::place::{CONTROL, Place};
use super::pod::{Plugin, PodHandle, PodSetup};
use super::process::{Order, Supervised};
use super::{Settings, container};

const STORE_DEADLINE: Duration = Duration::from_millis(500);

#[derive(Clone, Debug, Args)]
pub(crate) struct Supervise {
    #[command(flatten)]
    settings: Settings,
}

/// The lab and everything in it.
struct Lab {
    nodes: Vec<NodeLayout>,
    names: Vec<NodeName>,
    plugin: Plugin,
    logs: PathBuf,
    store: StoreClient,
    processes: BTreeMap<String, Supervised>,
    cluster: Cluster,
    pods: BTreeMap<ObjectName, RunningPod>,
}

struct RunningPod {
    placed: PlacedPod,
    handle: PodHandle,
}

pub(crate) async fn run(options: Supervise) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen()?;
    let mut lab = Lab::build(&options.settings).await?;
    let listener = UnixListener::bind(CONTROL).context("bind the control socket")?;
    loop {
        let stream = tokio::select! {
            accepted = listener.accept() => accepted.context("accept on the control socket")?.0,
            _ = shutdown.requested() => break,
        };
        match lab.serve(stream).await {
            Ok(true) => {}
            Ok(false) => return Ok(()),
            Err(error) => tracing::warn!(error = format!("{error:#}"), "request failed"),
        }
    }
    lab.down().await;
    Ok(())
}

impl Lab {
    async fn build(settings: &Settings) -> anyhow::Result<Self> {
        let nodes = layout::nodes(settings.nodes)?;
        let logs = Place::new(&settings.name)?.logs();
        for directory in [RUN, MANIFESTS, MODULES] {
            fs::create_dir_all(directory).with_context(|| format!("create `{directory}`"))?;
        }
        copy_modules(&settings.modules()?)?;
        network::build(&nodes).await?;
        for node in &nodes {
            fs::create_dir_all(node.pod_dir()).context("create the node's directory")?;
            let config = serde_json::to_vec_pretty(&node.agent_config())?;
            fs::write(node.path("agent.yaml"), config)
                .context("write the agent's configuration")?;
        }
        let bin_dir = settings.bin_dir()?;
        let mut lab = Self {
            names: nodes.iter().map(|n| n.name.clone()).collect(),
            plugin: Plugin {
                bin_dir: bin_dir.clone(),
            },
            store: StoreClient::new(&[layout::store_url()], STORE_DEADLINE)?,
            processes: BTreeMap::new(),
            cluster: Cluster::default(),
            pods: BTreeMap::new(),
            nodes,
            logs,
        };
        lab.start_processes(&bin_dir).await?;
        Ok(lab)
    }

    /// The store first: its configuration record must be there before anybody reads it.
    async fn start_processes(&mut self, bin_dir: &Path) -> anyhow::Result<()> {
        let specs = processes::all(&self.nodes, bin_dir, &self.logs);
        let mut specs = specs.into_iter();
        let store = specs.next().context("the lab has no store")?;
        self.processes.insert(store.name.clone(), store.start()?);
        self.write_cluster_config().await?;
        for spec in specs {
            self.processes.insert(spec.name.clone(), spec.start()?);
        }
        Ok(())
    }

    async fn write_cluster_config(&self) -> anyhow::Result<()> {
        let key = Key::Config.to_string();
        let value = model::record::encode(&key, &layout::cluster())?;
        let mut tick = tokio::time::interval(Duration::from_millis(20));
        let mut tries = 0;
        loop {
            tick.tick().await;
            tries += 1;
            match self.store.put(&key, value.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) if tries == 500 => return Err(error).context("reach the lab's store"),
                Err(_) => {}
            }
        }
    }

    /// One request; false when it was the last.
    async fn serve(&mut self, stream: UnixStream) -> anyhow::Result<bool> {
        let (reading, mut writing) = stream.into_split();
        let mut line = String::new();
        let mut reader = BufReader::new(reading.take(MESSAGE_LEN_MAX));
        reader
            .read_line(&mut line)
            .await
            .context("read a request")?;
        let request: Request = serde_json::from_str(&line).context("read a request")?;
        let more = !matches!(request, Request::Down);
        let reply = self.answer(request).await;
        let mut text = serde_json::to_vec(&reply)?;
        text.push(b'\n');
        writing.write_all(&text).await.context("answer a request")?;
        Ok(more)
    }

    async fn answer(&mut self, request: Request) -> Reply {
        let result = match request {
            Request::Status => return Reply::Status(Box::new(self.status().await)),
            Request::Apply(files) => self.change(|c, facts| c.apply(&files, facts)).await,
            Request::Delete(files) => self.change(|c, facts| c.delete(&files, facts)).await,
            Request::Signal { name, action } => self.signal(&name, action).await,
            Request::Down => {
                self.down().await;
                Ok(())
            }
        };
        match result {
            Ok(()) => Reply::Done,
            Err(lines) => Reply::Refused(lines),
        }
    }

    /// Takes a changed cluster over, as a whole or not at all.
    async fn change(
        &mut self,
        change: impl FnOnce(&Cluster, &Facts<'_>) -> Result<Cluster, Vec<String>>,
    ) -> Result<(), Vec<String>> {
        let facts = Facts {
            nodes: &self.names,
            has_module: &|module| Path::new(MODULES).join(module).is_file(),
            has_path: &Path::exists,
        };
        let next = change(&self.cluster, &facts)?;
        self.cluster = next;
        let settled = self.settle().await;
        settled.map_err(|error| vec![format!("{error:#}")])
    }

    /// Makes manifests, volumes and pods what the cluster says.
    async fn settle(&mut self) -> anyhow::Result<()> {
        for (name, map) in self.cluster.config_maps() {
            write_config_map(name, map)?;
        }
        let stale: Vec<ObjectName> = self
            .pods
            .iter()
            .filter(|(name, running)| {
                self.cluster
                    .pods()
                    .get(name)
                    .is_none_or(|p| p.pod != running.placed.pod)
            })
            .map(|(name, _)| name.clone())
            .collect();
        let mut files = BTreeSet::new();
        for (kind, name, text) in self.cluster.documents() {
            files.insert(write_manifest(kind, name, &text?)?);
        }
        let removed: JoinSet<()> = stale
            .into_iter()
            .filter_map(|name| self.pods.remove(&name))
            .map(|pod| async move { terminate(&pod.handle).await })
            .collect();
        removed.join_all().await;
        let missing: Vec<(ObjectName, PlacedPod)> = self
            .cluster
            .pods()
            .iter()
            .filter(|(name, _)| !self.pods.contains_key(*name))
            .map(|(name, placed)| (name.clone(), placed.clone()))
            .collect();
        for (name, placed) in missing {
            let setup = self.setup(&name, &placed)?;
            // Before the pod starts: kubelet learns of a pod from the API server as well.
            write_pod(&name, &placed, &setup.uid)?;
            let handle = PodHandle::start(setup);
            self.pods.insert(name, RunningPod { placed, handle });
        }
        files.extend(self.pods.keys().map(|name| manifest_path("Pod", name)));
        sweep(&files)
    }

    fn setup(&self, name: &ObjectName, placed: &PlacedPod) -> anyhow::Result<PodSetup> {
        let node = self.nodes.iter().find(|n| n.name == placed.node);
        let uid = fs::read_to_string("/proc/sys/kernel/random/uuid").context("make a uid")?;
        let uid = uid.trim().to_owned();
        Ok(PodSetup {
            name: name.clone(),
            // As long as those of a real runtime.
            container_id: uid.replace('-', "").repeat(2),
            uid,
            node: node
                .with_context(|| format!("node `{}` is gone", placed.node))?
                .clone(),
            annotations: placed.pod.metadata.annotations.clone().unwrap_or_default(),
            container: container::read(&placed.pod)?,
            plugin: self.plugin.clone(),
            log: self
                .logs
                .join(format!("pod-{}-{}.log", name.namespace, name.name)),
        })
    }

    async fn signal(&self, name: &str, action: Action) -> Result<(), Vec<String>> {
        let order = match action {
            Action::Kill => Order::Kill,
            Action::Hold => Order::Hold,
            Action::Start => Order::Start,
        };
        if let Some(process) = self.processes.get(name) {
            process.order(order).await;
            return Ok(());
        }
        let pod = self
            .pods
            .iter()
            .find(|(n, _)| n.to_string() == name || is_default(n, name));
        if let Some((_, pod)) = pod {
            pod.handle.order(order).await;
            return Ok(());
        }
        let processes = self.processes.keys().cloned();
        let known = processes.chain(self.pods.keys().map(ToString::to_string));
        let known = known.collect::<Vec<_>>().join(", ");
        Err(vec![format!(
            "nothing is called `{name}`; hint: there are {known}"
        )])
    }

    /// Pods first, so that DEL finds its agent; the rest has nothing to lose.
    async fn down(&mut self) {
        let pods = std::mem::take(&mut self.pods);
        let ended: JoinSet<()> = pods
            .into_values()
            .map(|p| async move { terminate(&p.handle).await })
            .collect();
        ended.join_all().await;
        let processes = std::mem::take(&mut self.processes);
        let ended: JoinSet<()> = processes
            .into_values()
            .map(|p| async move { p.terminate().await })
            .collect();
        ended.join_all().await;
    }
}

async fn terminate(pod: &PodHandle) {
    let (done, ended) = oneshot::channel();
    pod.order(Order::Terminate(done)).await;
    let _ = ended.await;
}

/// A pod of the namespace `default` may be called by its bare name.
pub(super) fn is_default(pod: &ObjectName, name: &str) -> bool {
    pod.namespace == "default" && pod.name == name
}

fn copy_modules(from: &Path) -> anyhow::Result<()> {
    let entries = match fs::read_dir(from) {
        Ok(entries) => entries,
        Err(error) => {
            tracing::warn!(path = %from.display(), %error, "no modules");
            return Ok(());
        }
    };
    for entry in entries {
        let entry = entry?;
        // A module, or what its operator grants it.
        if entry
            .path()
            .extension()
            .is_some_and(|e| e == "wasm" || e == "yaml")
        {
            let to = Path::new(MODULES).join(entry.file_name());
            fs::copy(entry.path(), &to).with_context(|| format!("copy to `{}`", to.display()))?;
        }
    }
    Ok(())
}

fn manifest_path(kind: &str, name: &ObjectName) -> PathBuf {
    let file = format!(
        "{}.{}.{}.yaml",
        kind.to_lowercase(),
        name.namespace,
        name.name
    );
    Path::new(MANIFESTS).join(file)
}

fn write_manifest(kind: &str, name: &ObjectName, text: &str) -> anyhow::Result<PathBuf> {
    let path = manifest_path(kind, name);
    replace(&path, text.as_bytes())?;
    Ok(path)
}

fn write_pod(name: &ObjectName, placed: &PlacedPod, uid: &str) -> anyhow::Result<()> {
    let mut pod = placed.pod.clone();
    pod.metadata.uid = Some(uid.to_owned());
    write_manifest("Pod", name, &serde_json::to_string(&pod)?).map(drop)
}

fn write_config_map(
    name: &ObjectName,
    map: &k8s::core_api::core::v1::ConfigMap,
) -> anyhow::Result<()> {
    let directory = Path::new(RUN)
        .join("configmaps")
        .join(&name.namespace)
        .join(&name.name);
    fs::create_dir_all(&directory).with_context(|| format!("create `{}`", directory.display()))?;
    for (key, text) in map.data.iter().flatten() {
        let path = directory.join(key);
        if fs::read(&path).is_ok_and(|old| old == text.as_bytes()) {
            continue;
        }
        replace(&path, text.as_bytes())?;
    }
    Ok(())
}

/// In one step: nobody reads half a file.
fn replace(path: &Path, content: &[u8]) -> anyhow::Result<()> {
    let draft = path.with_extension("part");
    fs::write(&draft, content)
        .and_then(|()| fs::rename(&draft, path))
        .with_context(|| format!("write `{}`", path.display()))
}

/// Removes the manifests of objects that are gone.
fn sweep(wanted: &BTreeSet<PathBuf>) -> anyhow::Result<()> {
    for entry in fs::read_dir(MANIFESTS).context("read the manifests")? {
        let path = entry?.path();
        if !wanted.contains(&path) {
            fs::remove_file(&path).with_context(|| format!("remove `{}`", path.display()))?;
        }
    }
    Ok(())
}
