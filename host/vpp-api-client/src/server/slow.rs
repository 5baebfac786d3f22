//! Requests that take long: their work is done on a thread of its own, and only their client waits.
//!
//! A message has one thread, which does its work in the order of the requests. As on VPP's main thread, a client is
//! answered in the order it asked: what it asks meanwhile is kept until its answer is out.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};

use tokio::sync::mpsc::WeakSender;
use vpp_api::{ApiError, Reply, Request};

use super::ClientId;
use super::caller::{Caller, Clients};
use super::owner::Job;

/// Whose request it is.
pub(super) struct Ticket {
    pub(super) client: ClientId,
    pub(super) context: u32,
    /// Id of the reply.
    pub(super) reply: u16,
}

/// Starts the thread of message `M`: it does `work`, then the owner does `finish`. It ends with its sender.
///
/// # Errors
/// When there is no thread to be had.
pub(super) fn start<S, M, W, T, F>(
    jobs: WeakSender<Job<S>>,
    mut work: impl FnMut(W) -> T + Send + 'static,
    finish: Arc<F>,
) -> io::Result<Sender<(Ticket, W)>>
where
    S: 'static,
    M: Request,
    W: Send + 'static,
    T: Send + 'static,
    F: Fn(&mut S, T, &mut Caller<'_>) -> Result<M::Reply, ApiError> + Send + Sync + 'static,
{
    let (sender, todo) = channel::<(Ticket, W)>();
    let serve = move || {
        for (ticket, prepared) in todo {
            let done = catch_unwind(AssertUnwindSafe(|| work(prepared)));
            let Some(jobs) = jobs.upgrade() else {
                return;
            };
            let (client, finish) = (ticket.client, Arc::clone(&finish));
            let task = Box::new(move |service: &mut S, clients: &mut Clients| {
                let mut caller = Caller {
                    clients,
                    client,
                    context: ticket.context,
                };
                let outcome = match done {
                    Ok(done) => finish(service, done, &mut caller),
                    Err(_) => {
                        tracing::error!(%client, message = M::NAME, "the work of a request panicked");
                        Err(ApiError::Unspecified)
                    }
                };
                caller.reply(ticket.reply, &outcome.unwrap_or_else(M::Reply::failed));
            });
            if jobs.blocking_send(Job::Done { client, task }).is_err() {
                return;
            }
        }
    };
    let thread = std::thread::Builder::new().name("vpp-api-slow".into());
    thread.spawn(serve)?;
    Ok(sender)
}
