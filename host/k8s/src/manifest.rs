//! YAML manifests: several documents a file, every error with file and line.

use std::fmt;
use std::path::{Path, PathBuf};

use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, Service};
use k8s_openapi::api::networking::v1::NetworkPolicy;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use model::ObjectName;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use crate::crd::ServiceFunctionChain;

/// Largest manifest file that is read, in bytes.
pub const FILE_LEN_MAX: usize = 4 << 20;

/// An object that Weft understands, as the manifest has it.
#[derive(Clone, Debug)]
pub enum Object {
    Namespace(Box<Namespace>),
    Pod(Box<Pod>),
    Deployment(Box<Deployment>),
    Service(Box<Service>),
    NetworkPolicy(Box<NetworkPolicy>),
    ConfigMap(Box<ConfigMap>),
    Chain(Box<ServiceFunctionChain>),
}

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Manifest {
    pub origin: Origin,
    /// Namespace (`default` where the document has none) and name; the namespace of a cluster-wide
    /// object is its own name's.
    pub name: ObjectName,
    pub object: Object,
}

/// Where a document starts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    pub file: PathBuf,
    /// From 1.
    pub line: usize,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file.display(), self.line)
    }
}

/// A manifest that was refused; nothing of its file is used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ManifestError {
    #[error("{at}: {message}")]
    Yaml { at: Origin, message: String },
    #[error("{at}: `{api_version}` `{kind}` is not known; hint: use {KNOWN}")]
    UnknownKind {
        at: Origin,
        api_version: String,
        kind: String,
    },
    #[error("{at}: field `metadata.{field}` is missing; hint: give the {kind} one")]
    Missing {
        at: Origin,
        kind: String,
        field: &'static str,
    },
    #[error("{at}: {message}")]
    Name { at: Origin, message: String },
    #[error("{at}: {kind} `{name}` is already defined at {first}; hint: rename or remove one")]
    Duplicate {
        at: Origin,
        kind: &'static str,
        name: ObjectName,
        first: Origin,
    },
    #[error("{at}: file has {len} bytes, over the limit of {FILE_LEN_MAX}; hint: split it")]
    TooLarge { at: Origin, len: usize },
}

const KNOWN: &str = "v1 Namespace, Pod, Service or ConfigMap, apps/v1 Deployment, \
     networking.k8s.io/v1 NetworkPolicy, weft.dev/v1alpha1 ServiceFunctionChain";

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    api_version: String,
    kind: String,
    #[serde(default)]
    metadata: ObjectMeta,
}

/// Reads all documents of one file; the first error refuses the whole file.
///
/// # Errors
/// [`ManifestError`] with file, line, field and remedy.
pub fn parse(file: &Path, text: &str) -> Result<Vec<Manifest>, ManifestError> {
    if text.len() > FILE_LEN_MAX {
        let at = Origin {
            file: file.to_owned(),
            line: 1,
        };
        return Err(ManifestError::TooLarge {
            at,
            len: text.len(),
        });
    }
    let mut manifests = Vec::new();
    for (line, document) in documents(text) {
        manifests.push(parse_document(
            Origin {
                file: file.to_owned(),
                line,
            },
            &document,
        )?);
    }
    Ok(manifests)
}

/// Refuses a set of manifests (of several files) in which an object is defined twice.
///
/// # Errors
/// [`ManifestError::Duplicate`] with both places.
pub fn check_unique(manifests: &[Manifest]) -> Result<(), ManifestError> {
    let mut seen = std::collections::BTreeMap::new();
    for manifest in manifests {
        let kind = manifest.object.kind();
        let key = (kind, &manifest.name);
        if let Some(first) = seen.insert(key, &manifest.origin) {
            return Err(ManifestError::Duplicate {
                at: manifest.origin.clone(),
                kind,
                name: manifest.name.clone(),
                first: first.clone(),
            });
        }
    }
    Ok(())
}

/// The documents with their first line; each is padded so that line numbers in it are the file's.
fn documents(text: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    let mut current = String::new();
    let mut start = None;
    for (index, line) in text.lines().enumerate() {
        if line == "---" || line.starts_with("--- ") {
            if let Some(first) = start.take() {
                found.push((first, std::mem::take(&mut current)));
            }
            current = "\n".repeat(index + 1);
            continue;
        }
        let blank = line.trim().is_empty() || line.trim_start().starts_with('#');
        if start.is_none() && !blank {
            start = Some(index + 1);
        }
        current.push_str(line);
        current.push('\n');
    }
    if let Some(first) = start {
        found.push((first, current));
    }
    found
}

fn parse_document(at: Origin, text: &str) -> Result<Manifest, ManifestError> {
    let header: Header = read(&at, text)?;
    let (api, kind) = (header.api_version.as_str(), header.kind.as_str());
    let object = match (api, kind) {
        ("v1", "Namespace") => Object::Namespace(read(&at, text)?),
        ("v1", "Pod") => Object::Pod(read(&at, text)?),
        ("v1", "Service") => Object::Service(read(&at, text)?),
        ("v1", "ConfigMap") => Object::ConfigMap(read(&at, text)?),
        ("apps/v1", "Deployment") => Object::Deployment(read(&at, text)?),
        ("networking.k8s.io/v1", "NetworkPolicy") => Object::NetworkPolicy(read(&at, text)?),
        ("weft.dev/v1alpha1", "ServiceFunctionChain") => Object::Chain(read(&at, text)?),
        _ => {
            let (api_version, kind) = (header.api_version, header.kind);
            return Err(ManifestError::UnknownKind {
                at,
                api_version,
                kind,
            });
        }
    };
    let Some(name) = header.metadata.name else {
        return Err(ManifestError::Missing {
            at,
            kind: header.kind,
            field: "name",
        });
    };
    let namespace = if matches!(object, Object::Namespace(_)) {
        name.clone()
    } else {
        let given = header.metadata.namespace;
        given.unwrap_or_else(|| "default".to_owned())
    };
    match ObjectName::parse(&namespace, &name) {
        Ok(name) => Ok(Manifest {
            origin: at,
            name,
            object,
        }),
        Err(e) => Err(ManifestError::Name {
            at,
            message: e.to_string(),
        }),
    }
}

fn read<T: DeserializeOwned>(at: &Origin, text: &str) -> Result<T, ManifestError> {
    serde_saphyr::from_str(text).map_err(|error| {
        let line = error
            .location()
            .and_then(|l| usize::try_from(l.line()).ok());
        let at = Origin {
            file: at.file.clone(),
            line: line.filter(|l| *l > 0).unwrap_or(at.line),
        };
        ManifestError::Yaml {
            at,
            message: first_line(&error.without_snippet().to_string()),
        }
    })
}

/// The parser's message without its drawing of the source and its own words for the place.
fn first_line(message: &str) -> String {
    let line = message
        .lines()
        .next()
        .unwrap_or_default()
        .trim_start_matches("error: ");
    line.rsplit_once(" at line ")
        .map_or(line, |(text, _)| text)
        .to_owned()
}

impl Object {
    /// The `kind` of Kubernetes.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Namespace(_) => "Namespace",
            Self::Pod(_) => "Pod",
            Self::Deployment(_) => "Deployment",
            Self::Service(_) => "Service",
            Self::NetworkPolicy(_) => "NetworkPolicy",
            Self::ConfigMap(_) => "ConfigMap",
            Self::Chain(_) => "ServiceFunctionChain",
        }
    }
}

#[cfg(test)]
mod tests;
