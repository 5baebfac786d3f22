//! Segment routing header (RFC 8754).
//!
//! TLVs are carried but not read: HMAC is not checked, as RFC 8754 (section 2.1.2) leaves to local policy.

use core::net::Ipv6Addr;

use crate::ipv6::{EXTENSIONS_MAX, HEADER_LEN, Ipv6};
use crate::wire::{array_at, put, put_u16, u8_at, u16_at};
use crate::{WireError, proto};

/// Routing type of a segment routing header.
pub const ROUTING_TYPE: u8 = 4;
/// Length of the part before the segment list, in bytes.
pub const FIXED_LEN: usize = 8;
/// Length of one segment, in bytes.
pub const SEGMENT_LEN: usize = 16;
/// Offset of Segments Left.
pub const SEGMENTS_LEFT_OFFSET: usize = 3;

/// A header that lies in the buffer with its whole segment list and TLVs.
#[derive(Debug, Clone, Copy)]
pub struct Srh<'a>(&'a [u8]);

impl<'a> Srh<'a> {
    /// Checks the type and that all lengths agree (RFC 8754, section 4.3.1.1). Segments Left may be one more
    /// than Last Entry: a reduced header does not hold its first segment.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when the buffer ends first, [`WireError::Malformed`] for another type of routing
    /// header or a segment list that the header does not hold.
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self, WireError> {
        if bytes.len() < FIXED_LEN {
            return Err(WireError::Truncated);
        }
        if u8_at(bytes, 2) != ROUTING_TYPE {
            return Err(WireError::Malformed);
        }
        let len = (usize::from(u8_at(bytes, 1)) + 1) * 8;
        let view = Self(bytes.get(..len).ok_or(WireError::Truncated)?);
        let listed = FIXED_LEN + view.segment_count() * SEGMENT_LEN;
        if listed > len || usize::from(view.segments_left()) > view.segment_count() {
            return Err(WireError::Malformed);
        }
        Ok(view)
    }

    /// Type of the header behind this one.
    #[must_use]
    pub fn next_header(&self) -> u8 {
        u8_at(self.0, 0)
    }

    /// Length of the whole header, in bytes.
    #[must_use]
    #[expect(
        clippy::len_without_is_empty,
        reason = "a header length, not a container"
    )]
    pub const fn len(&self) -> usize {
        self.0.len()
    }

    /// Index of the active segment; 0 = the last of the path.
    #[must_use]
    pub fn segments_left(&self) -> u8 {
        u8_at(self.0, SEGMENTS_LEFT_OFFSET)
    }

    /// Flags; none is defined.
    #[must_use]
    pub fn flags(&self) -> u8 {
        u8_at(self.0, 5)
    }

    /// Tag: a class of packets.
    #[must_use]
    pub fn tag(&self) -> u16 {
        u16_at(self.0, 6)
    }

    /// Number of segments in the list.
    #[must_use]
    pub fn segment_count(&self) -> usize {
        usize::from(u8_at(self.0, 4)) + 1
    }

    /// Segment `index` of the list, which is in reverse order of the path.
    #[must_use]
    pub fn segment(&self, index: u8) -> Option<Ipv6Addr> {
        let at = usize::from(index);
        (at < self.segment_count())
            .then(|| array_at::<16>(self.0, FIXED_LEN + at * SEGMENT_LEN).into())
    }

    /// The segments in the order of the path.
    pub fn path(&self) -> impl Iterator<Item = Ipv6Addr> + use<'a> {
        let view = *self;
        (0..self.segment_count())
            .rev()
            .map(move |at| array_at::<16>(view.0, FIXED_LEN + at * SEGMENT_LEN).into())
    }

    /// What is behind the segment list.
    #[must_use]
    pub fn tlvs(&self) -> &'a [u8] {
        self.0
            .get(FIXED_LEN + self.segment_count() * SEGMENT_LEN..)
            .unwrap_or(&[])
    }
}

/// Gives the length of a header of `segments` segments without TLVs, in bytes.
#[must_use]
pub const fn header_len(segments: usize) -> usize {
    FIXED_LEN + segments * SEGMENT_LEN
}

