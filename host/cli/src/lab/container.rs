//! From a Kubernetes container to a process: command, environment, directories. Pure.
//!
//! The lab runs programs of this machine, so `image` is not used and `command` is required.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::path::PathBuf;

use k8s::core_api::core::v1::{Container as KubeContainer, EnvVar, Pod, Volume};

/// What the kubelet of the lab starts for a pod.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Container {
    pub(super) name: String,
    pub(super) command: Vec<String>,
    env: Vec<(String, Value)>,
    pub(super) working_dir: PathBuf,
    pub(super) mounts: Vec<Mount>,
}

/// Where an environment variable's text comes from.
#[derive(Clone, Debug, PartialEq)]
enum Value {
    /// With `$(NAME)` references to earlier variables.
    Text(String),
    Field(Field),
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Field {
    PodName,
    PodNamespace,
    PodUid,
    PodIp,
    NodeName,
}

/// A directory or file that appears inside the pod.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Mount {
    pub(super) source: Source,
    pub(super) sub_path: Option<String>,
    pub(super) target: PathBuf,
    pub(super) read_only: bool,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Source {
    Host(PathBuf),
    /// Of the pod's namespace.
    ConfigMap(String),
    /// Named so that containers of one pod would share it.
    Empty(String),
}

/// What is only known when the pod runs.
#[derive(Clone, Debug)]
pub(super) struct Identity<'a> {
    pub(super) pod: &'a model::ObjectName,
    pub(super) uid: &'a str,
    pub(super) node: &'a str,
    pub(super) address: Option<IpAddr>,
}

/// A container that the lab cannot run.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum ContainerError {
    #[error("`spec.containers` is empty; hint: give the pod one container")]
    None,
    #[error(
        "`spec.containers[0].command` is missing; hint: the lab starts programs and not images, so name one"
    )]
    Command,
    #[error("`spec.containers` has {0} entries; hint: the lab runs one container a pod")]
    Several(usize),
    #[error(
        "`spec.containers[0].env[{name}]`: {problem}; hint: use `value`, or `valueFrom.fieldRef` with status.podIP, metadata.name, metadata.namespace, metadata.uid or spec.nodeName"
    )]
    Env { name: String, problem: &'static str },
    #[error(
        "`spec.containers[0].volumeMounts[{0}]` names no volume of the pod; hint: add it to `spec.volumes`"
    )]
    Mount(String),
    #[error(
        "`spec.volumes[{0}]` is of a kind that the lab does not have; hint: use hostPath, configMap or emptyDir"
    )]
    Volume(String),
}

/// Reads the first container of `pod`.
pub(super) fn read(pod: &Pod) -> Result<Container, ContainerError> {
    let spec = pod.spec.as_ref().ok_or(ContainerError::None)?;
    let container = match spec.containers.as_slice() {
        [] => return Err(ContainerError::None),
        [one] => one,
        several => return Err(ContainerError::Several(several.len())),
    };
    let mut command = container.command.clone().unwrap_or_default();
    if command.is_empty() {
        return Err(ContainerError::Command);
    }
    command.extend(container.args.clone().unwrap_or_default());
    let env = container
        .env
        .iter()
        .flatten()
        .map(variable)
        .collect::<Result<_, _>>()?;
    let volumes = spec.volumes.as_deref().unwrap_or_default();
    Ok(Container {
        name: container.name.clone(),
        command,
        env,
        working_dir: container
            .working_dir
            .clone()
            .unwrap_or_else(|| "/".to_owned())
            .into(),
        mounts: mounts(container, volumes)?,
    })
}

fn variable(variable: &EnvVar) -> Result<(String, Value), ContainerError> {
    let wrong = |problem| ContainerError::Env {
        name: variable.name.clone(),
        problem,
    };
    let value = match &variable.value_from {
        None => Value::Text(variable.value.clone().unwrap_or_default()),
        Some(from) => {
            let field = from
                .field_ref
                .as_ref()
                .ok_or(wrong("its source is not known here"))?;
            Value::Field(match field.field_path.as_str() {
                "metadata.name" => Field::PodName,
                "metadata.namespace" => Field::PodNamespace,
                "metadata.uid" => Field::PodUid,
                "status.podIP" => Field::PodIp,
                "spec.nodeName" => Field::NodeName,
                _ => return Err(wrong("its field is not known here")),
            })
        }
    };
    Ok((variable.name.clone(), value))
}

fn mounts(container: &KubeContainer, volumes: &[Volume]) -> Result<Vec<Mount>, ContainerError> {
    let mut mounts = Vec::new();
    for mount in container.volume_mounts.iter().flatten() {
        let volume = volumes
            .iter()
            .find(|v| v.name == mount.name)
            .ok_or_else(|| ContainerError::Mount(mount.name.clone()))?;
        mounts.push(Mount {
            source: source(volume)?,
            sub_path: mount.sub_path.clone(),
            target: PathBuf::from(&mount.mount_path),
            read_only: mount.read_only.unwrap_or_default(),
        });
    }
    Ok(mounts)
}

