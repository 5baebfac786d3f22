//! Super-frames whose virtio-net header lies: cut, taken apart, joined, and finished in software.

use packet::virtio;
use vswitch::offload::{Datagrams, Joined, Run, Segment, Train, TrainRoom, complete_checksum};
use vswitch::{Offload, Tunnel};

/// A virtio-net header, where the frame is split, where a tunnel lies, and the frame.
const PREFIX_LEN: usize = virtio::HEADER_LEN_SHORT + 4;

pub(crate) fn run(bytes: &[u8]) {
    let Some((prefix, frame)) = bytes.split_at_checked(PREFIX_LEN) else {
        return;
    };
    let Some(offload) = virtio::Header::parse(prefix)
        .ok()
        .and_then(|header| Offload::from_virtio(&header))
    else {
        return;
    };
    let [.., split, kind, l3, inner_l3] = *prefix else {
        return;
    };
    let (head, tail) = frame.split_at(usize::from(split).min(frame.len()));
    let (l3, inner_l3) = (l3.into(), inner_l3.into());
    let tunnel = match kind % 4 {
        0 => Tunnel::None,
        1 => Tunnel::V4 { l3, inner_l3 },
        2 => Tunnel::V6 { l3, inner_l3 },
        _ => Tunnel::Ip { l3, inner_l3 },
    };
    let tunnelled = Offload { tunnel, ..offload };
    if let Some(train) = Train::of(head, tail, &tunnelled) {
        // What fails half-way is an error of the sender, and no more.
        let _ = train.each(&mut TrainRoom::default(), |work, pieces| {
            let whole = pieces.concat();
            assert!(whole.len() <= usize::from(u16::MAX) + head.len());
            take_apart(&whole, &[], work);
        });
    }
    take_apart(head, tail, &offload);
    let _ = complete_checksum(&mut frame.to_vec(), &tunnelled);
    if let Some(first) = Segment::of(head, tail, &offload) {
        let mut run = Run::new(first);
        let count = 1 + usize::from(run.take(first));
        assert_eq!(run.count(), count);
        assert_eq!(run.whole().is_some(), count > 1);
    }
}

fn take_apart(near: &[u8], far: &[u8], offload: &Offload) {
    let len = near.len() + far.len();
    let Some(datagrams) = Datagrams::of(near, len, offload) else {
        return;
    };
    let mut number = 0;
    while let Some((_, range, _)) = datagrams.datagram(number) {
        assert!(range.start < range.end && range.end <= len);
        let mut far = far.to_vec();
        let joined = Joined::of(&datagrams, number, near, &far);
        number += joined.as_ref().map_or(1, |joined| joined.count);
        if let Some(joined) = joined {
            let moved = joined.move_together(&datagrams, &mut far);
            assert!(moved.start <= moved.end && moved.end <= far.len());
        }
    }
    assert_eq!(number, datagrams.count());
}
