//! Traffic between namespaces, checked at the far end.

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::time::Duration;

use crate::lab::{Namespace, wait_for};

const TIMEOUT: Duration = Duration::from_secs(30);

/// Pings until an answer comes, or fails with what `ping` said last.
pub(crate) fn expect_ping(from: &Namespace, to: &str) {
    wait_for(&format!("ping {to} from {}", from.name), || {
        let output = from.try_run(&format!("ping -n -c 1 -W 1 {to}"));
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stdout).into_owned())
        }
    });
}

/// Sends `bytes` over TCP and checks that the far end got exactly them.
pub(crate) fn transfer(from: &Namespace, to: &Namespace, address: IpAddr, bytes: usize) {
    transfer_to_port(from, to, SocketAddr::new(address, 0), bytes);
}

/// As [`transfer`], to a chosen port.
pub(crate) fn transfer_to_port(
    from: &Namespace,
    to: &Namespace,
    address: SocketAddr,
    bytes: usize,
) {
    let listener = to.enter(|| TcpListener::bind(address).unwrap());
    let target = listener.local_addr().unwrap();
    send_all(from, &listener, target, bytes);
}

/// As [`transfer`], to a server at `listen` that the client reaches as `target`.
pub(crate) fn transfer_between(
    from: &Namespace,
    to: &Namespace,
    listen: SocketAddr,
    target: SocketAddr,
    bytes: usize,
) {
    let listener = to.enter(|| TcpListener::bind(listen).unwrap());
    send_all(from, &listener, target, bytes);
}

fn send_all(from: &Namespace, listener: &TcpListener, target: SocketAddr, bytes: usize) {
    std::thread::scope(|scope| {
        let receiver = scope.spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(TIMEOUT)).unwrap();
            let mut received = Vec::new();
            stream.read_to_end(&mut received).unwrap();
            received
        });
        let mut stream = from.enter(|| TcpStream::connect_timeout(&target, TIMEOUT).unwrap());
        stream.set_write_timeout(Some(TIMEOUT)).unwrap();
        let sent = pattern(bytes);
        stream.write_all(&sent).unwrap();
        drop(stream);
        let received = receiver.join().unwrap();
        assert_eq!(received.len(), sent.len(), "bytes received from {target}");
        assert!(received == sent, "content changed on the way");
    });
}

/// Bytes that repeat with a period no frame or segment size divides.
fn pattern(len: usize) -> Vec<u8> {
    (0..len)
        .map(|at| {
            u8::try_from(at % 251).unwrap_or_default()
                ^ u8::try_from(at / 251 % 241).unwrap_or_default()
        })
        .collect()
}
