//! One directory, to read. `cap-std` keeps every path inside, also against `..`, absolute paths and symbolic links.

use std::io::{self, Read as _};
use std::path::Path;
use std::sync::Arc;

use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, OpenOptionsExt as _};
use rustix::fs::OFlags;

use crate::bindings::capabilities::weft::host::files::{self, FileError};
use crate::state::HostState;

/// Most names of one directory.
const ENTRIES_MAX: usize = 1024;

/// A directory that a module may read. Clones share it.
#[derive(Debug, Clone)]
pub struct ReadOnlyDir {
    dir: Arc<Dir>,
    file_bytes_max: u64,
}

impl ReadOnlyDir {
    /// Opens the directory that the operator named; what it leads to later is of no account.
    ///
    /// # Errors
    /// The system's reason.
    pub fn open(path: &Path, file_bytes_max: u64) -> io::Result<Self> {
        let dir = Dir::open_ambient_dir(path, ambient_authority())?;
        Ok(Self {
            dir: Arc::new(dir),
            file_bytes_max,
        })
    }

    fn read(&self, path: &str) -> Result<Vec<u8>, FileError> {
        let mut options = OpenOptions::new();
        // A pipe without a writer must not stop the host.
        options
            .read(true)
            .custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let file = self
            .dir
            .open_with(path, &options)
            .map_err(|e| in_words(&e))?;
        let meta = file.metadata().map_err(|e| in_words(&e))?;
        if !meta.is_file() {
            return Err(FileError::Denied);
        }
        // The file may grow while it is read.
        let mut bytes = Vec::new();
        let max = self.file_bytes_max;
        let read = file.take(max.saturating_add(1)).read_to_end(&mut bytes);
        match read {
            Ok(count) if count as u64 > max => Err(FileError::TooLarge),
            Ok(_) => Ok(bytes),
            Err(error) => Err(in_words(&error)),
        }
    }

    fn entries(&self, path: &str) -> Result<Vec<String>, FileError> {
        let entries = self.dir.read_dir(path).map_err(|e| in_words(&e))?;
        let mut names = Vec::new();
        for entry in entries {
            let name = entry.map_err(|e| in_words(&e))?.file_name();
            if names.len() == ENTRIES_MAX {
                return Err(FileError::TooLarge);
            }
            // A name that is no text cannot be told, and not be opened either.
            names.extend(name.into_string());
        }
        names.sort();
        Ok(names)
    }
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the rest goes by its name")]
fn in_words(error: &io::Error) -> FileError {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => FileError::NotFound,
        io::ErrorKind::PermissionDenied => FileError::Denied,
        // The system's text can tell of paths outside.
        kind => FileError::Other(kind.to_string()),
    }
}

impl files::Host for HostState {
    fn read(&mut self, path: String) -> Result<Vec<u8>, FileError> {
        granted(self)?.read(&path)
    }

    fn entries(&mut self, path: String) -> Result<Vec<String>, FileError> {
        granted(self)?.entries(&path)
    }
}

/// The interface is linked only where this is there.
fn granted(state: &HostState) -> Result<&ReadOnlyDir, FileError> {
    let missing = || FileError::Other("not granted".to_owned());
    state.grants.files.as_ref().ok_or_else(missing)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;

    /// A directory with a neighbour that nobody may see.
    fn tree() -> (tempfile::TempDir, ReadOnlyDir) {
        let root = tempfile::tempdir().expect("a folder");
        let open = root.path().join("open");
        fs::create_dir_all(open.join("sub")).expect("a folder");
        fs::create_dir(root.path().join("closed")).expect("a folder");
        fs::write(root.path().join("closed/secret"), "secret").expect("a file");
        fs::write(open.join("policy.json"), "{}").expect("a file");
        fs::write(open.join("sub/large"), [0; 9]).expect("a file");
        let dir = ReadOnlyDir::open(&open, 8).expect("a directory");
        (root, dir)
    }

    fn check(dir: &ReadOnlyDir, path: &str, error: &str) {
        let refused = dir.read(path).expect_err(path);
        assert!(
            format!("{refused:?}").contains(error),
            "{path}: {refused:?}"
        );
    }

    #[test]
    fn files_inside_are_read_up_to_the_limit() {
        let (_root, dir) = tree();
        assert_eq!(dir.read("policy.json").expect("a file"), b"{}");
        assert_eq!(dir.read("sub/../policy.json").expect("a file"), b"{}");
        check(&dir, "sub/large", "TooLarge");
        check(&dir, "none", "NotFound");
        check(&dir, "policy.json/x", "NotFound");
        check(&dir, "sub", "Denied");
        assert_eq!(dir.entries(".").expect("names"), ["policy.json", "sub"]);
        assert_eq!(dir.entries("sub").expect("names"), ["large"]);
    }

    #[test]
    fn no_path_leads_outside() {
        let (root, dir) = tree();
        let open = root.path().join("open");
        let secret = root.path().join("closed/secret");
        symlink(&secret, open.join("absolute")).expect("a link");
        symlink("../closed/secret", open.join("relative")).expect("a link");
        symlink("../closed", open.join("folder")).expect("a link");
        symlink("/", open.join("root")).expect("a link");
        let secret = secret.to_str().expect("text");
        for path in [
            "../closed/secret",
            "sub/../../closed/secret",
            secret,
            "absolute",
            "relative",
            "folder/secret",
            "root/etc/passwd",
        ] {
            check(&dir, path, "Denied");
        }
        for path in ["..", "/", "folder", "root", "sub/../.."] {
            assert!(dir.entries(path).is_err(), "{path}");
        }
        // Links that stay inside work: that is how ConfigMaps are mounted.
        symlink("policy.json", open.join("current")).expect("a link");
        assert_eq!(dir.read("current").expect("a file"), b"{}");
    }

    #[test]
    fn what_is_no_file_is_denied_and_does_not_stop_the_host() {
        let (root, dir) = tree();
        let pipe = root.path().join("open/pipe");
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, &pipe, rustix::fs::FileType::Fifo, mode, 0)
            .expect("a pipe");
        check(&dir, "pipe", "Denied");
    }

    #[test]
    fn a_directory_with_too_many_names_is_refused() {
        let (root, dir) = tree();
        for n in 0..=ENTRIES_MAX {
            fs::write(root.path().join(format!("open/sub/{n}")), "").expect("a file");
        }
        let refused = dir.entries("sub").expect_err("too many");
        assert!(matches!(refused, FileError::TooLarge), "{refused:?}");
    }
}
