//! Where a control channel is: a socket file or an abstract name.

use std::{
    fmt, io,
    path::{Path, PathBuf},
};

use rustix::net::SocketAddrUnix;

/// The address of a memif socket.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Address {
    /// A socket file.
    Path(PathBuf),
    /// A name in the abstract namespace of the network namespace, without the leading NUL.
    Abstract(Vec<u8>),
}

/// Why a text is no address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{0}` is not a socket address; hint: a path, or `@name`, of at most 107 bytes without NUL"
)]
pub struct AddressError(String);

impl Address {
    /// Reads `@name` and `abstract:name` as abstract names, anything else as a path.
    ///
    /// # Errors
    /// [`AddressError`] when the kernel could not take it: empty, too long, or with a NUL.
    pub fn parse(text: &str) -> Result<Self, AddressError> {
        let name = text
            .strip_prefix('@')
            .or_else(|| text.strip_prefix("abstract:"));
        let address = name.map_or_else(
            || Self::Path(PathBuf::from(text)),
            |name| Self::Abstract(name.as_bytes().to_vec()),
        );
        let empty = name.unwrap_or(text).is_empty();
        if empty || text.contains('\0') || address.to_unix().is_err() {
            return Err(AddressError(text.to_owned()));
        }
        Ok(address)
    }

    /// A socket file.
    #[must_use]
    pub fn path(path: impl AsRef<Path>) -> Self {
        Self::Path(path.as_ref().to_owned())
    }

    /// A name in the abstract namespace.
    #[must_use]
    pub fn abstract_name(name: impl Into<Vec<u8>>) -> Self {
        Self::Abstract(name.into())
    }

    pub(crate) fn to_unix(&self) -> io::Result<SocketAddrUnix> {
        Ok(match self {
            Self::Path(path) => SocketAddrUnix::new(path)?,
            Self::Abstract(name) => SocketAddrUnix::new_abstract_name(name)?,
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Path(path) => path.display().fmt(f),
            Self::Abstract(name) => write!(f, "@{}", name.escape_ascii()),
        }
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Address({self})")
    }
}
