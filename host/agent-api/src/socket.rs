//! gRPC over UNIX sockets.

use std::io;
use std::path::{Path, PathBuf};

use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tonic::transport::{Channel, Endpoint, Uri};

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
        async move { UnixStream::connect(target).await.map(TokioIo::new) }
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

/// Binds `path`, replacing a socket that nobody serves any more.
///
/// # Errors
/// `AddrInUse` when a live server answers there; else what the file system says.
pub async fn listen(path: &Path) -> io::Result<UnixListener> {
    match UnixListener::bind(path) {
        Err(e) if e.kind() == io::ErrorKind::AddrInUse => {
            if UnixStream::connect(path).await.is_ok() {
                return Err(e);
            }
            std::fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        bound => bound,
    }
}
