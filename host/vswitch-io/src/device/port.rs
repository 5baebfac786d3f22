//! The transmit side of an interface, shared by all workers.
//!
//! Kernel devices take frames from any thread. A memif ring has one writer at a time, so workers take its lock: once
//! per batch, and uncontended when there is a ring per worker.
#![expect(
    clippy::cast_possible_truncation,
    reason = "slots of one burst are far below 2^32"
)]

mod packets;
mod taps;

use std::sync::Arc;

use memif_rs::{RxQueue, TxQueue};
use parking_lot::Mutex;
use vswitch::offload::{Caps, TrainRoom, segment};
use vswitch::{Batch, Frame, FrameId, Tail};

use super::af_packet::AfPacketQueue;
use super::af_xdp::XdpTx;
use super::pool::{KEPT, TailPool};
use super::tap::TapQueue;

/// Bytes of one frame made whole, with room for encapsulation in front of 64 KiB.
const WHOLE_LEN: usize = 66 * 1024;

/// Where frames of an interface go to.
#[derive(Debug)]
pub enum Port {
    /// A tap, by queue.
    Tap(Vec<Arc<TapQueue>>),
    /// Packet sockets, by queue.
    AfPacket(Vec<Arc<AfPacketQueue>>),
    /// Express data path sockets, by queue.
    AfXdp(Vec<Mutex<XdpTx>>),
    /// Memif rings.
    Memif(Vec<Mutex<TxQueue>>),
}

/// What became of the frames of one list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Frames the device refused or had no room for.
    pub errors: u64,
}

/// Where the tails of a batch are: in the worker's pool, or still in the ring they came by.
#[derive(Debug)]
pub struct Tails<'a> {
    /// The worker's pool.
    pub pool: &'a mut TailPool,
    /// The ring, when the batch came by memif; the pool is free then.
    pub ring: Option<&'a RxQueue>,
}

/// Working memory of one worker for frames that need software to finish them.
#[derive(Debug)]
pub struct Scratch {
    whole: Vec<u8>,
    segment: Vec<u8>,
    trains: TrainRoom,
}

impl Default for Scratch {
    fn default() -> Self {
        Self {
            whole: vec![0; WHOLE_LEN],
            segment: vec![0; WHOLE_LEN],
            trains: TrainRoom::default(),
        }
    }
}

impl Port {
    /// Which work the device does itself.
    pub fn caps(&self) -> Caps {
        match self {
            Self::Tap(_) | Self::AfPacket(_) => Caps {
                csum: true,
                gso: true,
            },
            Self::AfXdp(_) | Self::Memif(_) => Caps {
                csum: false,
                gso: false,
            },
        }
    }

    /// Sends a list of frames of a batch; `worker` picks the queue.
    pub fn send(
        &self,
        worker: usize,
        batch: &Batch,
        ids: &[FrameId],
        tails: &mut Tails<'_>,
        scratch: &mut Scratch,
    ) -> Sent {
        match self {
            Self::Tap(queues) => pick(queues, worker).map_or(Sent::lost(ids.len()), |queue| {
                taps::send(queue, self.caps(), batch, ids, tails, scratch)
            }),
            Self::AfPacket(queues) => pick(queues, worker).map_or(Sent::lost(ids.len()), |queue| {
                packets::send(queue, self.caps(), batch, ids, tails, scratch)
            }),
            Self::AfXdp(queues) => pick(queues, worker).map_or(Sent::lost(ids.len()), |queue| {
                send_to_xdp(&mut queue.lock(), self.caps(), batch, ids, tails, scratch)
            }),
            Self::Memif(queues) => pick(queues, worker).map_or(Sent::lost(ids.len()), |queue| {
                send_to_memif(&mut queue.lock(), self.caps(), batch, ids, tails, scratch)
            }),
        }
    }
}

impl Sent {
    fn lost(frames: usize) -> Self {
        Self {
            errors: frames as u64,
        }
    }

    fn record(&mut self, sent: bool) {
        self.errors += u64::from(!sent);
    }
}

