//! Ends of memif links, as processes of their own so that they can be pinned.
//!
//! What a sink counts starts with its first frame and a warm-up; senders go on until they are killed.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::{Args, ValueEnum};
use memif_rs::{
    Address, ArenaConfig, BufferArena, BufferDesc, Client, ClientConfig, Event, Limits, Link,
    Listener, Memory, Queues, RxQueue, ServerConfig, TxQueue, ZeroCopyTx,
};
use serde::{Deserialize, Serialize};

use crate::process::PATIENCE;
use crate::testpmd::WARM_UP;
use crate::traffic::{Generator, Side, Size, Traffic};

/// Frames in a burst: that of testpmd.
pub(crate) const BURST: usize = 32;
const BUFFER: usize = 2048;
/// Buffers that frames are copied to in turns, as a driver with a buffer pool would.
const BUFFERS: usize = 256;
/// Bursts between two looks at the clock and the control channel.
const BURSTS_PER_LOOK: u32 = 512;
/// Of a frame that is read in place.
const HEADERS: usize = 64;
const LOG2_RING_SIZE: u8 = 10;

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Server,
    Client,
}

impl Role {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Job {
    /// Send from a private buffer: one copy
    Send,
    /// Send what lies in shared memory already
    SendZeroCopy,
    /// Copy each frame out
    Receive,
    /// Read the headers of each frame where it lies
    ReceiveInPlace,
}

impl Job {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Send => "send",
            Self::SendZeroCopy => "send-zero-copy",
            Self::Receive => "receive",
            Self::ReceiveInPlace => "receive-in-place",
        }
    }
}

#[derive(Clone, Debug, Args)]
pub(crate) struct EndArguments {
    #[arg(long)]
    pub(crate) socket: PathBuf,
    #[arg(long, value_enum)]
    pub(crate) role: Role,
    #[arg(long, value_enum)]
    pub(crate) job: Job,
    #[arg(long, default_value_t = 64)]
    pub(crate) size: usize,
    #[arg(long, default_value_t = 1.0)]
    pub(crate) seconds: f64,
}

/// What a sink counted.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Counted {
    pub(crate) frames: u64,
    pub(crate) seconds: f64,
    /// Share of the sender's bursts that found too little room: near 1 the other side is what limits.
    pub(crate) held_back: f64,
}

impl Counted {
    pub(crate) fn mpps(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
        let frames = self.frames as f64;
        frames / self.seconds / 1e6
    }
}

/// Runs one end of a link.
pub(crate) fn end(arguments: &EndArguments) -> anyhow::Result<()> {
    let time = Duration::from_secs_f64(arguments.seconds);
    let address = Address::path(&arguments.socket);
    let mut end = End::new(arguments.role, &address, arguments.job)?;
    let link = end.connect()?;
    let size = Size::of_argument(arguments.size);
    let mut frames = Generator::new(Traffic::Ip4, size, &Side::LEFT, 0);
    match (arguments.job, link.queues) {
        (Job::Send, Queues::Copy { mut tx, .. }) => {
            let mut tx = tx.pop().context("the peer takes no frames")?;
            while end.is_up() {
                for _ in 0..BURSTS_PER_LOOK {
                    send(&mut tx, &mut frames)?;
                }
            }
            Ok(())
        }
        (Job::SendZeroCopy, Queues::ZeroCopy { mut tx, .. }) => {
            let mut tx = tx.pop().context("the peer takes no frames")?;
            let mut arena = end.arena.take().context("zero copy has an arena")?;
            while end.is_up() {
                for _ in 0..BURSTS_PER_LOOK {
                    send_zero_copy(&mut tx, &mut arena, frames.frame())?;
                }
            }
            Ok(())
        }
        (Job::Receive, Queues::Copy { mut rx, .. }) => {
            let mut rx = rx.pop().context("the peer sends no frames")?;
            let mut pool = Pool::new();
            count(&mut end, time, || pool.receive(&mut rx))
        }
        (Job::ReceiveInPlace, Queues::Copy { mut rx, .. }) => {
            let mut rx = rx.pop().context("the peer sends no frames")?;
            count(&mut end, time, || Ok((read_in_place(&mut rx)?, false)))
        }
        (job, _) => bail!("`{}` is not for this end of a link", job.name()),
    }
}

