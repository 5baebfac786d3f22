//! Ethernet II frames and IEEE 802.1Q / 802.1ad tags.

use crate::wire::{array_at, put, put_u16, tail, u16_at};
use crate::{MacAddr, WireError};

/// Length of the header without tags, in bytes.
pub const HEADER_LEN: usize = 14;
/// Length of one VLAN tag, in bytes.
pub const TAG_LEN: usize = 4;
/// EtherType of IPv4.
pub const IPV4: u16 = 0x0800;
/// EtherType of ARP.
pub const ARP: u16 = 0x0806;
/// EtherType of an 802.1Q tag.
pub const VLAN: u16 = 0x8100;
/// EtherType of an 802.1ad (outer) tag.
pub const QINQ: u16 = 0x88a8;
/// EtherType of IPv6.
pub const IPV6: u16 = 0x86dd;

/// A frame whose untagged header is known to be complete.
#[derive(Debug, Clone, Copy)]
pub struct Ethernet<'a>(&'a [u8]);

impl<'a> Ethernet<'a> {
    /// Checks the header.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when fewer than 14 bytes are there.
    pub const fn new_checked(bytes: &'a [u8]) -> Result<Self, WireError> {
        if bytes.len() < HEADER_LEN {
            Err(WireError::Truncated)
        } else {
            Ok(Self(bytes))
        }
    }

    /// Destination address.
    #[must_use]
    pub fn dst(&self) -> MacAddr {
        MacAddr(array_at(self.0, 0))
    }

    /// Source address.
    #[must_use]
    pub fn src(&self) -> MacAddr {
        MacAddr(array_at(self.0, 6))
    }

    /// EtherType directly behind the addresses (a tag's type when tagged).
    #[must_use]
    pub fn ethertype(&self) -> u16 {
        u16_at(self.0, 12)
    }

    /// Bytes behind the untagged header.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        tail(self.0, HEADER_LEN)
    }

    /// Walks up to two tags: gives the inner EtherType, the offset of the payload, and the tags.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when a tag is cut.
    pub fn payload_behind_tags(&self) -> Result<(u16, usize, Tags), WireError> {
        let (mut kind, mut at, mut tags) = (self.ethertype(), HEADER_LEN, Tags::default());
        while (kind == VLAN || kind == QINQ) && tags.count < 2 {
            if self.0.len() < at + TAG_LEN {
                return Err(WireError::Truncated);
            }
            let tci = u16_at(self.0, at);
            if tags.count == 0 {
                tags.outer = tci;
            } else {
                tags.inner = tci;
            }
            kind = u16_at(self.0, at + 2);
            at += TAG_LEN;
            tags.count += 1;
        }
        Ok((kind, at, tags))
    }
}

/// The VLAN tags of a frame, as tag control information words.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tags {
    /// How many tags are there (0 to 2).
    pub count: u8,
    /// Outer tag, when `count >= 1`.
    pub outer: u16,
    /// Inner tag, when `count == 2`.
    pub inner: u16,
}

impl Tags {
    /// VLAN id of a tag control information word.
    #[must_use]
    pub const fn vlan_id(tci: u16) -> u16 {
        tci & 0x0fff
    }
}

/// Builds an untagged header.
#[must_use]
pub const fn header(dst: MacAddr, src: MacAddr, ethertype: u16) -> [u8; HEADER_LEN] {
    let ([a, b, c, d, e, f], [g, h, i, j, k, l]) = (dst.0, src.0);
    let [m, n] = ethertype.to_be_bytes();
    [a, b, c, d, e, f, g, h, i, j, k, l, m, n]
}

/// Writes an untagged header at the start of `out`; a short buffer is left as it is.
pub fn emit(out: &mut [u8], dst: MacAddr, src: MacAddr, ethertype: u16) {
    put(out, 0, header(dst, src, ethertype));
}

/// Replaces both addresses.
pub fn set_addresses(out: &mut [u8], dst: MacAddr, src: MacAddr) {
    put(out, 0, dst.0);
    put(out, 6, src.0);
}

/// Replaces the EtherType.
pub fn set_ethertype(out: &mut [u8], ethertype: u16) {
    put_u16(out, 12, ethertype);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn tags_are_walked_at_most_twice() {
        let mut frame = header(MacAddr([1; 6]), MacAddr([2; 6]), QINQ).to_vec();
        frame.extend([0x00, 0x64, 0x81, 0x00, 0x20, 0x0a, 0x08, 0x00, 0xaa]);
        let (kind, at, tags) = Ethernet::new_checked(&frame)
            .unwrap()
            .payload_behind_tags()
            .unwrap();
        assert_eq!(
            (kind, at, tags),
            (
                IPV4,
                22,
                Tags {
                    count: 2,
                    outer: 100,
                    inner: 0x200a
                }
            )
        );
        assert_eq!(Tags::vlan_id(tags.inner), 10);
        let cut = Ethernet::new_checked(&frame[..20]).unwrap();
        assert_eq!(cut.payload_behind_tags(), Err(WireError::Truncated));
    }

    proptest! {
        #[test]
        fn emitted_header_parses_to_itself(dst: [u8; 6], src: [u8; 6], kind: u16) {
            let mut out = [0u8; 14];
            emit(&mut out, MacAddr(dst), MacAddr(src), kind);
            let view = Ethernet::new_checked(&out).unwrap();
            prop_assert_eq!((view.dst().0, view.src().0, view.ethertype()), (dst, src, kind));
        }

        #[test]
        fn any_bytes_are_walked_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            if let Ok(view) = Ethernet::new_checked(&bytes) {
                let _ = (view.payload(), view.payload_behind_tags());
            }
        }
    }
}
