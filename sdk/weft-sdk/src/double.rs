//! What stands in for a host in native builds: the capabilities of the running test.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::mem;

use crate::files::FileError;
use crate::key_value::{KeyValueError, Scope};
use crate::log::Level;
use crate::metrics::{MetricError, Registry};

/// Capabilities of one [`test::Host`](crate::test::Host). By default there are none.
#[derive(Debug, Default)]
pub(crate) struct Double {
    pub(crate) unix_ms: u64,
    pub(crate) seed: u64,
    /// `None`: nobody reads them.
    pub(crate) lines: Option<Vec<(Level, String)>>,
    pub(crate) metrics: Option<Registry>,
    pub(crate) scope: Option<Scope>,
    pub(crate) files: Option<BTreeMap<String, Vec<u8>>>,
    pub(crate) file_bytes_max: usize,
}

thread_local! {
    static CURRENT: RefCell<Double> = RefCell::default();
}

/// Lends the capabilities of this thread.
pub(crate) fn with<R>(call: impl FnOnce(&mut Double) -> R) -> R {
    CURRENT.with_borrow_mut(call)
}

/// Lets `double` stand in while `work` runs, and gives it back also if `work` panics.
pub(crate) fn install<R>(double: &mut Double, work: impl FnOnce() -> R) -> R {
    struct Installed<'a>(&'a mut Double);
    impl Drop for Installed<'_> {
        fn drop(&mut self) {
            with(|current| mem::swap(current, self.0));
        }
    }
    with(|current| mem::swap(current, double));
    let _installed = Installed(double);
    work()
}

/// Keeps a line for the test.
pub(crate) fn log(level: Level, message: &str) {
    with(|host| {
        if let Some(lines) = &mut host.lines {
            lines.push((level, message.to_owned()));
        }
    });
}

const NOT_GRANTED: &str = "not granted";

impl Double {
    /// `SplitMix64` (Steele, Lea, Flood 2014): repeats from its seed.
    pub(crate) const fn random(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn metrics(&mut self) -> Result<&mut Registry, MetricError> {
        let missing = || MetricError::Other(NOT_GRANTED.into());
        self.metrics.as_mut().ok_or_else(missing)
    }

    pub(crate) fn scope(&mut self) -> Result<&mut Scope, KeyValueError> {
        let missing = || KeyValueError::Other(NOT_GRANTED.into());
        self.scope.as_mut().ok_or_else(missing)
    }

    pub(crate) fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        let path = resolve(path)?;
        let files = self.files()?;
        match files.get(&path) {
            Some(bytes) if bytes.len() > self.file_bytes_max => Err(FileError::TooLarge),
            Some(bytes) => Ok(bytes.clone()),
            None if below(files, &path).next().is_some() => Err(FileError::Denied),
            None => Err(FileError::NotFound),
        }
    }

    pub(crate) fn entries(&self, path: &str) -> Result<Vec<String>, FileError> {
        let path = resolve(path)?;
        let files = self.files()?;
        if files.contains_key(&path) {
            return Err(FileError::Denied);
        }
        let first = |rest: &str| rest.split('/').next().unwrap_or_default().to_owned();
        let names: BTreeSet<String> = below(files, &path).map(first).collect();
        if names.is_empty() && !path.is_empty() {
            return Err(FileError::NotFound);
        }
        Ok(names.into_iter().collect())
    }

    fn files(&self) -> Result<&BTreeMap<String, Vec<u8>>, FileError> {
        let missing = || FileError::Other(NOT_GRANTED.into());
        self.files.as_ref().ok_or_else(missing)
    }
}

/// What is left of the paths below `folder`.
fn below<'a>(
    files: &'a BTreeMap<String, Vec<u8>>,
    folder: &'a str,
) -> impl Iterator<Item = &'a str> {
    files.keys().filter_map(move |path| match folder {
        "" => Some(path.as_str()),
        _ => path.strip_prefix(folder)?.strip_prefix('/'),
    })
}

/// The path without `.` and `..`; one that leads outside is denied, as by a host.
fn resolve(path: &str) -> Result<String, FileError> {
    let mut parts = Vec::new();
    if path.is_empty() {
        return Err(FileError::NotFound);
    }
    if path.starts_with('/') {
        return Err(FileError::Denied);
    }
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop().ok_or(FileError::Denied)?),
            name => parts.push(name),
        }
    }
    Ok(parts.join("/"))
}
