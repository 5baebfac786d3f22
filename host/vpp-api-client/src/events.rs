//! Messages that arrive unasked.

use std::marker::PhantomData;

use bytes::Bytes;
use tokio::sync::broadcast::{self, error::RecvError};
use vpp_api::{Event, decode};

use crate::error::EventError;

/// An event still encoded, with its id.
#[derive(Clone, Debug)]
pub(crate) struct RawEvent {
    pub(crate) id: u16,
    pub(crate) message: Bytes,
}

/// The events of one kind, from the moment this was made.
pub struct Events<E> {
    /// `None` when the other side does not have the event: then none will come.
    id: Option<u16>,
    receiver: broadcast::Receiver<RawEvent>,
    event: PhantomData<fn() -> E>,
}

impl<E: Event> Events<E> {
    pub(crate) fn new(id: Option<u16>, receiver: broadcast::Receiver<RawEvent>) -> Self {
        Self {
            id,
            receiver,
            event: PhantomData,
        }
    }

    /// Waits for the next event. Dropping the future loses none.
    ///
    /// # Errors
    /// When events were missed (the next call goes on behind the gap), when one does not decode,
    /// or when the connection ended.
    pub async fn next(&mut self) -> Result<E, EventError> {
        loop {
            let raw = self.receiver.recv().await.map_err(|error| match error {
                RecvError::Lagged(count) => EventError::Missed(count),
                RecvError::Closed => EventError::Closed,
            })?;
            if Some(raw.id) == self.id {
                return Ok(decode::<E>(&raw.message)?.1);
            }
        }
    }
}
