//! IPv4 (RFC 791).

use core::net::Ipv4Addr;

use crate::wire::{array_at, put, put_u16, range, u8_at, u16_at};
use crate::{WireError, checksum};

/// Length of the header without options, in bytes.
pub const HEADER_LEN: usize = 20;
/// "Don't fragment" bit of the fragment word.
pub const FLAG_DF: u16 = 0x4000;
/// "More fragments" bit of the fragment word.
pub const FLAG_MF: u16 = 0x2000;

/// A packet whose header, options included, lies in the buffer and whose lengths agree with each other.
///
/// The *total length* may exceed the buffer: the rest of the packet may be held elsewhere. Callers that
/// know the real length compare it with [`Ipv4::total_len`].
#[derive(Debug, Clone, Copy)]
pub struct Ipv4<'a>(&'a [u8]);

impl<'a> Ipv4<'a> {
    /// Checks version, header length and total length against each other and the buffer.
    ///
    /// # Errors
    /// [`WireError::Truncated`] or [`WireError::Malformed`].
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self, WireError> {
        if bytes.len() < HEADER_LEN {
            return Err(WireError::Truncated);
        }
        let view = Self(bytes);
        let header_len = view.header_len();
        if u8_at(bytes, 0) >> 4 != 4
            || header_len < HEADER_LEN
            || usize::from(view.total_len()) < header_len
        {
            return Err(WireError::Malformed);
        }
        if bytes.len() < header_len {
            Err(WireError::Truncated)
        } else {
            Ok(view)
        }
    }

    /// Header length with options, in bytes.
    #[must_use]
    pub fn header_len(&self) -> usize {
        usize::from(u8_at(self.0, 0) & 0x0f) * 4
    }

    /// Type of service byte (DSCP and ECN).
    #[must_use]
    pub fn tos(&self) -> u8 {
        u8_at(self.0, 1)
    }

    /// Length of header and payload, in bytes.
    #[must_use]
    pub fn total_len(&self) -> u16 {
        u16_at(self.0, 2)
    }

    /// Identification.
    #[must_use]
    pub fn ident(&self) -> u16 {
        u16_at(self.0, 4)
    }

    /// Flags and fragment offset word.
    #[must_use]
    pub fn fragment_word(&self) -> u16 {
        u16_at(self.0, 6)
    }

    /// Tells whether the sender forbade fragmentation.
    #[must_use]
    pub fn dont_fragment(&self) -> bool {
        self.fragment_word() & FLAG_DF != 0
    }

    /// Tells whether this is a fragment (first or later).
    #[must_use]
    pub fn is_fragment(&self) -> bool {
        self.fragment_word() & 0x3fff != 0
    }

    /// Fragment offset in bytes.
    #[must_use]
    pub fn fragment_offset(&self) -> usize {
        usize::from(self.fragment_word() & 0x1fff) * 8
    }

    /// Time to live.
    #[must_use]
    pub fn ttl(&self) -> u8 {
        u8_at(self.0, 8)
    }

    /// Protocol of the payload.
    #[must_use]
    pub fn protocol(&self) -> u8 {
        u8_at(self.0, 9)
    }

    /// Header checksum field.
    #[must_use]
    pub fn checksum(&self) -> u16 {
        u16_at(self.0, 10)
    }

    /// Tells whether the header checksum is right.
    #[must_use]
    pub fn checksum_ok(&self) -> bool {
        checksum::of(range(self.0, 0, self.header_len())) == 0
    }

    /// Source address.
    #[must_use]
    pub fn src(&self) -> Ipv4Addr {
        array_at::<4>(self.0, 12).into()
    }

    /// Destination address.
    #[must_use]
    pub fn dst(&self) -> Ipv4Addr {
        array_at::<4>(self.0, 16).into()
    }

    /// Options, without the fixed header.
    #[must_use]
    pub fn options(&self) -> &'a [u8] {
        range(self.0, HEADER_LEN, self.header_len())
    }

    /// The part of the payload that is in the buffer, cut at the total length (padding removed).
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        range(
            self.0,
            self.header_len(),
            self.0.len().min(usize::from(self.total_len())),
        )
    }
}

