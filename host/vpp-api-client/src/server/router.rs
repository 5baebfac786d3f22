//! Which handler a request goes to.

use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::sync::Arc;

use tokio::sync::mpsc::WeakSender;
use vpp_api::describe::{MessageInfo, Module, Service};
use vpp_api::memclnt::{
    ApiVersions, ApiVersionsReply, ControlPing, ControlPingReply, GetApiJson, GetApiJsonReply,
    GetFirstMsgId, GetFirstMsgIdReply, MemclntKeepalive, ModuleVersion, SockclntCreate,
    SockclntCreateReply, SockclntDelete, SockclntDeleteReply,
};
use vpp_api::table::{MessageTable, messages};
use vpp_api::{
    ApiError, Dump, FixedString, MODULES, Message, Reply, Request, Stream, decode, export,
};

use super::caller::{Caller, Clients, DetailsSink};
use super::owner::Job;
use super::slow::{self, Ticket};
use super::{ClientId, Counters, Farewell};

/// A request's way: decode, handle, answer. Knows the ids it needs.
type Handler<S> = Box<dyn FnMut(&mut S, &mut Clients, ClientId, &[u8]) + Send>;
/// Makes a handler once ids are known.
type Bind<S> = Box<dyn FnOnce(&MessageTable, &WeakSender<Job<S>>) -> Handler<S> + Send>;

/// The requests a service answers.
///
/// What is not registered here is not in the message table, so that clients can tell.
pub struct Router<S> {
    routes: BTreeMap<&'static str, Bind<S>>,
}

/// Handlers by message id.
pub(super) struct Routes<S> {
    pub(super) table: Arc<MessageTable>,
    handlers: BTreeMap<u16, Handler<S>>,
}

impl<S: 'static> Default for Router<S> {
    fn default() -> Self {
        Self::new()
    }
}

