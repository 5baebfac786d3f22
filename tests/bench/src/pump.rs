//! Both sides of a dataplane in one process: a generator with its sink, and a prober of single frames.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use clap::Args;
use memif_rs::{Address, RxQueue, TxQueue};
use serde::{Deserialize, Serialize};

use crate::memif::{BURST, Control, End, count, read_in_place, send};
use crate::traffic::{Generator, Side, Size, Traffic};

/// How long a first frame of every flow may take.
const PRIME_MAX: Duration = Duration::from_secs(90);
/// How long a probe may take.
const PROBE_MAX: Duration = Duration::from_millis(200);

/// Sends on each of two links and counts what comes out of the other.
#[derive(Clone, Debug, Args)]
pub(crate) struct PumpArguments {
    #[arg(long)]
    pub(crate) socket: PathBuf,
    /// Bytes of a frame; 0 for a mix
    #[arg(long, default_value_t = 64)]
    pub(crate) size: usize,
    #[arg(long, default_value_t = 1.0)]
    pub(crate) seconds: f64,
    #[arg(long, value_enum, default_value = "ip4")]
    pub(crate) traffic: Traffic,
    /// Routed networks that frames go to; 0 for the connected one
    #[arg(long, default_value_t = 0)]
    pub(crate) networks: u32,
}

/// Sends single frames on the first link, with pauses, and waits for each on the second.
#[derive(Clone, Debug, Args)]
pub(crate) struct ProbeArguments {
    #[arg(long)]
    pub(crate) socket: PathBuf,
    #[arg(long, default_value_t = 50)]
    pub(crate) count: usize,
    #[arg(long, default_value_t = 20)]
    pub(crate) pause_ms: u64,
}

/// What a prober saw.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Probed {
    /// Microseconds from sending to seeing, of each probe.
    pub(crate) micros: Vec<f64>,
    pub(crate) lost: usize,
}

/// One link of the dataplane, seen from outside.
struct Wire {
    end: End,
    rx: RxQueue,
    tx: TxQueue,
}

struct Wires([Wire; 2]);

impl Control for Wires {
    fn is_up(&mut self) -> bool {
        self.0.iter_mut().all(|wire| wire.end.is_up())
    }
}

impl Wires {
    fn connect(address: &Address) -> anyhow::Result<Self> {
        let wire = |id| {
            let mut end = End::client(id, address, false)?;
            let queues = end.connect()?.into_copy();
            let (mut rx, mut tx) = queues.context("links are of the copying kind")?;
            Ok::<_, anyhow::Error>(Wire {
                end,
                rx: rx.pop().context("the peer sends no frames")?,
                tx: tx.pop().context("the peer takes no frames")?,
            })
        };
        Ok(Self([wire(0)?, wire(1)?]))
    }
}

/// Runs a generator and sink for a dataplane between links 0 and 1 of a socket.
pub(crate) fn pump(arguments: &PumpArguments) -> anyhow::Result<()> {
    let size = Size::of_argument(arguments.size);
    let frames = |side: &Side| Generator::new(arguments.traffic, size, side, arguments.networks);
    let mut generators = [frames(&Side::LEFT), frames(&Side::RIGHT)];
    let mut wires = Wires::connect(&Address::path(&arguments.socket))?;
    let [left, right] = &mut wires.0;
    let mut links = [(&mut left.rx, &mut left.tx), (&mut right.rx, &mut right.tx)];
    let mut ends = Ends([&mut left.end, &mut right.end]);
    let deadline = Instant::now() + PRIME_MAX;
    while !generators.iter().all(Generator::is_primed) {
        for ((rx, tx), frames) in links.iter_mut().zip(&mut generators) {
            send(tx, frames)?;
            read_in_place(rx)?;
        }
        if Instant::now() > deadline {
            bail!("the dataplane took not every flow in {PRIME_MAX:?}");
        }
    }
    count(
        &mut ends,
        Duration::from_secs_f64(arguments.seconds),
        || {
            let (mut received, mut full) = (0, false);
            for ((rx, tx), frames) in links.iter_mut().zip(&mut generators) {
                full |= send(tx, frames)? < BURST;
                received += read_in_place(rx)?;
            }
            Ok((received, full))
        },
    )
}

struct Ends<'a>([&'a mut End; 2]);

impl Control for Ends<'_> {
    fn is_up(&mut self) -> bool {
        self.0.iter_mut().all(|end| end.is_up())
    }
}

/// Measures how long a frame takes through a dataplane that had nothing to do before.
pub(crate) fn probe(arguments: &ProbeArguments) -> anyhow::Result<()> {
    let mut wires = Wires::connect(&Address::path(&arguments.socket))?;
    let mut frames = Generator::new(Traffic::Ip4, Size::Bytes(64), &Side::LEFT, 0);
    let mut probed = Probed {
        micros: Vec::new(),
        lost: 0,
    };
    for _ in 0..arguments.count {
        std::thread::sleep(Duration::from_millis(arguments.pause_ms));
        if !wires.is_up() {
            bail!("the link went down");
        }
        let [left, right] = &mut wires.0;
        let start = Instant::now();
        left.tx.push(&[frames.frame()])?;
        left.tx.commit();
        let seen = loop {
            if read_in_place(&mut right.rx)? > 0 {
                break true;
            }
            if start.elapsed() > PROBE_MAX {
                break false;
            }
            std::hint::spin_loop();
        };
        if seen {
            probed.micros.push(start.elapsed().as_secs_f64() * 1e6);
        } else {
            probed.lost += 1;
        }
    }
    println!("{}", serde_json::to_string(&probed)?);
    Ok(())
}
