//! The 12-byte virtio-net header (virtio 1.2, section 5.1.6), little-endian, as tap and packet sockets use it.

use crate::WireError;
use crate::wire::{array_at, put, u8_at};

/// Length of the header with `num_buffers`, in bytes.
pub const HEADER_LEN: usize = 12;
/// Length of the header without `num_buffers`, in bytes.
pub const HEADER_LEN_SHORT: usize = 10;
/// Flag: the checksum must be completed from `csum_start`.
pub const NEEDS_CSUM: u8 = 1;
/// Flag: the checksum was verified by the sender.
pub const DATA_VALID: u8 = 2;
/// Not a segmentation-offload frame.
pub const GSO_NONE: u8 = 0;
/// TCP over IPv4.
pub const GSO_TCPV4: u8 = 1;
/// UDP fragmentation offload (obsolete).
pub const GSO_UDP: u8 = 3;
/// TCP over IPv6.
pub const GSO_TCPV6: u8 = 4;
/// UDP segmentation offload.
pub const GSO_UDP_L4: u8 = 5;
/// Flag on `gso_type`: the TCP segments carry ECN.
pub const GSO_ECN: u8 = 0x80;

/// The header as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Header {
    /// [`NEEDS_CSUM`], [`DATA_VALID`].
    pub flags: u8,
    /// One of the `GSO_` types, perhaps with [`GSO_ECN`].
    pub gso_type: u8,
    /// Length of all headers, in bytes (a hint).
    pub hdr_len: u16,
    /// Payload bytes per segment.
    pub gso_size: u16,
    /// Where checksumming starts.
    pub csum_start: u16,
    /// Where the checksum goes, from `csum_start`.
    pub csum_offset: u16,
    /// Number of merged receive buffers.
    pub num_buffers: u16,
}

impl Header {
    /// Parses a header of 10 or 12 bytes, whichever the buffer has.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() < HEADER_LEN_SHORT {
            return Err(WireError::Truncated);
        }
        let word = |at| u16::from_le_bytes(array_at(bytes, at));
        Ok(Self {
            flags: u8_at(bytes, 0),
            gso_type: u8_at(bytes, 1),
            hdr_len: word(2),
            gso_size: word(4),
            csum_start: word(6),
            csum_offset: word(8),
            num_buffers: word(10),
        })
    }

    /// Writes the header; a 10-byte buffer gets it without `num_buffers`.
    pub fn emit(&self, out: &mut [u8]) {
        put(out, 0, [self.flags, self.gso_type]);
        let words = [
            self.hdr_len,
            self.gso_size,
            self.csum_start,
            self.csum_offset,
            self.num_buffers,
        ];
        for (at, value) in (2..).step_by(2).zip(words) {
            put(out, at, value.to_le_bytes());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parse_of_emit_is_identity(flags: u8, gso_type: u8, hdr_len: u16, gso_size: u16, csum_start: u16, csum_offset: u16, num_buffers: u16) {
            let header = Header { flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers };
            let mut out = [0; HEADER_LEN];
            header.emit(&mut out);
            prop_assert_eq!(Header::parse(&out), Ok(header));
            prop_assert_eq!(Header::parse(&out[..10]), Ok(Header { num_buffers: 0, ..header }));
        }
    }
}
