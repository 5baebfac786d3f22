//! The owner task of a client connection: all state of requests in flight is here and only here.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{ReadHalf, WriteHalf};
use tokio::sync::{OwnedSemaphorePermit, broadcast, mpsc, oneshot, watch};
use tokio::time::Instant;
use vpp_api::Envelope;
use vpp_api::describe::{Header, Role};
use vpp_api::frame::MESSAGE_LEN_MAX;
use vpp_api::table::{MessageTable, messages};

use crate::error::Disconnect;
use crate::events::RawEvent;
use crate::handshake::next_frame;

/// Bytes waiting to be sent beyond which no new requests are taken.
const OUT_BYTES_MAX: usize = 1 << 20;

/// How long the farewell may take.
const FAREWELL_MAX: Duration = Duration::from_millis(500);

/// What a handle asks of the task.
pub(crate) enum Command {
    Call(Call),
    Close,
}

/// Something to send, and who waits for what comes back.
pub(crate) struct Call {
    /// Whole frames: the request, and for a dump the ping that closes it.
    pub(crate) frames: Vec<u8>,
    /// Context of the request; details carry it.
    pub(crate) context: u32,
    /// Context of the message that closes the call, when it is not the request's.
    pub(crate) closing: u32,
    /// Id of the message that closes the call.
    pub(crate) reply: u16,
    /// Id of the details, if any are expected.
    pub(crate) details: Option<u16>,
    pub(crate) details_bytes_max: usize,
    pub(crate) deadline: Instant,
    pub(crate) answer: oneshot::Sender<Result<Answer, Failure>>,
    /// Given back when the call is over, whoever waits.
    pub(crate) _slot: OwnedSemaphorePermit,
}

/// What came back.
#[derive(Debug, Default)]
pub(crate) struct Answer {
    pub(crate) details: Vec<Bytes>,
    pub(crate) reply: Bytes,
}

/// Why nothing came back.
#[derive(Debug)]
pub(crate) enum Failure {
    Deadline,
    TooBig,
    Disconnected(Disconnect),
}

struct Pending {
    closing: u32,
    reply: u16,
    details: Option<u16>,
    deadline: Instant,
    bytes_left: usize,
    answer: oneshot::Sender<Result<Answer, Failure>>,
    collected: Vec<Bytes>,
    _slot: OwnedSemaphorePermit,
}

/// The task's state.
pub(crate) struct Connection {
    kinds: BTreeMap<u16, (Role, Header)>,
    pending: BTreeMap<u32, Pending>,
    /// From the context of a closing message to that of its request.
    closers: BTreeMap<u32, u32>,
    deadlines: BTreeSet<(Instant, u32)>,
    events: broadcast::Sender<RawEvent>,
    incoming: BytesMut,
    outgoing: BytesMut,
}

impl Connection {
    pub(crate) fn new(
        table: &MessageTable,
        events: broadcast::Sender<RawEvent>,
        incoming: BytesMut,
    ) -> Self {
        let kinds = vpp_api::MODULES
            .iter()
            .flat_map(|module| messages(module))
            .filter_map(|info| {
                let id = table.resolve(info.name, info.crc).ok()?;
                Some((id, (info.role, info.header)))
            })
            .collect();
        Self {
            kinds,
            pending: BTreeMap::new(),
            closers: BTreeMap::new(),
            deadlines: BTreeSet::new(),
            events,
            incoming,
            outgoing: BytesMut::new(),
        }
    }

    /// Serves the connection until it breaks or every handle is gone; then sends `farewell`.
    pub(crate) async fn run(
        mut self,
        mut stream: UnixStream,
        mut calls: mpsc::Receiver<Command>,
        farewell: Vec<u8>,
        ended: watch::Sender<Option<Disconnect>>,
    ) {
        let (mut reader, mut writer) = stream.split();
        let reason = loop {
            match self.turn(&mut reader, &mut writer, &mut calls).await {
                Ok(true) => {}
                Ok(false) => break Disconnect::Closed,
                Err(reason) => break reason,
            }
        };
        if matches!(reason, Disconnect::Closed) {
            self.outgoing.extend_from_slice(&farewell);
            let _ = tokio::time::timeout(FAREWELL_MAX, writer.write_all(&self.outgoing)).await;
        }
        tracing::debug!(%reason, pending = self.pending.len(), "connection ended");
        calls.close();
        ended.send_replace(Some(reason.clone()));
        for (_, pending) in std::mem::take(&mut self.pending) {
            let _ = pending
                .answer
                .send(Err(Failure::Disconnected(reason.clone())));
        }
    }