/// Writes a header without TLVs whose first segment of `path` is the active one. `out` should hold
/// [`header_len`] bytes; paths of more than 127 segments do not fit the format and are cut.
pub fn emit(out: &mut [u8], next_header: u8, path: &[Ipv6Addr]) {
    let count = u8::try_from(path.len()).unwrap_or(u8::MAX).min(127);
    let last = count.saturating_sub(1);
    put(
        out,
        0,
        [next_header, count * 2, ROUTING_TYPE, last, last, 0, 0, 0],
    );
    for (at, segment) in path.iter().take(usize::from(count)).rev().enumerate() {
        put(out, FIXED_LEN + at * SEGMENT_LEN, segment.octets());
    }
}

/// Replaces Segments Left.
pub fn set_segments_left(header: &mut [u8], segments_left: u8) {
    put(header, SEGMENTS_LEFT_OFFSET, [segments_left]);
}

/// Replaces the type of the header behind this one.
pub fn set_next_header(header: &mut [u8], next_header: u8) {
    put(header, 0, [next_header]);
}

/// Replaces segment `index`.
pub fn set_segment(header: &mut [u8], index: u8, segment: Ipv6Addr) {
    put(
        header,
        FIXED_LEN + usize::from(index) * SEGMENT_LEN,
        segment.octets(),
    );
}

/// Replaces the tag.
pub fn set_tag(header: &mut [u8], tag: u16) {
    put_u16(header, 6, tag);
}

/// Where the routing header of an IPv6 packet lies; offsets from the start of the packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// The routing header.
    pub at: usize,
    /// The "next header" byte that announces it.
    pub named_by: usize,
}

/// Finds the first routing header of a packet, of whatever type, behind hop-by-hop and destination options.
///
/// # Errors
/// [`WireError::Truncated`] when the extension headers leave the buffer first, [`WireError::Malformed`] when
/// there are more than [`EXTENSIONS_MAX`].
pub fn find(ip: &Ipv6<'_>) -> Result<Option<Position>, WireError> {
    let packet = ip.bytes();
    let (mut kind, mut at, mut named_by) = (ip.next_header(), HEADER_LEN, 6);
    for _ in 0..=EXTENSIONS_MAX {
        match kind {
            proto::ROUTING => return Ok(Some(Position { at, named_by })),
            proto::HOPOPT | proto::DSTOPTS => {}
            _ => return Ok(None),
        }
        let len = (usize::from(u8_at(packet, at + 1)) + 1) * 8;
        if packet.len() < at + len {
            return Err(WireError::Truncated);
        }
        (kind, named_by, at) = (u8_at(packet, at), at, at + len);
    }
    Err(WireError::Malformed)
}

