//! The listening socket.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{UnixListener, UnixStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use super::caller::ClientId;
use super::outbox::Outbox;
use super::owner::{self, Handle, Job};
use super::router::{Router, Routes};
use super::{Counters, Farewell, Limits, peer};

/// How long clients may read what is left when the server stops.
const FLUSH_MAX: Duration = Duration::from_secs(1);

/// A bound socket, ready to serve.
pub struct Server<S> {
    listener: UnixListener,
    path: PathBuf,
    routes: Routes<S>,
    limits: Limits,
    handle: Handle<S>,
    jobs: mpsc::Receiver<Job<S>>,
}

/// Why the server ended other than by its shutdown.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ServeError {
    /// The socket cannot be had.
    #[error("listen on `{}`", path.display())]
    Bind {
        /// The socket.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Someone else listens there.
    #[error("`{}` is served by another process", .0.display())]
    InUse(PathBuf),
    /// The owner thread cannot be started.
    #[error("start the owner thread")]
    Thread(#[source] io::Error),
    /// A handler panicked.
    #[error("a handler panicked")]
    Panicked,
}

impl<S: Send + 'static> Server<S> {
    /// Listens on `path`, replacing a socket that no one serves; needs a tokio runtime.
    ///
    /// # Errors
    /// When the socket cannot be had.
    pub fn bind(path: &Path, router: Router<S>, limits: Limits) -> Result<Self, ServeError> {
        let listener = listen(path)?;
        let (sender, jobs) = mpsc::channel(limits.requests_waiting_max.max(1));
        let handle = Handle {
            jobs: sender,
            counters: Arc::new(Counters::default()),
        };
        Ok(Self {
            listener,
            path: path.into(),
            routes: router.bind(&handle.jobs.downgrade()),
            limits,
            handle,
            jobs,
        })
    }

    /// Returns a way to reach the owner thread.
    #[must_use]
    pub fn handle(&self) -> Handle<S> {
        self.handle.clone()
    }

    /// Serves until `shutdown` is ready; gives the service back.
    ///
    /// # Errors
    /// When the owner thread cannot be started or a handler panics.
    pub async fn run(
        self,
        service: S,
        shutdown: impl Future<Output = ()>,
    ) -> Result<S, ServeError> {
        let Self {
            listener,
            path,
            routes,
            limits,
            handle,
            jobs,
        } = self;
        let counters = Arc::clone(&handle.counters);
        let (done, mut finished) = tokio::sync::oneshot::channel();
        std::thread::Builder::new()
            .name("vpp-api-owner".into())
            .spawn(move || {
                let _ = done.send(owner::run(service, routes, counters, jobs));
            })
            .map_err(ServeError::Thread)?;
        let mut peers = Peers {
            limits,
            handle,
            tasks: JoinSet::new(),
            next: 1,
        };
        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                // Only a panic ends the owner before it is told to stop.
                _ = &mut finished => return Err(ServeError::Panicked),
                accepted = listener.accept() => peers.accept(accepted.map(|(stream, _)| stream)).await,
                Some(_) = peers.tasks.join_next() => {}
            }
        }
        let _ = std::fs::remove_file(&path);
        let _ = peers.handle.jobs.send(Job::Stop).await;
        let service = finished.await.map_err(|_| ServeError::Panicked)?;
        let flushed = async { while peers.tasks.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FLUSH_MAX, flushed).await;
        Ok(service)
    }
}

/// The connections of a running server.
struct Peers<S> {
    limits: Limits,
    handle: Handle<S>,
    tasks: JoinSet<()>,
    next: u32,
}

impl<S: Send + 'static> Peers<S> {
    async fn accept(&mut self, accepted: io::Result<UnixStream>) {
        let stream = match accepted {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "accept");
                // Out of descriptors, most likely: without a pause this would spin.
                tokio::time::sleep(Duration::from_millis(50)).await;
                return;
            }
        };
        let counters = Arc::clone(&self.handle.counters);
        if self.tasks.len() >= self.limits.clients_max {
            Counters::count(&counters.rejected);
            tracing::warn!(reason = %Farewell::TooMany(self.limits.clients_max), "client rejected");
            return;
        }
        Counters::count(&counters.accepted);
        let client = ClientId(self.next);
        self.next = self.next.wrapping_add(1) & (u32::MAX >> 1);
        let (jobs, limits) = (self.handle.jobs.clone(), self.limits);
        self.tasks.spawn(async move {
            let outbox = Arc::new(Outbox::new(
                limits.unread_bytes_high,
                limits.unread_bytes_max,
            ));
            let job = Job::Connected {
                client,
                outbox: Arc::clone(&outbox),
            };
            if jobs.send(job).await.is_err() {
                return;
            }
            let reason = peer::serve(stream, client, outbox, limits, jobs.clone()).await;
            if reason.is_orderly() {
                tracing::debug!(%client, %reason, "client gone");
            } else {
                Counters::count(&counters.evicted);
                tracing::warn!(%client, %reason, "client disconnected");
            }
            let _ = jobs.send(Job::Gone { client }).await;
        });
    }
}

fn listen(path: &Path) -> Result<UnixListener, ServeError> {
    let bind = || UnixListener::bind(path);
    let failed = |source| ServeError::Bind {
        path: path.into(),
        source,
    };
    match bind() {
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            if std::os::unix::net::UnixStream::connect(path).is_ok() {
                return Err(ServeError::InUse(path.into()));
            }
            std::fs::remove_file(path).map_err(failed)?;
            bind().map_err(failed)
        }
        other => other.map_err(failed),
    }
}
