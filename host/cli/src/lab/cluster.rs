//! The lab's API server and scheduler: checks what is applied, as a whole, and decides which pod runs
//! on which node. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};

use k8s::convert;
use k8s::core_api::apps::v1::Deployment;
use k8s::core_api::core::v1::{ConfigMap, Pod};
use k8s::manifest::{self, Manifest, Object, Origin};
use model::{NodeName, ObjectName, PodRecord};

use super::container::{self, Source};

/// Chooses the node of a pod, as kubelets label their node.
const HOSTNAME_LABEL: &str = "kubernetes.io/hostname";

/// What is given beside the manifests.
pub(super) struct Facts<'a> {
    pub(super) nodes: &'a [NodeName],
    /// Whether the module directory has this file.
    pub(super) has_module: &'a dyn Fn(&str) -> bool,
    /// Whether this path exists inside a pod.
    pub(super) has_path: &'a dyn Fn(&Path) -> bool,
}

/// Everything that was applied.
#[derive(Clone, Debug, Default)]
pub(super) struct Cluster {
    objects: BTreeMap<(&'static str, ObjectName), Manifest>,
    pods: BTreeMap<ObjectName, PlacedPod>,
}

/// A pod with its node.
#[derive(Clone, Debug)]
pub(super) struct PlacedPod {
    pub(super) node: NodeName,
    /// `spec.nodeName` is filled in.
    pub(super) pod: Pod,
    origin: Origin,
}

/// One thing that is wrong with an object; nothing of the set is applied.
#[derive(Debug)]
pub(super) struct Refusal {
    at: Origin,
    kind: &'static str,
    name: ObjectName,
    problem: String,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} `{}`: {}",
            self.at, self.kind, self.name, self.problem
        )
    }
}

impl Refusal {
    fn new(manifest: &Manifest, problem: impl fmt::Display) -> Self {
        Self {
            at: manifest.origin.clone(),
            kind: manifest.object.kind(),
            name: manifest.name.clone(),
            problem: problem.to_string(),
        }
    }
}

impl Cluster {
    /// The cluster with `files` added or replaced, or everything that is wrong with them.
    pub(super) fn apply(
        &self,
        files: &[(PathBuf, String)],
        facts: &Facts<'_>,
    ) -> Result<Self, Vec<String>> {
        let manifests = read(files)?;
        let mut next = self.clone();
        for manifest in &manifests {
            let key = (manifest.object.kind(), manifest.name.clone());
            next.objects.insert(key, manifest.clone());
        }
        let refusals = next.settle(facts);
        let mut lines: Vec<String> = refusals.iter().map(ToString::to_string).collect();
        if lines.is_empty() {
            lines = next.check(facts).iter().map(ToString::to_string).collect();
        }
        if lines.is_empty() {
            Ok(next)
        } else {
            Err(lines)
        }
    }

    /// The cluster without the objects that `files` name; absent ones are no error.
    pub(super) fn delete(
        &self,
        files: &[(PathBuf, String)],
        facts: &Facts<'_>,
    ) -> Result<Self, Vec<String>> {
        let mut next = self.clone();
        for manifest in read(files)? {
            next.objects
                .remove(&(manifest.object.kind(), manifest.name));
        }
        let refusals = next.settle(facts);
        if refusals.is_empty() {
            return Ok(next);
        }
        Err(refusals.iter().map(ToString::to_string).collect())
    }

    pub(super) const fn pods(&self) -> &BTreeMap<ObjectName, PlacedPod> {
        &self.pods
    }

    pub(super) fn config_maps(&self) -> impl Iterator<Item = (&ObjectName, &ConfigMap)> {
        self.objects.values().filter_map(|m| {
            if let Object::ConfigMap(map) = &m.object {
                Some((&m.name, map.as_ref()))
            } else {
                None
            }
        })
    }

    /// Objects that ksr reads beside pods: kind, name and JSON text.
    pub(super) fn documents(&self) -> Vec<(&'static str, &ObjectName, serde_json::Result<String>)> {
        let text = |object: &Object| match object {
            Object::Namespace(o) => Some(serde_json::to_string(o)),
            Object::Service(o) => Some(serde_json::to_string(o)),
            Object::NetworkPolicy(o) => Some(serde_json::to_string(o)),
            Object::Chain(o) => Some(serde_json::to_string(o)),
            Object::Pod(_) | Object::Deployment(_) | Object::ConfigMap(_) => None,
        };
        self.objects
            .values()
            .filter_map(|m| Some((m.object.kind(), &m.name, text(&m.object)?)))
            .collect()
    }

