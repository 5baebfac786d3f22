//! What the operator lets a module do: `NAME.yaml` beside `NAME.wasm` in the module directory, the only place where
//! authority comes from.
//!
//! ```yaml
//! apiVersion: weft.dev/v1alpha1
//! kind: ModuleGrants
//! grants:            # what is not listed is not granted
//!   log: {}
//!   clock: {}
//!   random: {}
//!   metrics: {}
//!   keyValue: { keysMax: 1000, bytesMax: 1048576 }
//!   files: { directory: /etc/weft/policy, fileBytesMax: 1048576 }
//! limits: { memoryBytes: 67108864, deadlineMillis: 200 }
//! ```
//! Without the file a module is granted log and clock.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use wasm_host::{Grants, KeyValueScope, Limits, Metrics, ReadOnlyDir};
use weft_sdk::key_value::Quota;

/// Largest file of this kind, in bytes.
const POLICY_LEN_MAX: u64 = 64 << 10;
/// Most an operator can grant: a scope is copied for every call that uses it.
const KEYS_MAX: usize = 100_000;
const BYTES_MAX: usize = 64 << 20;
/// Longest time one call may take: a round of the controller waits for it.
const DEADLINE_MAX: Duration = Duration::from_secs(10);

/// An operator's file that cannot be followed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyError {
    #[error("grants in `{}` are not readable: {source}", .path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("grants in `{}` have {len} bytes, over the limit of {POLICY_LEN_MAX}", .path.display())]
    TooLarge { path: PathBuf, len: u64 },
    #[error("grants in `{}`: {why}", .path.display())]
    Syntax { path: PathBuf, why: String },
    #[error("granted directory `{}` does not open: {source}", .path.display())]
    Directory { path: PathBuf, source: io::Error },
    #[error("`grants.files.directory` is `{}`; hint: write an absolute path", .0.display())]
    RelativeDirectory(PathBuf),
    #[error("`{field}` is {value}, not between 1 and {max}")]
    Range {
        field: &'static str,
        value: u64,
        max: u64,
    },
}

#[derive(Debug, Deserialize)]
enum ApiVersion {
    #[serde(rename = "weft.dev/v1alpha1")]
    V1Alpha1,
}

#[derive(Debug, Deserialize)]
enum Kind {
    ModuleGrants,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Document {
    #[serde(rename = "apiVersion")]
    _api_version: ApiVersion,
    #[serde(rename = "kind")]
    _kind: Kind,
    #[serde(default)]
    grants: GrantList,
    #[serde(default)]
    limits: LimitList,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct GrantList {
    log: Option<Granted>,
    clock: Option<Granted>,
    random: Option<Granted>,
    metrics: Option<Granted>,
    key_value: Option<KeyValue>,
    files: Option<Files>,
}

/// `{}`: there is nothing to choose.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Granted {}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct KeyValue {
    keys_max: usize,
    bytes_max: usize,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Files {
    directory: PathBuf,
    file_bytes_max: u64,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase", deny_unknown_fields)]
struct LimitList {
    memory_bytes: Option<usize>,
    deadline_millis: Option<u64>,
}

/// An operator's word about one module.
#[derive(Debug)]
pub(crate) struct Policy {
    grants: GrantList,
    limits: LimitList,
}

/// What outlives the versions of a module.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    pub(crate) metrics: Metrics,
    scope: Option<(Quota, KeyValueScope)>,
}

impl Policy {
    /// Reads the file; without one there is log and clock.
    pub(crate) fn read(path: &Path) -> Result<Self, PolicyError> {
        let at = || path.to_owned();
        let text = match std::fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::absent()),
            Ok(meta) if meta.len() > POLICY_LEN_MAX => {
                let (path, len) = (at(), meta.len());
                return Err(PolicyError::TooLarge { path, len });
            }
            Ok(_) => std::fs::read_to_string(path),
            Err(source) => Err(source),
        };
        let text = text.map_err(|source| PolicyError::Read { path: at(), source })?;
        Self::parse(&text).map_err(|why| PolicyError::Syntax { path: at(), why })
    }

    fn absent() -> Self {
        Self {
            grants: GrantList {
                log: Some(Granted {}),
                clock: Some(Granted {}),
                ..GrantList::default()
            },
            limits: LimitList::default(),
        }
    }

    fn parse(text: &str) -> Result<Self, String> {
        let document: Document = serde_saphyr::from_str(text).map_err(|e| e.to_string())?;
        let Document { grants, limits, .. } = document;
        Ok(Self { grants, limits })
    }

    /// Turns the operator's word into authority: opens what it names. A scope keeps its values while its size stays.
    pub(crate) fn open(
        &self,
        module: &str,
        kept: &mut Kept,
    ) -> Result<(Grants, Limits), PolicyError> {
        let Self { grants, limits } = self;
        let files = grants.files.as_ref().map(open_directory).transpose()?;
        let scope = grants.key_value.as_ref().map(quota).transpose()?;
        let scope = scope.map(|quota| match &kept.scope {
            Some((former, scope)) if *former == quota => scope.clone(),
            _ => {
                let scope = KeyValueScope::new(quota);
                kept.scope = Some((quota, scope.clone()));
                scope
            }
        });
        let opened = Grants {
            module: module.into(),
            log: grants.log.is_some(),
            clock: grants.clock.is_some(),
            random: grants.random.is_some(),
            metrics: grants.metrics.as_ref().map(|_| kept.metrics.clone()),
            key_value: scope,
            files,
        };
        Ok((opened, limits.checked()?))
    }
}

