//! What a handler sees of the outside: who asks, where details go, who wants events.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use bytes::Bytes;
use vpp_api::table::MessageTable;
use vpp_api::{ApiError, Envelope, Event, Message, encode, frame};

use super::outbox::Outbox;
use super::{Counters, Farewell, SharedCounters};

/// Names a connection; never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ClientId(pub(super) u32);

/// Set in the client index of every socket client.
const SOCKET_CLIENT: u32 = 1 << 31;

impl ClientId {
    /// Returns the index that the client puts into its requests.
    #[must_use]
    pub fn client_index(self) -> u32 {
        self.0 | SOCKET_CLIENT
    }
}

impl fmt::Display for ClientId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A connection as the owner knows it.
pub(super) struct Client {
    pub(super) outbox: Arc<Outbox>,
    pub(super) is_registered: bool,
    /// What it asked behind a request that takes long; as much as was under way when the connection was told to wait.
    pub(super) held: Option<VecDeque<Bytes>>,
}

/// The connections and their subscriptions.
pub(super) struct Clients {
    pub(super) table: Arc<MessageTable>,
    pub(super) counters: SharedCounters,
    pub(super) connected: BTreeMap<ClientId, Client>,
    /// By event name and client: the `pid` the client gave.
    wanted: BTreeMap<(&'static str, ClientId), u32>,
}

impl Clients {
    pub(super) fn new(table: Arc<MessageTable>, counters: SharedCounters) -> Self {
        Self {
            table,
            counters,
            connected: BTreeMap::new(),
            wanted: BTreeMap::new(),
        }
    }

    pub(super) fn forget(&mut self, client: ClientId) {
        self.connected.remove(&client);
        self.wanted
            .retain(|(_, subscriber), _| *subscriber != client);
    }

    pub(super) fn close(&self, client: ClientId, reason: Farewell) {
        if let Some(client) = self.connected.get(&client) {
            client.outbox.close(reason);
        }
    }

    /// Keeps what a client asks from now on, and reads no more of it.
    pub(super) fn hold(&mut self, client: ClientId) {
        if let Some(client) = self.connected.get_mut(&client) {
            client.held.get_or_insert_default();
            client.outbox.hold(true);
        }
    }

    /// Ends that, and gives what was kept.
    pub(super) fn release(&mut self, client: ClientId) -> VecDeque<Bytes> {
        let Some(client) = self.connected.get_mut(&client) else {
            return VecDeque::new();
        };
        client.outbox.hold(false);
        client.held.take().unwrap_or_default()
    }

    fn publish<E: Event>(&self, event: impl Fn(u32) -> E) {
        let Ok(id) = self.table.id::<E>() else {
            tracing::error!(event = E::NAME, "event was not registered with the router");
            return;
        };
        let first = (E::NAME, ClientId(0));
        let of_event = self
            .wanted
            .range(first..)
            .take_while(|((name, _), _)| *name == E::NAME);
        for ((_, client), pid) in of_event {
            let envelope = Envelope {
                id,
                client_index: client.client_index(),
                context: 0,
            };
            self.send(*client, envelope, &event(*pid));
        }
    }

    pub(super) fn send<M: Message>(&self, client: ClientId, envelope: Envelope, message: &M) {
        let Some(client) = self.connected.get(&client) else {
            return;
        };
        match encode(envelope, message) {
            Ok(bytes) => {
                if let Ok(header) = frame::header(bytes.len()) {
                    client.outbox.push(&header, &bytes);
                }
            }
            Err(error) => {
                Counters::count(&self.counters.unencodable);
                tracing::error!(%error, "answer dropped");
            }
        }
    }
}

/// The client whose request is being handled.
pub struct Caller<'a> {
    pub(super) clients: &'a mut Clients,
    pub(super) client: ClientId,
    pub(super) context: u32,
}

impl Caller<'_> {
    /// Says which connection asks.
    #[must_use]
    pub fn client(&self) -> ClientId {
        self.client
    }

    /// Subscribes the client to an event or ends that.
    ///
    /// # Errors
    /// As VPP: subscribing twice and ending what was not begun.
    pub fn want<E: Event>(&mut self, enable: bool, pid: u32) -> Result<(), ApiError> {
        let key = (E::NAME, self.client);
        let is_changed = match enable {
            true if self.clients.wanted.contains_key(&key) => false,
            true => self.clients.wanted.insert(key, pid).is_none(),
            false => self.clients.wanted.remove(&key).is_some(),
        };
        if is_changed {
            Ok(())
        } else {
            Err(ApiError::InvalidRegistration)
        }
    }

    /// Sends an event to its subscribers; it is built with the `pid` each gave.
    pub fn publish<E: Event>(&mut self, event: impl Fn(u32) -> E) {
        self.clients.publish(event);
    }

    pub(super) fn reply<M: Message>(&self, id: u16, message: &M) {
        let client_index = self.client.client_index();
        let envelope = Envelope {
            id,
            client_index,
            context: self.context,
        };
        self.clients.send(self.client, envelope, message);
    }
}

/// Where the details of a dump go.
pub struct DetailsSink<'a, D> {
    pub(super) caller: Caller<'a>,
    pub(super) id: u16,
    pub(super) details: PhantomData<fn(D)>,
}

impl<'a, D: Message> DetailsSink<'a, D> {
    /// Sends one entry.
    pub fn send(&mut self, details: &D) {
        self.caller.reply(self.id, details);
    }

    /// The client that asks.
    pub fn caller(&mut self) -> &mut Caller<'a> {
        &mut self.caller
    }
}

/// Sends events from outside of requests.
pub struct EventSink<'a> {
    pub(super) clients: &'a mut Clients,
}

impl EventSink<'_> {
    /// Sends an event to its subscribers; it is built with the `pid` each gave.
    pub fn publish<E: Event>(&mut self, event: impl Fn(u32) -> E) {
        self.clients.publish(event);
    }
}