    /// Works out the pods and places the new ones; a pod stays where it is.
    fn settle(&mut self, facts: &Facts<'_>) -> Vec<Refusal> {
        let mut refusals = Vec::new();
        let former = std::mem::take(&mut self.pods);
        let mut load: BTreeMap<&NodeName, usize> = facts.nodes.iter().map(|n| (n, 0)).collect();
        let mut wanted = Vec::new();
        for manifest in self.objects.values() {
            for (name, pod) in pods_of(manifest) {
                wanted.push((manifest, name, pod));
            }
        }
        for (manifest, name, mut pod) in wanted {
            let placed = match place(&pod, former.get(&name), &load) {
                Ok(node) => node,
                Err(problem) => {
                    refusals.push(Refusal::new(manifest, problem));
                    continue;
                }
            };
            if let Some(count) = load.get_mut(&placed) {
                *count += 1;
            }
            if let Some(spec) = &mut pod.spec {
                spec.node_name = Some(placed.as_str().to_owned());
            }
            let origin = manifest.origin.clone();
            if let Some(other) = self.pods.get(&name) {
                let problem = format!("pod `{name}` is already defined at {}", other.origin);
                refusals.push(Refusal::new(manifest, problem));
                continue;
            }
            self.pods.insert(
                name,
                PlacedPod {
                    node: placed,
                    pod,
                    origin,
                },
            );
        }
        refusals
    }

    /// What no object can say alone.
    fn check(&self, facts: &Facts<'_>) -> Vec<Refusal> {
        let mut problems = Vec::new();
        for manifest in self.objects.values() {
            let namespace = &manifest.name.namespace;
            let key = (
                "Namespace",
                ObjectName {
                    namespace: namespace.clone(),
                    name: namespace.clone(),
                },
            );
            if namespace != "default" && !self.objects.contains_key(&key) {
                let problem = format!(
                    "namespace `{namespace}` does not exist; hint: apply a Namespace first, or in the same set"
                );
                problems.push(Refusal::new(manifest, problem));
            }
            for problem in self.check_object(manifest, facts) {
                problems.push(Refusal::new(manifest, problem));
            }
        }
        problems
    }

    fn check_object(&self, manifest: &Manifest, facts: &Facts<'_>) -> Vec<String> {
        match &manifest.object {
            Object::Chain(chain) => match convert::chain(chain) {
                Ok(spec) => self.check_chain(&manifest.name.namespace, &spec, facts),
                Err(problem) => vec![problem.to_string()],
            },
            Object::Pod(_) | Object::Deployment(_) => {
                let pods = pods_of(manifest).into_iter().take(1);
                pods.flat_map(|(name, pod)| self.check_pod(&name, &pod, facts))
                    .collect()
            }
            Object::Namespace(_)
            | Object::Service(_)
            | Object::NetworkPolicy(_)
            | Object::ConfigMap(_) => Vec::new(),
        }
    }

    fn check_pod(&self, name: &ObjectName, pod: &Pod, facts: &Facts<'_>) -> Vec<String> {
        let mut problems = Vec::new();
        if let Err(problem) = convert::pod(pod) {
            problems.push(problem.to_string());
        }
        let container = match container::read(pod) {
            Ok(container) => container,
            Err(problem) => {
                problems.push(problem.to_string());
                return problems;
            }
        };
        for mount in &container.mounts {
            let target = &mount.target;
            // The pod's /run is its own and empty; elsewhere the machine's files show through.
            if !target.starts_with("/run") && !(facts.has_path)(target) {
                problems.push(format!(
                    "mount point `{}` does not exist on this machine; hint: use a path below /run",
                    target.display()
                ));
            }
            match &mount.source {
                Source::ConfigMap(map) => {
                    let key = ObjectName {
                        namespace: name.namespace.clone(),
                        name: map.clone(),
                    };
                    if !self.objects.contains_key(&("ConfigMap", key)) {
                        problems.push(format!("ConfigMap `{map}` does not exist; hint: apply it first, or in the same set"));
                    }
                }
                Source::Host(path) if !(facts.has_path)(path) => {
                    problems.push(format!("hostPath `{}` does not exist", path.display()));
                }
                Source::Host(_) | Source::Empty(_) => {}
            }
        }
        problems
    }

