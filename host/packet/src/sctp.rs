//! SCTP common header (RFC 9260, section 3.1).

use crate::WireError;
use crate::wire::{put, put_u16, u16_at, u32_at};

/// Length of the common header, in bytes.
pub const HEADER_LEN: usize = 12;

/// The common header as a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sctp {
    /// Source port.
    pub src_port: u16,
    /// Destination port.
    pub dst_port: u16,
    /// Verification tag.
    pub tag: u32,
    /// CRC32c field as read from the wire.
    pub checksum: u32,
}

impl Sctp {
    /// Parses the common header.
    ///
    /// # Errors
    /// [`WireError::Truncated`].
    pub fn parse(bytes: &[u8]) -> Result<Self, WireError> {
        if bytes.len() < HEADER_LEN {
            return Err(WireError::Truncated);
        }
        Ok(Self {
            src_port: u16_at(bytes, 0),
            dst_port: u16_at(bytes, 2),
            tag: u32_at(bytes, 4),
            checksum: u32_at(bytes, 8),
        })
    }

    /// Writes the header at the start of `out`.
    pub fn emit(&self, out: &mut [u8]) {
        put_u16(out, 0, self.src_port);
        put_u16(out, 2, self.dst_port);
        put(out, 4, self.tag.to_be_bytes());
        put(out, 8, self.checksum.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn parse_of_emit_is_identity(src_port: u16, dst_port: u16, tag: u32, checksum: u32) {
            let header = Sctp { src_port, dst_port, tag, checksum };
            let mut out = [0; HEADER_LEN];
            header.emit(&mut out);
            prop_assert_eq!(Sctp::parse(&out), Ok(header));
            prop_assert_eq!(Sctp::parse(&out[..11]), Err(WireError::Truncated));
        }
    }
}
