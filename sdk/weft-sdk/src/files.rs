//! Files of one directory that the operator named, to read. A capability: the operator grants `weft:host/files`.
//!
//! Paths are relative and cannot leave the directory. Natively a [`test::Host`](crate::test::Host) has the files.

use std::fmt;

/// Why a file was not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FileError {
    /// There is none.
    NotFound,
    /// The path leads outside, or to something that is no file.
    Denied,
    /// It is larger than the operator allows to be read.
    TooLarge,
    /// An error of a later contract, a failure of the disk, or no directory here.
    Other(String),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotFound => "not found",
            Self::Denied => "denied",
            Self::TooLarge => "too large",
            Self::Other(other) => other,
        })
    }
}

impl std::error::Error for FileError {}

/// The content of a file.
///
/// # Errors
/// [`FileError`].
pub fn read(path: &str) -> Result<Vec<u8>, FileError> {
    #[cfg(target_arch = "wasm32")]
    return Ok(wire::read(path)?);
    #[cfg(not(target_arch = "wasm32"))]
    crate::double::with(|host| host.read(path))
}

/// Names in a directory, sorted; `.` is the top.
///
/// # Errors
/// [`FileError`].
pub fn entries(path: &str) -> Result<Vec<String>, FileError> {
    #[cfg(target_arch = "wasm32")]
    return Ok(wire::entries(path)?);
    #[cfg(not(target_arch = "wasm32"))]
    crate::double::with(|host| host.entries(path))
}

#[cfg(target_arch = "wasm32")]
use crate::bindings::capabilities::weft::host::files as wire;

#[cfg(target_arch = "wasm32")]
impl From<wire::FileError> for FileError {
    fn from(error: wire::FileError) -> Self {
        match error {
            wire::FileError::NotFound => Self::NotFound,
            wire::FileError::Denied => Self::Denied,
            wire::FileError::TooLarge => Self::TooLarge,
            wire::FileError::Other(other) => Self::Other(other),
        }
    }
}
