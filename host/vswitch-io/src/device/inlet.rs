//! The receive side of a device queue, owned by one worker.
#![expect(
    clippy::cast_possible_truncation,
    reason = "lengths and slots of one burst are far below 2^32"
)]

use std::io::{self, ErrorKind, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use memif_rs::{RingError, RxPacket};
use vswitch::{BATCH_MAX, Batch, HEAD_MAX, Offload, SwIfIndex, Tables, Tail};

use super::af_xdp::XdpRx;
use super::packets::PacketSource;
use super::pool::{SLOTS, TailPool};
use super::tap::TapQueue;
use super::vnet::{self, TAP_HEADER_LEN};

/// Bytes of super-frames read before they are sent on: what was read must still be in the core's cache then.
pub(super) const BURST_BYTES_MAX: usize = 192 * 1024;

/// Where the frames of a queue come from.
#[derive(Debug)]
pub enum Source {
    /// A tap queue.
    Tap(Arc<TapQueue>),
    /// A packet socket.
    AfPacket(Box<PacketSource>),
    /// An express data path socket.
    AfXdp(Box<XdpRx>),
    /// A memif ring.
    Memif(Box<memif_rs::RxQueue>),
}

/// How a queue is looked after.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RxMode {
    /// Its worker never sleeps.
    Polling,
    /// Its worker sleeps as soon as nothing waits.
    Interrupt,
    /// Its worker polls while there is traffic, and a moment longer.
    #[default]
    Adaptive,
}

/// A receive queue of an interface.
#[derive(Debug)]
pub struct Inlet {
    /// The interface.
    pub sw_if_index: SwIfIndex,
    /// Number of the queue in its interface.
    pub queue_id: u32,
    /// Where the frames come from.
    pub source: Source,
    /// How it is looked after.
    pub mode: RxMode,
}