impl Tails<'_> {
    /// Makes a tail readable as plain memory; a tail in a ring is copied to slot `spare` of the pool.
    fn stage(&mut self, tail: Option<Tail>, spare: usize) -> Tail {
        let Some(tail) = tail else {
            return Tail {
                slot: 0,
                offset: 0,
                len: 0,
            };
        };
        let Some(ring) = self.ring.filter(|_| tail.slot != KEPT) else {
            return tail;
        };
        let slot = self.pool.slot_mut(spare);
        let room = slot.len().min(tail.len as usize);
        let copied = ring.packet(tail.slot as usize).map_or(0, |packet| {
            packet.copy_out(
                tail.offset as usize,
                slot.get_mut(..room).unwrap_or_default(),
            )
        });
        Tail {
            slot: spare as u32,
            offset: 0,
            len: copied as u32,
        }
    }

    /// Makes the tails of up to `N` frames readable, each with a slot of its own.
    fn stage_all<const N: usize>(&mut self, batch: &Batch, ids: &[FrameId]) -> [Tail; N] {
        let mut staged = [Tail::default(); N];
        for ((spare, place), id) in staged.iter_mut().enumerate().zip(ids) {
            *place = self.stage(batch.frame(*id).tail, spare);
        }
        staged
    }

    /// Copies a tail to `room`, and gives how many bytes there were.
    pub fn copy(&self, tail: Option<Tail>, room: &mut [u8]) -> usize {
        let Some(tail) = tail else { return 0 };
        if let Some(ring) = self.ring.filter(|_| tail.slot != KEPT) {
            return ring
                .packet(tail.slot as usize)
                .map_or(0, |packet| packet.copy_out(tail.offset as usize, room));
        }
        let bytes = self.bytes(tail);
        let len = bytes.len().min(room.len());
        if let (Some(to), Some(from)) = (room.get_mut(..len), bytes.get(..len)) {
            to.copy_from_slice(from);
        }
        len
    }

    fn bytes(&self, staged: Tail) -> &[u8] {
        self.pool.bytes(staged.slot, staged.offset, staged.len)
    }
}

fn send_to_xdp(
    queue: &mut XdpTx,
    caps: Caps,
    batch: &Batch,
    ids: &[FrameId],
    tails: &mut Tails<'_>,
    scratch: &mut Scratch,
) -> Sent {
    let mut sent = Sent::default();
    for id in ids {
        let frame = batch.frame(*id);
        let tail = tails.stage(frame.tail, 0);
        if frame.offload.needs_software(caps) {
            let finished = finish(frame, tails.bytes(tail), scratch, |whole| {
                sent.record(queue.push(&[whole]));
            });
            sent.record(finished);
            continue;
        }
        sent.record(queue.push(&[frame.head(), tails.bytes(tail)]));
    }
    queue.commit();
    sent
}

fn send_to_memif(
    queue: &mut TxQueue,
    caps: Caps,
    batch: &Batch,
    ids: &[FrameId],
    tails: &mut Tails<'_>,
    scratch: &mut Scratch,
) -> Sent {
    let mut sent = Sent::default();
    for id in ids {
        let frame = batch.frame(*id);
        if frame.offload.needs_software(caps) {
            let tail = tails.stage(frame.tail, 0);
            let finished = finish(frame, tails.bytes(tail), scratch, |whole| {
                sent.record(queue.push(&[whole]).unwrap_or(false));
            });
            sent.record(finished);
            continue;
        }
        let queued = match (frame.tail, tails.ring) {
            (Some(tail), Some(ring)) if tail.slot != KEPT => {
                ring.packet(tail.slot as usize).map_or(Ok(false), |packet| {
                    let tail = (&packet, tail.offset as usize, tail.len as usize);
                    queue.push_with_tail(frame.head(), Some(tail))
                })
            }
            (Some(tail), _) => queue.push(&[frame.head(), tails.bytes(tail)]),
            (None, _) => queue.push_with_tail(frame.head(), None),
        };
        sent.record(queued.unwrap_or(false));
    }
    queue.commit();
    sent
}

/// Makes the frame whole and does the work the device cannot do: one or more finished frames. False when the frame's
/// own claims about itself make that impossible.
fn finish(frame: &Frame, tail: &[u8], scratch: &mut Scratch, each: impl FnMut(&[u8])) -> bool {
    let head = frame.head();
    let len = head.len() + tail.len();
    let Some(whole) = scratch.whole.get_mut(..len) else {
        return false;
    };
    let (front, back) = whole.split_at_mut(head.len());
    front.copy_from_slice(head);
    back.copy_from_slice(tail);
    segment(whole, &frame.offload, &mut scratch.segment, each).is_ok()
}

fn pick<T>(queues: &[T], worker: usize) -> Option<&T> {
    queues.get(worker.checked_rem(queues.len())?)
}
