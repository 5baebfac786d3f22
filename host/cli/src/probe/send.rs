//! The asking end: paced requests, each numbered, and the book of what came back.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use anyhow::Context;
use runtime::shutdown::Shutdown;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket, lookup_host};
use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use super::report::{self, Book};
use super::{Proto, Send, wire};

/// How often the pacer wakes; higher rates send several requests at a time.
const TICK: Duration = Duration::from_millis(1);

/// A single HTTP or TCP exchange gives up after this.
const EXCHANGE_TIMEOUT: Duration = Duration::from_secs(2);

/// Which requests are due: pure, told the time.
#[derive(Debug)]
struct Pace {
    start: Instant,
    rate: u32,
    total: u64,
}

impl Pace {
    fn new(options: &Send, start: Instant) -> anyhow::Result<Self> {
        anyhow::ensure!(options.rate > 0, "rate is 0; hint: give --rate 1 or more");
        let total = match (options.count, options.duration) {
            (Some(count), _) => count,
            (None, Some(seconds)) => {
                let duration = Duration::try_from_secs_f64(seconds).context("read --duration")?;
                let requests = duration.as_millis() * u128::from(options.rate) / 1000;
                u64::try_from(requests)?
            }
            (None, None) => anyhow::bail!("no end; hint: give --count N or --duration SECONDS"),
        };
        Ok(Self {
            start,
            rate: options.rate,
            total,
        })
    }

    /// Requests that should be out at `now`, the first one at the start.
    fn due(&self, now: Instant) -> u64 {
        let elapsed = now.saturating_duration_since(self.start);
        let due = elapsed.as_micros() * u128::from(self.rate) / 1_000_000 + 1;
        u64::try_from(due).unwrap_or(u64::MAX).min(self.total)
    }
}

pub(super) async fn run(options: Send) -> anyhow::Result<()> {
    let target = resolve(&options.target, options.port).await?;
    let wait = Duration::try_from_secs_f64(options.wait).context("read --wait")?;
    let pace = Pace::new(&options, Instant::now())?;
    let book = match options.proto {
        Proto::Udp => udp(target, &pace, options.size, wait).await?,
        Proto::Tcp | Proto::Http => exchanges(target, &pace, options.proto, options.size).await?,
    };
    let report = book.report(options.target, options.proto.name(), options.port);
    match &options.report {
        Some(path) => report::write(path, &report),
        None => crate::say!("{}", serde_json::to_string_pretty(&report)?),
    }
}

async fn resolve(target: &str, port: u16) -> anyhow::Result<SocketAddr> {
    if let Ok(address) = target.parse::<IpAddr>() {
        return Ok(SocketAddr::new(address, port));
    }
    let mut found = lookup_host((target, port))
        .await
        .with_context(|| format!("resolve `{target}`"))?;
    found
        .next()
        .with_context(|| format!("name `{target}` has no address"))
}

/// Sends on one socket and listens at the same time; ends when all is answered or `wait` is over.
async fn udp(target: SocketAddr, pace: &Pace, size: usize, wait: Duration) -> anyhow::Result<Book> {
    let any = if target.is_ipv4() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED)
    } else {
        IpAddr::V6(Ipv6Addr::UNSPECIFIED)
    };
    let socket = UdpSocket::bind((any, 0)).await.context("open a socket")?;
    socket
        .connect(target)
        .await
        .with_context(|| format!("no route to `{target}`"))?;
    let mut shutdown = Shutdown::listen()?;
    let run = u64::from(std::process::id()) << 32 | u64::from(socket.local_addr()?.port());
    let mut departures: Vec<Instant> = Vec::new();
    let mut book = Book::default();
    let mut buffer = vec![0_u8; 65_536];
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut deadline = None;
    loop {
        let over = deadline.unwrap_or_else(|| Instant::now() + wait);
        tokio::select! {
            received = socket.recv(&mut buffer) => match received {
                Ok(len) => {
                    let answer = buffer.get(..len).unwrap_or_default();
                    if let Some(sequence) = wire::parse(run, answer, size) {
                        let left = usize::try_from(sequence).ok().and_then(|i| departures.get(i));
                        book.answered(sequence, left.map(Instant::elapsed).unwrap_or_default());
                    }
                }
                Err(error) => book.error(&error),
            },
            _ = tick.tick(), if deadline.is_none() => {
                while book.sent_count() < pace.due(Instant::now()) {
                    let payload = wire::emit(run, book.sent_count(), size);
                    departures.push(Instant::now());
                    book.sent();
                    if let Err(error) = socket.send(&payload).await {
                        book.error(&error);
                    }
                }
                if book.sent_count() == pace.total {
                    deadline = Some(Instant::now() + wait);
                }
            },
            () = sleep_until(over), if deadline.is_some() => return Ok(book),
            _ = shutdown.requested(), if deadline.is_none() => deadline = Some(Instant::now() + wait),
        }
        if deadline.is_some() && book.is_complete() {
            return Ok(book);
        }
    }
}

/// One connection a request, several at a time.
async fn exchanges(
    target: SocketAddr,
    pace: &Pace,
    proto: Proto,
    size: usize,
) -> anyhow::Result<Book> {
    let mut shutdown = Shutdown::listen()?;
    let mut book = Book::default();
    let mut running = JoinSet::new();
    let mut tick = interval(TICK);
    tick.set_missed_tick_behavior(MissedTickBehavior::Skip);
    let mut total = pace.total;
    while book.sent_count() < total || !running.is_empty() {
        tokio::select! {
            Some(done) = running.join_next() => match done? {
                (sequence, started, Ok(())) => book.answered(sequence, Instant::elapsed(&started)),
                (_, _, Err(error)) => book.error(&error),
            },
            _ = tick.tick(), if book.sent_count() < total => {
                while book.sent_count() < pace.due(Instant::now()).min(total) {
                    let sequence = book.sent_count();
                    book.sent();
                    running.spawn(async move {
                        let started = Instant::now();
                        let exchange = timeout(EXCHANGE_TIMEOUT, exchange(target, proto, sequence, size));
                        let result = exchange.await.unwrap_or_else(|e| Err(e.into()));
                        (sequence, started, result)
                    });
                }
            },
            _ = shutdown.requested() => total = book.sent_count(),
        }
    }
    Ok(book)
}

async fn exchange(target: SocketAddr, proto: Proto, sequence: u64, size: usize) -> io::Result<()> {
    let mut stream = TcpStream::connect(target).await?;
    if proto == Proto::Http {
        let request =
            format!("GET /{sequence} HTTP/1.1\r\nhost: {target}\r\nconnection: close\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await?;
        let ok = answer.starts_with(b"HTTP/1.1 200 ");
        return ok
            .then_some(())
            .ok_or_else(|| io::Error::other("no HTTP 200"));
    }
    let payload = wire::emit(0, sequence, size);
    stream.write_all(&payload).await?;
    let mut answer = vec![0_u8; payload.len()];
    stream.read_exact(&mut answer).await?;
    let same = answer == payload;
    same.then_some(())
        .ok_or_else(|| io::Error::other("echo differs"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_fall_due_at_the_rate_and_stop_at_the_total() {
        let start = Instant::now();
        let pace = Pace {
            start,
            rate: 500,
            total: 10,
        };
        for (ms, due) in [(0, 1), (1, 1), (2, 2), (10, 6), (1_000, 10)] {
            assert_eq!(pace.due(start + Duration::from_millis(ms)), due, "{ms} ms");
        }
    }
}