/// Something with a control channel to be kept alive.
pub(crate) trait Control {
    fn is_up(&mut self) -> bool;
}

enum Channel {
    Server(Box<Listener>),
    Client(Box<Client>),
}

pub(crate) struct End {
    channel: Channel,
    arena: Option<BufferArena>,
}

impl End {
    fn new(role: Role, address: &Address, job: Job) -> anyhow::Result<Self> {
        match role {
            Role::Client => Self::client(0, address, job == Job::SendZeroCopy),
            Role::Server => {
                let mut listener = Listener::bind(address, Limits::default())?;
                let config = ServerConfig {
                    name: "bench".into(),
                    ..ServerConfig::default()
                };
                listener.add(0, config)?;
                Ok(Self {
                    channel: Channel::Server(Box::new(listener)),
                    arena: None,
                })
            }
        }
    }

    pub(crate) fn client(id: u32, address: &Address, zero_copy: bool) -> anyhow::Result<Self> {
        let arena = zero_copy
            .then(|| BufferArena::new(ArenaConfig::default()))
            .transpose()?;
        let memory = match &arena {
            Some(arena) => Memory::Arenas(vec![arena.region()]),
            None => Memory::Copy { buffer_size: 2048 },
        };
        let config = ClientConfig {
            name: "bench".into(),
            log2_ring_size: LOG2_RING_SIZE,
            memory,
            ..ClientConfig::default()
        };
        let client = Client::new(address.clone(), id, config, Limits::default())?;
        Ok(Self {
            channel: Channel::Client(Box::new(client)),
            arena,
        })
    }

    fn poll(&mut self) -> anyhow::Result<Option<Event>> {
        Ok(match &mut self.channel {
            Channel::Server(listener) => {
                listener.drive(Instant::now())?;
                listener.poll_event()
            }
            Channel::Client(client) => {
                client.drive(Instant::now())?;
                client.poll_event()
            }
        })
    }

    pub(crate) fn connect(&mut self) -> anyhow::Result<Link> {
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            match self.poll()? {
                Some(Event::Connected { link, .. }) => return Ok(link),
                // A peer that is not there yet; tried again.
                Some(Event::Refused { .. } | Event::Disconnected { .. }) | None => {
                    std::thread::sleep(Duration::from_millis(1));
                }
            }
        }
        bail!("no memif link in {PATIENCE:?}")
    }
}

impl Control for End {
    fn is_up(&mut self) -> bool {
        !matches!(self.poll(), Err(_) | Ok(Some(Event::Disconnected { .. })))
    }
}

/// Counts frames of `step` for `time`, from the first frame and a warm-up on, and prints the result.
pub(crate) fn count(
    control: &mut impl Control,
    time: Duration,
    mut step: impl FnMut() -> anyhow::Result<(usize, bool)>,
) -> anyhow::Result<()> {
    let mut bursts = |frames: &mut u64, full: &mut u64| -> anyhow::Result<()> {
        for _ in 0..BURSTS_PER_LOOK {
            let (moved, held_back) = step()?;
            *frames += moved as u64;
            *full += u64::from(held_back);
        }
        Ok(())
    };
    let (mut frames, mut full) = (0, 0);
    let deadline = Instant::now() + PATIENCE;
    while frames == 0 {
        bursts(&mut frames, &mut full)?;
        if Instant::now() > deadline || !control.is_up() {
            bail!("no frame arrived");
        }
    }
    let warm = Instant::now() + WARM_UP;
    while Instant::now() < warm {
        bursts(&mut frames, &mut full)?;
    }
    (frames, full) = (0, 0);
    let (mut looks, start) = (0_u64, Instant::now());
    while start.elapsed() < time {
        bursts(&mut frames, &mut full)?;
        looks += 1;
        if !control.is_up() {
            bail!("the link went down");
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "counts are far below 2^52")]
    let held_back = full as f64 / (looks * u64::from(BURSTS_PER_LOOK)) as f64;
    let counted = Counted {
        frames,
        seconds: start.elapsed().as_secs_f64(),
        held_back,
    };
    println!("{}", serde_json::to_string(&counted)?);
    Ok(())
}

