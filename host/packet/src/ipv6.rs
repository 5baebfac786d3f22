//! IPv6 (RFC 8200) and a bounded walk over its extension headers.

use core::net::Ipv6Addr;

use crate::wire::{array_at, put, put_u16, tail, u8_at, u16_at, u32_at};
use crate::{WireError, proto};

/// Length of the fixed header, in bytes.
pub const HEADER_LEN: usize = 40;
/// Length of a fragment header, in bytes.
pub const FRAGMENT_LEN: usize = 8;
/// Extension headers walked before the packet is called malformed.
pub const EXTENSIONS_MAX: usize = 8;

/// A packet whose fixed header lies in the buffer. The payload may be longer than the buffer.
#[derive(Debug, Clone, Copy)]
pub struct Ipv6<'a>(&'a [u8]);

impl<'a> Ipv6<'a> {
    /// Checks version and length of the fixed header.
    ///
    /// # Errors
    /// [`WireError::Truncated`] or [`WireError::Malformed`].
    pub fn new_checked(bytes: &'a [u8]) -> Result<Self, WireError> {
        if bytes.len() < HEADER_LEN {
            return Err(WireError::Truncated);
        }
        if u8_at(bytes, 0) >> 4 == 6 {
            Ok(Self(bytes))
        } else {
            Err(WireError::Malformed)
        }
    }

    /// The buffer, from the fixed header on.
    #[must_use]
    pub const fn bytes(&self) -> &'a [u8] {
        self.0
    }

    /// Traffic class.
    #[must_use]
    pub fn traffic_class(&self) -> u8 {
        (u8_at(self.0, 0) << 4) | (u8_at(self.0, 1) >> 4)
    }

    /// Flow label.
    #[must_use]
    pub fn flow_label(&self) -> u32 {
        u32_at(self.0, 0) & 0x000f_ffff
    }

    /// Length behind the fixed header, in bytes.
    #[must_use]
    pub fn payload_len(&self) -> u16 {
        u16_at(self.0, 4)
    }

    /// Type of the header behind the fixed one.
    #[must_use]
    pub fn next_header(&self) -> u8 {
        u8_at(self.0, 6)
    }

    /// Hop limit.
    #[must_use]
    pub fn hop_limit(&self) -> u8 {
        u8_at(self.0, 7)
    }

    /// Source address.
    #[must_use]
    pub fn src(&self) -> Ipv6Addr {
        array_at::<16>(self.0, 8).into()
    }

    /// Destination address.
    #[must_use]
    pub fn dst(&self) -> Ipv6Addr {
        array_at::<16>(self.0, 24).into()
    }

    /// The part of the payload that is in the buffer, cut at the payload length.
    #[must_use]
    pub fn payload(&self) -> &'a [u8] {
        let end = self
            .0
            .len()
            .min(HEADER_LEN + usize::from(self.payload_len()));
        self.0.get(HEADER_LEN..end).unwrap_or(&[])
    }

    /// Walks hop-by-hop, destination, routing, fragment and authentication headers to the upper layer.
    ///
    /// # Errors
    /// [`WireError::Truncated`] when the chain leaves the buffer, [`WireError::Malformed`] when it is
    /// longer than [`EXTENSIONS_MAX`].
    pub fn upper_layer(&self) -> Result<UpperLayer, WireError> {
        let mut upper = UpperLayer {
            protocol: self.next_header(),
            offset: HEADER_LEN,
            fragment: None,
        };
        for _ in 0..=EXTENSIONS_MAX {
            let len = match upper.protocol {
                proto::HOPOPT | proto::DSTOPTS | proto::ROUTING => {
                    (usize::from(u8_at(self.0, upper.offset + 1)) + 1) * 8
                }
                proto::AH => (usize::from(u8_at(self.0, upper.offset + 1)) + 2) * 4,
                proto::FRAGMENT => 8,
                _ => return Ok(upper),
            };
            if self.0.len() < upper.offset + len {
                return Err(WireError::Truncated);
            }
            if upper.protocol == proto::FRAGMENT {
                let word = u16_at(self.0, upper.offset + 2);
                upper.fragment = Some(Fragment {
                    offset: word & !7,
                    more: word & 1 == 1,
                    ident: u32_at(self.0, upper.offset + 4),
                });
            }
            upper.protocol = u8_at(self.0, upper.offset);
            upper.offset += len;
            if upper.fragment.is_some_and(|f| f.offset != 0) {
                return Ok(upper);
            }
        }
        Err(WireError::Malformed)
    }
}

/// Where the extension header chain ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UpperLayer {
    /// Protocol number of the upper layer.
    pub protocol: u8,
    /// Its offset from the start of the fixed header, in bytes.
    pub offset: usize,
    /// The fragment header, when there is one. The upper layer header is only there when its offset is zero.
    pub fragment: Option<Fragment>,
}

