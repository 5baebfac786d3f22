//! The handle programs hold.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::net::UnixStream;
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::time::{Instant, timeout_at};
use vpp_api::memclnt::{ControlPing, ControlPingReply, SockclntDelete};
use vpp_api::table::{MessageTable, Missing, messages};
use vpp_api::{
    ApiError, CodecError, CursorDump, Dump, Envelope, Event, FixedString, Message, Reply, Request,
    Stream, decode, encode, frame,
};

use crate::connection::{Answer, Call, Command, Connection, Failure, wait_ended};
use crate::error::{ConnectError, Disconnect, Incompatible, RequestError};
use crate::events::{Events, RawEvent};
use crate::handshake;

/// First and longest wait between two attempts to reach the socket.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(20), Duration::from_secs(1));

/// How to connect, and the limits of the connection.
#[derive(Clone, Debug)]
pub struct Options {
    /// Name shown by the other side.
    pub name: String,
    /// How long to try to reach the socket, and to wait for the handshake.
    pub connect_timeout: Duration,
    /// How long to wait for the answer to each request.
    pub request_timeout: Duration,
    /// Requests in flight; more wait.
    pub in_flight_max: usize,
    /// Bytes of details that one request may yield.
    pub details_bytes_max: usize,
    /// Events kept for a receiver that is busy.
    pub events_max: usize,
    /// Messages without which the connection is of no use.
    pub required: Vec<Need>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            name: "vpp-api-client".into(),
            connect_timeout: Duration::from_secs(10),
            request_timeout: Duration::from_secs(10),
            in_flight_max: 256,
            details_bytes_max: 512 << 20,
            events_max: 1024,
            required: Vec::new(),
        }
    }
}

/// A message that must be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Need {
    name: &'static str,
    crc: u32,
}

/// Names a message that must be there.
#[must_use]
pub fn need<M: Message>() -> Need {
    Need {
        name: M::NAME,
        crc: M::CRC,
    }
}

/// A connection to VPP; clones share it, and it ends with the last of them.
#[derive(Clone)]
pub struct Client {
    shared: Arc<Shared>,
}

struct Shared {
    path: PathBuf,
    options: Options,
    client_index: u32,
    table: MessageTable,
    missing: Vec<Missing>,
    calls: mpsc::Sender<Command>,
    slots: Arc<Semaphore>,
    next_context: AtomicU32,
    events: broadcast::WeakSender<RawEvent>,
    ended: watch::Receiver<Option<Disconnect>>,
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client")
            .field("path", &self.shared.path)
            .finish_non_exhaustive()
    }
}

impl Client {
    /// Connects, waiting for the socket to appear, and resolves every message we know.
    ///
    /// # Errors
    /// When the socket cannot be reached in time, the handshake fails, or required messages are
    /// missing; then all of them are named.
    pub async fn connect(path: &Path, options: Options) -> Result<Self, ConnectError> {
        let name = FixedString::new(&options.name)?;
        let mut stream = reach(path, options.connect_timeout).await?;
        let registration = handshake::register(&mut stream, name, options.connect_timeout)
            .await
            .map_err(|reason| ConnectError::Handshake {
                path: path.into(),
                reason,
            })?;
        let table = registration.table;
        require(&table, &options.required).map_err(|source| ConnectError::Incompatible {
            path: path.into(),
            source,
        })?;
        let missing = missing(&table);
        tracing::debug!(served = table.len(), missing = missing.len(), "connected");

        let (calls, receiver) = mpsc::channel(options.in_flight_max.max(1));
        let (events, _) = broadcast::channel(options.events_max.max(1));
        let (end, ended) = watch::channel(None);
        let weak_events = events.downgrade();
        let connection = Connection::new(&table, events, registration.rest);
        let farewell = farewell(&table, registration.client_index);
        tokio::spawn(connection.run(stream, receiver, farewell, end));
        Ok(Self {
            shared: Arc::new(Shared {
                path: path.into(),
                client_index: registration.client_index,
                table,
                missing,
                calls,
                slots: Arc::new(Semaphore::new(options.in_flight_max.max(1))),
                next_context: AtomicU32::new(1),
                events: weak_events,
                ended,
                options,
            }),
        })
    }