/// Why a queue cannot be used any more.
#[derive(Debug, thiserror::Error)]
pub enum InletError {
    /// The kernel took the device away.
    #[error("device is gone")]
    Device(#[source] io::Error),
    /// The memif peer broke the protocol.
    #[error("memif ring is broken")]
    Ring(#[source] RingError),
}

/// What one poll brought.
#[derive(Clone, Copy, Debug, Default)]
pub struct Burst {
    /// Frames in the batch.
    pub frames: usize,
    /// Frames that could not be used.
    pub errors: u64,
}

impl Inlet {
    /// Fills an empty batch with what is waiting. Tails stay valid until [`Inlet::release`].
    pub fn fill(
        &mut self,
        pool: &mut TailPool,
        batch: &mut Batch,
        tables: &Tables,
    ) -> Result<Burst, InletError> {
        match &mut self.source {
            Source::Tap(queue) => fill_from_tap(queue, self.sw_if_index, pool, batch),
            Source::AfPacket(packets) => packets.fill(self.sw_if_index, pool, batch, tables),
            Source::AfXdp(queue) => Ok(fill_from_xdp(queue, self.sw_if_index, pool, batch)),
            Source::Memif(queue) => fill_from_memif(queue, self.sw_if_index, batch),
        }
    }

    /// Whether a burst had more frames than a batch: the pool still holds the others, and the next [`Inlet::fill`]
    /// brings them.
    pub fn has_more(&self) -> bool {
        matches!(&self.source, Source::AfPacket(packets) if packets.has_more())
    }

    /// Gives back what [`Inlet::fill`] took from the device.
    pub fn release(&mut self) {
        if let Source::Memif(queue) = &mut self.source {
            queue.release_all();
        }
    }

    /// Whether to look for frames every turn: because it costs no system call, or because it is asked for.
    pub fn is_polled(&self) -> bool {
        matches!(self.source, Source::Memif(_)) || self.mode == RxMode::Polling
    }
}

impl AsFd for Inlet {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match &self.source {
            Source::Tap(queue) => queue.as_fd(),
            Source::AfPacket(packets) => packets.as_fd(),
            Source::AfXdp(queue) => queue.as_fd(),
            Source::Memif(queue) => queue.as_fd(),
        }
    }
}

fn fill_from_tap(
    queue: &TapQueue,
    rx: SwIfIndex,
    pool: &mut TailPool,
    batch: &mut Batch,
) -> Result<Burst, InletError> {
    let (mut burst, mut bytes) = (Burst::default(), 0);
    for (slot, tail) in pool.slots_mut().enumerate() {
        if bytes >= BURST_BYTES_MAX {
            break;
        }
        let (mut header, mut head) = ([0; TAP_HEADER_LEN], [0; HEAD_MAX]);
        let mut parts = [
            IoSliceMut::new(&mut header),
            IoSliceMut::new(&mut head),
            IoSliceMut::new(tail),
        ];
        let len = match queue.recv(&mut parts) {
            Ok(len) => len.saturating_sub(TAP_HEADER_LEN),
            Err(error) if is_pause(&error) => break,
            Err(error) => return Err(InletError::Device(error)),
        };
        bytes += len;
        let offload = vnet::read(&header);
        let at = Tail {
            slot: slot as u32,
            offset: 0,
            len: len as u32,
        };
        burst.push(batch, rx, &head, at, offload);
    }
    Ok(burst)
}

fn fill_from_xdp(
    queue: &mut XdpRx,
    rx: SwIfIndex,
    pool: &mut TailPool,
    batch: &mut Batch,
) -> Burst {
    let mut burst = Burst::default();
    let mut slot = 0;
    queue.receive(SLOTS, |len, copy| {
        let mut head = [0; HEAD_MAX];
        let front = len.min(HEAD_MAX);
        copy(0, head.get_mut(..front).unwrap_or_default());
        if let Some(tail) = pool.slot_mut(slot).get_mut(..len - front) {
            copy(front, tail);
        }
        let at = Tail {
            slot: slot as u32,
            offset: 0,
            len: len as u32,
        };
        burst.push(batch, rx, &head, at, Some(Offload::default()));
        slot += 1;
    });
    burst
}

fn fill_from_memif(
    queue: &mut memif_rs::RxQueue,
    rx: SwIfIndex,
    batch: &mut Batch,
) -> Result<Burst, InletError> {
    let count = queue.peek(BATCH_MAX).map_err(InletError::Ring)?;
    let packets = queue.packets().take(count).enumerate();
    let shape = |(slot, packet): &(usize, RxPacket<'_>)| {
        let head_len = packet.len().min(HEAD_MAX);
        // The tail is the rest of the packet, still in the ring.
        let tail = (packet.len() > head_len).then(|| Tail {
            slot: *slot as u32,
            offset: head_len as u32,
            len: (packet.len() - head_len) as u32,
        });
        (head_len, tail)
    };
    let (frames, refused) = batch.receive_burst(rx, packets, shape, |(_, packet), head| {
        packet.copy_out(0, head) == head.len()
    });
    Ok(Burst {
        frames,
        errors: refused as u64,
    })
}

impl Burst {
    /// Adds a frame of `at.len` bytes: the first are in `head`, those behind it where `at` says.
    pub(super) fn push(
        &mut self,
        batch: &mut Batch,
        rx: SwIfIndex,
        head: &[u8],
        at: Tail,
        offload: Option<Offload>,
    ) {
        let head = head.get(..at.len as usize).unwrap_or(head);
        let rest = at.len - head.len() as u32;
        let tail = (rest > 0).then_some(Tail { len: rest, ..at });
        self.record(offload.is_some_and(|offload| batch.push(rx, head, tail, offload).is_ok()));
    }

    pub(super) fn record(&mut self, taken: bool) {
        self.frames += usize::from(taken);
        self.errors += u64::from(!taken);
    }
}

/// Whether a receive error only says "not now": nothing waiting, interrupted, or the interface is down.
pub(super) fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NetworkDown
    )
}

const _: () = assert!(SLOTS <= BATCH_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_every_length_are_taken_and_unknown_work_is_an_error() {
        let mut batch = Batch::new();
        let mut burst = Burst::default();
        for len in [60, 192, 193, 65_000] {
            let at = Tail {
                slot: 3,
                offset: 7,
                len,
            };
            burst.push(
                &mut batch,
                SwIfIndex(1),
                &[0; HEAD_MAX],
                at,
                Some(Offload::default()),
            );
        }
        // A kind of segmentation nobody asked for.
        burst.push(
            &mut batch,
            SwIfIndex(1),
            &[0; HEAD_MAX],
            Tail {
                slot: 0,
                offset: 0,
                len: 60,
            },
            None,
        );
        assert_eq!((burst.frames, burst.errors, batch.rx_len()), (4, 1, 4));
    }
}