impl UpperLayer {
    /// Tells whether the bytes at `offset` are an upper layer header (not the inside of a later fragment).
    #[must_use]
    pub fn has_header(&self) -> bool {
        self.fragment.is_none_or(|f| f.offset == 0)
    }
}

/// Content of a fragment header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fragment {
    /// Offset in bytes.
    pub offset: u16,
    /// More fragments follow.
    pub more: bool,
    /// Identification.
    pub ident: u32,
}

/// Finds the fragment header: gives the offset of the "next header" byte that names it, and its own offset.
#[must_use]
pub fn fragment_header(packet: &[u8]) -> Option<(usize, usize)> {
    let (mut next_at, mut at) = (6, HEADER_LEN);
    for _ in 0..=EXTENSIONS_MAX {
        let len = match *packet.get(next_at)? {
            proto::FRAGMENT => return (packet.len() >= at + FRAGMENT_LEN).then_some((next_at, at)),
            proto::HOPOPT | proto::DSTOPTS | proto::ROUTING => {
                (usize::from(*packet.get(at + 1)?) + 1) * 8
            }
            proto::AH => (usize::from(*packet.get(at + 1)?) + 2) * 4,
            _ => return None,
        };
        (next_at, at) = (at, at + len);
    }
    None
}

/// Reads the fragment header at an offset.
#[must_use]
pub fn fragment_at(packet: &[u8], at: usize) -> Option<Fragment> {
    if packet.len() < at + FRAGMENT_LEN {
        return None;
    }
    let word = u16_at(packet, at + 2);
    Some(Fragment {
        offset: word & !7,
        more: word & 1 == 1,
        ident: u32_at(packet, at + 4),
    })
}

/// A fixed header, as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// Traffic class.
    pub traffic_class: u8,
    /// Flow label (20 bits).
    pub flow_label: u32,
    /// Length behind the fixed header, in bytes.
    pub payload_len: u16,
    /// Type of the header behind the fixed one.
    pub next_header: u8,
    /// Hop limit.
    pub hop_limit: u8,
    /// Source address.
    pub src: Ipv6Addr,
    /// Destination address.
    pub dst: Ipv6Addr,
}

impl Header {
    /// Reads the fields of a checked packet.
    #[must_use]
    pub fn of(view: &Ipv6<'_>) -> Self {
        Self {
            traffic_class: view.traffic_class(),
            flow_label: view.flow_label(),
            payload_len: view.payload_len(),
            next_header: view.next_header(),
            hop_limit: view.hop_limit(),
            src: view.src(),
            dst: view.dst(),
        }
    }

    /// Writes the header at the start of `out`, which should hold [`HEADER_LEN`] bytes.
    pub fn emit(&self, out: &mut [u8]) {
        let word =
            (6 << 28) | (u32::from(self.traffic_class) << 20) | (self.flow_label & 0x000f_ffff);
        put(out, 0, word.to_be_bytes());
        put_u16(out, 4, self.payload_len);
        put(out, 6, [self.next_header, self.hop_limit]);
        put(out, 8, self.src.octets());
        put(out, 24, self.dst.octets());
    }
}

/// Lowers the hop limit by one; zero stays zero.
#[inline]
pub fn decrement_hop_limit(bytes: &mut [u8]) {
    put(bytes, 7, [u8_at(bytes, 7).saturating_sub(1)]);
}

/// Lowers the hop limit of a header by one; `false`, and no change, when it is used up then.
#[inline]
#[must_use]
pub const fn lower_hop_limit(header: &mut [u8; HEADER_LEN]) -> bool {
    let [_, _, _, _, _, _, _, hop_limit, ..] = header;
    if *hop_limit <= 1 {
        return false;
    }
    *hop_limit -= 1;
    true
}

/// Replaces the hop limit.
pub fn set_hop_limit(bytes: &mut [u8], hop_limit: u8) {
    put(bytes, 7, [hop_limit]);
}

/// Replaces the traffic class.
pub fn set_traffic_class(bytes: &mut [u8], class: u8) {
    let word = u32_at(bytes, 0);
    put(
        bytes,
        0,
        ((word & 0xf00f_ffff) | (u32::from(class) << 20)).to_be_bytes(),
    );
}

/// Replaces the payload length.
pub fn set_payload_len(bytes: &mut [u8], len: u16) {
    put_u16(bytes, 4, len);
}

/// Replaces the type of the header behind the fixed one.
pub fn set_next_header(bytes: &mut [u8], next_header: u8) {
    put(bytes, 6, [next_header]);
}

/// Replaces the destination.
pub fn set_dst(bytes: &mut [u8], dst: Ipv6Addr) {
    put(bytes, 24, dst.octets());
}

