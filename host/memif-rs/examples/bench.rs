//! Point-to-point throughput of memif, against itself or any other peer.
//!
//! `bench pair` runs both ends in two threads. `bench server|client send|receive|echo` runs one end, for example against
//! `dpdk-testpmd`. Options are `key=value`: socket, size, seconds, burst, ring (log2), copy=false for zero copy (client).
#![expect(clippy::print_stdout, reason = "the result is the output")]

use std::{
    collections::BTreeMap,
    error::Error,
    time::{Duration, Instant},
};

use memif_rs::{
    Address, ArenaConfig, BufferArena, BufferDesc, Client, ClientConfig, Event, Limits, Link,
    Listener, Memory, Queues, RxQueue, ServerConfig, TxQueue, ZeroCopyRx, ZeroCopyTx,
};

type Failure = Box<dyn Error + Send + Sync>;

fn main() -> Result<(), Failure> {
    let (words, options): (Vec<_>, Vec<_>) = std::env::args()
        .skip(1)
        .partition(|argument| !argument.contains('='));
    let plan = Plan::parse(&options)?;
    match words
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["pair"] => {
            let receiver = plan.clone();
            let listener = receiver.listen()?;
            let server = std::thread::spawn(move || receiver.serve(listener, Job::Receive));
            plan.connect(Job::Send)?;
            server.join().map_err(|_| "the server's thread panicked")?
        }
        ["server", job] => plan.serve(plan.listen()?, Job::parse(job)?),
        ["client", job] => plan.connect(Job::parse(job)?),
        _ => Err("usage: bench pair | (server|client) (send|receive|echo) [key=value ...]".into()),
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Job {
    Send,
    Receive,
    Echo,
}

impl Job {
    fn parse(word: &str) -> Result<Self, Failure> {
        match word {
            "send" => Ok(Self::Send),
            "receive" => Ok(Self::Receive),
            "echo" => Ok(Self::Echo),
            other => Err(format!("`{other}` is no job").into()),
        }
    }
}

#[derive(Debug, Clone)]
struct Plan {
    address: Address,
    size: usize,
    time: Duration,
    burst: usize,
    log2_ring_size: u8,
    copy: bool,
}

impl Plan {
    fn parse(options: &[String]) -> Result<Self, Failure> {
        let mut given: BTreeMap<&str, &str> = options
            .iter()
            .filter_map(|option| option.split_once('='))
            .collect();
        let mut take = |key, default| given.remove(key).unwrap_or(default);
        let plan = Self {
            address: Address::parse(take("socket", "@memif-rs-bench"))?,
            size: take("size", "64").parse()?,
            time: Duration::from_secs(take("seconds", "3").parse()?),
            burst: take("burst", "64").parse::<usize>()?.max(1),
            log2_ring_size: take("ring", "10").parse()?,
            copy: take("copy", "true").parse()?,
        };
        match given.keys().next() {
            Some(unknown) => Err(format!("`{unknown}` is no option").into()),
            None => Ok(plan),
        }
    }

    fn listen(&self) -> Result<Listener, Failure> {
        let mut listener = Listener::bind(&self.address, Limits::default())?;
        listener.add(
            0,
            ServerConfig {
                name: "bench".into(),
                ..ServerConfig::default()
            },
        )?;
        Ok(listener)
    }

    fn serve(&self, mut listener: Listener, job: Job) -> Result<(), Failure> {
        let link = loop {
            listener.drive(Instant::now())?;
            match listener.poll_event() {
                Some(Event::Connected { link, .. }) => break link,
                Some(Event::Refused { reason, .. }) => println!("server refused: {reason}"),
                Some(Event::Disconnected { .. }) | None => std::thread::yield_now(),
            }
        };
        self.work("server", link, None, job, || {
            Ok(listener.drive(Instant::now())?)
        })
    }

    fn connect(&self, job: Job) -> Result<(), Failure> {
        let mut arena = None;
        let memory = if self.copy {
            Memory::Copy { buffer_size: 2048 }
        } else {
            let arena = arena.insert(BufferArena::new(ArenaConfig::default())?);
            Memory::Arenas(vec![arena.region()])
        };
        let config = ClientConfig {
            name: "bench".into(),
            log2_ring_size: self.log2_ring_size,
            memory,
            ..ClientConfig::default()
        };
        let mut client = Client::new(self.address.clone(), 0, config, Limits::default())?;
        let link = loop {
            client.drive(Instant::now())?;
            match client.poll_event() {
                Some(Event::Connected { link, .. }) => break link,
                _ => std::thread::yield_now(),
            }
        };
        self.work("client", link, arena, job, || {
            Ok(client.drive(Instant::now())?)
        })
    }

    fn work(
        &self,
        name: &str,
        link: Link,
        arena: Option<BufferArena>,
        job: Job,
        mut control: impl FnMut() -> Result<(), Failure>,
    ) -> Result<(), Failure> {
        println!(
            "{name}: {job:?} with `{}` ({})",
            link.peer.interface, link.peer.app
        );
        let mut end = End::new(link.queues, arena, self.size, self.burst)?;
        let start = Instant::now();
        let (mut frames, mut bytes) = (0_u64, 0_u64);
        while start.elapsed() < self.time && end.is_up() {
            // Look at the clock and the control channel once in a while only.
            for _ in 0..1024 {
                let (more, size) = end.step(job)?;
                if more == 0 {
                    // The peer may need this very core.
                    std::thread::yield_now();
                }
                frames += more;
                bytes += size;
            }
            control()?;
        }
        let seconds = start.elapsed().as_secs_f64();
        #[expect(clippy::cast_precision_loss, reason = "for people")]
        let (mpps, gbps) = (
            frames as f64 / seconds / 1e6,
            bytes as f64 * 8.0 / seconds / 1e9,
        );
        println!("{name}: {frames} frames in {seconds:.2} s = {mpps:.2} Mpps, {gbps:.2} Gbit/s");
        Ok(())
    }
}

/// One end of the link, with all that its bursts need.
struct End {
    wires: Wires,
    frame: Vec<u8>,
    burst: usize,
}

enum Wires {
    Copy {
        rx: RxQueue,
        tx: TxQueue,
    },
    ZeroCopy {
        rx: ZeroCopyRx,
        tx: ZeroCopyTx,
        arena: BufferArena,
        buffers: Vec<BufferDesc>,
    },
}

impl End {
    fn new(
        queues: Queues,
        arena: Option<BufferArena>,
        size: usize,
        burst: usize,
    ) -> Result<Self, Failure> {
        let missing = "the peer has no queue in one direction";
        let wires = match (queues, arena) {
            (Queues::Copy { mut rx, mut tx }, _) => Wires::Copy {
                rx: rx.pop().ok_or(missing)?,
                tx: tx.pop().ok_or(missing)?,
            },
            (Queues::ZeroCopy { mut rx, mut tx }, Some(arena)) => Wires::ZeroCopy {
                rx: rx.pop().ok_or(missing)?,
                tx: tx.pop().ok_or(missing)?,
                arena,
                buffers: vec![BufferDesc::default(); burst.max(memif_rs::SEGMENTS_MAX)],
            },
            (Queues::ZeroCopy { .. }, None) => return Err("zero copy without an arena".into()),
        };
        let mut frame = vec![0x5a; size.max(14)];
        frame[..14].copy_from_slice(&[2, 0, 0, 0, 0, 1, 2, 0, 0, 0, 0, 2, 0x88, 0xb5]);
        Ok(Self {
            wires,
            frame,
            burst,
        })
    }

    fn is_up(&self) -> bool {
        match &self.wires {
            Wires::Copy { rx, .. } => rx.is_up(),
            Wires::ZeroCopy { rx, .. } => rx.is_up(),
        }
    }

    /// One burst; frames and bytes that it moved.
    fn step(&mut self, job: Job) -> Result<(u64, u64), Failure> {
        match &mut self.wires {
            Wires::Copy { rx, tx } => match job {
                Job::Send => {
                    let mut sent = 0;
                    while sent < self.burst && tx.push(&[&self.frame])? {
                        sent += 1;
                    }
                    tx.commit();
                    Ok((sent as u64, (sent * self.frame.len()) as u64))
                }
                Job::Receive => {
                    let count = rx.peek(self.burst)?;
                    let mut bytes = 0;
                    let mut head = [0; 192];
                    for packet in rx.packets() {
                        packet.copy_out(0, &mut head);
                        std::hint::black_box(&head);
                        bytes += packet.len();
                    }
                    rx.release_all();
                    Ok((count as u64, bytes as u64))
                }
                Job::Echo => {
                    let count = rx.peek(self.burst)?;
                    let mut bytes = 0;
                    for packet in rx.packets() {
                        bytes += packet.len();
                        tx.push_with_tail(&[], Some((&packet, 0, packet.len())))?;
                    }
                    tx.commit();
                    rx.release_all();
                    Ok((count as u64, bytes as u64))
                }
            },
            Wires::ZeroCopy {
                rx,
                tx,
                arena,
                buffers,
            } => zero_copy_step(rx, tx, arena, buffers, self.burst, self.frame.len(), job),
        }
    }
}

fn zero_copy_step(
    rx: &mut ZeroCopyRx,
    tx: &mut ZeroCopyTx,
    arena: &mut BufferArena,
    buffers: &mut [BufferDesc],
    burst: usize,
    size: usize,
    job: Job,
) -> Result<(u64, u64), Failure> {
    let count = if job == Job::Send {
        let mut count = 0;
        tx.reclaim(arena)?;
        for buffer in buffers.iter_mut().take(burst) {
            let Some(empty) = arena.alloc() else { break };
            *buffer = BufferDesc {
                len: u32::try_from(size)?.min(empty.len),
                ..empty
            };
            count += 1;
        }
        count
    } else {
        rx.take_burst(arena, buffers)?
    };
    let given = if job == Job::Receive {
        0
    } else {
        tx.give_burst(arena, &buffers[..count])?
    };
    for buffer in &buffers[given..count] {
        arena.free(buffer.slot)?;
    }
    let moved = if job == Job::Receive {
        &buffers[..count]
    } else {
        &buffers[..given]
    };
    let frames = moved.iter().filter(|buffer| !buffer.more).count();
    let bytes: u64 = moved.iter().map(|buffer| u64::from(buffer.len)).sum();
    Ok((frames as u64, bytes))
}
