//! Frames to a packet socket: bursts of plain ones, and trains of tunnel packets where the kernel takes them.

use std::io::IoSlice;

use vswitch::offload::{Caps, TRAIN_PIECES_MAX, Train};
use vswitch::{Batch, Frame, FrameId, Offload, Tail};

use super::{Scratch, Sent, Tails, finish};
use crate::device::af_packet::AfPacketQueue;
use crate::device::sys::{BURST_MAX, PARTS};
use crate::device::vnet::{self, PACKET_HEADER_LEN, TAP_HEADER_LEN};

/// Slices of a train: virtio-net header, headers and payloads.
const SLICES_MAX: usize = TRAIN_PIECES_MAX + 1;

pub(super) fn send(
    queue: &AfPacketQueue,
    caps: Caps,
    batch: &Batch,
    ids: &[FrameId],
    tails: &mut Tails<'_>,
    scratch: &mut Scratch,
) -> Sent {
    let mut sent = Sent::default();
    for burst in ids.chunks(BURST_MAX) {
        let staged: [_; BURST_MAX] = tails.stage_all(batch, burst);
        let is_plain = |id: &&FrameId| !batch.frame(**id).offload.needs_software(caps);
        let (mut left, mut places) = (burst, &staged[..]);
        // In the order of the list: a flow has frames of both kinds.
        while let Some(first) = left.first() {
            let count = left.iter().take_while(is_plain).count();
            if count > 0 {
                send_plain(queue, batch, &left[..count], places, tails, &mut sent);
            } else {
                let frame = batch.frame(*first);
                send_pending(queue, frame, tails.bytes(places[0]), scratch, &mut sent);
            }
            (left, places) = (&left[count.max(1)..], &places[count.max(1)..]);
        }
    }
    sent
}

fn send_plain(
    queue: &AfPacketQueue,
    batch: &Batch,
    ids: &[FrameId],
    places: &[Tail],
    tails: &Tails<'_>,
    sent: &mut Sent,
) {
    let mut headers = [[0; TAP_HEADER_LEN]; BURST_MAX];
    for (header, id) in headers.iter_mut().zip(ids) {
        *header = vnet::write(&batch.frame(*id).offload);
    }
    let messages: [[IoSlice<'_>; PARTS]; BURST_MAX] = std::array::from_fn(|at| {
        let head = ids.get(at).map_or(&[][..], |id| batch.frame(*id).head());
        let tail = places.get(at).map_or(&[][..], |place| tails.bytes(*place));
        [&headers[at][..PACKET_HEADER_LEN], head, tail].map(IoSlice::new)
    });
    sent.errors += send_all(queue, &messages[..ids.len()]);
}

/// Sends all messages, skipping over those the kernel refuses; returns how many it refused.
fn send_all(queue: &AfPacketQueue, mut messages: &[[IoSlice<'_>; PARTS]]) -> u64 {
    let mut errors = 0;
    while !messages.is_empty() {
        let left = queue.send_burst(messages).unwrap_or(0);
        if left == 0 {
            errors += 1;
        }
        messages = messages.get(left.max(1)..).unwrap_or_default();
    }
    errors
}

/// Sends a frame whose work the device cannot do as it is: in trains, or piece by piece.
fn send_pending(
    queue: &AfPacketQueue,
    frame: &Frame,
    tail: &[u8],
    scratch: &mut Scratch,
    sent: &mut Sent,
) {
    if queue.takes_trains()
        && let Some(train) = Train::of(frame.head(), tail, &frame.offload)
    {
        let mut is_refused = false;
        let given = train.each(&mut scratch.trains, |offload, pieces| {
            is_refused = is_refused || !send_train(queue, offload, pieces, sent);
        });
        sent.record(given.is_ok());
        if !is_refused {
            return;
        }
    }
    let plain = [0; PACKET_HEADER_LEN];
    let finished = finish(frame, tail, scratch, |whole| {
        let message = [&plain[..], whole, &[]].map(IoSlice::new);
        sent.record(queue.send_burst(&[message]).is_ok_and(|count| count == 1));
    });
    sent.record(finished);
}

/// Sends a train; `false` when this kernel takes none.
fn send_train(queue: &AfPacketQueue, offload: &Offload, pieces: &[&[u8]], sent: &mut Sent) -> bool {
    let header = vnet::write(offload);
    let mut slices = [IoSlice::new(&[]); SLICES_MAX];
    let parts = std::iter::once(&header[..PACKET_HEADER_LEN]).chain(pieces.iter().copied());
    for (slice, part) in slices.iter_mut().zip(parts) {
        *slice = IoSlice::new(part);
    }
    let sent_it = queue.send_train(slices.get(..=pieces.len()).unwrap_or_default());
    sent.record(sent_it.is_ok());
    sent_it.unwrap_or(true)
}
