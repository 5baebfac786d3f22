//! What a client has yet to read: filled by the owner without waiting, emptied by the connection.

use parking_lot::Mutex;
use tokio::sync::Notify;

use super::Farewell;

/// The bytes on their way to one client.
#[derive(Debug)]
pub(super) struct Outbox {
    state: Mutex<State>,
    /// Signalled when bytes or a farewell arrive.
    filled: Notify,
    /// Signalled when the unread bytes fall below the high mark, or with a farewell.
    drained: Notify,
    /// Signalled when what is unread is not worth waiting for.
    overrun: Notify,
    high: usize,
    max: usize,
}

#[derive(Debug, Default)]
struct State {
    bytes: Vec<u8>,
    /// Taken by the connection but not written yet.
    in_flight: usize,
    farewell: Option<Farewell>,
    /// No request is taken meanwhile.
    is_held: bool,
}

impl State {
    fn unread(&self) -> usize {
        self.bytes.len() + self.in_flight
    }
}

impl Outbox {
    pub(super) fn new(high: usize, max: usize) -> Self {
        Self {
            state: Mutex::default(),
            filled: Notify::new(),
            drained: Notify::new(),
            overrun: Notify::new(),
            high,
            max,
        }
    }

    /// Appends a frame; `false` once the client is to be disconnected.
    pub(super) fn push(&self, header: &[u8], message: &[u8]) -> bool {
        let mut state = self.state.lock();
        if state.farewell.is_some() {
            return false;
        }
        let unread = state.unread() + header.len() + message.len();
        if unread > self.max {
            drop(state);
            self.close(Farewell::Backlog {
                unread,
                max: self.max,
            });
            return false;
        }
        state.bytes.extend_from_slice(header);
        state.bytes.extend_from_slice(message);
        drop(state);
        self.filled.notify_one();
        true
    }

    /// Decides that the connection ends; the first reason counts.
    pub(super) fn close(&self, reason: Farewell) {
        let is_overrun = matches!(reason, Farewell::Backlog { .. });
        self.state.lock().farewell.get_or_insert(reason);
        if is_overrun {
            self.overrun.notify_one();
        }
        self.filled.notify_one();
        self.drained.notify_one();
    }

    /// Waits until the client has left too much unread, even while a write to it is blocked.
    pub(super) async fn overrun(&self) -> Farewell {
        self.overrun.notified().await;
        let reason = self.state.lock().farewell.clone();
        reason.unwrap_or(Farewell::Closed)
    }

    /// Waits for bytes to write; an error once all are written and the connection is to end.
    pub(super) async fn take(&self) -> Result<Vec<u8>, Farewell> {
        loop {
            {
                let mut state = self.state.lock();
                if !state.bytes.is_empty() {
                    let bytes = std::mem::take(&mut state.bytes);
                    state.in_flight = bytes.len();
                    return Ok(bytes);
                }
                if let Some(reason) = &state.farewell {
                    return Err(reason.clone());
                }
            }
            self.filled.notified().await;
        }
    }

    /// Lets the connection take no further requests, or again.
    pub(super) fn hold(&self, is_held: bool) {
        self.state.lock().is_held = is_held;
        self.drained.notify_one();
    }

    /// Notes that `count` of the taken bytes were written.
    pub(super) fn written(&self, count: usize) {
        let mut state = self.state.lock();
        state.in_flight = state.in_flight.saturating_sub(count);
        if state.unread() <= self.high {
            self.drained.notify_one();
        }
    }

    /// Waits until the client has read enough to be served again.
    pub(super) async fn ready(&self) -> Result<(), Farewell> {
        loop {
            {
                let state = self.state.lock();
                if let Some(reason) = &state.farewell {
                    return Err(reason.clone());
                }
                if state.unread() <= self.high && !state.is_held {
                    return Ok(());
                }
            }
            self.drained.notified().await;
        }
    }
}
