//! The first exchange: register under a name, receive the message table.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use vpp_api::frame::FrameError;
use vpp_api::memclnt::{SockclntCreate, SockclntCreateReply};
use vpp_api::table::{MessageTable, SOCKCLNT_CREATE_ID, SOCKCLNT_CREATE_REPLY_ID};
use vpp_api::{Envelope, FixedString, decode, encode, frame};

use crate::error::Disconnect;

/// What the handshake yields.
pub(crate) struct Registration {
    pub(crate) client_index: u32,
    pub(crate) table: MessageTable,
    /// Bytes already read behind the reply.
    pub(crate) rest: BytesMut,
}

pub(crate) async fn register(
    stream: &mut UnixStream,
    name: FixedString<64>,
    deadline: Duration,
) -> Result<Registration, Disconnect> {
    tokio::time::timeout(deadline, exchange(stream, name))
        .await
        .unwrap_or(Err(Disconnect::Silent))
}

async fn exchange(
    stream: &mut UnixStream,
    name: FixedString<64>,
) -> Result<Registration, Disconnect> {
    let envelope = Envelope {
        id: SOCKCLNT_CREATE_ID,
        client_index: 0,
        context: 0,
    };
    let hello = encode(envelope, &SockclntCreate { name })?;
    stream.write_all(&frame::wrap(&hello)?).await?;
    let mut rest = BytesMut::new();
    loop {
        while let Some(message) = next_frame(&mut rest, frame::MESSAGE_LEN_MAX)? {
            if !message.starts_with(&SOCKCLNT_CREATE_REPLY_ID.to_be_bytes()) {
                continue;
            }
            let (_, reply) = decode::<SockclntCreateReply>(&message)?;
            if reply.response != 0 {
                return Err(Disconnect::Refused(reply.response));
            }
            let table = MessageTable::from_entries(&reply.message_table);
            return Ok(Registration {
                client_index: reply.index,
                table,
                rest,
            });
        }
        if stream.read_buf(&mut rest).await? == 0 {
            return Err(Disconnect::PeerClosed);
        }
    }
}

/// Takes the next whole frame's message off the front of `buffer`.
pub(crate) fn next_frame(buffer: &mut BytesMut, max: usize) -> Result<Option<Bytes>, FrameError> {
    let Some((_, taken)) = frame::split(buffer, max)? else {
        return Ok(None);
    };
    let mut frame = buffer.split_to(taken).freeze();
    Ok(Some(frame.split_off(frame::HEADER_LEN)))
}