impl<S: 'static> Router<S> {
    /// Starts with what every server has: registration, liveness and self-description.
    #[must_use]
    pub fn new() -> Self {
        let mut router = Self {
            routes: BTreeMap::new(),
        };
        router.on_registration();
        router.on::<ControlPing, _>(|_, _, caller| {
            Ok(ControlPingReply {
                client_index: caller.client().client_index(),
                vpe_pid: std::process::id(),
                ..ControlPingReply::default()
            })
        });
        router.on::<MemclntKeepalive, _>(|_, _, _| Ok(()));
        router.on::<ApiVersions, _>(|_, _, caller| {
            let served = served_modules(&caller.clients.table);
            Ok(ApiVersionsReply {
                api_versions: versions(served),
                ..Default::default()
            })
        });
        router.on::<GetFirstMsgId, _>(|_, request, caller| first_id(&request, caller));
        router.on::<GetApiJson, _>(|_, _, caller| {
            let json = export::modules(served_modules(&caller.clients.table));
            Ok(GetApiJsonReply {
                json,
                ..Default::default()
            })
        });
        router
    }

    /// Handles a request with one reply; `Ok(())` does for replies of a bare return value.
    pub fn on<M, R>(
        &mut self,
        mut handler: impl FnMut(&mut S, M, &mut Caller<'_>) -> Result<R, ApiError> + Send + 'static,
    ) -> &mut Self
    where
        M: Request,
        R: Into<M::Reply>,
    {
        self.route::<M>(move |table, _| {
            let reply = id_of::<M::Reply>(table);
            handling::<S, M>(move |service, request, caller| {
                let outcome = handler(service, request, caller);
                caller.reply(reply, &outcome.map_or_else(M::Reply::failed, Into::into));
            })
        })
    }

    /// Handles a request whose `work` takes long: `prepare` and `finish` run as other handlers do, `work` on a thread of
    /// the message's own. The client's next requests wait for the reply, those of others do not.
    pub fn on_slow<M, W, T>(
        &mut self,
        mut prepare: impl FnMut(&mut S, M) -> Result<W, ApiError> + Send + 'static,
        work: impl FnMut(W) -> T + Send + 'static,
        finish: impl Fn(&mut S, T, &mut Caller<'_>) -> Result<M::Reply, ApiError>
        + Send
        + Sync
        + 'static,
    ) -> &mut Self
    where
        M: Request,
        W: Send + 'static,
        T: Send + 'static,
    {
        self.route::<M>(move |table, jobs| {
            let (reply, jobs) = (id_of::<M::Reply>(table), jobs.clone());
            let (mut work, finish) = (Some(work), Arc::new(finish));
            let mut thread = None;
            handling::<S, M>(move |service, request, caller| {
                let (client, context) = (caller.client, caller.context);
                let ticket = Ticket {
                    client,
                    context,
                    reply,
                };
                if let Some(work) = work.take() {
                    let started = slow::start::<S, M, W, T, _>(jobs.clone(), work, finish.clone());
                    thread = started
                        .inspect_err(
                            |error| tracing::error!(message = M::NAME, %error, "no thread"),
                        )
                        .ok();
                }
                let begun = prepare(service, request).and_then(|prepared| {
                    let sent = thread
                        .as_ref()
                        .map(|thread| thread.send((ticket, prepared)));
                    sent.and_then(Result::ok).ok_or(ApiError::SyscallError1)
                });
                match begun {
                    Ok(()) => caller.clients.hold(client),
                    Err(error) => caller.reply(reply, &M::Reply::failed(error)),
                }
            })
        })
    }

    /// Handles a request for details.
    pub fn on_dump<M: Dump>(
        &mut self,
        mut handler: impl FnMut(&mut S, M, &mut DetailsSink<'_, M::Details>) + Send + 'static,
    ) -> &mut Self {
        self.route::<M>(move |table, _| {
            let id = id_of::<M::Details>(table);
            handling::<S, M>(move |service, request, caller| {
                let (client, context) = (caller.client, caller.context);
                let caller = Caller {
                    clients: &mut *caller.clients,
                    client,
                    context,
                };
                handler(
                    service,
                    request,
                    &mut DetailsSink {
                        caller,
                        id,
                        details: PhantomData,
                    },
                );
            })
        })
    }

    /// Handles a request whose details are closed by a reply.
    pub fn on_stream<M: Stream>(
        &mut self,
        mut handler: impl FnMut(
            &mut S,
            M,
            &mut DetailsSink<'_, M::Details>,
        ) -> Result<M::Reply, ApiError>
        + Send
        + 'static,
    ) -> &mut Self {
        self.route::<M>(move |table, _| {
            let (id, reply) = (id_of::<M::Details>(table), id_of::<M::Reply>(table));
            handling::<S, M>(move |service, request, caller| {
                let (client, context) = (caller.client, caller.context);
                let sub = Caller {
                    clients: &mut *caller.clients,
                    client,
                    context,
                };
                let mut sink = DetailsSink {
                    caller: sub,
                    id,
                    details: PhantomData,
                };
                let outcome = handler(service, request, &mut sink);
                caller.reply(reply, &outcome.unwrap_or_else(M::Reply::failed));
            })
        })
    }

    /// Hands out the ids.
    pub(super) fn bind(self, jobs: &WeakSender<Job<S>>) -> Routes<S> {
        let served: Vec<MessageInfo> = MODULES
            .iter()
            .flat_map(|module| messages(module))
            .filter(|info| self.routes.contains_key(info.name))
            .collect();
        let table = MessageTable::assign(served.iter().flat_map(with_answers));
        let handlers = self.routes.into_iter().filter_map(|(name, bind)| {
            let info = served.iter().find(|info| info.name == name)?;
            Some((table.resolve(name, info.crc).ok()?, bind(&table, jobs)))
        });
        Routes {
            handlers: handlers.collect(),
            table: Arc::new(table),
        }
    }

    /// Registration is the one request that changes the connection itself.
    fn on_registration(&mut self) {
        self.route::<SockclntCreate>(|table, _| {
            let reply = id_of::<SockclntCreateReply>(table);
            handling::<S, SockclntCreate>(move |_, request, caller| {
                let client = caller.client;
                if let Some(known) = caller.clients.connected.get_mut(&client) {
                    known.is_registered = true;
                }
                tracing::debug!(%client, name = %request.name, "client registered");
                let table = Arc::clone(&caller.clients.table);
                let accepted = SockclntCreateReply {
                    response: 0,
                    index: client.client_index(),
                    message_table: table.entries().collect(),
                };
                caller.reply(reply, &accepted);
            })
        });
        self.route::<SockclntDelete>(|table, _| {
            let reply = id_of::<SockclntDeleteReply>(table);
            handling::<S, SockclntDelete>(move |_, request, caller| {
                let is_own = request.index == caller.client.client_index();
                let response = if is_own { 1 } else { -1 };
                caller.reply(reply, &SockclntDeleteReply { response });
                if is_own {
                    caller.clients.close(caller.client, Farewell::Deregistered);
                }
            })
        });
    }

    fn route<M: Message>(
        &mut self,
        bind: impl FnOnce(&MessageTable, &WeakSender<Job<S>>) -> Handler<S> + Send + 'static,
    ) -> &mut Self {
        self.routes.insert(M::NAME, Box::new(bind));
        self
    }
}

impl<S> Routes<S> {
    /// Runs the handler of a message.
    pub(super) fn dispatch(
        &mut self,
        service: &mut S,
        clients: &mut Clients,
        client: ClientId,
        id: u16,
        message: &[u8],
    ) {
        match self.handlers.get_mut(&id) {
            Some(handler) => {
                Counters::count(&clients.counters.requests);
                handler(service, clients, client, message);
            }
            None => {
                Counters::count(&clients.counters.unknown);
                let name = self.table.name(id).unwrap_or("?");
                tracing::warn!(%client, id, name, "no handler, no answer");
            }
        }
    }
}

fn handling<S, M: Message>(
    mut handle: impl FnMut(&mut S, M, &mut Caller<'_>) + Send + 'static,
) -> Handler<S> {
    Box::new(
        move |service, clients, client, bytes| match decode::<M>(bytes) {
            Ok((envelope, request)) => {
                let mut caller = Caller {
                    clients,
                    client,
                    context: envelope.context,
                };
                handle(service, request, &mut caller);
            }
            Err(error) => {
                Counters::count(&clients.counters.malformed);
                tracing::warn!(%client, %error, "malformed request, no answer");
            }
        },
    )
}

/// Returns an id that [`Router::bind`] put into the table, for a request comes with its answers.
fn id_of<M: Message>(table: &MessageTable) -> u16 {
    table
        .id::<M>()
        .unwrap_or_else(|missing| unreachable!("{missing} although routed"))
}

/// Lists a request and all that may follow it.
fn with_answers(request: &MessageInfo) -> Vec<MessageInfo> {
    let names: Vec<&str> = match request.service {
        Some(Service::Ack { reply, events } | Service::Reply { reply, events }) => {
            [&[reply], events].concat()
        }
        Some(Service::Dump { details }) => vec![details],
        Some(Service::Stream { details, reply }) => vec![details, reply],
        None => Vec::new(),
    };
    let all = MODULES.iter().flat_map(|module| messages(module));
    let answers = all.filter(|info| names.contains(&info.name));
    std::iter::once(*request).chain(answers).collect()
}

fn served_modules(table: &MessageTable) -> Vec<&'static Module> {
    let is_served = |module: &Module| {
        let mut all = messages(module).peekable();
        all.peek().is_none() || all.any(|info| table.resolve(info.name, info.crc).is_ok())
    };
    MODULES
        .iter()
        .copied()
        .filter(|module| is_served(module))
        .collect()
}

fn versions(modules: Vec<&Module>) -> Vec<ModuleVersion> {
    let version = |module: &Module| {
        let mut parts = module
            .version
            .split('.')
            .map(|part| part.parse().unwrap_or(0));
        let mut part = || parts.next().unwrap_or(0);
        ModuleVersion {
            major: part(),
            minor: part(),
            patch: part(),
            name: FixedString::truncated(&format!("{}.api", module.name)),
        }
    };
    modules.into_iter().map(version).collect()
}

fn first_id(request: &GetFirstMsgId, caller: &Caller<'_>) -> Result<GetFirstMsgIdReply, ApiError> {
    let table = &caller.clients.table;
    let named =
        |module: &&&Module| request.name == format!("{}_{:08x}", module.name, module.crc).as_str();
    let module = MODULES.iter().find(named).ok_or(ApiError::InvalidValue)?;
    let ids = messages(module).filter_map(|info| table.resolve(info.name, info.crc).ok());
    let first_msg_id = ids.min().ok_or(ApiError::InvalidValue)?;
    Ok(GetFirstMsgIdReply {
        first_msg_id,
        ..Default::default()
    })
}
