//! Puts bytes into, and takes them out of, the headers of a packet.

use crate::frame::Frame;
use crate::offload::Tunnel;

/// Makes room for `n` bytes at offset `at` of the frame and gives it; `None` when the headroom is used up or
/// `at` is not in the head.
pub(super) fn insert(frame: &mut Frame, at: usize, n: usize) -> Option<&mut [u8]> {
    if at > frame.head_len() {
        return None;
    }
    let outer = frame.offload.tunnel;
    frame.push(n)?;
    keep_outer(frame, outer);
    let head = frame.head_mut();
    head.copy_within(n..n + at, 0);
    head.get_mut(at..at + n)
}

/// Removes `n` bytes at offset `at` of the frame; `false` (and no change) when they are not in the head.
pub(super) fn remove(frame: &mut Frame, at: usize, n: usize) -> bool {
    if at + n > frame.head_len() {
        return false;
    }
    let outer = frame.offload.tunnel;
    frame.head_mut().copy_within(0..at, n);
    let removed = frame.pull(n);
    keep_outer(frame, outer);
    removed
}

/// The outer header of a tunnel is in front of what was moved.
fn keep_outer(frame: &mut Frame, before: Tunnel) {
    let (Tunnel::Ip { l3, .. } | Tunnel::V4 { l3, .. } | Tunnel::V6 { l3, .. }) = before else {
        return;
    };
    match &mut frame.offload.tunnel {
        Tunnel::Ip { l3: kept, .. } | Tunnel::V4 { l3: kept, .. } | Tunnel::V6 { l3: kept, .. } => {
            *kept = l3;
        }
        Tunnel::None => {}
    }
}
