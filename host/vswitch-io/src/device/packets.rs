//! The receive side of a packet socket: a burst of messages, and the frames in them.
//!
//! A message may be a super-datagram with packets of a tunnel of ours. It is cut, because the graph looks into each of
//! them; what a batch has no room for waits in the pool for the next.
#![expect(
    clippy::cast_possible_truncation,
    reason = "lengths and slots of one burst are far below 2^32"
)]

use std::io::IoSliceMut;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use vswitch::offload::{Datagrams, Joined};
use vswitch::{Batch, HEAD_MAX, Offload, SwIfIndex, Tables, Tail};

use super::af_packet::AfPacketQueue;
use super::inlet::{BURST_BYTES_MAX, Burst, InletError, is_pause};
use super::pool::{SLOTS, TailPool};
use super::sys::{BURST_MAX, Received, VlanTag};
use super::vnet::{self, PACKET_HEADER_LEN, TAP_HEADER_LEN};

/// Bytes of a VLAN tag, which the kernel takes out and we put back in.
const VLAN_LEN: usize = 4;
/// Bytes of both MAC addresses.
const MACS_LEN: usize = 12;

/// A packet socket with the burst received last.
#[derive(Debug)]
pub struct PacketSource {
    queue: Arc<AfPacketQueue>,
    room: Room,
    /// Messages of the burst.
    count: usize,
    /// The next of them.
    at: usize,
    /// Messages to ask for.
    most: usize,
    cutting: Option<Cutting>,
}

/// The message that is being cut.
#[derive(Debug)]
struct Cutting {
    datagrams: Datagrams,
    /// The next of them.
    next: usize,
    /// The tunnel ends here. What only passes is not joined: it may enter a tunnel of ours.
    joins: bool,
}

/// Headers and heads of one burst; the rest of message `n` is in slot `n` of the pool.
#[derive(Debug)]
struct Room {
    headers: [[u8; TAP_HEADER_LEN]; BURST_MAX],
    /// With room in front for a VLAN tag to be put back.
    heads: [[u8; HEAD_MAX]; BURST_MAX],
    received: [Received; BURST_MAX],
}

impl PacketSource {
    /// Receives from a socket.
    pub fn new(queue: Arc<AfPacketQueue>) -> Self {
        Self {
            queue,
            room: Room {
                headers: [[0; TAP_HEADER_LEN]; BURST_MAX],
                heads: [[0; HEAD_MAX]; BURST_MAX],
                received: [Received::default(); BURST_MAX],
            },
            count: 0,
            at: 0,
            most: BURST_MAX,
            cutting: None,
        }
    }

    /// Whether frames of the last burst are still to be fetched.
    pub(super) fn has_more(&self) -> bool {
        self.at < self.count
    }

    /// Fills a batch: with what is left of the last burst, or a new one.
    pub(super) fn fill(
        &mut self,
        rx: SwIfIndex,
        pool: &mut TailPool,
        batch: &mut Batch,
        tables: &Tables,
    ) -> Result<Burst, InletError> {
        if !self.has_more() {
            (self.at, self.cutting) = (0, None);
            self.count = self.receive(pool)?;
        }
        let mut burst = Burst::default();
        while self.has_more() && !batch.is_full() {
            if self.take(rx, pool, batch, tables, &mut burst) {
                (self.at, self.cutting) = (self.at + 1, None);
            }
        }
        Ok(burst)
    }

    fn receive(&mut self, pool: &mut TailPool) -> Result<usize, InletError> {
        let room = &mut self.room;
        let mut tails = pool.slots_mut();
        let mut buffers = room.headers.iter_mut().zip(&mut room.heads);
        let mut messages: [_; BURST_MAX] = std::array::from_fn(|_| {
            let (header, head) = buffers
                .next()
                .map_or((&mut [][..], &mut [][..]), |(header, head)| {
                    (&mut header[..PACKET_HEADER_LEN], &mut head[VLAN_LEN..])
                });
            [header, head, tails.next().unwrap_or_default()].map(IoSliceMut::new)
        });
        let messages = messages.get_mut(..self.most).unwrap_or_default();
        match self.queue.recv_burst(messages, &mut room.received) {
            Ok(count) => {
                let received = room.received.iter().take(count);
                self.most = messages_max(count, received.map(|message| message.len).sum());
                Ok(count)
            }
            Err(error) if is_pause(&error) => Ok(0),
            Err(error) => Err(InletError::Device(error)),
        }
    }

