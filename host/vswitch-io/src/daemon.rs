//! The process: arguments, sockets, the main loop, the clean end.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Parser;
use nix::sys::epoll::{Epoll, EpollEvent, EpollTimeout};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc::Receiver;
use vpp_api_client::server::{
    Handle, Limits, PublishError, ServeError, Server, StatsPublisher, stats_segment,
};

use crate::api;
use crate::device::link_monitor::LinkMonitor;
use crate::engine::{Engine, EngineConfig};
use crate::stats::{self, SEGMENT_BYTES};
use crate::worker::mailbox::Notice;

/// How often the statistics segment is refreshed.
const STATS_PERIOD: Duration = Duration::from_secs(1);
/// Notices handled in one go.
const NOTICES_PER_TURN: usize = 256;

/// The embedded dataplane: switches packets between taps, Linux interfaces, memifs and VXLAN tunnels, and is
/// programmed over VPP's binary API.
#[derive(Clone, Debug, Parser)]
#[command(name = "weft-vswitch", version)]
pub struct Arguments {
    /// Socket that serves the VPP binary API
    #[arg(long, env = "WEFT_API_SOCKET", value_name = "PATH")]
    pub api_socket: PathBuf,
    /// Socket that hands out the VPP statistics segment
    #[arg(long, env = "WEFT_STATS_SOCKET", value_name = "PATH")]
    pub stats_socket: Option<PathBuf>,
    /// Worker threads
    #[arg(long, env = "WEFT_WORKERS", value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..=64))]
    pub workers: u16,
    /// Directory where relative memif socket names start [default: directory of the API socket]
    #[arg(long, env = "WEFT_RUNDIR", value_name = "DIR")]
    pub rundir: Option<PathBuf>,
}

/// Why the process cannot run.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The dataplane cannot be started.
    #[error("start the dataplane")]
    Start(#[source] io::Error),
    /// The API cannot be served.
    #[error(transparent)]
    Serve(#[from] ServeError),
    /// The statistics cannot be served.
    #[error(transparent)]
    Stats(#[from] PublishError),
}

/// Runs until SIGTERM or SIGINT.
pub async fn run(arguments: Arguments) -> Result<(), DaemonError> {
    // Two processes on one socket: the second must fail before it touches a device.
    let server = Server::bind(&arguments.api_socket, api::router(), Limits::default())?;
    let run_dir = arguments.rundir.clone().unwrap_or_else(|| {
        arguments
            .api_socket
            .parent()
            .map(Path::to_path_buf)
            .unwrap_or_default()
    });
    let config = EngineConfig {
        workers: usize::from(arguments.workers),
        run_dir,
    };
    let (engine, notices) = Engine::start(&config).map_err(DaemonError::Start)?;
    let memif = engine.sockets.waker().map_err(DaemonError::Start)?;
    if let Some(path) = &arguments.stats_socket {
        let (segment, listener) = stats_segment(path, SEGMENT_BYTES)?;
        tokio::spawn(async move { listener.serve().await });
        tokio::spawn(refresh_stats(server.handle(), segment));
    }
    tokio::spawn(carry_notices(server.handle(), notices));
    watch_memif(server.handle(), memif).map_err(DaemonError::Start)?;
    watch_links(server.handle()).map_err(DaemonError::Start)?;
    tokio::spawn(tick(server.handle()));
    let mut terminate = signal(SignalKind::terminate()).map_err(DaemonError::Start)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DaemonError::Start)?;
    tracing::info!(api = %arguments.api_socket.display(), workers = arguments.workers, "dataplane is up");
    let shutdown = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    };
    let mut engine = server.run(engine, shutdown).await?;
    engine.stop();
    tracing::info!("dataplane is down");
    Ok(())
}

/// Brings what the workers learn to the engine, many at a time.
async fn carry_notices(handle: Handle<Engine>, mut notices: Receiver<Notice>) {
    let mut batch = Vec::new();
    while notices.recv_many(&mut batch, NOTICES_PER_TURN).await > 0 {
        let news = std::mem::take(&mut batch);
        let posted = handle.post(move |engine, events| {
            for notice in &news {
                engine.notice(notice);
            }
            api::settle(engine, events);
        });
        if posted.await.is_err() {
            return;
        }
    }
}

/// Lets the engine work whenever a memif control socket has something. The poll set is waited for on a thread of its
/// own, which ends with the process.
fn watch_memif(handle: Handle<Engine>, memif: Epoll) -> io::Result<()> {
    let runtime = tokio::runtime::Handle::current();
    let watch = move || {
        loop {
            // What woke us is handled by the engine, which knows all sockets.
            let mut events = [EpollEvent::empty()];
            if let Err(error) = memif.wait(&mut events, EpollTimeout::NONE) {
                tracing::debug!(%error, "wait for memif sockets");
                continue;
            }
            let (done, handled) = tokio::sync::oneshot::channel();
            let posted = runtime.block_on(handle.post(|engine, events| {
                engine.drive_memif();
                api::settle(engine, events);
                done.send(()).ok();
            }));
            // Waiting keeps a ready socket from being reported again and again.
            if posted.is_err() || runtime.block_on(handled).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("memif-sockets".into())
        .spawn(watch)
        .map(drop)
}

/// Tells the engine what happens to the Linux interfaces of this process's namespace. The thread ends with the process.
fn watch_links(handle: Handle<Engine>) -> io::Result<()> {
    let monitor = LinkMonitor::open()?;
    let runtime = tokio::runtime::Handle::current();
    let watch = move || {
        loop {
            let news = match monitor.wait() {
                Ok(news) => news,
                Err(error) => {
                    tracing::error!(%error, "Linux interfaces are not watched any more");
                    return;
                }
            };
            let posted = handle.post(move |engine, events| {
                news.iter().for_each(|news| engine.link_news(news));
                api::settle(engine, events);
            });
            if runtime.block_on(posted).is_err() {
                return;
            }
        }
    };
    std::thread::Builder::new()
        .name("links".into())
        .spawn(watch)
        .map(drop)
}

/// Lets the engine do what is due.
async fn tick(handle: Handle<Engine>) {
    let mut wait = Duration::ZERO;
    loop {
        tokio::time::sleep(wait).await;
        let (reply, next) = tokio::sync::oneshot::channel();
        let posted = handle.post(move |engine, events| {
            let wait = engine.tick();
            api::settle(engine, events);
            reply.send(wait).ok();
        });
        match (posted.await, next.await) {
            (Ok(()), Ok(next)) => wait = next.max(Duration::from_millis(1)),
            _ => return,
        }
    }
}

/// Publishes the counters.
async fn refresh_stats(handle: Handle<Engine>, mut segment: StatsPublisher) {
    let mut interval = tokio::time::interval(STATS_PERIOD);
    loop {
        interval.tick().await;
        let (reply, image) = tokio::sync::oneshot::channel();
        let posted = handle.post(move |engine, _| {
            reply.send(stats::collect(engine)).ok();
        });
        let (Ok(()), Ok(image)) = (posted.await, image.await) else {
            return;
        };
        if let Err(error) = image
            .map_err(PublishError::from)
            .and_then(|image| segment.publish(image))
        {
            tracing::warn!(%error, "statistics cannot be published");
        }
    }
}