    /// Connects anew to the same socket with the same options.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn reconnect(&self) -> Result<Self, ConnectError> {
        Self::connect(&self.shared.path, self.shared.options.clone()).await
    }

    /// Ends the registration and the connection, for clones too; unanswered requests fail.
    pub async fn disconnect(self) {
        if self.shared.calls.send(Command::Close).await.is_ok() {
            self.closed().await;
        }
    }

    /// Waits until the connection ended.
    pub async fn closed(&self) -> Arc<Disconnect> {
        wait_ended(self.shared.ended.clone()).await
    }

    /// Says whether the other side has `M` in the form we know.
    #[must_use]
    pub fn supports<M: Message>(&self) -> bool {
        self.shared.table.id::<M>().is_ok()
    }

    /// Checks that the other side has all these messages.
    ///
    /// # Errors
    /// Names every one it has not.
    pub fn require(&self, needs: &[Need]) -> Result<(), Incompatible> {
        require(&self.shared.table, needs)
    }

    /// Lists the messages we know and the other side does not have.
    #[must_use]
    pub fn missing(&self) -> &[Missing] {
        &self.shared.missing
    }

    /// Starts to collect events; call it before the request that subscribes.
    #[must_use]
    pub fn events<E: Event>(&self) -> Events<E> {
        let id = self.shared.table.id::<E>().ok();
        let receiver = match self.shared.events.upgrade() {
            Some(sender) => sender.subscribe(),
            None => broadcast::channel(1).1,
        };
        Events::new(id, receiver)
    }

    /// Sends a request and waits for its reply.
    ///
    /// # Errors
    /// When it is refused, lacks an answer, or cannot be sent.
    pub async fn request<M: Request>(&self, request: &M) -> Result<M::Reply, RequestError> {
        let answer = self.call::<M, M::Reply>(request, None).await?;
        close::<M, M::Reply>(&answer)
    }

    /// Sends a request for details and collects them; a ping marks their end.
    ///
    /// A dump that the other side refuses looks like an empty one: the protocol cannot tell.
    ///
    /// # Errors
    /// When it lacks an answer, yields too much, or cannot be sent.
    pub async fn dump<M: Dump>(&self, request: &M) -> Result<Vec<M::Details>, RequestError> {
        let details = self.id::<M, M::Details>()?;
        let answer = self
            .call::<M, ControlPingReply>(request, Some(details))
            .await?;
        details_of::<M, M::Details>(&answer)
    }

    /// Sends a request whose details are closed by a reply.
    ///
    /// # Errors
    /// When it is refused, lacks an answer, yields too much, or cannot be sent.
    pub async fn stream<M: Stream>(
        &self,
        request: &M,
    ) -> Result<(Vec<M::Details>, M::Reply), RequestError> {
        let details = self.id::<M, M::Details>()?;
        let answer = self.call::<M, M::Reply>(request, Some(details)).await?;
        Ok((
            details_of::<M, M::Details>(&answer)?,
            close::<M, M::Reply>(&answer)?,
        ))
    }

    /// Repeats a request from cursor to cursor until the other side says it is done.
    ///
    /// # Errors
    /// As [`Client::stream`].
    pub async fn cursor_dump<M: CursorDump>(
        &self,
        mut request: M,
    ) -> Result<Vec<M::Details>, RequestError> {
        let mut all = Vec::new();
        let details = self.id::<M, M::Details>()?;
        loop {
            let answer = self.call::<M, M::Reply>(&request, Some(details)).await?;
            all.append(&mut details_of::<M, M::Details>(&answer)?);
            let reply = read::<M, M::Reply>(&answer.reply)?;
            match reply.retval().ok() {
                Ok(()) => return Ok(all),
                Err(ApiError::Again) => request.set_cursor(M::cursor_of(&reply)),
                Err(error) => {
                    return Err(RequestError::Refused {
                        request: M::NAME,
                        error,
                    });
                }
            }
        }
    }

    fn id<M: Message, N: Message>(&self) -> Result<u16, RequestError> {
        let id = self.shared.table.id::<N>();
        id.map_err(|missing| RequestError::Unsupported {
            request: M::NAME,
            missing,
        })
    }

    /// Sends `request`, and behind it a ping when that is what closes it.
    async fn call<M: Message, C: Message>(
        &self,
        request: &M,
        details: Option<u16>,
    ) -> Result<Answer, RequestError> {
        let id = self.id::<M, M>()?;
        let reply = self.id::<M, C>()?;
        let shared = &self.shared;
        let deadline = Instant::now() + shared.options.request_timeout;
        let late = |_| RequestError::Deadline { request: M::NAME };
        let slot = timeout_at(deadline, Arc::clone(&shared.slots).acquire_owned()).await;
        let slot = slot
            .map_err(late)?
            .map_err(|_| disconnected::<M>(Disconnect::Closed))?;
        let mut frames = Vec::new();
        let context = self.put::<M, M>(id, request, &mut frames)?;
        let is_dump = C::NAME == ControlPingReply::NAME && M::NAME != ControlPing::NAME;
        let closing = if is_dump {
            let ping = self.id::<M, ControlPing>()?;
            self.put::<M, _>(ping, &ControlPing::default(), &mut frames)?
        } else {
            context
        };
        let (answer, receiver) = oneshot::channel();
        let call = Call {
            frames,
            context,
            closing,
            reply,
            details,
            details_bytes_max: shared.options.details_bytes_max,
            deadline,
            answer,
            _slot: slot,
        };
        if shared.calls.send(Command::Call(call)).await.is_err() {
            return Err(disconnected::<M>(self.reason()));
        }
        // The owner keeps the deadline too, but a call may not have reached it.
        match timeout_at(deadline, receiver).await.map_err(late)? {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(Failure::Deadline)) => Err(RequestError::Deadline { request: M::NAME }),
            Ok(Err(Failure::TooBig)) => Err(RequestError::TooBig {
                request: M::NAME,
                max: shared.options.details_bytes_max,
            }),
            Ok(Err(Failure::Disconnected(reason))) => Err(disconnected::<M>(reason)),
            Err(_) => Err(disconnected::<M>(self.reason())),
        }
    }

    /// Appends the frame of a message under a new context; contexts are never used twice, so that
    /// a late reply meets no one.
    fn put<M: Message, N: Message>(
        &self,
        id: u16,
        message: &N,
        frames: &mut Vec<u8>,
    ) -> Result<u32, RequestError> {
        let context = self.shared.next_context.fetch_add(1, Ordering::Relaxed);
        let envelope = Envelope {
            id,
            client_index: self.shared.client_index,
            context,
        };
        let bytes = encode(envelope, message).map_err(codec::<M>)?;
        let header = frame::header(bytes.len());
        let header = header.map_err(|error| disconnected::<M>(error.into()))?;
        frames.extend_from_slice(&header);
        frames.extend_from_slice(&bytes);
        Ok(context)
    }

    fn reason(&self) -> Disconnect {
        self.shared
            .ended
            .borrow()
            .clone()
            .unwrap_or(Disconnect::Closed)
    }
}