/// A header without options, as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Type of service byte.
    pub tos: u8,
    /// Length of header and payload, in bytes.
    pub total_len: u16,
    /// Identification.
    pub ident: u16,
    /// Flags and fragment offset word.
    pub fragment_word: u16,
    /// Time to live.
    pub ttl: u8,
    /// Protocol of the payload.
    pub protocol: u8,
    /// Source address.
    pub src: Ipv4Addr,
    /// Destination address.
    pub dst: Ipv4Addr,
}

impl Header {
    /// Reads the fixed fields of a checked packet.
    #[must_use]
    pub fn of(view: &Ipv4<'_>) -> Self {
        Self {
            tos: view.tos(),
            total_len: view.total_len(),
            ident: view.ident(),
            fragment_word: view.fragment_word(),
            ttl: view.ttl(),
            protocol: view.protocol(),
            src: view.src(),
            dst: view.dst(),
        }
    }

    /// Writes header and checksum at the start of `out`, which should hold [`HEADER_LEN`] bytes.
    pub fn emit(&self, out: &mut [u8]) {
        put(out, 0, self.to_bytes());
    }

    /// The header with its checksum.
    #[inline]
    #[must_use]
    pub fn to_bytes(&self) -> [u8; HEADER_LEN] {
        let [l0, l1] = self.total_len.to_be_bytes();
        let [i0, i1] = self.ident.to_be_bytes();
        let [f0, f1] = self.fragment_word.to_be_bytes();
        let ([s0, s1, s2, s3], [d0, d1, d2, d3]) = (self.src.octets(), self.dst.octets());
        let with = |c0, c1| {
            [
                0x45,
                self.tos,
                l0,
                l1,
                i0,
                i1,
                f0,
                f1,
                self.ttl,
                self.protocol,
                c0,
                c1,
                s0,
                s1,
                s2,
                s3,
                d0,
                d1,
                d2,
                d3,
            ]
        };
        let [c0, c1] = (!plain_sum(&with(0, 0))).to_ne_bytes();
        with(c0, c1)
    }
}

/// Tells whether the checksum of a header without options is right.
#[inline]
#[must_use]
pub fn plain_checksum_ok(header: &[u8; HEADER_LEN]) -> bool {
    plain_sum(header) == 0xffff
}

/// The sum of a header without options, in the order of bytes that the machine has, which does not matter
/// (RFC 1071, section 2 (B)).
#[inline]
fn plain_sum(header: &[u8; HEADER_LEN]) -> u16 {
    let (words, _) = header.as_chunks::<4>();
    let sum: u64 = words
        .iter()
        .map(|word| u64::from(u32::from_ne_bytes(*word)))
        .sum();
    let sum = (sum & 0xffff_ffff) + (sum >> 32);
    let sum = (sum & 0xffff) + ((sum >> 16) & 0xffff) + (sum >> 32);
    let sum = (sum & 0xffff) + (sum >> 16);
    let [a, b, ..] = ((sum & 0xffff) + (sum >> 16)).to_le_bytes();
    u16::from_le_bytes([a, b])
}

/// Lowers the time to live by one and updates the checksum; zero stays zero.
#[inline]
pub fn decrement_ttl(bytes: &mut [u8]) {
    let word = u16_at(bytes, 8);
    if word < 0x0100 {
        return;
    }
    put_u16(bytes, 8, word - 0x0100);
    put_u16(
        bytes,
        10,
        checksum::update(u16_at(bytes, 10), word, word - 0x0100),
    );
}

/// Lowers the time to live of a header by one and updates the checksum; `false`, and no change, when it is used up then.
#[inline]
#[must_use]
pub const fn lower_ttl(header: &mut [u8; HEADER_LEN]) -> bool {
    let [_, _, _, _, _, _, _, _, ttl, _, c0, c1, ..] = header;
    if *ttl <= 1 {
        return false;
    }
    *ttl -= 1;
    // A word less by 0x100 is a checksum more by as much, with an end-around carry (RFC 1624, section 3, equation 3).
    let sum = u16::from_be_bytes([*c0, *c1]);
    let (sum, is_over) = sum.overflowing_add(0x0100);
    let sum = if is_over || sum == u16::MAX {
        sum.wrapping_add(1)
    } else {
        sum
    };
    [*c0, *c1] = sum.to_be_bytes();
    true
}

