//! A directory of manifests as a source of intent.
//!
//! A file that becomes unreadable or wrong keeps its last good content: intent is not withdrawn
//! because of a typing error. A file that is removed takes its objects along.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use k8s::manifest::{self, Manifest};

/// The `*.yaml` and `*.yml` files of one directory, read again when their bytes change.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    files: BTreeMap<PathBuf, File>,
    reported: Option<io::ErrorKind>,
}

#[derive(Debug)]
struct File {
    text: String,
    good: Vec<Manifest>,
}

impl Directory {
    /// Nothing is read before the first [`Directory::scan`].
    pub fn new(path: PathBuf) -> Self {
        Self {
            path,
            files: BTreeMap::new(),
            reported: None,
        }
    }

    /// Reads what changed; true when [`Directory::manifests`] may differ from before.
    pub fn scan(&mut self) -> bool {
        let texts = match read_all(&self.path) {
            Ok(texts) => texts,
            Err(error) => {
                if self.reported.replace(error.kind()) != Some(error.kind()) {
                    tracing::warn!(path = %self.path.display(), %error, "manifests are not readable");
                }
                return false;
            }
        };
        self.reported = None;
        let before = self.files.len();
        self.files.retain(|path, _| texts.contains_key(path));
        let mut changed = self.files.len() != before;
        for (path, text) in texts {
            changed |= self.take(path, text);
        }
        changed
    }

    /// All objects as they stand.
    pub fn manifests(&self) -> Vec<Manifest> {
        self.files
            .values()
            .flat_map(|f| f.good.iter().cloned())
            .collect()
    }

    fn take(&mut self, path: PathBuf, text: String) -> bool {
        if self.files.get(&path).is_some_and(|f| f.text == text) {
            return false;
        }
        match manifest::parse(&path, &text) {
            Ok(good) => {
                self.files.insert(path, File { text, good });
                true
            }
            Err(error) => {
                tracing::warn!("{error}; the file's last good content stays");
                self.files
                    .entry(path)
                    .or_insert(File {
                        text: String::new(),
                        good: Vec::new(),
                    })
                    .text = text;
                false
            }
        }
    }
}

fn read_all(directory: &Path) -> io::Result<BTreeMap<PathBuf, String>> {
    let mut texts = BTreeMap::new();
    for entry in std::fs::read_dir(directory)? {
        let path = entry?.path();
        let yaml = path.extension().is_some_and(|e| e == "yaml" || e == "yml");
        if !yaml {
            continue;
        }
        match std::fs::read_to_string(&path) {
            Ok(text) => {
                texts.insert(path, text);
            }
            // Removed between the two calls.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(texts)
}
