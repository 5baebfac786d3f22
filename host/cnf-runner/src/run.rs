//! Start, life and end of a runner process.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use agent_api::cnf::runner_server::RunnerServer;
use anyhow::Context;
use memif_rs::{Address, Client, ClientConfig, Limits, Mode, Secret};
use runtime::shutdown::Shutdown;
use tokio::net::UnixListener;
use tokio::sync::{Mutex, oneshot};
use tokio_stream::wrappers::UnixListenerStream;
use weft_sdk::{Port, PortId};

use crate::admin::Admin;
use crate::args::CommonArgs;
use crate::interfaces::{InterfaceEntry, Interfaces, MemifEntry, MemifMode};
use crate::plane::{Loader, Plane};
use crate::reload::{self, Reloader};
use crate::worker::{Command, Control, Worker};

/// How often the module and configuration files are looked at.
const FILE_INTERVAL: Duration = Duration::from_millis(500);

/// Runs a CNF: `build` makes the loader and the plane for the pod's ports.
pub(crate) fn main<L, P>(
    args: &CommonArgs,
    module: Option<PathBuf>,
    build: impl FnOnce(&[Port]) -> anyhow::Result<(L, P)>,
) -> ExitCode
where
    L: Loader,
    P: Plane<Next = L::Next>,
{
    runtime::log::init("info");
    match serve(args, module, build) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn serve<L, P>(
    args: &CommonArgs,
    module: Option<PathBuf>,
    build: impl FnOnce(&[Port]) -> anyhow::Result<(L, P)>,
) -> anyhow::Result<()>
where
    L: Loader,
    P: Plane<Next = L::Next>,
{
    let entries = Interfaces::memif_links(&args.interfaces)?;
    let (loader, mut plane) = build(&ports(&entries))?;
    // A link that is up says that the function serves: load it before any link is made.
    let function = reload::load(&loader, module.as_deref(), args.config.as_deref())?;
    plane.swap(function.next);
    let links = links(args, &entries, &plane)?;
    let (worker, handle) = Worker::new(plane, links, Instant::now())?;
    let mut reloader = Reloader::new(
        Arc::new(loader),
        handle.clone(),
        module,
        args.config.clone(),
    );
    (reloader.name, reloader.digest) = (function.name, function.digest);
    let reactor = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("start the control thread")?;
    let outcome = reactor.block_on(async {
        let listener = agent_api::listen(&args.admin)
            .await
            .with_context(|| format!("serve `{}`", args.admin.display()))?;
        let (ended, packet_end) = oneshot::channel();
        let packets = std::thread::Builder::new()
            .name("packets".to_owned())
            .spawn(move || drop(ended.send(worker.run())))
            .context("start the packet thread")?;
        let admin = Admin {
            reloader: Arc::new(Mutex::new(reloader)),
            worker: handle.clone(),
        };
        let outcome = tokio::select! {
            served = control(listener, admin) => served,
            end = packet_end => match end {
                Ok(Ok(())) => Err(anyhow::anyhow!("packet thread ended")),
                Ok(Err(error)) => Err(error).context("packet thread failed"),
                Err(_) => Err(anyhow::anyhow!("packet thread panicked")),
            },
        };
        // A worker that has ended already takes no command.
        let _stopped = handle.send(Command::Stop);
        let _joined = packets.join();
        outcome
    });
    // The socket of a runner that has ended would only mislead.
    let _removed = std::fs::remove_file(&args.admin);
    outcome
}

/// Serves the socket and watches the files until a signal asks to end.
async fn control<L: Loader>(listener: UnixListener, admin: Admin<L>) -> anyhow::Result<()> {
    let reloader = Arc::clone(&admin.reloader);
    let shutdown = Shutdown::listen().context("listen for signals")?;
    let server = tonic::transport::Server::builder()
        .add_service(RunnerServer::new(admin))
        .serve_with_incoming_shutdown(UnixListenerStream::new(listener), shutdown.into_future());
    tokio::select! {
        served = server => served.context("serve the administration socket"),
        () = watch_files(reloader) => Ok(()),
    }
}

async fn watch_files<L: Loader>(reloader: Arc<Mutex<Reloader<L>>>) {
    let mut tick = tokio::time::interval(FILE_INTERVAL);
    loop {
        tick.tick().await;
        match reloader.lock().await.reload_if_changed().await {
            Ok(Some(swapped)) => {
                tracing::info!(from = %swapped.old_digest, to = %swapped.new_digest, "function swapped");
            }
            Ok(None) => {}
            Err(error) => tracing::warn!("{error:#}; the old function goes on"),
        }
    }
}

fn ports(entries: &[(InterfaceEntry, MemifEntry)]) -> Vec<Port> {
    (0_u8..)
        .zip(entries)
        .map(|(id, (entry, _))| Port {
            id: PortId(id),
            name: entry.name.clone(),
            mtu: entry.mtu,
        })
        .collect()
}

fn links<P: Plane>(
    args: &CommonArgs,
    entries: &[(InterfaceEntry, MemifEntry)],
    plane: &P,
) -> anyhow::Result<Vec<Control>> {
    let directory = args
        .interfaces
        .parent()
        .unwrap_or_else(|| std::path::Path::new("/"));
    let link = |(entry, memif): &(InterfaceEntry, MemifEntry)| -> anyhow::Result<Control> {
        let address = if memif.socket.starts_with('@') {
            Address::parse(&memif.socket)?
        } else {
            Address::path(directory.join(&memif.socket))
        };
        let config = ClientConfig {
            name: entry.name.clone(),
            mode: match memif.mode {
                MemifMode::Ethernet => Mode::Ethernet,
                MemifMode::Ip => Mode::Ip,
            },
            secret: memif.secret.as_deref().map(Secret::new).transpose()?,
            // The runner has one worker, and a memory per worker.
            queues: 1,
            log2_ring_size: u8::try_from(memif.ring_size.ilog2())?,
            memory: plane.memory(),
        };
        let client = Client::new(address, memif.id, config, Limits::default())?;
        Ok(Control {
            name: entry.name.clone(),
            client,
        })
    };
    let named = |pair: &(InterfaceEntry, MemifEntry)| {
        link(pair).with_context(|| format!("interface `{}`", pair.0.name))
    };
    entries.iter().map(named).collect()
}