/// Replaces one aligned 16-bit header word and updates the checksum.
pub fn set_word(bytes: &mut [u8], at: usize, value: u16) {
    let check = checksum::update(u16_at(bytes, 10), u16_at(bytes, at), value);
    put_u16(bytes, at, value);
    put_u16(bytes, 10, check);
}

/// Sets the total length and the fragment word of a header, options included, and computes its checksum anew.
pub fn finish_header(bytes: &mut [u8], total_len: u16, fragment_word: u16) {
    put_u16(bytes, 2, total_len);
    put_u16(bytes, 6, fragment_word);
    put_u16(bytes, 10, 0);
    let len = usize::from(u8_at(bytes, 0) & 0x0f) * 4;
    let check = checksum::of(range(bytes, 0, len));
    put_u16(bytes, 10, check);
}

/// Swaps source and destination; the checksum does not change.
pub fn swap_addresses(bytes: &mut [u8]) {
    let (src, dst) = (array_at::<4>(bytes, 12), array_at::<4>(bytes, 16));
    put(bytes, 12, dst);
    put(bytes, 16, src);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parse_of_emit_is_identity(tos: u8, total_len in 20u16.., ident: u16, fragment_word: u16, ttl: u8,
                                     protocol: u8, src: [u8; 4], dst: [u8; 4]) {
            let header = Header { tos, total_len, ident, fragment_word, ttl, protocol, src: src.into(), dst: dst.into() };
            let mut out = [0; HEADER_LEN];
            header.emit(&mut out);
            let view = Ipv4::new_checked(&out).unwrap();
            prop_assert!(view.checksum_ok());
            prop_assert_eq!(Header::of(&view), header);
        }

        #[test]
        fn rewrites_keep_the_checksum_right(ttl in 1u8.., ident: u16, src: [u8; 4], dst: [u8; 4]) {
            let mut out = [0; HEADER_LEN];
            Header { tos: 0, total_len: 100, ident: 7, fragment_word: 0, ttl, protocol: 6, src: src.into(), dst: dst.into() }.emit(&mut out);
            decrement_ttl(&mut out);
            set_word(&mut out, 4, ident);
            swap_addresses(&mut out);
            let view = Ipv4::new_checked(&out).unwrap();
            prop_assert!(view.checksum_ok());
            prop_assert_eq!((view.ttl(), view.ident(), view.src().octets()), (ttl - 1, ident, dst));
        }

        #[test]
        fn plain_checksums_are_judged_alike(mut bytes: [u8; HEADER_LEN], repair: bool) {
            bytes[0] = 0x45;
            if repair {
                bytes[10..12].fill(0);
                let check = checksum::of(&bytes);
                bytes[10..12].copy_from_slice(&check.to_be_bytes());
            }
            prop_assert_eq!(plain_checksum_ok(&bytes), checksum::of(&bytes) == 0);
        }

        #[test]
        fn lowering_the_ttl_is_the_general_update(mut bytes in any::<[u8; 20]>()) {
            let mut other = bytes;
            decrement_ttl(&mut other);
            let lowered = lower_ttl(&mut bytes);
            prop_assert_eq!(lowered, other[8] > 0 && bytes[8] == other[8]);
            prop_assert!(!lowered || bytes == other);
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
            if let Ok(view) = Ipv4::new_checked(&bytes) {
                let _ = (view.checksum_ok(), view.options(), view.payload(), view.fragment_offset());
            }
        }
    }

    #[test]
    fn lengths_that_disagree_are_refused() {
        let mut out = [0u8; 24];
        Header {
            tos: 0,
            total_len: 20,
            ident: 0,
            fragment_word: 0,
            ttl: 1,
            protocol: 1,
            src: Ipv4Addr::LOCALHOST,
            dst: Ipv4Addr::LOCALHOST,
        }
        .emit(&mut out);
        for (byte, value, want) in [
            (0, 0x65, WireError::Malformed),
            (0, 0x44, WireError::Malformed),
            (0, 0x46, WireError::Malformed),
            (3, 19, WireError::Malformed),
        ] {
            let mut bad = out;
            bad[byte] = value;
            assert_eq!(Ipv4::new_checked(&bad).err(), Some(want));
        }
        assert_eq!(
            Ipv4::new_checked(&out[..19]).err(),
            Some(WireError::Truncated)
        );
        assert_eq!(Ipv4::new_checked(&out).unwrap().payload(), &[0u8; 0]);
    }
}