async fn reach(path: &Path, patience: Duration) -> Result<UnixStream, ConnectError> {
    let give_up = Instant::now() + patience;
    let (mut pause, longest) = BACKOFF;
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => return Ok(stream),
            Err(source) if Instant::now() + pause > give_up => {
                return Err(ConnectError::Unreachable {
                    path: path.into(),
                    source,
                });
            }
            Err(error) => tracing::debug!(%error, path = %path.display(), "not there yet"),
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(longest);
    }
}

fn require(table: &MessageTable, needs: &[Need]) -> Result<(), Incompatible> {
    let missing: Vec<_> = needs
        .iter()
        .filter_map(|need| table.resolve(need.name, need.crc).err())
        .collect();
    if missing.is_empty() {
        Ok(())
    } else {
        Err(Incompatible(missing))
    }
}

fn missing(table: &MessageTable) -> Vec<Missing> {
    vpp_api::MODULES
        .iter()
        .flat_map(|module| messages(module))
        .filter_map(|info| table.resolve(info.name, info.crc).err())
        .collect()
}

/// Builds the frame that ends the registration; empty when the other side does not know how.
fn farewell(table: &MessageTable, client_index: u32) -> Vec<u8> {
    let Ok(id) = table.id::<SockclntDelete>() else {
        return Vec::new();
    };
    let envelope = Envelope {
        id,
        client_index,
        context: 0,
    };
    let message = encode(
        envelope,
        &SockclntDelete {
            index: client_index,
        },
    )
    .unwrap_or_default();
    frame::wrap(&message).unwrap_or_default()
}

fn read<M: Message, N: Message>(bytes: &[u8]) -> Result<N, RequestError> {
    decode::<N>(bytes)
        .map(|(_, message)| message)
        .map_err(codec::<M>)
}

fn details_of<M: Message, D: Message>(answer: &Answer) -> Result<Vec<D>, RequestError> {
    answer
        .details
        .iter()
        .map(|bytes| read::<M, D>(bytes))
        .collect()
}

fn close<M: Message, R: Reply>(answer: &Answer) -> Result<R, RequestError> {
    let reply = read::<M, R>(&answer.reply)?;
    match reply.retval().ok() {
        Ok(()) => Ok(reply),
        Err(error) => Err(RequestError::Refused {
            request: M::NAME,
            error,
        }),
    }
}

fn codec<M: Message>(error: CodecError) -> RequestError {
    RequestError::Codec {
        request: M::NAME,
        error,
    }
}

fn disconnected<M: Message>(reason: Disconnect) -> RequestError {
    RequestError::Disconnected {
        request: M::NAME,
        reason,
    }
}