    /// Takes frames of one message; `false` when the batch became full before its end.
    fn take(
        &mut self,
        rx: SwIfIndex,
        pool: &mut TailPool,
        batch: &mut Batch,
        tables: &Tables,
        burst: &mut Burst,
    ) -> bool {
        let slot = self.at;
        let received = self.room.received[slot];
        let (shift, grown) = if received.vlan.is_some() {
            (0, VLAN_LEN)
        } else {
            (VLAN_LEN, 0)
        };
        let len = received.len.saturating_sub(PACKET_HEADER_LEN) + grown;
        if self.cutting.is_none() {
            let mut offload = vnet::read(&self.room.headers[slot]).filter(|_| !received.truncated);
            if let Some(tag) = received.vlan {
                restore_vlan(&mut self.room.heads[slot], tag, offload.as_mut());
            }
            let head = &self.room.heads[slot][shift..];
            let datagrams = offload
                .as_ref()
                .and_then(|offload| Datagrams::of(head, len, offload))
                .filter(|datagrams| tables.vxlan_ports().contains(&datagrams.dst_port()));
            let Some(datagrams) = datagrams else {
                let at = Tail {
                    slot: slot as u32,
                    offset: 0,
                    len: len as u32,
                };
                burst.push(batch, rx, head, at, offload);
                return true;
            };
            let joins = head
                .get(datagrams.l3()..)
                .is_some_and(|packet| tables.ends_vxlan(rx, packet));
            self.cutting = Some(Cutting {
                datagrams,
                next: 0,
                joins,
            });
        }
        let near = &self.room.heads[slot][shift..];
        let far_len = len.saturating_sub(near.len());
        let Some(cutting) = &mut self.cutting else {
            return true;
        };
        cutting.fill((rx, slot), (near, far_len), pool, batch, burst)
    }
}

/// How many messages to ask for next, when the last were `count` of `bytes` together: not more of their length than
/// a core's cache keeps until they are sent on.
fn messages_max(count: usize, bytes: usize) -> usize {
    (BURST_BYTES_MAX * count)
        .checked_div(bytes)
        .map_or(BURST_MAX, |most| most.clamp(1, BURST_MAX))
}

impl Cutting {
    /// Adds what is left of the message; `false` when the batch became full before.
    fn fill(
        &mut self,
        (rx, slot): (SwIfIndex, usize),
        (near, far_len): (&[u8], usize),
        pool: &mut TailPool,
        batch: &mut Batch,
        burst: &mut Burst,
    ) -> bool {
        let Self {
            datagrams,
            next,
            joins,
        } = self;
        while !batch.is_full() {
            let far = pool.bytes(slot as u32, 0, far_len as u32);
            if *joins && let Some(joined) = Joined::of(datagrams, *next, near, far) {
                *next += joined.count;
                let far = pool.slot_mut(slot).get_mut(..far_len).unwrap_or_default();
                let payload = joined.move_together(datagrams, far);
                let tail = Tail {
                    slot: slot as u32,
                    offset: payload.start as u32,
                    len: payload.len() as u32,
                };
                let pushed = batch.push(rx, joined.head(), Some(tail), joined.offload);
                burst.record(pushed.is_ok());
                continue;
            }
            let Some((header, range, offload)) = datagrams.datagram(*next) else {
                return true;
            };
            *next += 1;
            let pushed = push_part(batch, rx, header.bytes(), range, (near, far), slot, offload);
            burst.record(pushed);
        }
        false
    }
}

/// Adds a frame of `header` and the bytes of `range`, which counts through both parts of a message in `slot`.
fn push_part(
    batch: &mut Batch,
    rx: SwIfIndex,
    header: &[u8],
    range: std::ops::Range<usize>,
    (near, far): (&[u8], &[u8]),
    slot: usize,
    offload: Offload,
) -> bool {
    let head_len = HEAD_MAX.min(header.len() + range.len());
    let split = near.len();
    // Where the head ends; with headers as long as those in front of the range, that is not before the far part.
    let end = range.start + head_len - header.len();
    let tail = (end < range.end).then(|| Tail {
        slot: slot as u32,
        offset: end.max(split) as u32 - split as u32,
        len: (range.end - end) as u32,
    });
    if end < split && tail.is_some() {
        return false;
    }
    let filled = batch.receive(rx, head_len, tail, offload, |room| {
        let (front, rest) = room.split_at_mut(header.len());
        front.copy_from_slice(header);
        let from_near = near.get(range.start.min(split)..end.min(split));
        let from_far = far.get(range.start.max(split) - split..end.max(split) - split);
        let (Some(from_near), Some(from_far)) = (from_near, from_far) else {
            return false;
        };
        let (first, second) = rest.split_at_mut(from_near.len());
        first.copy_from_slice(from_near);
        second.copy_from_slice(from_far);
        true
    });
    filled.is_ok()
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

impl AsFd for PacketSource {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.queue.as_fd()
    }
}

const _: () = assert!(BURST_MAX <= SLOTS);

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
    fn bursts_of_super_datagrams_are_short_and_others_are_not() {
        assert_eq!(messages_max(32, 32 * 65_000), 3);
        assert_eq!(messages_max(1, 65_000), 3);
        assert_eq!(messages_max(3, 3 * 1500), BURST_MAX);
        assert_eq!(messages_max(0, 0), BURST_MAX);
        assert_eq!(messages_max(1, usize::MAX), 1);
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
}
