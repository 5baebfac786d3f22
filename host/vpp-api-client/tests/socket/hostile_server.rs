//! The client against servers that do not behave.

use std::time::Duration;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use vpp_api::memclnt::{ControlPing, ControlPingReply, MessageTableEntry, SockclntCreateReply};
use vpp_api::table::{MessageTable, messages};
use vpp_api::vlib::CliInband;
use vpp_api::{Envelope, Message, encode, frame};
use vpp_api_client::{Client, ConnectError, Disconnect, Options, RequestError};

/// Accepts one client, registers it if asked to, and does what the test wants.
async fn scripted<F>(
    is_registering: bool,
    script: impl FnOnce(UnixStream) -> F,
) -> (TempDir, Result<Client, ConnectError>)
where
    F: Future<Output = ()> + Send + 'static,
{
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("api.sock");
    let listener = UnixListener::bind(&path).expect("free");
    let options = Options {
        connect_timeout: Duration::from_secs(5),
        request_timeout: Duration::from_secs(1),
        ..Options::default()
    };
    let connecting = tokio::spawn(async move { Client::connect(&path, options).await });
    let (mut stream, _) = listener.accept().await.expect("the client comes");
    read_frame(&mut stream).await;
    if is_registering {
        let all = vpp_api::MODULES.iter().flat_map(|module| messages(module));
        let entries: Vec<MessageTableEntry> = MessageTable::assign(all).entries().collect();
        let reply = SockclntCreateReply {
            index: 1 << 31,
            message_table: entries,
            response: 0,
        };
        send(&mut stream, 16, 0, &reply).await;
    }
    tokio::spawn(script(stream));
    (folder, connecting.await.expect("no panic"))
}

async fn send<M: Message>(stream: &mut UnixStream, id: u16, context: u32, message: &M) {
    let envelope = Envelope {
        id,
        client_index: 0,
        context,
    };
    let message = encode(envelope, message).expect("encodes");
    stream
        .write_all(&frame::wrap(&message).expect("short"))
        .await
        .expect("sent");
}

async fn read_frame(stream: &mut UnixStream) -> Vec<u8> {
    let mut header = [0; frame::HEADER_LEN];
    stream.read_exact(&mut header).await.expect("a header");
    let len = frame::message_len(&header, 1 << 20).expect("sane");
    let mut message = vec![0; len];
    stream.read_exact(&mut message).await.expect("a message");
    message
}

#[tokio::test]
async fn silence_ends_at_the_deadline_and_a_late_reply_meets_no_one() {
    let (_folder, client) = scripted(true, |mut stream| async move {
        let first = read_frame(&mut stream).await;
        let second = read_frame(&mut stream).await;
        let context = |message: &[u8]| u32::from_be_bytes(message[6..10].try_into().expect("4"));
        let late = ControlPingReply {
            vpe_pid: 1,
            ..Default::default()
        };
        send(&mut stream, 24, context(&first), &late).await;
        let answer = ControlPingReply {
            vpe_pid: 2,
            ..Default::default()
        };
        send(&mut stream, 24, context(&second), &answer).await;
        read_to_end(stream).await;
    })
    .await;
    let client = client.expect("registered");
    let error = client
        .request(&ControlPing::default())
        .await
        .expect_err("no answer");
    assert!(
        matches!(
            error,
            RequestError::Deadline {
                request: "control_ping"
            }
        ),
        "{error}"
    );
    let reply = client
        .request(&ControlPing::default())
        .await
        .expect("answered");
    assert_eq!(reply.vpe_pid, 2);
}

async fn read_to_end(mut stream: UnixStream) {
    let mut rest = Vec::new();
    let _ = stream.read_to_end(&mut rest).await;
}

#[tokio::test]
async fn a_server_that_reads_nothing_cannot_hold_requests_beyond_their_deadline() {
    let (_folder, client) = scripted(true, |stream| async move {
        std::future::pending::<()>().await;
        drop(stream);
    })
    .await;
    let client = client.expect("registered");
    let big = CliInband {
        cmd: "x".repeat(512 << 10),
    };
    let calls: Vec<_> = (0..20)
        .map(|_| {
            let (client, big) = (client.clone(), big.clone());
            tokio::spawn(async move { client.request(&big).await })
        })
        .collect();
    for call in calls {
        let error = call.await.expect("no panic").expect_err("no answer");
        assert!(matches!(error, RequestError::Deadline { .. }), "{error}");
    }
}

#[tokio::test]
async fn an_absurd_length_ends_the_connection() {
    let (_folder, client) = scripted(true, |mut stream| async move {
        read_frame(&mut stream).await;
        let header = frame::header(usize::try_from(u32::MAX).expect("64 bit")).expect("fits");
        stream.write_all(&header).await.expect("sent");
        read_to_end(stream).await;
    })
    .await;
    let client = client.expect("registered");
    let error = client
        .request(&ControlPing::default())
        .await
        .expect_err("no answer");
    let RequestError::Disconnected { reason, .. } = error else {
        panic!("{error}")
    };
    assert!(matches!(reason, Disconnect::Frame(_)), "{reason}");
}

#[tokio::test]
async fn unasked_and_wrong_answers_are_ignored() {
    let (_folder, client) = scripted(true, |mut stream| async move {
        let request = read_frame(&mut stream).await;
        let context = u32::from_be_bytes(request[6..10].try_into().expect("4"));
        send(&mut stream, 60000, context, &ControlPingReply::default()).await;
        send(
            &mut stream,
            24,
            context + 1000,
            &ControlPingReply::default(),
        )
        .await;
        send(&mut stream, 12, context, &ControlPingReply::default()).await;
        send(&mut stream, 22, context, &ControlPingReply::default()).await;
        let answer = ControlPingReply {
            vpe_pid: 5,
            ..Default::default()
        };
        send(&mut stream, 24, context, &answer).await;
        read_to_end(stream).await;
    })
    .await;
    let client = client.expect("registered");
    assert_eq!(
        client
            .request(&ControlPing::default())
            .await
            .expect("answered")
            .vpe_pid,
        5
    );
}

#[tokio::test]
async fn a_short_reply_fails_its_request_by_name() {
    let (_folder, client) = scripted(true, |mut stream| async move {
        let mut request = read_frame(&mut stream).await;
        request.truncate(10);
        let reply = [&[0, 24], &request[6..10]].concat();
        stream
            .write_all(&frame::wrap(&reply).expect("short"))
            .await
            .expect("sent");
        read_to_end(stream).await;
    })
    .await;
    let client = client.expect("registered");
    let error = client
        .request(&ControlPing::default())
        .await
        .expect_err("too short");
    let RequestError::Codec { error, .. } = error else {
        panic!("{error}")
    };
    assert_eq!(
        (error.message, error.field.as_str()),
        ("control_ping_reply", "retval")
    );
}

#[tokio::test]
async fn a_refused_or_broken_handshake_is_an_error() {
    let (_folder, client) = scripted(false, |mut stream| async move {
        let refusal = SockclntCreateReply {
            response: -1,
            ..Default::default()
        };
        send(&mut stream, 16, 0, &refusal).await;
        read_to_end(stream).await;
    })
    .await;
    let error = client.expect_err("refused");
    assert!(
        error.to_string().contains("registration refused with -1"),
        "{error}"
    );
    let (_folder, client) = scripted(false, |stream| async move { drop(stream) }).await;
    assert!(matches!(
        client,
        Err(ConnectError::Handshake {
            reason: Disconnect::PeerClosed,
            ..
        })
    ));
}
