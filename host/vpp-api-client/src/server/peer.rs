//! One client's connection: cuts frames for the owner, writes what the owner answers.

use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::net::unix::{ReadHalf, WriteHalf};
use tokio::sync::mpsc;

use super::outbox::Outbox;
use super::owner::Job;
use super::{ClientId, Farewell, Limits};
use crate::handshake::next_frame;

/// Serves the connection until it ends, and says why.
pub(super) async fn serve<S>(
    mut stream: UnixStream,
    client: ClientId,
    outbox: Arc<Outbox>,
    limits: Limits,
    jobs: mpsc::Sender<Job<S>>,
) -> Farewell {
    let (reader, writer) = stream.split();
    tokio::select! {
        reason = read(reader, client, &outbox, limits, &jobs) => reason,
        reason = write(writer, &outbox, limits.stall_max) => reason,
        reason = outbox.overrun() => reason,
    }
}

async fn read<S>(
    mut reader: ReadHalf<'_>,
    client: ClientId,
    outbox: &Outbox,
    limits: Limits,
    jobs: &mpsc::Sender<Job<S>>,
) -> Farewell {
    let mut buffer = BytesMut::new();
    loop {
        loop {
            let message = match next_frame(&mut buffer, limits.request_bytes_max) {
                Ok(Some(message)) => message,
                Ok(None) => break,
                Err(error) => return error.into(),
            };
            if outbox.ready().await.is_err() {
                // The writer says the reason, when what the client may still read is out.
                return std::future::pending().await;
            }
            if jobs.send(Job::Request { client, message }).await.is_err() {
                return Farewell::Stopped;
            }
        }
        match reader.read_buf(&mut buffer).await {
            Ok(0) => return Farewell::Closed,
            Ok(_) => {}
            Err(error) => return Farewell::Io(error.kind()),
        }
    }
}

async fn write(mut writer: WriteHalf<'_>, outbox: &Outbox, stall_max: Duration) -> Farewell {
    loop {
        let bytes = match outbox.take().await {
            Ok(bytes) => bytes,
            Err(reason) => return reason,
        };
        let mut left = bytes.as_slice();
        while !left.is_empty() {
            match tokio::time::timeout(stall_max, writer.write(left)).await {
                Ok(Ok(count)) => {
                    outbox.written(count);
                    left = left.get(count..).unwrap_or_default();
                }
                Ok(Err(error)) => return Farewell::Io(error.kind()),
                Err(_) => return Farewell::Stalled(stall_max),
            }
        }
    }
}
