//! The key of a flow straight from the header of a packet that hides nothing behind options or fragments.

use packet::proto;

use super::session::{FlowKey4, scope};
use crate::frame::Frame;

/// Version 4 and a header of five words.
const PLAIN_V4: u8 = 0x45;
/// More fragments follow, or the offset is not 0.
const FRAGMENT_BITS: u16 = 0x3fff;

/// The key under which [`super::session::Sessions`] has the flow of a TCP or UDP packet over IPv4; `None` for most others.
#[inline]
pub(crate) fn of(frame: &Frame) -> Option<FlowKey4> {
    let header = frame.l3_start::<24>()?;
    let fragment = u16::from_be_bytes([header[6], header[7]]);
    let protocol = header[9];
    if header[0] != PLAIN_V4
        || fragment & FRAGMENT_BITS != 0
        || !matches!(protocol, proto::TCP | proto::UDP)
    {
        return None;
    }
    let addresses = u64::from_be_bytes(*header.get(12..)?.first_chunk()?);
    let ports = u32::from_be_bytes(*header.get(20..)?.first_chunk()?);
    let scope = u64::from(scope(frame.meta.fib).number());
    let rest = u64::from(ports) << 32 | u64::from(protocol) << 24 | scope;
    Some([addresses, rest])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::cnat::packet::Packet;
    use crate::cnat::session::words4;
    use crate::id::SwIfIndex;
    use crate::offload::Offload;

    proptest! {
        #[test]
        fn a_packet_has_the_key_of_its_session(
            mut bytes in prop::collection::vec(any::<u8>(), 20..80),
            shape in (0..4usize, 0..4usize, 0..8usize), fib in 0..1000u32,
        ) {
            bytes[0] = [0x45, 0x45, 0x46, 0x60][shape.0];
            bytes[9] = [6, 17, 132, 1][shape.1];
            let fragment: [u8; 2] = [[0x20, 0], [0, 9], [0x40, 0]].get(shape.2).copied().unwrap_or([0, 0]);
            bytes[6..8].copy_from_slice(&fragment);
            let len = u16::try_from(bytes.len()).unwrap();
            bytes[2..4].copy_from_slice(&len.to_be_bytes());
            let mut frame = Frame::empty();
            let room = frame.reset(SwIfIndex(1), bytes.len(), None, Offload::default());
            room.unwrap().copy_from_slice(&bytes);
            frame.meta.fib = fib;
            if let Some(key) = of(&frame) {
                let packet = Packet::of(&frame);
                prop_assert_eq!(packet.map(|packet| words4(&packet.flow)), Some(key));
            }
        }
    }
}
