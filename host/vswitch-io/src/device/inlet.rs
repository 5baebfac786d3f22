//! The receive side of a device queue, owned by one worker.
#![expect(
    clippy::cast_possible_truncation,
    reason = "lengths and slots of one burst are far below 2^32"
)]

use std::io::{self, ErrorKind, IoSliceMut};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use memif_rs::RingError;
use vswitch::{BATCH_MAX, Batch, HEAD_MAX, Offload, SwIfIndex, Tail};

use super::af_packet::AfPacketQueue;
use super::pool::{SLOTS, TailPool};
use super::sys::{BURST_MAX, Received, VlanTag};
use super::tap::TapQueue;
use super::vnet::{self, PACKET_HEADER_LEN, TAP_HEADER_LEN};

/// Bytes of a VLAN tag, which the kernel takes out and we put back in.
const VLAN_LEN: usize = 4;
/// Bytes of both MAC addresses.
const MACS_LEN: usize = 12;

/// Where the frames of a queue come from.
#[derive(Debug)]
pub enum Source {
    /// A tap queue.
    Tap(Arc<TapQueue>),
    /// A packet socket.
    AfPacket(Arc<AfPacketQueue>),
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
    pub fn fill(&mut self, pool: &mut TailPool, batch: &mut Batch) -> Result<Burst, InletError> {
        match &mut self.source {
            Source::Tap(queue) => fill_from_tap(queue, self.sw_if_index, pool, batch),
            Source::AfPacket(queue) => fill_from_packets(queue, self.sw_if_index, pool, batch),
            Source::Memif(queue) => fill_from_memif(queue, self.sw_if_index, batch),
        }
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
            Source::AfPacket(queue) => queue.as_fd(),
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
    let mut burst = Burst::default();
    for (slot, tail) in pool.slots_mut().enumerate() {
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

fn fill_from_packets(
    queue: &AfPacketQueue,
    rx: SwIfIndex,
    pool: &mut TailPool,
    batch: &mut Batch,
) -> Result<Burst, InletError> {
    let mut burst = Burst::default();
    let mut headers = [[0; TAP_HEADER_LEN]; BURST_MAX];
    // Room in front for a VLAN tag to be put back.
    let mut heads = [[0; HEAD_MAX]; BURST_MAX];
    let mut received = [Received::default(); BURST_MAX];
    let count = {
        let mut tails = pool.slots_mut();
        let mut buffers = headers.iter_mut().zip(&mut heads);
        let mut messages: [_; BURST_MAX] = std::array::from_fn(|_| {
            let (header, head) = buffers
                .next()
                .map_or((&mut [][..], &mut [][..]), |(header, head)| {
                    (&mut header[..PACKET_HEADER_LEN], &mut head[VLAN_LEN..])
                });
            [header, head, tails.next().unwrap_or_default()].map(IoSliceMut::new)
        });
        match queue.recv_burst(&mut messages, &mut received) {
            Ok(count) => count,
            Err(error) if is_pause(&error) => 0,
            Err(error) => return Err(InletError::Device(error)),
        }
    };
    for (slot, (received, (header, head))) in received
        .iter()
        .zip(headers.iter().zip(&mut heads))
        .enumerate()
        .take(count)
    {
        let len = received.len.saturating_sub(PACKET_HEADER_LEN);
        let mut offload = vnet::read(header).filter(|_| !received.truncated);
        let (shift, grown) = match received.vlan {
            Some(tag) => {
                restore_vlan(head, tag, offload.as_mut());
                (0, VLAN_LEN)
            }
            None => (VLAN_LEN, 0),
        };
        let at = Tail {
            slot: slot as u32,
            offset: 0,
            len: (len + grown) as u32,
        };
        burst.push(
            batch,
            rx,
            head.get(shift..).unwrap_or_default(),
            at,
            offload,
        );
    }
    Ok(burst)
}

/// Puts a tag back between the MAC addresses, which stand [`VLAN_LEN`] bytes into `head`, and the EtherType.
fn restore_vlan(head: &mut [u8; HEAD_MAX], tag: VlanTag, offload: Option<&mut Offload>) {
    head.copy_within(VLAN_LEN..VLAN_LEN + MACS_LEN, 0);
    let ([p0, p1], [t0, t1]) = (tag.tpid.to_be_bytes(), tag.tci.to_be_bytes());
    head[MACS_LEN..MACS_LEN + VLAN_LEN].copy_from_slice(&[p0, p1, t0, t1]);
    if let Some(offload) = offload.filter(|offload| **offload != Offload::default()) {
        offload.csum_start += VLAN_LEN as u16;
        offload.hdr_len += VLAN_LEN as u16;
    }
}

fn fill_from_memif(
    queue: &mut memif_rs::RxQueue,
    rx: SwIfIndex,
    batch: &mut Batch,
) -> Result<Burst, InletError> {
    let mut burst = Burst::default();
    let count = queue.peek(BATCH_MAX).map_err(InletError::Ring)?;
    for (slot, packet) in queue.packets().take(count).enumerate() {
        let head_len = packet.len().min(HEAD_MAX);
        // The tail is the rest of the packet, still in the ring.
        let tail = (packet.len() > head_len).then(|| Tail {
            slot: slot as u32,
            offset: head_len as u32,
            len: (packet.len() - head_len) as u32,
        });
        let pushed = batch.receive(rx, head_len, tail, Offload::default(), |room| {
            packet.copy_out(0, room) == head_len
        });
        burst.record(pushed.is_ok());
    }
    Ok(burst)
}

impl Burst {
    /// Adds a frame of `at.len` bytes: the first are in `head`, those behind it where `at` says.
    fn push(
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

    fn record(&mut self, taken: bool) {
        self.frames += usize::from(taken);
        self.errors += u64::from(!taken);
    }
}

/// Whether a receive error only says "not now": nothing waiting, interrupted, or the interface is down.
fn is_pause(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::WouldBlock | ErrorKind::Interrupted | ErrorKind::NetworkDown
    )
}

const _: () = assert!(BURST_MAX <= SLOTS && SLOTS <= BATCH_MAX);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_goes_back_between_addresses_and_type_and_moves_the_offload() {
        let mut head = [0; HEAD_MAX];
        for (at, byte) in (0..).zip(&mut head[VLAN_LEN..]) {
            *byte = at;
        }
        let mut offload = Offload {
            needs_csum: true,
            csum_start: 34,
            csum_offset: 16,
            ..Offload::default()
        };
        restore_vlan(
            &mut head,
            VlanTag {
                tpid: 0x88a8,
                tci: 0x2064,
            },
            Some(&mut offload),
        );
        let addresses: Vec<u8> = (0..12).collect();
        assert_eq!(head[..12], addresses);
        assert_eq!(head[12..16], [0x88, 0xa8, 0x20, 0x64]);
        assert_eq!(head[16..18], [12, 13]);
        assert_eq!((offload.csum_start, offload.csum_offset), (38, 16));
    }

    #[test]
    fn a_frame_without_offload_work_gets_none_by_its_tag() {
        let mut offload = Offload::default();
        restore_vlan(
            &mut [0; HEAD_MAX],
            VlanTag {
                tpid: 0x8100,
                tci: 1,
            },
            Some(&mut offload),
        );
        assert_eq!(offload, Offload::default());
    }

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
