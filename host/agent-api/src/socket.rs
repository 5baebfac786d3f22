//! gRPC over UNIX sockets.

use std::fs::File;
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tonic::transport::{Channel, Endpoint, Uri};

/// Longest path of a UNIX socket in bytes (`sun_path` without its final zero, unix(7)).
pub const SOCKET_PATH_LEN_MAX: usize = 107;

/// A socket that nobody serves.
#[derive(Debug, thiserror::Error)]
#[error("connect to socket `{path}`; hint: is its process running?")]
pub struct ConnectError {
    path: PathBuf,
    #[source]
    source: tonic::transport::Error,
}

/// Dials the server at `path`.
///
/// # Errors
/// [`ConnectError`] when nothing accepts there.
pub async fn connect(path: &Path) -> Result<Channel, ConnectError> {
    let target = path.to_owned();
    let dial = tower::service_fn(move |_: Uri| {
        let target = target.clone();
        async move { dial(&target).await.map(TokioIo::new) }
    });
    // The authority is not used on a UNIX socket, but HTTP/2 wants one.
    Endpoint::from_static("http://localhost")
        .connect_with_connector(dial)
        .await
        .map_err(|source| ConnectError {
            path: path.to_owned(),
            source,
        })
}

async fn dial(path: &Path) -> io::Result<UnixStream> {
    let near = Near::of(path)?;
    UnixStream::connect(&near.path).await
}

/// A socket by a path that fits, however deep it lies.
struct Near {
    path: PathBuf,
    /// Names the directory for as long as it is open.
    _directory: Option<File>,
}

impl Near {
    fn of(path: &Path) -> io::Result<Self> {
        let names = path.parent().zip(path.file_name());
        let Some((parent, name)) = names.filter(|_| path.as_os_str().len() > SOCKET_PATH_LEN_MAX)
        else {
            let path = path.to_owned();
            return Ok(Self {
                path,
                _directory: None,
            });
        };
        let directory = File::open(parent)?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", directory.as_raw_fd())).join(name);
        Ok(Self {
            path,
            _directory: Some(directory),
        })
    }
}

/// Binds `path`, replacing a socket that nobody serves any more.
///
/// # Errors
/// `AddrInUse` when a live server answers there; else what the file system says.
pub async fn listen(path: &Path) -> io::Result<UnixListener> {
    let near = Near::of(path)?;
    match UnixListener::bind(&near.path) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            if UnixStream::connect(&near.path).await.is_ok() {
                return Err(e);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(&near.path)
        }
        bound => bound,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_socket_deep_in_the_tree_is_served_and_reached() {
        let root = tempfile::tempdir().unwrap();
        for depth in [1, 3] {
            let directory = root.path().join(vec!["d".repeat(64); depth].join("/"));
            std::fs::create_dir_all(&directory).unwrap();
            let path = directory.join("cnf.sock");
            let listener = listen(&path).await.unwrap();
            let (dialled, accepted) = tokio::join!(dial(&path), listener.accept());
            assert!(dialled.is_ok() && accepted.is_ok(), "{dialled:?}");
            let refused = listen(&path).await.unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::AddrInUse);
            drop(listener);
            assert!(listen(&path).await.is_ok(), "a dead socket is replaced");
        }
    }
}