fn open_directory(files: &Files) -> Result<ReadOnlyDir, PolicyError> {
    let path = files.directory.clone();
    if !path.is_absolute() {
        return Err(PolicyError::RelativeDirectory(path));
    }
    ReadOnlyDir::open(&path, files.file_bytes_max)
        .map_err(|source| PolicyError::Directory { path, source })
}

fn quota(granted: &KeyValue) -> Result<Quota, PolicyError> {
    let KeyValue {
        keys_max,
        bytes_max,
    } = *granted;
    range("grants.keyValue.keysMax", keys_max as u64, KEYS_MAX as u64)?;
    range(
        "grants.keyValue.bytesMax",
        bytes_max as u64,
        BYTES_MAX as u64,
    )?;
    Ok(Quota {
        keys: keys_max,
        bytes: bytes_max,
    })
}

impl LimitList {
    fn checked(&self) -> Result<Limits, PolicyError> {
        let mut limits = Limits::default();
        // More memory than the host has room for is refused by the host.
        limits.memory_bytes = self.memory_bytes.unwrap_or(limits.memory_bytes);
        if let Some(millis) = self.deadline_millis {
            let max = u64::try_from(DEADLINE_MAX.as_millis()).unwrap_or(u64::MAX);
            range("limits.deadlineMillis", millis, max)?;
            limits.deadline = Duration::from_millis(millis);
        }
        Ok(limits)
    }
}

fn range(field: &'static str, value: u64, max: u64) -> Result<(), PolicyError> {
    if (1..=max).contains(&value) {
        Ok(())
    } else {
        Err(PolicyError::Range { field, value, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEAD: &str = "apiVersion: weft.dev/v1alpha1\nkind: ModuleGrants\n";

    fn open(text: &str, kept: &mut Kept) -> Result<(Grants, Limits), String> {
        let policy = Policy::parse(&format!("{HEAD}{text}"))?;
        policy
            .open("m.wasm", kept)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn only_what_is_listed_is_granted() {
        let (none, limits) = open("", &mut Kept::default()).unwrap();
        assert!(!none.log && !none.clock && !none.random && none.metrics.is_none());
        assert!(none.key_value.is_none() && none.files.is_none());
        assert_eq!(limits, Limits::default());
        let text = "grants: {random: {}, metrics: {}, keyValue: {keysMax: 1, bytesMax: 9}, files: {directory: /, fileBytesMax: 1}}\nlimits: {deadlineMillis: 50, memoryBytes: 1048576}";
        let (some, limits) = open(text, &mut Kept::default()).unwrap();
        assert!(some.random && some.metrics.is_some() && some.files.is_some() && !some.log);
        assert!(some.key_value.is_some());
        assert_eq!(limits.deadline, Duration::from_millis(50));
        assert_eq!(limits.memory_bytes, 1 << 20);
        let absent = Policy::read(Path::new("/does/not/exist.yaml")).unwrap();
        let (usual, _) = absent.open("m.wasm", &mut Kept::default()).unwrap();
        assert!(usual.log && usual.clock && !usual.random && usual.files.is_none());
    }

    #[test]
    fn mistakes_are_named() {
        for (text, words) in [
            ("grants: {netwrk: {}}", "netwrk"),
            ("grants: {log: {level: info}}", "level"),
            ("grants: {keyValue: {keysMax: 5}}", "bytesMax"),
            (
                "grants: {keyValue: {keysMax: 0, bytesMax: 5}}",
                "keysMax` is 0",
            ),
            (
                "grants: {files: {directory: policy, fileBytesMax: 1}}",
                "absolute",
            ),
            (
                "grants: {files: {directory: /does/not/exist, fileBytesMax: 1}}",
                "/does/not/exist",
            ),
            (
                "limits: {deadlineMillis: 10001}",
                "deadlineMillis` is 10001",
            ),
            ("kind: Other", "kind"),
        ] {
            let error = open(text, &mut Kept::default()).unwrap_err();
            assert!(error.contains(words), "{text}: {error}");
        }
    }

    #[test]
    fn values_outlive_a_version_of_the_module_and_not_a_new_size() {
        let (mut kept, five) = (
            Kept::default(),
            "grants: {keyValue: {keysMax: 5, bytesMax: 99}}",
        );
        open(five, &mut kept).unwrap();
        let first = kept.scope.as_ref().map(|(quota, _)| *quota);
        open(five, &mut kept).unwrap();
        assert_eq!(kept.scope.as_ref().map(|(quota, _)| *quota), first);
        open("grants: {keyValue: {keysMax: 6, bytesMax: 99}}", &mut kept).unwrap();
        assert_eq!(kept.scope.as_ref().map(|(quota, _)| quota.keys), Some(6));
    }
}