    fn check_chain(
        &self,
        namespace: &str,
        spec: &model::ChainSpec,
        facts: &Facts<'_>,
    ) -> Vec<String> {
        let mut problems = Vec::new();
        let module = &spec.classifier.module;
        if !(facts.has_module)(module) {
            problems.push(format!("`spec.classifier.module`: module `{module}` does not exist; hint: build it into the lab's module directory"));
        }
        if let Some(steering) = &spec.steering
            && !(facts.has_module)(&steering.module)
        {
            let module = &steering.module;
            problems.push(format!("`spec.steering.module`: module `{module}` does not exist; hint: build it into the lab's module directory"));
        }
        let records: Vec<(&ObjectName, PodRecord)> = self
            .pods
            .iter()
            .filter(|(name, _)| name.namespace == namespace)
            .filter_map(|(name, placed)| Some((name, convert::pod(&placed.pod).ok()?)))
            .collect();
        for (index, hop) in spec.hops.iter().enumerate() {
            let candidates: Vec<_> = records
                .iter()
                .filter(|(_, r)| hop.pod_selector.matches(&r.labels))
                .collect();
            for interface in [&hop.input, &hop.output] {
                let has =
                    |record: &PodRecord| record.interfaces.iter().any(|i| i.name == *interface);
                if let Some((pod, record)) = candidates.first()
                    && !candidates.iter().any(|(_, r)| has(r))
                {
                    let known: BTreeSet<_> =
                        record.interfaces.iter().map(|i| i.name.as_str()).collect();
                    let known = known.into_iter().collect::<Vec<_>>().join(", ");
                    problems.push(format!(
                        "`spec.hops[{index}]`: no selected pod has interface `{interface}`; hint: pod `{pod}` has: {known}"
                    ));
                }
            }
        }
        problems
    }
}

fn read(files: &[(PathBuf, String)]) -> Result<Vec<Manifest>, Vec<String>> {
    let mut manifests = Vec::new();
    let mut problems = Vec::new();
    for (path, text) in files {
        match manifest::parse(path, text) {
            Ok(found) => manifests.extend(found),
            Err(problem) => problems.push(problem.to_string()),
        }
    }
    if problems.is_empty()
        && let Err(problem) = manifest::check_unique(&manifests)
    {
        problems.push(problem.to_string());
    }
    if problems.is_empty() {
        Ok(manifests)
    } else {
        Err(problems)
    }
}

/// The pods that an object stands for.
fn pods_of(manifest: &Manifest) -> Vec<(ObjectName, Pod)> {
    match &manifest.object {
        Object::Pod(pod) => vec![(manifest.name.clone(), pod.as_ref().clone())],
        Object::Deployment(deployment) => replicas(&manifest.name, deployment),
        Object::Namespace(_)
        | Object::Service(_)
        | Object::NetworkPolicy(_)
        | Object::ConfigMap(_)
        | Object::Chain(_) => Vec::new(),
    }
}

fn replicas(owner: &ObjectName, deployment: &Deployment) -> Vec<(ObjectName, Pod)> {
    let Some(spec) = &deployment.spec else {
        return Vec::new();
    };
    (1..=spec.replicas.unwrap_or(1))
        .map(|number| {
            let mut metadata = spec.template.metadata.clone().unwrap_or_default();
            let name = format!("{}-{number}", owner.name);
            metadata.name = Some(name.clone());
            metadata.namespace = Some(owner.namespace.clone());
            let pod = Pod {
                metadata,
                spec: spec.template.spec.clone(),
                ..Pod::default()
            };
            (
                ObjectName {
                    namespace: owner.namespace.clone(),
                    name,
                },
                pod,
            )
        })
        .collect()
}

/// `nodeName`, else the host name selector, else where it was, else the node with the fewest pods.
fn place(
    pod: &Pod,
    former: Option<&PlacedPod>,
    load: &BTreeMap<&NodeName, usize>,
) -> Result<NodeName, String> {
    let spec = pod.spec.as_ref();
    let selector = spec.and_then(|s| s.node_selector.as_ref());
    let asked = spec
        .and_then(|s| s.node_name.as_ref())
        .map(|n| ("spec.nodeName", n))
        .or_else(|| {
            selector
                .and_then(|s| s.get(HOSTNAME_LABEL))
                .map(|n| ("spec.nodeSelector", n))
        });
    let nodes = || {
        load.keys()
            .map(|n| n.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    if let Some((field, name)) = asked {
        let found = load.keys().find(|n| n.as_str() == name);
        return found.map(|n| (*n).clone()).ok_or_else(|| {
            format!(
                "`{field}`: node `{name}` does not exist; hint: use one of {}",
                nodes()
            )
        });
    }
    if let Some(other) = selector.and_then(|s| s.keys().find(|k| *k != HOSTNAME_LABEL)) {
        return Err(format!(
            "`spec.nodeSelector`: no node has label `{other}`; hint: use {HOSTNAME_LABEL}"
        ));
    }
    if let Some(former) = former {
        return Ok(former.node.clone());
    }
    let least = load
        .iter()
        .min_by_key(|(name, pods)| (**pods, node_number(name)));
    least
        .map(|(name, _)| (*name).clone())
        .ok_or_else(|| "the lab has no node".to_owned())
}

/// Orders `node-10` behind `node-9`.
fn node_number(name: &NodeName) -> (usize, &str) {
    (name.as_str().len(), name.as_str())
}

#[cfg(test)]
mod tests;
