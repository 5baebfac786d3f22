//! The server against clients that do not behave.

use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use vpp_api::memclnt::{ControlPing, SockclntCreate, SockclntCreateReply};
use vpp_api::table::MessageTable;
use vpp_api::vlib::{CliInband, CliInbandReply};
use vpp_api::{Envelope, FixedString, Message, decode, encode, frame};
use vpp_api_client::RequestError;
use vpp_api_client::server::{Limits, Router, ServeError, Server};

use crate::toy::{PATIENCE, Running, connect};

fn framed<M: Message>(id: u16, message: &M) -> Vec<u8> {
    let message = encode(
        Envelope {
            id,
            client_index: 0,
            context: 1,
        },
        message,
    )
    .expect("encodes");
    frame::wrap(&message).expect("short")
}

async fn registered(server: &Running) -> UnixStream {
    let mut stream = UnixStream::connect(server.path()).await.expect("there");
    let name = FixedString::truncated("raw");
    stream
        .write_all(&framed(15, &SockclntCreate { name }))
        .await
        .expect("sent");
    read_frame(&mut stream).await;
    stream
}

async fn read_frame(stream: &mut UnixStream) -> Vec<u8> {
    let mut header = [0; frame::HEADER_LEN];
    stream.read_exact(&mut header).await.expect("a header");
    let len = frame::message_len(&header, frame::MESSAGE_LEN_MAX).expect("sane");
    let mut message = vec![0; len];
    stream.read_exact(&mut message).await.expect("a message");
    message
}

/// Reads until the server closes; a timeout fails the test.
async fn drain(mut stream: UnixStream) -> usize {
    let read = async {
        let (mut total, mut buffer) = (0, [0; 4096]);
        loop {
            match stream.read(&mut buffer).await {
                Ok(0) | Err(_) => return total,
                Ok(count) => total += count,
            }
        }
    };
    tokio::time::timeout(PATIENCE, read)
        .await
        .expect("the server disconnects")
}

#[tokio::test]
async fn an_oversized_frame_disconnects() {
    let server = Running::start(Limits::default());
    let mut stream = registered(&server).await;
    let header = frame::header(usize::try_from(u32::MAX).expect("64 bit")).expect("fits");
    stream.write_all(&header).await.expect("sent");
    assert_eq!(drain(stream).await, 0);
    server
        .client()
        .await
        .request(&ControlPing::default())
        .await
        .expect("others go on");
    assert_eq!(server.handle.counters().evicted.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_client_that_does_not_register_is_disconnected() {
    let server = Running::start(Limits::default());
    let mut stream = UnixStream::connect(server.path()).await.expect("there");
    stream
        .write_all(&framed(23, &ControlPing::default()))
        .await
        .expect("sent");
    assert_eq!(drain(stream).await, 0);
}

#[tokio::test]
async fn unknown_and_malformed_requests_get_no_answer_and_are_counted() {
    let server = Running::start(Limits::default());
    let mut stream = registered(&server).await;
    stream
        .write_all(&framed(9999, &ControlPing::default()))
        .await
        .expect("sent");
    stream
        .write_all(&frame::wrap(&[0, 23, 0]).expect("short"))
        .await
        .expect("sent");
    stream
        .write_all(&framed(23, &ControlPing::default()))
        .await
        .expect("sent");
    let answer = read_frame(&mut stream).await;
    assert_eq!(answer[..2], [0, 24], "the ping's, as nothing came before");
    let counters = server.handle.counters();
    assert_eq!(counters.unknown.load(Ordering::Relaxed), 1);
    assert_eq!(counters.malformed.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_client_that_reads_nothing_is_disconnected() {
    let limits = Limits {
        unread_bytes_high: 1 << 30,
        unread_bytes_max: 1 << 20,
        ..Limits::default()
    };
    let server = Running::start(limits);
    check_slow_reader(&server).await;
}

#[tokio::test]
async fn a_client_that_stalls_is_disconnected() {
    let limits = Limits {
        stall_max: Duration::from_millis(50),
        ..Limits::default()
    };
    let server = Running::start(limits);
    check_slow_reader(&server).await;
}

/// Asks for much and reads nothing until the server has had enough.
async fn check_slow_reader(server: &Running) {
    let client = server.client().await;
    let mut stream = registered(server).await;
    let id = cli_id(server).await;
    let request = framed(
        id,
        &CliInband {
            cmd: "x".repeat(200 << 10),
        },
    );
    let flood = async {
        while stream.write_all(&request).await.is_ok() {}
        stream
    };
    let stream = tokio::time::timeout(PATIENCE, flood)
        .await
        .expect("the server disconnects");
    drain(stream).await;
    client
        .request(&ControlPing::default())
        .await
        .expect("others go on");
    assert_eq!(server.handle.counters().evicted.load(Ordering::Relaxed), 1);
}

/// Learns the id of `cli_inband` from the message table.
async fn cli_id(server: &Running) -> u16 {
    let mut stream = UnixStream::connect(server.path()).await.expect("there");
    let name = FixedString::truncated("raw");
    stream
        .write_all(&framed(15, &SockclntCreate { name }))
        .await
        .expect("sent");
    let reply = read_frame(&mut stream).await;
    let (_, reply) = decode::<SockclntCreateReply>(&reply).expect("decodes");
    let table = MessageTable::from_entries(&reply.message_table);
    table.id::<CliInband>().expect("served")
}

#[tokio::test]
async fn one_client_too_many_is_rejected() {
    let server = Running::start(Limits {
        clients_max: 1,
        ..Limits::default()
    });
    let first = server.client().await;
    let second = UnixStream::connect(server.path()).await.expect("queued");
    assert_eq!(drain(second).await, 0);
    first
        .request(&ControlPing::default())
        .await
        .expect("the first goes on");
    assert_eq!(server.handle.counters().rejected.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn a_request_in_single_bytes_is_put_together() {
    let server = Running::start(Limits::default());
    let mut stream = registered(&server).await;
    for byte in framed(23, &ControlPing::default()) {
        stream.write_all(&[byte]).await.expect("sent");
        stream.flush().await.expect("sent");
        tokio::task::yield_now().await;
    }
    assert_eq!(read_frame(&mut stream).await[..2], [0, 24]);
}

#[tokio::test]
async fn a_handler_that_panics_ends_the_server_with_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("api.sock");
    let mut router = Router::<()>::new();
    router.on::<CliInband, CliInbandReply>(|(), request, _| panic!("as asked: {}", request.cmd));
    let server = Server::bind(&path, router, Limits::default()).expect("free");
    let running = tokio::spawn(server.run((), std::future::pending()));
    let client = connect(&path).await;
    let error = client
        .request(&CliInband { cmd: "now".into() })
        .await
        .expect_err("no answer");
    assert!(
        matches!(error, RequestError::Disconnected { .. }),
        "{error}"
    );
    assert!(matches!(
        running.await.expect("run itself goes on"),
        Err(ServeError::Panicked)
    ));
}

#[tokio::test]
async fn a_socket_in_use_is_not_stolen_and_a_stale_one_is_replaced() {
    let server = Running::start(Limits::default());
    let stolen = Server::bind(&server.path(), Router::<()>::new(), Limits::default());
    assert!(matches!(stolen, Err(ServeError::InUse(_))));
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("stale.sock");
    drop(std::os::unix::net::UnixListener::bind(&path).expect("free"));
    Server::bind(&path, Router::<()>::new(), Limits::default()).expect("replaced");
}