/// The destination of a packet at the end of its segment path, which pseudo headers are made of (RFC 8200,
/// section 8.1).
#[must_use]
pub fn final_destination(ip: &Ipv6<'_>) -> Ipv6Addr {
    let last = find(ip).ok().flatten().and_then(|position| {
        let srh = Srh::new_checked(ip.bytes().get(position.at..)?).ok()?;
        (srh.segments_left() > 0).then(|| srh.segment(0)).flatten()
    });
    last.unwrap_or_else(|| ip.dst())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ipv6;
    use proptest::prelude::*;
    use std::vec;
    use std::vec::Vec;

    fn sid(n: u16) -> Ipv6Addr {
        Ipv6Addr::new(0xfc00, n, 0, 0, 0, 0, 0, 1)
    }

    fn header(path: &[Ipv6Addr]) -> Vec<u8> {
        let mut out = vec![0xff; header_len(path.len())];
        emit(&mut out, proto::IPIP, path);
        out
    }

    fn packet(next_header: u8, rest: &[u8]) -> Vec<u8> {
        let mut out = vec![0; HEADER_LEN];
        ipv6::Header {
            traffic_class: 0,
            flow_label: 0,
            payload_len: u16::try_from(rest.len()).unwrap(),
            next_header,
            hop_limit: 64,
            src: sid(9),
            dst: sid(1),
        }
        .emit(&mut out);
        out.extend(rest);
        out
    }

    #[test]
    fn a_header_is_laid_out_as_rfc_8754_draws_it() {
        let bytes = header(&[sid(1), sid(2)]);
        assert_eq!(bytes[..8], [4, 4, 4, 1, 1, 0, 0, 0]);
        assert_eq!(bytes[8..24], sid(2).octets());
        assert_eq!(bytes[24..], sid(1).octets());
    }

    #[test]
    fn lengths_that_do_not_agree_are_refused() {
        let good = header(&[sid(1), sid(2)]);
        let with = |at: usize, value: u8| {
            let mut bytes = good.clone();
            bytes[at] = value;
            Srh::new_checked(&bytes).map(|_| ())
        };
        assert_eq!(with(3, 2), Ok(()), "reduced: one more than the last entry");
        assert_eq!(with(3, 3), Err(WireError::Malformed), "segments left");
        assert_eq!(with(4, 2), Err(WireError::Malformed), "last entry");
        assert_eq!(with(2, 2), Err(WireError::Malformed), "type");
        assert_eq!(with(1, 5), Err(WireError::Truncated), "length");
        assert_eq!(
            Srh::new_checked(&good[..7]).map(|_| ()),
            Err(WireError::Truncated)
        );
    }

    #[test]
    fn the_routing_header_is_found_behind_options_and_only_there() {
        let options = [proto::ROUTING, 0, 1, 4, 0, 0, 0, 0];
        let srh = header(&[sid(1), sid(2)]);
        let plain = packet(proto::ROUTING, &srh);
        let found = |bytes: &[u8]| find(&Ipv6::new_checked(bytes).unwrap());
        let at = |at, named_by| Ok(Some(Position { at, named_by }));
        assert_eq!(found(&plain), at(40, 6));
        let behind = packet(proto::HOPOPT, &[&options[..], &srh].concat());
        assert_eq!(found(&behind), at(48, 40));
        assert_eq!(found(&packet(proto::UDP, &srh)), Ok(None));
        let endless = packet(proto::HOPOPT, &[[0u8, 0, 1, 4, 0, 0, 0, 0]; 12].concat());
        assert_eq!(found(&endless), Err(WireError::Malformed));
        let final_of = |bytes: &[u8]| final_destination(&Ipv6::new_checked(bytes).unwrap());
        assert_eq!(final_of(&plain), sid(2));
        assert_eq!(final_of(&packet(proto::UDP, &[])), sid(1));
    }

    proptest! {
        #[test]
        fn parse_of_emit_is_identity(path in proptest::collection::vec(any::<[u8; 16]>().prop_map(Ipv6Addr::from), 1..20),
                                     next_header: u8, left: u8, tag: u16) {
            let mut bytes = vec![0; header_len(path.len())];
            emit(&mut bytes, next_header, &path);
            let left = left % (u8::try_from(path.len()).unwrap() + 1);
            set_segments_left(&mut bytes, left);
            set_tag(&mut bytes, tag);
            let view = Srh::new_checked(&bytes).unwrap();
            prop_assert_eq!((view.next_header(), view.segments_left(), view.tag(), view.flags()), (next_header, left, tag, 0));
            prop_assert_eq!(view.path().collect::<Vec<_>>(), path.as_slice());
            prop_assert_eq!(view.segment(0), path.last().copied());
            prop_assert_eq!(view.segment(u8::try_from(path.len()).unwrap()), None);
            prop_assert_eq!((view.len(), view.tlvs().len()), (bytes.len(), 0));
        }

        #[test]
        fn any_bytes_are_read_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0u8..6) {
            if let Some(byte) = bytes.get_mut(2) { *byte = kind; }
            if let Ok(view) = Srh::new_checked(&bytes) {
                prop_assert_eq!(view.path().count(), view.segment_count());
                prop_assert!(view.segments_left() == 0 || view.segment(view.segments_left() - 1).is_some());
                prop_assert_eq!(header_len(view.segment_count()) + view.tlvs().len(), view.len());
            }
            let whole = packet(proto::ROUTING, &bytes);
            let _ = final_destination(&Ipv6::new_checked(&whole).unwrap());
        }
    }
}
