//! VPP's binary API: the codec of every message, and a server that reads from a stranger.

use std::io::{ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::OnceLock;
use std::time::Duration;

use vpp_api::MODULES;
use vpp_api::frame;
use vpp_api::interface::{
    CreateLoopback, CreateLoopbackReply, SwInterfaceDetails, SwInterfaceDump,
};
use vpp_api::memclnt::SockclntCreate;
use vpp_api::message::Envelope;
use vpp_api::table::{SOCKCLNT_CREATE_ID, messages};
use vpp_api::vlib::{CliInband, CliInbandReply};
use vpp_api_client::server::{Limits, Router, Server};

/// The first two bytes choose a message, the rest is it.
pub(crate) fn codec(bytes: &[u8]) {
    let [a, b, message @ ..] = bytes else {
        return;
    };
    let all: Vec<_> = MODULES.iter().flat_map(|m| messages(m)).collect();
    let Some(info) = all.get(usize::from(u16::from_le_bytes([*a, *b])) % all.len()) else {
        return;
    };
    // What does not decode, or decodes to a list that is too long to encode, is refused: that is an answer.
    if let Ok(once) = (info.recode)(message) {
        let twice = (info.recode)(&once);
        assert_eq!(twice.as_ref(), Ok(&once), "{}", info.name);
    }
}

/// A registered client sends the bytes and leaves; the server must live, answer or hang up.
pub(crate) fn server(bytes: &[u8]) {
    let path = running();
    let mut client = UnixStream::connect(path).expect("the server lives");
    client
        .set_read_timeout(Some(Duration::from_secs(10)))
        .expect("a timeout");
    let envelope = Envelope {
        id: SOCKCLNT_CREATE_ID,
        ..Envelope::default()
    };
    let hello = vpp_api::encode(envelope, &SockclntCreate::default()).expect("a registration");
    let hello = frame::wrap(&hello).expect("a frame");
    // The first bit says whether to register at all.
    let is_polite = bytes.first().is_none_or(|b| b & 1 == 0);
    let sent = if is_polite {
        client
            .write_all(&hello)
            .and_then(|()| client.write_all(bytes.get(1..).unwrap_or(&[])))
    } else {
        client.write_all(bytes)
    };
    match sent.map_err(|e| e.kind()) {
        Ok(()) | Err(ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) => {}
        Err(other) => panic!("write: {other}"),
    }
    let _ = client.shutdown(Shutdown::Write);
    let mut answers = Vec::new();
    match client.read_to_end(&mut answers).map_err(|e| e.kind()) {
        Ok(_) | Err(ErrorKind::ConnectionReset | ErrorKind::BrokenPipe) => {}
        Err(other) => panic!("the server neither answers nor hangs up: {other}"),
    }
    // Whatever was answered is whole frames.
    let mut rest = answers.as_slice();
    while let Ok(Some((_, used))) = frame::split(rest, frame::MESSAGE_LEN_MAX) {
        rest = rest.get(used..).unwrap_or(&[]);
    }
    assert!(rest.is_empty(), "{} bytes of a torn answer", rest.len());
}

/// One server for all inputs, on a thread that ends with the process.
fn running() -> &'static PathBuf {
    static SERVER: OnceLock<PathBuf> = OnceLock::new();
    SERVER.get_or_init(|| {
        let folder = tempfile::tempdir().expect("a folder").keep();
        let path = folder.join("api.sock");
        let (ready, is_ready) = std::sync::mpsc::channel();
        let socket = path.clone();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_all()
                .build()
                .expect("a runtime");
            runtime.block_on(async {
                let server = Server::bind(&socket, router(), Limits::default()).expect("a socket");
                ready.send(()).expect("somebody waits");
                server.run(0, std::future::pending()).await
            })
        });
        is_ready.recv().expect("the server starts");
        path
    })
}

fn router() -> Router<u32> {
    let mut router = Router::new();
    router.on::<CreateLoopback, _>(|count, _, _| {
        *count += 1;
        Ok(CreateLoopbackReply::default())
    });
    router.on_dump::<SwInterfaceDump>(|_, request, sink| {
        let details = SwInterfaceDetails {
            interface_name: vpp_api::FixedString::truncated(request.name_filter.as_str()),
            ..SwInterfaceDetails::default()
        };
        sink.send(&details);
    });
    router.on::<CliInband, _>(|_, request, _| {
        Ok(CliInbandReply {
            reply: request.cmd,
            ..CliInbandReply::default()
        })
    });
    router
}