pub(crate) fn send(tx: &mut TxQueue, frames: &mut Generator) -> anyhow::Result<usize> {
    let mut sent = 0;
    while sent < BURST && tx.reserve(1)? > 0 && tx.push(&[frames.frame()])? {
        sent += 1;
    }
    tx.commit();
    Ok(sent)
}

fn send_zero_copy(
    tx: &mut ZeroCopyTx,
    arena: &mut BufferArena,
    frame: &[u8],
) -> anyhow::Result<()> {
    let mut burst = [BufferDesc::default(); BURST];
    let mut made = 0;
    for buffer in &mut burst {
        let Some(empty) = arena.alloc() else { break };
        *buffer = BufferDesc {
            len: u32::try_from(frame.len())?,
            ..empty
        };
        // What differs between frames; the rest of a generated frame lies there already, as in testpmd.
        arena.write(buffer, frame.get(..42.min(frame.len())).unwrap_or(frame))?;
        made += 1;
    }
    let ready = burst.get(..made).unwrap_or(&burst);
    let given = tx.give_burst(arena, ready)?;
    for buffer in ready.get(given..).unwrap_or(&[]) {
        arena.free(buffer.slot)?;
    }
    Ok(())
}

pub(crate) fn read_in_place(rx: &mut RxQueue) -> anyhow::Result<usize> {
    let count = rx.peek(2 * BURST)?;
    let mut head = [0; HEADERS];
    for packet in rx.packets() {
        packet.copy_out(0, &mut head);
        std::hint::black_box(&head);
    }
    rx.release_all();
    Ok(count)
}

/// Buffers of a receiver that keeps what it gets.
struct Pool {
    buffers: Vec<[u8; BUFFER]>,
    next: usize,
}

impl Pool {
    fn new() -> Self {
        Self {
            buffers: vec![[0; BUFFER]; BUFFERS],
            next: 0,
        }
    }

    fn receive(&mut self, rx: &mut RxQueue) -> anyhow::Result<(usize, bool)> {
        let count = rx.peek(BURST)?;
        for packet in rx.packets() {
            self.next = (self.next + 1) % BUFFERS;
            if let Some(buffer) = self.buffers.get_mut(self.next) {
                packet.copy_out(0, &mut buffer[..]);
                std::hint::black_box(&buffer);
            }
        }
        rx.release_all();
        Ok((count, false))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::traffic::frame4;

    #[test]
    fn frames_cross_between_our_own_ends_and_are_counted() {
        let dir = tempfile::tempdir().unwrap();
        let address = Address::path(dir.path().join("memif.sock"));
        let mut server = End::new(Role::Server, &address, Job::Receive).unwrap();
        let mut client = End::new(Role::Client, &address, Job::Send).unwrap();
        let sender = std::thread::spawn(move || client.connect().map(|link| (client, link)));
        let (mut rx, _) = server.connect().unwrap().into_copy().unwrap();
        let (_client, link) = sender.join().unwrap().unwrap();
        let (_, mut tx) = link.into_copy().unwrap();
        let frame = frame4(64, &Side::LEFT);
        let mut frames = Generator::new(Traffic::Ip4, Size::Bytes(64), &Side::LEFT, 0);
        assert_eq!(send(&mut tx[0], &mut frames).unwrap(), BURST);
        let mut pool = Pool::new();
        assert_eq!(pool.receive(&mut rx[0]).unwrap().0, BURST);
        assert_eq!(pool.buffers[1][..64], frame[..]);
        assert_eq!(read_in_place(&mut rx[0]).unwrap(), 0);
    }
}
