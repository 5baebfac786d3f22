//! `interfaces.json`: what the agent tells a pod about its memif links.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Version of the file that this runner reads.
pub(crate) const VERSION: u32 = 1;

/// Links that one function can have: a descriptor names its port in one octet.
pub(crate) const PORTS_MAX: usize = 64;

/// The whole file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interfaces {
    pub version: u32,
    pub interfaces: Vec<InterfaceEntry>,
}

/// One interface of the pod; only those of type `memif` concern the runner.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct InterfaceEntry {
    pub name: String,
    #[serde(rename = "type")]
    pub kind: String,
    #[serde(default)]
    pub memif: Option<MemifEntry>,
    #[serde(default)]
    pub mac: Option<String>,
    pub mtu: u16,
}

/// How to connect one memif.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct MemifEntry {
    /// Relative to the directory of the file, unless absolute or abstract (`@name`).
    pub socket: String,
    pub id: u32,
    pub mode: MemifMode,
    /// The pod's role.
    pub role: MemifRole,
    #[serde(default)]
    pub secret: Option<String>,
    #[serde(default = "one")]
    pub queues: u8,
    #[serde(default = "default_ring_size")]
    pub ring_size: u32,
}

/// What the packets of a link start with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemifMode {
    Ethernet,
    Ip,
}

/// The two sides of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MemifRole {
    Master,
    Slave,
}

const fn one() -> u8 {
    1
}

const fn default_ring_size() -> u32 {
    1024
}

/// A list of links that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum InterfacesError {
    #[error(
        "read `{path}`; hint: the pod needs an interface annotation, so that the agent writes this file"
    )]
    Read {
        path: PathBuf,
        #[source]
        source: std::io::Error,
    },
    #[error("`{path}` is no list of interfaces")]
    Syntax {
        path: PathBuf,
        #[source]
        source: serde_json::Error,
    },
    #[error(
        "`{path}` has version {found}, this runner reads {VERSION}; hint: use a runner of the agent's release"
    )]
    Version { path: PathBuf, found: u32 },
    #[error(
        "`{path}` lists {found} memif links, a function takes 1 to {PORTS_MAX}; hint: add `name/memif/stub` to the pod's annotation"
    )]
    Count { path: PathBuf, found: usize },
    #[error("interface `{name}` in `{path}`: {problem}")]
    Entry {
        path: PathBuf,
        name: String,
        problem: &'static str,
    },
}

impl Interfaces {
    /// Reads the file and returns its memif links in order.
    ///
    /// # Errors
    /// [`InterfacesError`] names the file, the interface and the remedy.
    pub fn memif_links(path: &Path) -> Result<Vec<(InterfaceEntry, MemifEntry)>, InterfacesError> {
        let at = || path.to_owned();
        let bytes =
            std::fs::read(path).map_err(|source| InterfacesError::Read { path: at(), source })?;
        let file: Self = serde_json::from_slice(&bytes)
            .map_err(|source| InterfacesError::Syntax { path: at(), source })?;
        if file.version != VERSION {
            return Err(InterfacesError::Version {
                path: at(),
                found: file.version,
            });
        }
        let mut links = Vec::new();
        for entry in file.interfaces.into_iter().filter(|e| e.kind == "memif") {
            let wrong = |problem| InterfacesError::Entry {
                path: at(),
                name: entry.name.clone(),
                problem,
            };
            let memif = entry
                .memif
                .clone()
                .ok_or_else(|| wrong("has no field `memif`"))?;
            if memif.role != MemifRole::Slave {
                return Err(wrong(
                    "the runner is slave on all its links; hint: set role `slave`",
                ));
            }
            if !memif.ring_size.is_power_of_two() || !(64..=16384).contains(&memif.ring_size) {
                return Err(wrong("`ringSize` must be a power of two from 64 to 16384"));
            }
            links.push((entry, memif));
        }
        if !(1..=PORTS_MAX).contains(&links.len()) {
            return Err(InterfacesError::Count {
                path: at(),
                found: links.len(),
            });
        }
        Ok(links)
    }
}