/// Replaces traffic class and flow label (20 bits).
pub fn set_class_and_label(bytes: &mut [u8], traffic_class: u8, flow_label: u32) {
    let word = (6 << 28) | (u32::from(traffic_class) << 20) | (flow_label & 0x000f_ffff);
    put(bytes, 0, word.to_be_bytes());
}

/// Swaps source and destination.
pub fn swap_addresses(bytes: &mut [u8]) {
    let (src, dst) = (array_at::<16>(bytes, 8), array_at::<16>(bytes, 24));
    put(bytes, 8, dst);
    put(bytes, 24, src);
}

/// Gives the solicited-node group of an address (RFC 4291, section 2.7.1).
#[must_use]
pub const fn solicited_node(address: Ipv6Addr) -> Ipv6Addr {
    let [.., a, b, c] = address.octets();
    Ipv6Addr::new(
        0xff02,
        0,
        0,
        0,
        0,
        1,
        0xff00 | a as u16,
        u16::from_be_bytes([b, c]),
    )
}

/// Bytes from `from` to the end of the buffer (empty when outside).
#[must_use]
pub fn bytes_from(packet: &[u8], from: usize) -> &[u8] {
    tail(packet, from)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn packet(next_header: u8, rest: &[u8]) -> std::vec::Vec<u8> {
        let mut out = std::vec![0; HEADER_LEN];
        let len = u16::try_from(rest.len()).unwrap();
        Header {
            traffic_class: 0,
            flow_label: 0,
            payload_len: len,
            next_header,
            hop_limit: 64,
            src: Ipv6Addr::LOCALHOST,
            dst: Ipv6Addr::LOCALHOST,
        }
        .emit(&mut out);
        out.extend(rest);
        out
    }

    #[test]
    fn extension_headers_are_walked_to_the_upper_layer() {
        let hop = [proto::DSTOPTS, 0, 1, 4, 0, 0, 0, 0];
        let dst = [
            proto::FRAGMENT,
            1,
            1,
            12,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
            0,
        ];
        let first = [proto::UDP, 0, 0, 1, 0, 0, 0, 9];
        let bytes = packet(
            proto::HOPOPT,
            &[&hop[..], &dst, &first, &[1, 2, 3, 4]].concat(),
        );
        let upper = Ipv6::new_checked(&bytes).unwrap().upper_layer().unwrap();
        assert_eq!(
            upper,
            UpperLayer {
                protocol: proto::UDP,
                offset: 72,
                fragment: Some(Fragment {
                    offset: 0,
                    more: true,
                    ident: 9
                })
            }
        );
        assert!(upper.has_header());
        let later = packet(proto::FRAGMENT, &[proto::UDP, 0, 0, 9, 0, 0, 0, 9, 0xff]);
        assert!(
            !Ipv6::new_checked(&later)
                .unwrap()
                .upper_layer()
                .unwrap()
                .has_header()
        );
    }

    #[test]
    fn endless_chain_is_malformed_and_cut_chain_is_truncated() {
        let chain = packet(
            proto::HOPOPT,
            &[[proto::HOPOPT, 0, 1, 4, 0, 0, 0, 0]; 12].concat(),
        );
        assert_eq!(
            Ipv6::new_checked(&chain).unwrap().upper_layer(),
            Err(WireError::Malformed)
        );
        let cut = packet(proto::HOPOPT, &[proto::UDP, 1, 1, 4, 0, 0, 0, 0]);
        assert_eq!(
            Ipv6::new_checked(&cut).unwrap().upper_layer(),
            Err(WireError::Truncated)
        );
    }

    #[test]
    fn solicited_node_group_takes_the_low_24_bits() {
        let address: Ipv6Addr = "2001:db8::1:800:200e:8c6c".parse().unwrap();
        assert_eq!(
            solicited_node(address),
            "ff02::1:ff0e:8c6c".parse::<Ipv6Addr>().unwrap()
        );
    }

    proptest! {
        #[test]
        fn parse_of_emit_is_identity(traffic_class: u8, flow_label in 0u32..1 << 20, payload_len: u16, next_header: u8,
                                     hop_limit: u8, src: [u8; 16], dst: [u8; 16]) {
            let header = Header { traffic_class, flow_label, payload_len, next_header, hop_limit, src: src.into(), dst: dst.into() };
            let mut out = [0; HEADER_LEN];
            header.emit(&mut out);
            prop_assert_eq!(Header::of(&Ipv6::new_checked(&out).unwrap()), header);
        }

        #[test]
        fn any_bytes_are_walked_without_panic(mut bytes in proptest::collection::vec(any::<u8>(), 40..200)) {
            bytes[0] = 0x60;
            let view = Ipv6::new_checked(&bytes).unwrap();
            let _ = (view.upper_layer(), view.payload());
        }
    }
}
