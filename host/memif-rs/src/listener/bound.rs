//! The listening socket and its file: a stale file is replaced, a live one left alone, our own removed at the end.

use std::{
    io,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::{FileTypeExt, MetadataExt},
    },
    path::{Path, PathBuf},
};

use rustix::{
    io::Errno,
    net::{bind, connect, listen},
};

use crate::{address::Address, socket::unconnected};

const BACKLOG: i32 = 64;

/// Why a socket cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum BindError {
    /// Somebody listens there.
    #[error("`{0}` is in use by another listener")]
    InUse(Address),
    /// There is a file that is no socket.
    #[error("`{0}` exists and is not a socket; hint: remove it")]
    NotASocket(Address),
    /// The kernel refused.
    #[error("failed to listen: {0}")]
    Io(#[from] io::Error),
}

#[derive(Debug)]
pub(super) struct BoundSocket {
    fd: OwnedFd,
    file: Option<SocketFile>,
}

/// The file as it was when it was ours.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl BoundSocket {
    pub(super) fn bind(address: &Address) -> Result<Self, BindError> {
        let unix = address.to_unix()?;
        let fd = unconnected()?;
        match bind(&fd, &unix) {
            Ok(()) => {}
            Err(Errno::ADDRINUSE) => {
                remove_stale(address)?;
                bind(&fd, &unix).map_err(io::Error::from)?;
            }
            Err(error) => return Err(io::Error::from(error).into()),
        }
        let file = match address {
            Address::Abstract(_) => None,
            Address::Path(path) => Some(SocketFile {
                path: path.clone(),
                identity: identity(path)?,
            }),
        };
        listen(&fd, BACKLOG).map_err(io::Error::from)?;
        Ok(Self { fd, file })
    }
}

impl AsFd for BoundSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Drop for BoundSocket {
    fn drop(&mut self) {
        if let Some(file) = &self.file
            && identity(&file.path).is_ok_and(|found| found == file.identity)
            && let Err(error) = std::fs::remove_file(&file.path)
        {
            tracing::warn!(path = %file.path.display(), %error, "socket file was not removed");
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    let metadata = std::fs::symlink_metadata(path)?;
    Ok((metadata.dev(), metadata.ino()))
}

fn remove_stale(address: &Address) -> Result<(), BindError> {
    let Address::Path(path) = address else {
        return Err(BindError::InUse(address.clone()));
    };
    if !std::fs::symlink_metadata(path)?.file_type().is_socket() {
        return Err(BindError::NotASocket(address.clone()));
    }
    match connect(unconnected()?, &address.to_unix()?) {
        Err(Errno::CONNREFUSED) => Ok(std::fs::remove_file(path)?),
        _ => Err(BindError::InUse(address.clone())),
    }
}
