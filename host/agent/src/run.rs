//! Start and orderly end of the agent.

use std::future::Future;
use std::io;
use std::path::PathBuf;

use agent_api::agent::cni_server::CniServer;
use agent_api::agent::node_server::NodeServer;
use model::{ClusterConfig, NodeName};
use tokio::sync::mpsc;
use tokio_stream::wrappers::UnixListenerStream;

use crate::agent::{Agent, Start, facts};
use crate::carrier;
use crate::cluster::{self, Bootstrap, Outbox};
use crate::config::AgentConfig;
use crate::dataplane;
use crate::event::{Event, QUEUE};
use crate::journal::{Journal, JournalError};
use crate::server::Service;

/// Why an agent could not run.
#[derive(Debug, thiserror::Error)]
pub enum AgentError {
    #[error("the configuration names no node; hint: use --node")]
    NoNode,
    #[error(transparent)]
    Node(#[from] model::name::NameError),
    #[error("use state directory")]
    Journal(#[from] JournalError),
    #[error("{what} `{path}`")]
    Io {
        what: &'static str,
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("use store `{url}`")]
    Store {
        url: String,
        #[source]
        source: store::client::StoreError,
    },
    #[error("serve the agent's socket")]
    Serve(#[source] tonic::transport::Error),
}

/// Runs the agent of a node until `shutdown` resolves. The dataplane is left as it is.
///
/// # Errors
/// [`AgentError`] when it cannot start; later trouble is retried.
pub async fn run(
    config: AgentConfig,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), AgentError> {
    let node = NodeName::parse(config.node.as_deref().ok_or(AgentError::NoNode)?)?;
    make_dir(&config.pod_dir)?;
    if let Some(parent) = config.cni_socket.parent() {
        make_dir(parent)?;
    }
    let journal = Journal::open(&config.state_dir)?;
    tokio::pin!(shutdown);
    let cluster = tokio::select! {
        cluster = cluster_config(&config, &journal) => cluster?,
        () = &mut shutdown => return Ok(()),
    };
    journal.set_config(&cluster)?;
    let listener = agent_api::listen(&config.cni_socket).await;
    let listener = listener.map_err(|source| AgentError::Io {
        what: "listen on",
        path: config.cni_socket.clone(),
        source,
    })?;
    let (agent, queue, service) = assemble(&config, &node, cluster, journal)?;
    let serve = tonic::transport::Server::builder()
        .add_service(CniServer::new(service.clone()))
        .add_service(NodeServer::new(service))
        .serve_with_incoming(UnixListenerStream::new(listener));
    tracing::info!(%node, socket = %config.cni_socket.display(), "agent started");
    // Not a graceful end: a request that waits for the dataplane must not hold up the shutdown.
    let outcome = tokio::select! {
        served = serve => served.map_err(AgentError::Serve),
        () = agent.run(queue) => Ok(()),
        () = &mut shutdown => Ok(()),
    };
    // A socket that stays behind is replaced at the next start.
    let _ = std::fs::remove_file(&config.cni_socket);
    outcome
}

/// The event loop and the tasks around it.
fn assemble(
    config: &AgentConfig,
    node: &NodeName,
    cluster: ClusterConfig,
    journal: Journal,
) -> Result<(Agent, mpsc::Receiver<Event>, Service), AgentError> {
    let (events, queue) = mpsc::channel(QUEUE);
    if let Some(uplink) = &config.uplink {
        carrier::spawn(uplink.interface.clone(), events.clone());
    }
    let dataplane = dataplane::spawn(config.vpp_api.clone(), events.clone());
    let outbox = Outbox::default();
    let bootstrap = Bootstrap {
        node: node.clone(),
        known: journal.node_id(),
        config: config.cluster.clone(),
    };
    let store = cluster::spawn(&config.store, bootstrap, outbox.clone(), events.clone())
        .map_err(|e| store_failed(config, e))?;
    let sweep = {
        let (url, node, events) = (config.store.clone(), node.clone(), events.downgrade());
        move || {
            if let Some(events) = events.upgrade() {
                cluster::sweep(&url, &node, &events);
            }
        }
    };
    let service = Service {
        events,
        dataplane: dataplane.clone(),
        pod_dir: config.pod_dir.clone(),
        store,
        stats_socket: config.stats_socket.clone(),
        mtu: cluster.mtu,
    };
    let agent = Agent::new(Start {
        facts: facts(node.clone(), config, cluster),
        journal,
        outbox,
        dataplane,
        pod_dir: config.pod_dir.clone(),
        sweep: Box::new(sweep),
    })?;
    Ok((agent, queue, service))
}

/// The file decides, else the store; a node with pods keeps what it has, for their addresses are from
/// that.
async fn cluster_config(
    config: &AgentConfig,
    journal: &Journal,
) -> Result<ClusterConfig, AgentError> {
    if let Some(cluster) = &config.cluster {
        return Ok(cluster.clone());
    }
    let known = journal.config();
    let has_pods = !journal.attachments()?.is_empty();
    match known {
        Some(known) if has_pods => Ok(known),
        known => cluster::config(&config.store, known)
            .await
            .map_err(|e| store_failed(config, e)),
    }
}

fn store_failed(config: &AgentConfig, source: store::client::StoreError) -> AgentError {
    let url = config.store.clone();
    AgentError::Store { url, source }
}

fn make_dir(path: &std::path::Path) -> Result<(), AgentError> {
    std::fs::create_dir_all(path).map_err(|source| AgentError::Io {
        what: "create",
        path: path.to_owned(),
        source,
    })
}
