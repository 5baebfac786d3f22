//! The answering end.

use std::net::Ipv6Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::Context;
use runtime::shutdown::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};

use super::Serve;
use super::report::{self, PortReport, ServeReport};

/// How often the report file follows the counters.
const REPORT_INTERVAL: Duration = Duration::from_millis(100);

const HTTP_ANSWER: &[u8] =
    b"HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ncontent-length: 16\r\nconnection: close\r\n\r\nanswered by weft";

#[derive(Debug, Default)]
struct Counters {
    received: AtomicU64,
    answered: AtomicU64,
    bytes: AtomicU64,
}

/// Binds everything before it answers anything, so that a taken port is an error and not silence.
pub(super) async fn run(options: Serve) -> anyhow::Result<()> {
    let mut shutdown = Shutdown::listen()?;
    anyhow::ensure!(
        !options.udp.is_empty() || !options.tcp.is_empty(),
        "nothing to serve; hint: give --udp PORT or --tcp PORT"
    );
    let mut ports: Vec<(String, Arc<Counters>)> = Vec::new();
    for port in &options.udp {
        let bound = UdpSocket::bind((Ipv6Addr::UNSPECIFIED, *port)).await;
        let socket = bound.with_context(|| format!("listen on udp port {port}"))?;
        let counters = Arc::<Counters>::default();
        ports.push((format!("udp/{port}"), Arc::clone(&counters)));
        tokio::spawn(echo(socket, counters));
    }
    for port in &options.tcp {
        let bound = TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)).await;
        let listener = bound.with_context(|| format!("listen on tcp port {port}"))?;
        let counters = Arc::<Counters>::default();
        ports.push((format!("tcp/{port}"), Arc::clone(&counters)));
        tokio::spawn(accept(listener, counters));
    }
    let mut written = None;
    let mut tick = tokio::time::interval(REPORT_INTERVAL);
    loop {
        let ending = tokio::select! {
            _ = shutdown.requested() => true,
            _ = tick.tick() => false,
        };
        let now = snapshot(&ports);
        if let Some(path) = options.report.as_deref()
            && written.as_ref() != Some(&now)
        {
            report::write(path, &now)?;
            written = Some(now);
        }
        if ending {
            return Ok(());
        }
    }
}

fn snapshot(ports: &[(String, Arc<Counters>)]) -> ServeReport {
    let read = |(name, counters): &(String, Arc<Counters>)| {
        let report = PortReport {
            received: counters.received.load(Ordering::Relaxed),
            answered: counters.answered.load(Ordering::Relaxed),
            bytes: counters.bytes.load(Ordering::Relaxed),
        };
        (name.clone(), report)
    };
    ServeReport {
        ports: ports.iter().map(read).collect(),
    }
}

async fn echo(socket: UdpSocket, counters: Arc<Counters>) {
    let mut buffer = vec![0_u8; 65_536];
    loop {
        // An error is that of an earlier send (an ICMP answer); the socket goes on.
        let Ok((len, from)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        counters.received.fetch_add(1, Ordering::Relaxed);
        counters.bytes.fetch_add(len as u64, Ordering::Relaxed);
        let datagram = buffer.get(..len).unwrap_or_default();
        if socket.send_to(datagram, from).await.is_ok() {
            counters.answered.fetch_add(1, Ordering::Relaxed);
        }
    }
}

async fn accept(listener: TcpListener, counters: Arc<Counters>) {
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                counters.received.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(answer(stream, Arc::clone(&counters)));
            }
            // Out of descriptors, say: back off instead of spinning.
            Err(_) => tokio::time::sleep(REPORT_INTERVAL).await,
        }
    }
}

/// A GET gets an HTTP answer; any other bytes come back as they are.
async fn answer(mut stream: TcpStream, counters: Arc<Counters>) {
    let mut buffer = vec![0_u8; 16_384];
    let mut first = true;
    while let Ok(len @ 1..) = stream.read(&mut buffer).await {
        counters.bytes.fetch_add(len as u64, Ordering::Relaxed);
        let bytes = buffer.get(..len).unwrap_or_default();
        let http = first && bytes.starts_with(b"GET ");
        let reply = if http { HTTP_ANSWER } else { bytes };
        if stream.write_all(reply).await.is_err() {
            return;
        }
        if first {
            counters.answered.fetch_add(1, Ordering::Relaxed);
        }
        if http {
            let _ = stream.shutdown().await;
            return;
        }
        first = false;
    }
}