    /// Handles one thing that happened; `false` when there is no handle left.
    async fn turn(
        &mut self,
        reader: &mut ReadHalf<'_>,
        writer: &mut WriteHalf<'_>,
        calls: &mut mpsc::Receiver<Command>,
    ) -> Result<bool, Disconnect> {
        while let Some(message) = next_frame(&mut self.incoming, MESSAGE_LEN_MAX)? {
            self.receive(message)?;
        }
        let next_deadline = self.deadlines.first().map(|(at, _)| *at);
        tokio::select! {
            call = calls.recv(), if self.outgoing.len() < OUT_BYTES_MAX => match call {
                Some(Command::Call(call)) => self.send(call),
                Some(Command::Close) | None => return Ok(false),
            },
            read = reader.read_buf(&mut self.incoming) => {
                if read? == 0 {
                    return Err(Disconnect::PeerClosed);
                }
            }
            written = writer.write(&self.outgoing), if !self.outgoing.is_empty() => {
                self.outgoing.advance(written?);
            }
            () = sleep_until(next_deadline) => self.expire(Instant::now()),
        }
        Ok(true)
    }

    fn send(&mut self, call: Call) {
        self.outgoing.extend_from_slice(&call.frames);
        self.deadlines.insert((call.deadline, call.context));
        self.closers.insert(call.closing, call.context);
        let pending = Pending {
            closing: call.closing,
            reply: call.reply,
            details: call.details,
            deadline: call.deadline,
            bytes_left: call.details_bytes_max,
            answer: call.answer,
            collected: Vec::new(),
            _slot: call._slot,
        };
        self.pending.insert(call.context, pending);
    }

    fn receive(&mut self, message: Bytes) -> Result<(), Disconnect> {
        let id = Envelope::peek_id(&message)?;
        let Some((role, header)) = self.kinds.get(&id).copied() else {
            tracing::debug!(id, "message of unknown id ignored");
            return Ok(());
        };
        match role {
            Role::Event => {
                let _ = self.events.send(RawEvent { id, message });
            }
            Role::Details => self.collect(id, Envelope::peek(header, &message)?.context, message),
            Role::Reply => self.complete(id, Envelope::peek(header, &message)?.context, message),
            Role::Request => tracing::debug!(id, "request from the server ignored"),
        }
        Ok(())
    }

    fn collect(&mut self, id: u16, context: u32, message: Bytes) {
        let Some(pending) = self.pending.get_mut(&context) else {
            tracing::debug!(id, context, "details no one waits for");
            return;
        };
        if pending.details != Some(id) {
            tracing::warn!(id, context, "details of another request ignored");
            return;
        }
        match pending.bytes_left.checked_sub(message.len()) {
            Some(left) => {
                pending.bytes_left = left;
                pending.collected.push(message);
            }
            None => self.finish(context, |_| Err(Failure::TooBig)),
        }
    }

    fn complete(&mut self, id: u16, closing: u32, reply: Bytes) {
        let Some(context) = self.closers.get(&closing).copied() else {
            tracing::debug!(id, context = closing, "reply no one waits for");
            return;
        };
        if self
            .pending
            .get(&context)
            .is_none_or(|pending| pending.reply != id)
        {
            tracing::warn!(id, context, "reply to another request ignored");
            return;
        }
        self.finish(context, |details| Ok(Answer { details, reply }));
    }

    fn expire(&mut self, now: Instant) {
        while let Some((at, context)) = self.deadlines.first().copied()
            && at <= now
        {
            self.finish(context, |_| Err(Failure::Deadline));
        }
    }

    fn finish(&mut self, context: u32, answer: impl FnOnce(Vec<Bytes>) -> Result<Answer, Failure>) {
        if let Some(pending) = self.pending.remove(&context) {
            self.deadlines.remove(&(pending.deadline, context));
            self.closers.remove(&pending.closing);
            let _ = pending.answer.send(answer(pending.collected));
        }
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

/// Waits until the connection ended.
pub(crate) async fn wait_ended(mut ended: watch::Receiver<Option<Disconnect>>) -> Arc<Disconnect> {
    let reason = ended.wait_for(Option::is_some).await;
    Arc::new(
        reason
            .ok()
            .and_then(|reason| reason.clone())
            .unwrap_or(Disconnect::Closed),
    )
}