fn source(volume: &Volume) -> Result<Source, ContainerError> {
    if let Some(host) = &volume.host_path {
        return Ok(Source::Host(PathBuf::from(&host.path)));
    }
    if let Some(map) = &volume.config_map {
        return Ok(Source::ConfigMap(map.name.clone()));
    }
    if volume.empty_dir.is_some() {
        return Ok(Source::Empty(volume.name.clone()));
    }
    Err(ContainerError::Volume(volume.name.clone()))
}

impl Container {
    /// The environment with everything filled in, in the order of the manifest.
    pub(super) fn environment(&self, identity: &Identity<'_>) -> BTreeMap<String, String> {
        let mut env = BTreeMap::new();
        for (name, value) in &self.env {
            let text = match value {
                Value::Text(text) => expand(text, &env),
                Value::Field(field) => field.text(identity),
            };
            env.insert(name.clone(), text);
        }
        env
    }

    /// The command line with references to variables replaced.
    pub(super) fn command_line(&self, env: &BTreeMap<String, String>) -> Vec<String> {
        self.command.iter().map(|word| expand(word, env)).collect()
    }
}

impl Field {
    fn text(self, identity: &Identity<'_>) -> String {
        match self {
            Self::PodName => identity.pod.name.clone(),
            Self::PodNamespace => identity.pod.namespace.clone(),
            Self::PodUid => identity.uid.to_owned(),
            Self::PodIp => identity.address.map(|a| a.to_string()).unwrap_or_default(),
            Self::NodeName => identity.node.to_owned(),
        }
    }
}

/// Kubernetes' expansion: `$(NAME)` is replaced when it is known, `$$` is a plain `$`.
fn expand(text: &str, env: &BTreeMap<String, String>) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('$') {
        out.push_str(before);
        rest = after;
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
            continue;
        }
        let reference = rest.strip_prefix('(').and_then(|r| r.split_once(')'));
        match reference {
            Some((name, after)) => {
                match env.get(name) {
                    Some(value) => out.push_str(value),
                    None => out.push_str(&format!("$({name})")),
                }
                rest = after;
            }
            None => out.push('$'),
        }
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use k8s::manifest::{Object, parse};

    use super::*;

    fn pod(spec: &str) -> Pod {
        let text = format!("apiVersion: v1\nkind: Pod\nmetadata: {{name: p}}\nspec: {spec}\n");
        let object = parse(Path::new("p.yaml"), &text).unwrap().remove(0).object;
        let Object::Pod(pod) = object else {
            panic!("{object:?}")
        };
        *pod
    }

    #[test]
    fn variables_and_fields_are_filled_in() {
        let pod = pod(
            "{containers: [{name: c, command: [probe, --to, $(PEER):$(PORT), $(NONE), $$(PORT)], env: [\
             {name: PORT, value: '80'}, {name: PEER, value: 10.1.1.1}, {name: URL, value: 'http://$(PEER)'},\
             {name: IP, valueFrom: {fieldRef: {fieldPath: status.podIP}}}]}]}",
        );
        let container = read(&pod).unwrap();
        let name = model::ObjectName::parse("default", "p").unwrap();
        let address = Some("10.1.1.9".parse().unwrap());
        let identity = Identity {
            pod: &name,
            uid: "u",
            node: "node-1",
            address,
        };
        let env = container.environment(&identity);
        assert_eq!(env["URL"], "http://10.1.1.1");
        assert_eq!(env["IP"], "10.1.1.9");
        let line = container.command_line(&env);
        assert_eq!(line, ["probe", "--to", "10.1.1.1:80", "$(NONE)", "$(PORT)"]);
    }

    #[test]
    fn what_the_lab_cannot_run_is_refused_by_field() {
        for (spec, expected) in [
            ("{containers: []}", "`spec.containers` is empty"),
            (
                "{containers: [{name: c, image: nginx}]}",
                "command` is missing",
            ),
            (
                "{containers: [{name: a, command: [x]}, {name: b, command: [x]}]}",
                "has 2 entries",
            ),
            (
                "{containers: [{name: a, command: [x], volumeMounts: [{name: v, mountPath: /x}]}]}",
                "names no volume",
            ),
            (
                "{containers: [{name: a, command: [x], volumeMounts: [{name: v, mountPath: /x}]}], volumes: [{name: v, secret: {secretName: s}}]}",
                "is of a kind",
            ),
            (
                "{containers: [{name: a, command: [x], env: [{name: E, valueFrom: {secretKeyRef: {name: s, key: k}}}]}]}",
                "env[E]",
            ),
        ] {
            let error = read(&pod(spec)).unwrap_err().to_string();
            assert!(
                error.contains(expected) && error.contains("hint:"),
                "{error}"
            );
        }
    }
}
