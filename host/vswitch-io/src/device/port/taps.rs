//! Frames to a tap: consecutive segments of a TCP flow as one super-frame, which the pod's kernel takes like a packet.

use std::io::IoSlice;

use vswitch::offload::{Caps, RUN_PIECES_MAX, Run, Segment};
use vswitch::{Batch, Frame, FrameId};

use super::{Scratch, Sent, Tails, finish};
use crate::device::pool::SLOTS;
use crate::device::tap::TapQueue;
use crate::device::vnet::{self, TAP_HEADER_LEN};

/// Slices of a super-frame: virtio-net header, headers, payload.
const SLICES_MAX: usize = RUN_PIECES_MAX + 2;

pub(super) fn send(
    queue: &TapQueue,
    caps: Caps,
    batch: &Batch,
    ids: &[FrameId],
    tails: &mut Tails<'_>,
    scratch: &mut Scratch,
) -> Sent {
    let mut sent = Sent::default();
    for ids in ids.chunks(SLOTS) {
        let staged: [_; SLOTS] = tails.stage_all(batch, ids);
        let mut run: Option<Run<'_>> = None;
        for (id, tail) in ids.iter().zip(staged) {
            let (frame, tail) = (batch.frame(*id), tails.bytes(tail));
            let segment = Segment::of(frame.head(), tail, &frame.offload);
            if let (Some(run), Some(segment)) = (&mut run, segment)
                && run.take(segment)
            {
                continue;
            }
            if let Some(run) = run.take() {
                send_run(queue, run, &mut sent);
            }
            match segment {
                Some(segment) => run = Some(Run::new(segment)),
                None => send_one(queue, caps, (frame, tail), scratch, &mut sent),
            }
        }
        if let Some(run) = run {
            send_run(queue, run, &mut sent);
        }
    }
    sent
}

fn send_one(
    queue: &TapQueue,
    caps: Caps,
    (frame, tail): (&Frame, &[u8]),
    scratch: &mut Scratch,
    sent: &mut Sent,
) {
    if frame.offload.needs_software(caps) {
        let plain = [0; TAP_HEADER_LEN];
        let finished = finish(frame, tail, scratch, |whole| {
            sent.record(queue.send(&[&plain, whole].map(IoSlice::new)).is_ok());
        });
        sent.record(finished);
        return;
    }
    let header = vnet::write(&frame.offload);
    let slices = [&header, frame.head(), tail].map(IoSlice::new);
    sent.record(queue.send(&slices).is_ok());
}

fn send_run(queue: &TapQueue, mut run: Run<'_>, sent: &mut Sent) {
    let count = run.count() as u64;
    let (head, tail, offload) = run.first();
    let plain = vnet::write(&offload);
    let is_sent = match run.whole() {
        Some(whole) => {
            let header = vnet::write(&whole.offload);
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let parts = [&header[..], whole.headers];
            let parts = parts.into_iter().chain(whole.pieces.iter().copied());
            for (slice, part) in slices.iter_mut().zip(parts) {
                *slice = IoSlice::new(part);
            }
            queue.send(slices.get(..whole.pieces.len() + 2).unwrap_or_default())
        }
        None => queue.send(&[&plain, head, tail].map(IoSlice::new)),
    };
    if is_sent.is_err() {
        sent.errors += count;
    }
}
