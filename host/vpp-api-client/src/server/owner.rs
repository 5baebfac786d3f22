//! The owner thread: the service's state and every decision about it.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::mpsc;
use vpp_api::Envelope;
use vpp_api::table::SOCKCLNT_CREATE_ID;

use super::caller::{Client, ClientId, Clients, EventSink};
use super::outbox::Outbox;
use super::router::Routes;
use super::{Counters, Farewell, SharedCounters};

/// Something to do with the service.
type Task<S> = Box<dyn FnOnce(&mut S, &mut EventSink<'_>) + Send>;
/// The end of a request that took long.
type Ending<S> = Box<dyn FnOnce(&mut S, &mut Clients) + Send>;

/// What reaches the owner.
pub(super) enum Job<S> {
    Connected {
        client: ClientId,
        outbox: Arc<Outbox>,
    },
    Request {
        client: ClientId,
        message: Bytes,
    },
    Gone {
        client: ClientId,
    },
    Task(Task<S>),
    Done {
        client: ClientId,
        task: Ending<S>,
    },
    Stop,
}

/// Serves jobs until told to stop; returns the service.
pub(super) fn run<S>(
    mut service: S,
    mut routes: Routes<S>,
    counters: SharedCounters,
    mut jobs: mpsc::Receiver<Job<S>>,
) -> S {
    let mut clients = Clients::new(Arc::clone(&routes.table), counters);
    while let Some(job) = jobs.blocking_recv() {
        match job {
            Job::Connected { client, outbox } => {
                clients.connected.insert(
                    client,
                    Client {
                        outbox,
                        is_registered: false,
                        held: None,
                    },
                );
            }
            Job::Request { client, message } => {
                request(&mut service, &mut routes, &mut clients, client, message);
            }
            Job::Gone { client } => clients.forget(client),
            Job::Task(task) => task(
                &mut service,
                &mut EventSink {
                    clients: &mut clients,
                },
            ),
            Job::Done { client, task } => {
                task(&mut service, &mut clients);
                resume(&mut service, &mut routes, &mut clients, client);
            }
            Job::Stop => break,
        }
    }
    for client in clients.connected.values() {
        client.outbox.close(Farewell::Stopped);
    }
    service
}

fn request<S>(
    service: &mut S,
    routes: &mut Routes<S>,
    clients: &mut Clients,
    client: ClientId,
    message: Bytes,
) {
    let Ok(id) = Envelope::peek_id(&message) else {
        Counters::count(&clients.counters.malformed);
        return;
    };
    let Some(known) = clients.connected.get_mut(&client) else {
        return;
    };
    if let Some(held) = &mut known.held {
        held.push_back(message);
        return;
    }
    if !known.is_registered && id != SOCKCLNT_CREATE_ID {
        known.outbox.close(Farewell::Unregistered);
        return;
    }
    routes.dispatch(service, clients, client, id, &message);
}

/// Handles what a client asked while its request took long, until the next one that does.
fn resume<S>(service: &mut S, routes: &mut Routes<S>, clients: &mut Clients, client: ClientId) {
    let mut waiting: VecDeque<Bytes> = clients.release(client);
    while let Some(message) = waiting.pop_front() {
        request(service, routes, clients, client, message);
    }
}

/// Reaches the owner thread from anywhere.
pub struct Handle<S> {
    pub(super) jobs: mpsc::Sender<Job<S>>,
    pub(super) counters: SharedCounters,
}

impl<S> Clone for Handle<S> {
    fn clone(&self) -> Self {
        Self {
            jobs: self.jobs.clone(),
            counters: Arc::clone(&self.counters),
        }
    }
}

/// The server does not run any more, or (for `try_post`) has too much to do.
#[derive(Debug, PartialEq, Eq)]
pub struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the API server does not take the task")
    }
}

impl std::error::Error for Stopped {}

impl<S> Handle<S> {
    /// Has the owner run `task` behind all that waits.
    ///
    /// # Errors
    /// When the server stopped.
    pub async fn post(
        &self,
        task: impl FnOnce(&mut S, &mut EventSink<'_>) + Send + 'static,
    ) -> Result<(), Stopped> {
        self.jobs
            .send(Job::Task(Box::new(task)))
            .await
            .map_err(|_| Stopped)
    }

    /// As [`Handle::post`], for threads that may not wait.
    ///
    /// # Errors
    /// When the server stopped or has too much to do.
    pub fn try_post(
        &self,
        task: impl FnOnce(&mut S, &mut EventSink<'_>) + Send + 'static,
    ) -> Result<(), Stopped> {
        self.jobs
            .try_send(Job::Task(Box::new(task)))
            .map_err(|_| Stopped)
    }

    /// What happened so far.
    #[must_use]
    pub fn counters(&self) -> &Counters {
        &self.counters
    }
}
