//! What survives the agent: its node number and configuration, its attachments, and the last it knew of
//! the cluster.
//!
//! One small JSON file each, replaced by renaming, so that a killed agent leaves a whole file. They
//! are not forced to the disk: when the machine itself dies, so do the pods.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use model::{ClusterConfig, NodeId, NodeRecord, RenderedChain};
use render::LocalPod;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// A state directory that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{what} `{path}`")]
pub struct JournalError {
    what: &'static str,
    path: PathBuf,
    #[source]
    source: io::Error,
}

#[derive(Debug)]
pub(crate) struct Journal {
    dir: PathBuf,
}

/// What the store said last.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    pub(crate) nodes: Vec<NodeRecord>,
    pub(crate) chains: Vec<RenderedChain>,
}

impl Journal {
    pub(crate) fn open(dir: &Path) -> Result<Self, JournalError> {
        let attachments = dir.join("attachments");
        std::fs::create_dir_all(&attachments)
            .map_err(|source| failed("create", &attachments, source))?;
        Ok(Self {
            dir: dir.to_owned(),
        })
    }

    pub(crate) fn node_id(&self) -> Option<NodeId> {
        read(&self.dir.join("node.json"))
    }

    pub(crate) fn set_node_id(&self, id: NodeId) -> Result<(), JournalError> {
        write(&self.dir.join("node.json"), &id)
    }

    /// The configuration that the node ran with last.
    pub(crate) fn config(&self) -> Option<ClusterConfig> {
        read(&self.dir.join("config.json"))
    }

    pub(crate) fn set_config(&self, config: &ClusterConfig) -> Result<(), JournalError> {
        write(&self.dir.join("config.json"), config)
    }

    pub(crate) fn attachments(&self) -> Result<BTreeMap<String, LocalPod>, JournalError> {
        let dir = self.dir.join("attachments");
        let entries = std::fs::read_dir(&dir).map_err(|source| failed("list", &dir, source))?;
        let files = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let files = files.filter(|path| path.extension().is_some_and(|e| e == "json"));
        let pods = files.filter_map(|path| read::<LocalPod>(&path));
        Ok(pods.map(|pod| (pod.container_id.clone(), pod)).collect())
    }

    pub(crate) fn put_attachment(&self, pod: &LocalPod) -> Result<(), JournalError> {
        write(&self.attachment(&pod.container_id), pod)
    }

    pub(crate) fn remove_attachment(&self, container_id: &str) -> Result<(), JournalError> {
        let path = self.attachment(container_id);
        match std::fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed("remove", &path, e)),
            _ => Ok(()),
        }
    }

    fn attachment(&self, container_id: &str) -> PathBuf {
        self.dir
            .join("attachments")
            .join(format!("{container_id}.json"))
    }

    pub(crate) fn snapshot(&self) -> Snapshot {
        read(&self.dir.join("cluster.json")).unwrap_or_default()
    }

    pub(crate) fn put_snapshot(&self, snapshot: &Snapshot) -> Result<(), JournalError> {
        write(&self.dir.join("cluster.json"), snapshot)
    }
}

fn failed(what: &'static str, path: &Path, source: io::Error) -> JournalError {
    let path = path.to_owned();
    JournalError { what, path, source }
}

/// Absent and unreadable are both nothing; the latter is said.
fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let bytes = std::fs::read(path).ok()?;
    serde_json::from_slice(&bytes)
        .inspect_err(|problem| tracing::warn!(path = %path.display(), %problem, "file is skipped"))
        .ok()
}

pub(crate) fn write<T: Serialize>(path: &Path, value: &T) -> Result<(), JournalError> {
    let bytes = serde_json::to_vec(value).map_err(|e| failed("encode", path, e.into()))?;
    let fresh = path.with_extension("tmp");
    std::fs::write(&fresh, bytes).map_err(|source| failed("write", &fresh, source))?;
    std::fs::rename(&fresh, path).map_err(|source| failed("replace", path, source))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_a_broken_file_is_skipped() {
        let dir = tempfile::tempdir().unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.node_id(), None);
        journal.set_node_id(NodeId(3)).unwrap();
        std::fs::write(dir.path().join("attachments/x.json"), "{").unwrap();
        let journal = Journal::open(dir.path()).unwrap();
        assert_eq!(journal.node_id(), Some(NodeId(3)));
        assert!(journal.attachments().unwrap().is_empty());
        journal.remove_attachment("absent").unwrap();
    }
}
