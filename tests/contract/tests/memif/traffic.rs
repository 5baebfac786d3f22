//! Frames: made, sent, taken, checked.

use std::time::{Duration, Instant};

use memif_rs::{RxQueue, TxQueue};

/// Frames per direction and test.
pub(crate) const FRAMES: usize = 5000;

pub(crate) fn wait_for<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "{what} did not come");
        std::thread::yield_now();
    }
}

pub(crate) struct Taken {
    pub(crate) bytes: Vec<u8>,
    pub(crate) segments: usize,
}

fn poll(rx: &mut RxQueue, into: &mut Vec<Taken>) {
    rx.peek(64).unwrap();
    for packet in rx.packets() {
        let mut bytes = vec![0; packet.len()];
        packet.copy_out(0, &mut bytes);
        into.push(Taken {
            bytes,
            segments: packet.segment_count(),
        });
    }
    rx.release_all();
}

pub(crate) fn take(rx: &mut RxQueue, count: usize) -> Vec<Taken> {
    let mut frames = Vec::new();
    wait_for("the frames", || {
        poll(rx, &mut frames);
        (frames.len() >= count).then_some(())
    });
    frames
}

pub(crate) fn send(tx: &mut TxQueue, frame: &[u8]) {
    wait_for("room in the ring", || {
        let sent = tx.push(&[frame]).unwrap();
        tx.commit();
        sent.then_some(())
    });
}

/// Whether the peer has taken everything.
pub(crate) fn drained(tx: &mut TxQueue) -> bool {
    let size = tx.ring_size();
    tx.reserve(size).unwrap() == size
}

/// Frames of all sizes, each different.
pub(crate) fn frame(number: usize) -> Vec<u8> {
    let len = 60 + number % 1441;
    let mut bytes: Vec<u8> = (0..len)
        .map(|at| (number * 13 + at * 7).to_le_bytes()[0])
        .collect();
    bytes[..6].copy_from_slice(&[2, 0, 0, 0, 0, 1]);
    bytes[6..12].copy_from_slice(&[2, 0, 0, 0, 0, 2]);
    bytes[12..14].copy_from_slice(&[0x88, 0xb5]);
    bytes[14..22].copy_from_slice(&(number as u64).to_be_bytes());
    bytes
}

/// Bytes of the first `count` frames.
pub(crate) fn bytes_of(count: usize) -> usize {
    (0..count).map(|number| frame(number).len()).sum()
}

/// Sends frames through a peer that swaps the addresses; a window keeps the rings from overflowing.
pub(crate) fn bounce(rx: &mut RxQueue, tx: &mut TxQueue) {
    let mut back = Vec::new();
    for number in 0..FRAMES {
        send(tx, &frame(number));
        wait_for("frames to come back", || {
            poll(rx, &mut back);
            (back.len() + 256 > number).then_some(())
        });
    }
    wait_for("the last frames", || {
        poll(rx, &mut back);
        (back.len() == FRAMES).then_some(())
    });
    for (number, got) in back.iter().enumerate() {
        let mut expected = frame(number);
        let (destination, rest) = expected.split_at_mut(6);
        destination.swap_with_slice(&mut rest[..6]);
        assert!(got.bytes == expected, "frame {number} was changed");
    }
}

/// A frame as testpmd generates it: UDP in IPv4, with a valid header checksum.
pub(crate) fn check_generated(bytes: &[u8], len: usize) {
    assert_eq!(bytes.len(), len);
    assert_eq!(bytes[12..14], [0x08, 0x00]);
    assert_eq!(bytes[14], 0x45);
    assert_eq!(
        usize::from(u16::from_be_bytes([bytes[16], bytes[17]])),
        len - 14
    );
    assert_eq!(bytes[23], 17);
    let sum: u32 = bytes[14..34]
        .chunks_exact(2)
        .map(|pair| u32::from(u16::from_be_bytes([pair[0], pair[1]])))
        .sum();
    assert_eq!((sum & 0xffff) + (sum >> 16), 0xffff, "header checksum");
}
